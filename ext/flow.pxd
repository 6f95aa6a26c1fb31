"""Elementary motion detectors as plain C: what is remembered of each pixel."""

from libc.stdint cimport int64_t


cdef struct Detectors:
    int64_t width
    int64_t height
    int64_t baseline_px
    int64_t tile_px
    int64_t columns          # of tiles
    int64_t tiles
    int64_t refractory_us
    int64_t speeds           # speed k has travel times in (travel_us[k + 1], travel_us[k]]
    int64_t *travel_us
    int64_t row              # pixels of seen_us in a row, baseline_px of border on both sides
    int64_t *seen_us         # last event of each pixel, OFF then ON


cdef class MotionDetectors:
    cdef readonly int lines
    cdef Detectors _detectors
    cdef object _travel_us
    cdef object _seen_us
