"""Filters of camera events as plain C: what is remembered of each pixel."""

from libc.stdint cimport int64_t, uint16_t

from reflexarc.ext.readout cimport Event


cdef struct Sieve:
    # 0 or NULL where a filter is off
    int64_t width
    int64_t height
    int64_t left             # the region that passes, right and bottom not in it
    int64_t top
    int64_t right
    int64_t bottom
    bint on                  # polarities that pass
    bint off
    int64_t background_us
    int64_t *seen_us         # last event, one pixel of border all round
    int64_t gap_us           # between events at the rate that counts as hot
    int64_t hot_us           # how long a pixel may be above it
    int64_t *owed_us         # until when the events of a pixel are used up at that rate


cdef class EventFilter:
    cdef readonly int width
    cdef readonly int height
    cdef Sieve _sieve
    cdef dict _state
