"""Events as they leave the pixels: a buffer that grows, their order, and the arbiter."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t


cdef packed struct Event:
    # field for field reflexarc.runtime.batch.EVENT
    uint64_t t_us
    uint16_t x
    uint16_t y
    uint8_t on


cdef struct Events:
    Event *at
    int64_t count
    int64_t room
    bint failed          # there was no memory for one more


cdef struct Readout:
    double service_ns    # the arbiter reads one event in this time
    int64_t latency_ns   # from the grant to the time stamp
    double free_ns       # when it is free, after the end of the last frame
    int64_t dropped      # events of pixels whose last one had not been read


cdef bint more_room(Events *events, int64_t room) noexcept nogil
cdef bint in_order(Events *events, Events *spare, uint64_t from_us) noexcept nogil
cdef void arbitrate(
    Readout *readout, const Events *asked, Events *read, uint64_t *read_us, int64_t width,
    int64_t t0_ns, int64_t t1_ns
) noexcept nogil
cdef int64_t read_until(const Events *events, uint64_t t_us) noexcept nogil


cdef inline void put(Events *events, Event event) noexcept nogil:
    """Add one event, if there is memory for it."""
    if events.count == events.room and not more_room(events, 2 * events.room + 64):
        return
    events.at[events.count] = event
    events.count += 1
