"""Pooling of camera events: each event becomes a spike of the cell it falls into."""

import numpy as np

from libc.stdint cimport int64_t, uint32_t

from reflexarc.ext.readout cimport Event
from reflexarc.ext.spikes cimport Spike


cdef Py_ssize_t pool_events(
    const Event* events, Py_ssize_t n_events, Spike* spikes,
    int width, int height, int cell_px, bint split,
    int64_t shift_ns, int64_t from_ns, int64_t last_ns
) noexcept nogil:
    """Write one spike for each event inside the image; how many.

    Line = cell, row by row, plus the number of cells for ON events if `split`. The time of a spike is that
    of its event plus `shift_ns`, kept within [from_ns, last_ns].
    """
    cdef int columns = (width + cell_px - 1) // cell_px
    cdef int rows = (height + cell_px - 1) // cell_px
    cdef int from_on = columns * rows if split else 0
    cdef Py_ssize_t k, n = 0
    cdef uint32_t cell
    cdef int64_t t_ns
    for k in range(n_events):
        if events[k].x >= width or events[k].y >= height:
            continue
        cell = (events[k].y // cell_px) * columns + events[k].x // cell_px
        t_ns = <int64_t>events[k].t_us * 1000 + shift_ns
        spikes[n].t_ns = min(max(t_ns, from_ns), last_ns)
        spikes[n].i = cell + from_on * (events[k].on != 0)
        n += 1
    return n


def pool(
    events, spike_dtype, int width, int height, int cell_px, bint split,
    int64_t shift_ns, int64_t from_ns, int64_t last_ns,
):
    """The spikes of `events`, in the same order; events outside the image are left out.

    Args:
        events: EVENT records, contiguous, in order of time.
        spike_dtype: the SPIKE dtype.
        width, height, cell_px: the image and the side of a cell, in pixels.
        split: whether ON events have lines of their own.
        shift_ns, from_ns, last_ns: see `pool_events`.

    Raises:
        ValueError: a dtype is not laid out as expected, or `cell_px` is below 1.
    """
    if events.itemsize != sizeof(Event) or spike_dtype.itemsize != sizeof(Spike):
        raise ValueError(f"need events of {sizeof(Event)} and spikes of {sizeof(Spike)} bytes")
    if cell_px < 1:
        raise ValueError("cell_px must be at least 1")
    cdef Py_ssize_t n_events = len(events), n
    spikes = np.empty(n_events, dtype=spike_dtype)
    if n_events == 0:
        return spikes
    cdef const unsigned char[::1] raw = np.ascontiguousarray(events).view(np.uint8)
    cdef unsigned char[::1] out = spikes.view(np.uint8)
    with nogil:
        n = pool_events(
            <const Event*>&raw[0], n_events, <Spike*>&out[0],
            width, height, cell_px, split, shift_ns, from_ns, last_ns,
        )
    return spikes[:n]
