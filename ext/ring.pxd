"""Two rings: events between two threads, frames between two processes.

`Events` is guarded by its owner's lock. `Frames` has one producer and one consumer and no lock:
`head` and `tail` are byte counts that only grow, written by one side each and on a cache line of
their own; a record is visible once `head` has been stored after it.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t


cdef packed struct Event:
    uint64_t t
    uint16_t x
    uint16_t y
    uint8_t p


cdef struct Events:
    Event* slots
    uint64_t capacity
    uint64_t head     # events ever written
    uint64_t tail     # events ever taken or lost
    uint64_t dropped  # events lost since the last take
    uint64_t lost     # events lost ever


cdef void events_push(Events* ring, const Event* source, uint64_t count) noexcept nogil
cdef uint64_t events_until(const Events* ring, uint64_t t_us) noexcept nogil
cdef void events_take(Events* ring, Event* target, uint64_t count) noexcept nogil
cdef bint events_sound(
    const Event* events, int64_t count, int64_t from_us, int64_t until_us, int64_t width, int64_t height
) noexcept nogil
cdef Event* first_of(events, bint writable) except? NULL
cdef bint polarities_sound(const Event* events, int64_t count) noexcept nogil


cdef struct Frames:
    uint64_t magic
    uint64_t capacity  # bytes of data
    uint8_t pad_0[48]
    uint64_t head      # bytes ever written; the producer's line
    uint64_t lost      # frames that found no room; the producer's line
    uint8_t pad_1[48]
    uint64_t tail      # bytes ever read; the consumer's line
    uint8_t pad_2[56]


cdef bint frames_push(Frames* ring, uint64_t capacity, const uint8_t* source, uint64_t size) noexcept nogil
cdef long long frames_next(Frames* ring, uint64_t capacity) noexcept nogil
cdef void frames_take(Frames* ring, uint64_t capacity, uint8_t* target, uint64_t size) noexcept nogil


cdef class EventRing:
    cdef Events ring
    cdef object lock
    cdef object slots


cdef class FrameRing:
    cdef Frames* ring
    cdef uint64_t capacity_bytes
    cdef uint8_t[::1] view
    cdef int require_open(self) except -1
