"""The clocked engine: runs the program that reflexarc.ext.program describes."""

from libc.stdint cimport int64_t

from reflexarc.ext.program cimport Machine, Op, Port, Waiting

cdef class ClockedEngine:
    cdef Machine _machine
    cdef object _owners
    cdef Op[::1] _ops
    cdef Port[::1] _ports
    cdef Waiting[::1] _queue
    cdef int64_t _queued
    cdef int64_t _learner_count
