"""Event-camera pixels as plain C: the state of each pixel and its update by one frame."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t


cdef packed struct Event:
    # field for field reflexarc.runtime.batch.EVENT
    uint64_t t_us
    uint16_t x
    uint16_t y
    uint8_t on


cdef struct Pixel:
    double level         # log luminance at the last frame
    double reference     # log luminance the pixel compares with
    double on_step       # rise of log luminance that makes an ON event
    double off_step      # fall that makes an OFF event, positive
    double armed_us      # held in reset until then


cdef Py_ssize_t most_events(const Pixel* pixel, double level) noexcept nogil
cdef Py_ssize_t expose_pixel(
    Pixel* pixel, double level, double t0_us, double t1_us, double refractory_us, Event* out
) noexcept nogil


cdef class PixelArray:
    cdef readonly int width
    cdef readonly int height
    cdef readonly double refractory_us
    cdef readonly double log_offset
    cdef Pixel[::1] _pixels
    cdef object _owner
    cdef double[::1] _level
    cdef double _t_us
    cdef bint _started
    cdef _checked(self, luminance, double t_us)
    cdef Py_ssize_t _most(self, const float[:, ::1] luminance) noexcept nogil
    cdef Py_ssize_t _emit(self, double t1_us, Event* out) noexcept nogil
