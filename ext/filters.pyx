"""Filters of camera events: region, polarity, hot pixels, background activity.

- Hot pixels: a pixel owes 1 / rate for each of its events and pays off by time; its events are left
  out while it owes more than `hot_us`. This is the leaky bucket of the generic cell rate algorithm
  (ITU-T I.371), but events that are left out are owed too, up to twice as much, so that a pixel
  which stays hot stays out.
- Background activity (Delbruck 2008, Int. Symp. Secure-Life Electronics): an event passes if one of
  its eight neighbours had an event within `background_us` before it.

An event that one filter leaves out does not reach those after it.
"""

import numpy as np

# Longer ago than any time of an event.
cdef int64_t NEVER = -(1 << 62)


cdef inline bint inside(const Sieve* sieve, const Event* event) noexcept nogil:
    return (
        sieve.left <= event.x < sieve.right
        and sieve.top <= event.y < sieve.bottom
        and (sieve.on if event.on else sieve.off)
    )


cdef inline bint is_hot(Sieve* sieve, const Event* event) noexcept nogil:
    cdef int64_t t_us = <int64_t>event.t_us
    cdef int64_t *owed_us = &sieve.owed_us[event.y * sieve.width + event.x]
    cdef int64_t owed = max(owed_us[0], t_us) + sieve.gap_us
    owed_us[0] = min(owed, t_us + 2 * sieve.hot_us)
    return owed - t_us > sieve.hot_us


cdef inline bint is_alone(Sieve* sieve, const Event* event) noexcept nogil:
    cdef int64_t t_us = <int64_t>event.t_us
    cdef int64_t row = sieve.width + 2
    cdef int64_t *corner = &sieve.seen_us[event.y * row + event.x]
    cdef int64_t above = max(max(corner[0], corner[1]), corner[2])
    cdef int64_t beside = max(corner[row], corner[row + 2])
    cdef int64_t below = max(max(corner[2 * row], corner[2 * row + 1]), corner[2 * row + 2])
    corner[row + 1] = t_us
    return t_us - max(max(above, beside), below) > sieve.background_us


cdef int64_t sift_events(Sieve* sieve, const Event* events, int64_t n, Event* out) noexcept nogil:
    """Copy those of n events that pass, counted from the corner of the region; how many."""
    cdef int64_t k, kept = 0
    cdef uint16_t left = <uint16_t>sieve.left, top = <uint16_t>sieve.top
    for k in range(n):
        if not inside(sieve, &events[k]):
            continue
        if sieve.gap_us and is_hot(sieve, &events[k]):
            continue
        if sieve.background_us and is_alone(sieve, &events[k]):
            continue
        out[kept] = events[k]
        out[kept].x -= left
        out[kept].y -= top
        kept += 1
    return kept


cdef class EventFilter:
    """Lets camera events pass, or not, with what it remembers of each pixel.

    Args:
        width, height: of the sensor; events outside are left out.
        region: left, top, right and bottom of what passes; right and bottom are not in it. Pixels
            are then counted from its corner.
        on, off: polarities that pass.
        background_us: how recent an event of a neighbour has to be; 0 lets lonely ones pass.
        hot_rate_hz: events a second above which a pixel counts as hot; 0 lets hot pixels pass.
        hot_us: how long it may be.

    Raises:
        ValueError: a value is out of its range, or the region is not within the sensor.
    """

    def __init__(
        self,
        int64_t width,
        int64_t height,
        *,
        region=None,
        bint on=True,
        bint off=True,
        int64_t background_us=0,
        double hot_rate_hz=0.0,
        int64_t hot_us=100_000,
    ):
        if not (1 <= width <= 65536 and 1 <= height <= 65536):
            raise ValueError("width and height must be from 1 to 65536")
        if region is None:
            region = (0, 0, width, height)
        left, top, right, bottom = region
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"the region {region} is not within {width} x {height} pixels")
        if background_us < 0 or not 0 <= hot_rate_hz <= 1e6 or not 0 < hot_us <= 10**12:
            raise ValueError("background_us, hot_rate_hz (to 1e6) or hot_us is out of range")
        self.width, self.height = width, height
        self._sieve.width, self._sieve.height = width, height
        self._sieve.left, self._sieve.top = left, top
        self._sieve.right, self._sieve.bottom = right, bottom
        self._sieve.on, self._sieve.off = on, off
        self._sieve.background_us, self._sieve.hot_us = background_us, hot_us
        self._sieve.gap_us = max(round(1e6 / hot_rate_hz), 1) if hot_rate_hz else 0
        shapes = {
            "seen_us": [height + 2, width + 2] if background_us else [0, 0],
            "owed_us": [height, width] if hot_rate_hz else [0, 0],
        }
        self._state = {name: np.full(shape, NEVER, np.int64) for name, shape in shapes.items()}
        self._sieve.seen_us = <int64_t *><size_t>self._state["seen_us"].ctypes.data
        self._sieve.owed_us = <int64_t *><size_t>self._state["owed_us"].ctypes.data

    def sift(self, events):
        """Those of `events` that pass, in the same order.

        Args:
            events: EVENT records in order of time, also from call to call.

        Raises:
            ValueError: a dtype that is not laid out as `Event`.
        """
        if events.itemsize != sizeof(Event):
            raise ValueError(f"events are {sizeof(Event)} bytes, not {events.itemsize}")
        cdef int64_t n = len(events)
        kept = np.empty(n, dtype=events.dtype)
        if n == 0:
            return kept
        cdef const unsigned char[::1] raw = np.ascontiguousarray(events).view(np.uint8)
        cdef unsigned char[::1] out = kept.view(np.uint8)
        with nogil:
            n = sift_events(&self._sieve, <const Event *>&raw[0], n, <Event *>&out[0])
        return kept[:n]

    def state(self):
        """A copy of what is remembered of each pixel."""
        return {name: part.copy() for name, part in self._state.items()}

    def restore(self, state):
        """Go back to `state`. Raises ValueError for that of another filter."""
        if state.keys() != self._state.keys() or any(
            state[name].shape != part.shape or state[name].dtype != part.dtype
            for name, part in self._state.items()
        ):
            raise ValueError("the state is of another filter")
        for name, part in self._state.items():
            part[:] = state[name]
