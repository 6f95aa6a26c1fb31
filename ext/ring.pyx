"""Bounded rings that count what they lose."""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from threading import Lock

import numpy as np

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t load_acquire(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline uint64_t load_relaxed(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
    static inline void store_release(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline void store_relaxed(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
    """
    uint64_t load_acquire(const uint64_t* p) noexcept nogil
    uint64_t load_relaxed(const uint64_t* p) noexcept nogil
    void store_release(uint64_t* p, uint64_t v) noexcept nogil
    void store_relaxed(uint64_t* p, uint64_t v) noexcept nogil


EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
cdef uint64_t MAGIC = 0x31474E4952584652  # "RFXRING1"
cdef uint64_t LENGTH = sizeof(uint64_t)


cdef inline void lose(Events* ring, uint64_t count) noexcept nogil:
    ring.dropped += count
    ring.lost += count


cdef void events_push(Events* ring, const Event* source, uint64_t count) noexcept nogil:
    """Append `count` events; the oldest give way."""
    cdef uint64_t k, at, excess
    if count > ring.capacity:
        excess = count - ring.capacity
        lose(ring, excess)
        source += excess
        count = ring.capacity
    if ring.head - ring.tail + count > ring.capacity:
        excess = ring.head - ring.tail + count - ring.capacity
        lose(ring, excess)
        ring.tail += excess
    at = ring.head % ring.capacity
    k = min(count, ring.capacity - at)
    memcpy(ring.slots + at, source, k * sizeof(Event))
    memcpy(ring.slots, source + k, (count - k) * sizeof(Event))
    ring.head += count


cdef uint64_t events_until(const Events* ring, uint64_t t_us) noexcept nogil:
    """How many of the oldest events come before the first one later than `t_us`."""
    cdef uint64_t k = ring.tail
    while k < ring.head and ring.slots[k % ring.capacity].t <= t_us:
        k += 1
    return k - ring.tail


cdef void events_take(Events* ring, Event* target, uint64_t count) noexcept nogil:
    """Move the `count` oldest events to `target`."""
    cdef uint64_t at = ring.tail % ring.capacity
    cdef uint64_t k = min(count, ring.capacity - at)
    memcpy(target, ring.slots + at, k * sizeof(Event))
    memcpy(target + k, ring.slots, (count - k) * sizeof(Event))
    ring.tail += count


cdef bint events_sound(
    const Event* events, int64_t count, int64_t from_us, int64_t until_us, int64_t width, int64_t height
) noexcept nogil:
    """Whether times never decrease, from `from_us` up to `until_us`, and all lie on the sensor."""
    cdef int64_t k, t_us, before_us = from_us
    for k in range(count):
        t_us = <int64_t>events[k].t
        if t_us < before_us or events[k].x >= width or events[k].y >= height:
            return False
        before_us = t_us
    return count == 0 or before_us <= until_us


cdef bint polarities_sound(const Event* events, int64_t count) noexcept nogil:
    """Whether every polarity is 0 or 1."""
    cdef int64_t k
    cdef uint8_t seen = 0
    for k in range(count):
        seen |= events[k].p
    return seen <= 1


cdef Event* first_of(events, bint writable) except? NULL:
    """Where contiguous `events`, shape (n,), dtype EVENT, lie while they are kept; NULL for none."""
    cdef Py_buffer buffer
    if events.dtype != EVENT or events.ndim != 1:
        raise TypeError(f"expected a 1-d array of {EVENT}, not {events.ndim}-d {events.dtype}")
    PyObject_GetBuffer(events, &buffer, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
    cdef Event* first = <Event*>buffer.buf if buffer.len else NULL
    PyBuffer_Release(&buffer)
    return first


def are_sound(events, int64_t from_us, int64_t until_us, int64_t width, int64_t height):
    """Whether the times of `events`, shape (n,), dtype EVENT, never decrease and lie from `from_us`
    up to and including `until_us`, and all of them on a sensor of width x height.

    Raises TypeError, and ValueError where they do not lie side by side.
    """
    return events_sound(first_of(events, False), len(events), from_us, until_us, width, height)


def have_polarities(events):
    """Whether every polarity of `events`, shape (n,), dtype EVENT, is 0 or 1: other bytes would make
    a bool that equals neither. Raises as `are_sound`.
    """
    return polarities_sound(first_of(events, False), len(events))


cdef class EventRing:
    """A bounded ring of camera events between a receiving thread and the loop.

    When it is full the oldest events give way and are counted: a robot acts on what is new.
    Any thread may call any method.
    """

    def __init__(self, capacity):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1 event, not {capacity}")
        self.slots = np.zeros(capacity, EVENT)
        self.lock = Lock()
        self.ring = Events(first_of(self.slots, True), capacity, 0, 0, 0, 0)

    @property
    def capacity(self):
        """How many events it holds."""
        return self.ring.capacity

    @property
    def lost(self):
        """Events that gave way since the ring was made."""
        return self.ring.lost

    def __len__(self):
        return self.ring.head - self.ring.tail

    def push(self, events):
        """Append `events`, shape (n,), dtype EVENT. Raises TypeError."""
        events = np.ascontiguousarray(events)
        cdef const Event* first = first_of(events, False)
        with self.lock:
            events_push(&self.ring, first, <uint64_t>len(events))

    def pop_until(self, t_us):
        """Take the oldest events with times up to and including `t_us`.

        Returns (events, shape (n,), dtype EVENT; number of events lost since the last call).
        """
        cdef uint64_t until = t_us
        with self.lock:
            return self._take(events_until(&self.ring, until))

    def pop_all(self):
        """Take everything, as `pop_until` does."""
        with self.lock:
            return self._take(self.ring.head - self.ring.tail)

    def _take(self, uint64_t count):
        taken = np.empty(count, EVENT)
        events_take(&self.ring, first_of(taken, True), count)
        dropped = self.ring.dropped
        self.ring.dropped = 0
        return taken, dropped


cdef void copy_in(Frames* ring, uint64_t capacity, uint64_t at, const uint8_t* source, uint64_t size) noexcept nogil:
    cdef uint8_t* data = <uint8_t*>(ring + 1)
    cdef uint64_t start = at % capacity
    cdef uint64_t k = min(size, capacity - start)
    memcpy(data + start, source, k)
    memcpy(data, source + k, size - k)


cdef void copy_out(Frames* ring, uint64_t capacity, uint64_t at, uint8_t* target, uint64_t size) noexcept nogil:
    cdef const uint8_t* data = <const uint8_t*>(ring + 1)
    cdef uint64_t start = at % capacity
    cdef uint64_t k = min(size, capacity - start)
    memcpy(target, data + start, k)
    memcpy(target + k, data, size - k)


cdef bint frames_push(Frames* ring, uint64_t capacity, const uint8_t* source, uint64_t size) noexcept nogil:
    """Append one frame, or count it as lost where there is no room."""
    cdef uint64_t head = load_relaxed(&ring.head)
    cdef uint64_t room = capacity - (head - load_acquire(&ring.tail))
    if room > capacity or size + LENGTH > room:
        store_relaxed(&ring.lost, load_relaxed(&ring.lost) + 1)
        return False
    copy_in(ring, capacity, head, <const uint8_t*>&size, LENGTH)
    copy_in(ring, capacity, head + LENGTH, source, size)
    store_release(&ring.head, head + LENGTH + size)
    return True


cdef long long frames_next(Frames* ring, uint64_t capacity) noexcept nogil:
    """Size of the oldest frame in bytes; -1 if there is none, -2 if the ring is damaged."""
    cdef uint64_t tail = load_relaxed(&ring.tail)
    cdef uint64_t used = load_acquire(&ring.head) - tail
    cdef uint64_t size = 0
    if used == 0:
        return -1
    if used > capacity or used < LENGTH:
        return -2
    copy_out(ring, capacity, tail, <uint8_t*>&size, LENGTH)
    if size > used - LENGTH:
        return -2
    return <long long>size


cdef void frames_take(Frames* ring, uint64_t capacity, uint8_t* target, uint64_t size) noexcept nogil:
    """Move the oldest frame, whose size `frames_next` gave, to `target`."""
    cdef uint64_t tail = load_relaxed(&ring.tail)
    copy_out(ring, capacity, tail + LENGTH, target, size)
    store_release(&ring.tail, tail + LENGTH + size)


cdef class FrameRing:
    """A byte ring of frames in shared memory: one process writes without waiting, one reads.

    A frame that finds no room is lost and counted: with one producer and no lock, only the
    consumer can free what is old. Neither side trusts the other: a damaged ring is an error of
    the reader and a loss of the writer, never a read or write outside the buffer.
    """

    HEADER_BYTES = sizeof(Frames)

    def __init__(self, buffer, *, create=False):
        cdef uint8_t[::1] view = buffer
        cdef uint64_t size = <uint64_t>view.shape[0]
        if size < sizeof(Frames) + 64:
            raise ValueError(f"a ring needs at least {sizeof(Frames) + 64} bytes, not {size}")
        cdef Frames* ring = <Frames*>&view[0]
        if <size_t>ring % 8:
            raise ValueError("a ring must begin at a multiple of 8 bytes")
        if create:
            ring.capacity = size - sizeof(Frames)
            ring.head = ring.tail = ring.lost = 0
            store_release(&ring.magic, MAGIC)
        if load_acquire(&ring.magic) != MAGIC:
            raise ValueError("not a frame ring: its creator has not made it yet, or it is something else")
        if not 64 <= ring.capacity <= size - sizeof(Frames):
            raise ValueError("the frame ring is damaged: it claims more room than its buffer has")
        self.view, self.ring, self.capacity_bytes = view, ring, ring.capacity

    cdef int require_open(self) except -1:
        if self.ring is NULL:
            raise ValueError("the frame ring is closed")
        return 0

    @property
    def capacity(self):
        """Room in bytes; each frame takes its size and 8."""
        return self.capacity_bytes

    @property
    def pending(self):
        """Bytes that wait to be read."""
        self.require_open()
        cdef uint64_t tail = load_acquire(&self.ring.tail)
        return load_acquire(&self.ring.head) - tail

    @property
    def lost(self):
        """Frames that found no room since the ring was created."""
        self.require_open()
        return load_relaxed(&self.ring.lost)

    def push(self, const uint8_t[::1] frame not None):
        """Append `frame` without waiting; False if there was no room (counted in `lost`)."""
        self.require_open()
        cdef const uint8_t* source = &frame[0] if frame.shape[0] else NULL
        return frames_push(self.ring, self.capacity_bytes, source, <uint64_t>frame.shape[0])

    def pop(self):
        """The oldest frame as bytes, or None. Raises ValueError when the ring is damaged."""
        self.require_open()
        cdef long long size = frames_next(self.ring, self.capacity_bytes)
        if size == -1:
            return None
        if size < 0:
            raise ValueError("the frame ring is damaged: a record runs past its end")
        frame = PyBytes_FromStringAndSize(NULL, size)
        frames_take(self.ring, self.capacity_bytes, <uint8_t*>PyBytes_AS_STRING(frame), <uint64_t>size)
        return frame

    def close(self):
        """Let go of the buffer, so that its owner can close it. May be called twice."""
        self.ring = NULL
        self.view = None
