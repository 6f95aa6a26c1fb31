"""Event-camera pixels: log intensity against a memorised reference, one kernel a frame.

Log luminance is taken as linear in time between two frames. A pixel fires where it has moved by
one threshold from its reference, is held in reset for the refractory period, and then memorises
the level it finds, as the circuit of a DVS does (Lichtsteiner, Posch & Delbruck 2008; the
interpolation is that of ESIM, Rebecq, Gehrig & Scaramuzza 2018).
"""

import numpy as np

from libc.math cimport fabs, floor, log

# A threshold counts as reached this fraction early: luminance comes as float32, and its rounding
# (6e-8 of its log) must not decide whether an exact multiple of the threshold fires.
cdef double TOLERANCE = 1e-5

PIXEL = np.dtype(
    [(name, "<f8") for name in ("level", "reference", "on_step", "off_step", "armed_us")]
)


cdef Py_ssize_t most_events(const Pixel* pixel, double level) noexcept nogil:
    """An upper bound of the events that a move to `level` can make."""
    cdef double way = max(fabs(level - pixel.reference), fabs(level - pixel.level))
    return <Py_ssize_t>floor(way / min(pixel.on_step, pixel.off_step)) + 2


cdef Py_ssize_t expose_pixel(
    Pixel* pixel, double level, double t0_us, double t1_us, double refractory_us, Event* out
) noexcept nogil:
    """Move one pixel from its level at `t0_us` to `level` at `t1_us`; the number of events.

    Writes time and polarity of each event to `out`, which has room for `most_events`.
    """
    cdef double before = pixel.level
    cdef double slope = (level - before) / (t1_us - t0_us)
    cdef bint on = level > before
    cdef double step = pixel.on_step if on else -pixel.off_step
    cdef double left, t_us
    cdef Py_ssize_t n = 0
    pixel.level = level
    if pixel.armed_us > t1_us:
        return 0
    if pixel.armed_us > t0_us:
        pixel.reference = before + slope * (pixel.armed_us - t0_us)
    while True:
        left = (level - pixel.reference) / step
        if left < 1.0 - TOLERANCE or slope == 0.0:
            return n
        t_us = t0_us + (pixel.reference + step - before) / slope
        t_us = min(max(t_us, t0_us), t1_us)
        out[n].t_us = <uint64_t>t_us
        out[n].on = on
        n += 1
        if refractory_us == 0.0:
            pixel.reference += step
            continue
        pixel.armed_us = t_us + refractory_us
        if pixel.armed_us > t1_us:
            return n
        pixel.reference = before + slope * (pixel.armed_us - t0_us)


cdef class PixelArray:
    """The pixels of an event camera, with their state.

    Args:
        on_step, off_step: thresholds of each pixel in ln units, float64, shape (height, width).
        refractory_us: how long a pixel is held in reset after an event.
        log_offset: luminance added before the logarithm; the pixel's dark level.

    Raises:
        ValueError: shapes differ, a threshold or `log_offset` is not above 0, or
            `refractory_us` is negative.
    """

    def __init__(self, on_step, off_step, double refractory_us, double log_offset):
        on_step = np.asarray(on_step, dtype=np.float64)
        off_step = np.asarray(off_step, dtype=np.float64)
        if on_step.ndim != 2 or on_step.shape != off_step.shape or not on_step.size:
            raise ValueError("on_step and off_step must have one shape (height, width)")
        if not (on_step.min() > 0 and off_step.min() > 0 and log_offset > 0):
            raise ValueError("thresholds and log_offset must be above 0")
        if not refractory_us >= 0:
            raise ValueError("refractory_us must not be negative")
        self.height, self.width = on_step.shape
        self.refractory_us = refractory_us
        self.log_offset = log_offset
        self._owner = np.zeros(on_step.size, dtype=PIXEL)
        self._owner["on_step"] = on_step.ravel()
        self._owner["off_step"] = off_step.ravel()
        self._pixels = self._owner
        self._level = np.zeros(on_step.size)

    def expose(self, luminance, double t_us, dtype):
        """Show the pixels a frame; the events since the frame before, in order of time.

        The first frame sets the references and makes no event.

        Args:
            luminance: linear luminance, float32, shape (height, width), not negative.
            t_us: time of the frame in microseconds, later than the frame before.
            dtype: dtype of the events, laid out as `Event`.

        Raises:
            ValueError: a wrong shape, luminance that is negative or not finite, or a time that
                does not increase. The state is unchanged then.
        """
        cdef const float[:, ::1] frame = self._checked(luminance, t_us)
        if dtype.itemsize != sizeof(Event):
            raise ValueError(f"events are {sizeof(Event)} bytes, not {dtype.itemsize}")
        cdef Py_ssize_t n
        with nogil:
            n = self._most(frame)
        if not self._started:
            self._owner["level"] = self._owner["reference"] = self._level
            self._started, self._t_us = True, t_us
            return np.zeros(0, dtype=dtype)
        events = np.empty(n, dtype=dtype)
        cdef unsigned char[::1] raw = events.view(np.uint8)
        with nogil:
            n = self._emit(t_us, <Event*>&raw[0])
        self._t_us = t_us
        events = events[:n]
        return events[np.argsort(events["t"], kind="stable")]

    cdef _checked(self, luminance, double t_us):
        """The frame as a float32 array, if it may be shown at `t_us`."""
        luminance = np.ascontiguousarray(luminance, dtype=np.float32)
        if luminance.shape != (self.height, self.width):
            raise ValueError(
                f"the frame has shape {luminance.shape}, the camera ({self.height}, {self.width})"
            )
        if not 0 <= luminance.min() <= luminance.max() < np.inf:
            raise ValueError("luminance must be finite and not negative")
        if self._started and not t_us > self._t_us:
            raise ValueError(f"a frame at {t_us} us cannot follow one at {self._t_us} us")
        return luminance

    cdef Py_ssize_t _most(self, const float[:, ::1] luminance) noexcept nogil:
        """Take the logarithm of the frame; an upper bound of its events."""
        cdef Py_ssize_t x, y, i = 0, total = 0
        for y in range(self.height):
            for x in range(self.width):
                self._level[i] = log(luminance[y, x] + self.log_offset)
                total += most_events(&self._pixels[i], self._level[i])
                i += 1
        return total

    cdef Py_ssize_t _emit(self, double t1_us, Event* out) noexcept nogil:
        """Move every pixel to its new level; the number of events written to `out`."""
        cdef Py_ssize_t x, y, k, made, i = 0, n = 0
        for y in range(self.height):
            for x in range(self.width):
                made = expose_pixel(
                    &self._pixels[i], self._level[i], self._t_us, t1_us, self.refractory_us, out + n
                )
                for k in range(n, n + made):
                    out[k].x = <uint16_t>x
                    out[k].y = <uint16_t>y
                n += made
                i += 1
        return n
