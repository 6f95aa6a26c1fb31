"""Optic flow of camera events by elementary motion detectors.

A detector correlates two pixels with a delay between them (Hassenstein & Reichardt 1956, Z.
Naturforsch. 11b:513). Here it measures the delay: an event of one pixel facilitates, an event of
the same polarity of the other one triggers, and the time between them is how long the edge took
(Kramer 1996, IEEE TPAMI 18:455; with spikes: Milde et al. 2018, Neural Computation 30:2384). One in
the opposite direction is triggered before it is facilitated, and stays silent.
"""

import numpy as np

from libc.stdint cimport int64_t

from reflexarc.ext.readout cimport Event
from reflexarc.ext.spikes cimport Spike

# Longer ago than any time of an event.
cdef int64_t NEVER = -(1 << 62)
# Right, left, down and up.
cdef int DIRECTIONS = 4


cdef inline int64_t speed_of(const Detectors *detectors, int64_t travel_us) noexcept nogil:
    """Which speed took so long, or -1 for none."""
    cdef int64_t speed = 0
    if not detectors.travel_us[detectors.speeds] < travel_us <= detectors.travel_us[0]:
        return -1
    while travel_us <= detectors.travel_us[speed + 1]:
        speed += 1
    return speed


cdef int64_t detect_flow(
    const Detectors *detectors, const Event *events, int64_t n, Spike *spikes,
    int64_t shift_ns, int64_t from_ns, int64_t last_ns
) noexcept nogil:
    """Write a spike for each detector that n events trigger, at most 4 an event; how many.

    Line = tile, row by row, plus the number of tiles for each speed and those before it, of each
    direction. The time of a spike is that of its event plus `shift_ns`, within [from_ns, last_ns].
    """
    cdef int64_t back = detectors.baseline_px, row = detectors.row
    cdef int64_t plane = row * (detectors.height + 2 * back)
    cdef int64_t[4] upstream = [-back, back, -back * row, back * row]
    cdef int64_t k, t_us, t_ns, tile, speed, written = 0
    cdef int64_t *seen_us
    cdef int direction
    for k in range(n):
        if events[k].x >= detectors.width or events[k].y >= detectors.height:
            continue
        t_us = <int64_t>events[k].t_us
        seen_us = &detectors.seen_us[
            plane * (events[k].on != 0) + (events[k].y + back) * row + events[k].x + back
        ]
        if t_us - seen_us[0] < detectors.refractory_us:
            continue
        seen_us[0] = t_us
        t_ns = min(max(t_us * 1000 + shift_ns, from_ns), last_ns)
        tile = (
            events[k].y // detectors.tile_px * detectors.columns + events[k].x // detectors.tile_px
        )
        for direction in range(4):
            speed = speed_of(detectors, t_us - seen_us[upstream[direction]])
            if speed >= 0:
                spikes[written].t_ns = t_ns
                spikes[written].i = (
                    (direction * detectors.speeds + speed) * detectors.tiles + tile
                )
                written += 1
    return written


cdef class MotionDetectors:
    """Detectors of motion to the right, left, down and up at every pixel, summed by tiles.

    Args:
        width, height: of the sensor; events outside are left out.
        tile_px: side of a tile; those at the right and lower border may be cut.
        baseline_px: from the pixel that facilitates to the one that triggers.
        travel_us: int64, at least two, falling and none negative: an edge that takes longer than
            `travel_us[k + 1]` and not longer than `travel_us[k]` for the baseline has speed k.
        refractory_us: an event so soon after the last one of its pixel and polarity that counted
            does not count; for edges of more than one event.

    Attributes:
        lines: 4 directions x speeds x tiles.

    Raises:
        ValueError: a value is out of its range, or there are more than 2**31 - 1 lines.
    """

    def __init__(
        self,
        int64_t width,
        int64_t height,
        *,
        int64_t tile_px,
        int64_t baseline_px,
        travel_us,
        int64_t refractory_us=0,
    ):
        if not (1 <= width <= 65536 and 1 <= height <= 65536):
            raise ValueError("width and height must be from 1 to 65536")
        if not (1 <= tile_px <= 65536 and 1 <= baseline_px <= 65536 and refractory_us >= 0):
            raise ValueError("tile_px, baseline_px (1 to 65536) or refractory_us is out of range")
        travel_us = np.array(travel_us, np.int64)
        if len(travel_us) < 2 or travel_us.min() < 0 or (np.diff(travel_us) >= 0).any():
            raise ValueError("travel_us must fall, be at least two, and none negative")
        cdef int64_t columns = (width + tile_px - 1) // tile_px
        cdef int64_t tiles = columns * ((height + tile_px - 1) // tile_px)
        cdef int64_t speeds = len(travel_us) - 1
        if DIRECTIONS * speeds * tiles > 2**31 - 1:
            raise ValueError(f"{DIRECTIONS * speeds * tiles} lines are too many; use larger tiles")
        self.lines = DIRECTIONS * speeds * tiles
        self._detectors.width, self._detectors.height = width, height
        self._detectors.baseline_px, self._detectors.tile_px = baseline_px, tile_px
        self._detectors.columns, self._detectors.tiles = columns, tiles
        self._detectors.refractory_us, self._detectors.speeds = refractory_us, speeds
        self._detectors.row = width + 2 * baseline_px
        shape = (2, height + 2 * baseline_px, width + 2 * baseline_px)
        self._travel_us, self._seen_us = travel_us, np.full(shape, NEVER, np.int64)
        self._detectors.travel_us = <int64_t *><size_t>self._travel_us.ctypes.data
        self._detectors.seen_us = <int64_t *><size_t>self._seen_us.ctypes.data

    def detect(self, events, spike_dtype, int64_t shift_ns, int64_t from_ns, int64_t last_ns):
        """The spikes that `events` trigger, in the same order.

        Args:
            events: EVENT records in order of time, also from call to call.
            spike_dtype: the SPIKE dtype.
            shift_ns, from_ns, last_ns: see `detect_flow`.

        Raises:
            ValueError: a dtype is not laid out as expected.
        """
        if events.itemsize != sizeof(Event) or spike_dtype.itemsize != sizeof(Spike):
            raise ValueError(f"need events of {sizeof(Event)} and spikes of {sizeof(Spike)} bytes")
        cdef int64_t n = len(events)
        spikes = np.empty(DIRECTIONS * n, dtype=spike_dtype)
        if n == 0:
            return spikes
        cdef const unsigned char[::1] raw = np.ascontiguousarray(events).view(np.uint8)
        cdef unsigned char[::1] out = spikes.view(np.uint8)
        with nogil:
            n = detect_flow(
                &self._detectors, <const Event *>&raw[0], n, <Spike *>&out[0],
                shift_ns, from_ns, last_ns,
            )
        return spikes[:n]

    def state(self):
        """A copy of what is remembered of each pixel."""
        return {"seen_us": self._seen_us.copy()}

    def restore(self, state):
        """Go back to `state`. Raises ValueError for that of other detectors."""
        if state.keys() != {"seen_us"} or (
            (state["seen_us"].shape, state["seen_us"].dtype)
            != (self._seen_us.shape, self._seen_us.dtype)
        ):
            raise ValueError("the state is of other detectors")
        self._seen_us[:] = state["seen_us"]
