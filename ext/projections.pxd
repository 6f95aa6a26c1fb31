"""Spikes onto projections."""

from libc.stdint cimport int64_t

from reflexarc.ext.program cimport Arrays, Machine, Op

cdef void record(const Op *op, const Arrays *a, int64_t step) noexcept nogil
cdef void release_all(Machine *m, const Op *op) noexcept nogil
cdef void project(Machine *m, const Op *op, int64_t thread) noexcept nogil
cdef void note_fired(Machine *m, const Op *op) noexcept nogil
cdef void settle_senders(Machine *m, const Op *op) noexcept nogil
cdef void collect(const Op *op, const Arrays *a) noexcept nogil
