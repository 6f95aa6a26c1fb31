"""From the requests of pixels to a stream of events: order, arbiter, time stamps.

A pixel that has crossed a threshold asks to be read and waits, holding one request, until the
arbiter grants it (Boahen 2000, IEEE Trans. Circuits Syst. II 47(5), address events). The arbiter
here grants in order of asking, row by row among those of one microsecond, one event in every
`service_ns`; the time stamp is put on `latency_ns` later. A pixel that crosses again while it waits
has no second request to hold: that event is lost and counted.
"""

from libc.stdlib cimport realloc
from libc.string cimport memset

cdef enum:
    DIGIT_BITS = 11
    DIGITS = 1 << DIGIT_BITS


cdef bint more_room(Events *events, int64_t room) noexcept nogil:
    """Make room for `room` events in all; False, and `failed`, without memory."""
    cdef Event *at
    if room <= events.room:
        return True
    at = <Event *>realloc(events.at, room * sizeof(Event))
    if at == NULL:
        events.failed = True
        return False
    events.at, events.room = at, room
    return True


cdef void one_digit(const Events *events, Event *out, uint64_t from_us, int shift) noexcept nogil:
    """Distribute by one digit of the time since `from_us`, keeping the order within it."""
    cdef int64_t start[DIGITS]
    cdef int64_t i, digit, count, first = 0
    memset(start, 0, sizeof(start))
    for i in range(events.count):
        start[((events.at[i].t_us - from_us) >> shift) & (DIGITS - 1)] += 1
    for digit in range(DIGITS):
        count = start[digit]
        start[digit] = first
        first += count
    for i in range(events.count):
        digit = ((events.at[i].t_us - from_us) >> shift) & (DIGITS - 1)
        out[start[digit]] = events.at[i]
        start[digit] += 1


cdef bint in_order(Events *events, Events *spare, uint64_t from_us) noexcept nogil:
    """Sort by time, none before `from_us`, stably; False without memory."""
    cdef uint64_t longest = 0
    cdef int64_t i
    cdef int shift = 0
    if not more_room(spare, events.count):
        return False
    for i in range(events.count):
        longest |= events.at[i].t_us - from_us
    while shift < 64 and longest >> shift:
        one_digit(events, spare.at, from_us, shift)
        spare.count = events.count
        events[0], spare[0] = spare[0], events[0]
        shift += DIGIT_BITS
    return True


cdef void arbitrate(
    Readout *readout, const Events *asked, Events *read, uint64_t *read_us, int64_t width,
    int64_t t0_ns, int64_t t1_ns
) noexcept nogil:
    """Grant the requests of a frame one after another; they are added to `read`, time stamped.

    `read_us` is when the last request of each pixel was granted.
    """
    cdef double asked_ns, granted_ns
    cdef int64_t i, pixel
    cdef Event event
    for i in range(asked.count):
        event = asked.at[i]
        pixel = event.y * width + event.x
        if event.t_us < read_us[pixel]:
            readout.dropped += 1
            continue
        asked_ns = <double>(<int64_t>event.t_us * 1000 - t0_ns)
        granted_ns = max(asked_ns, readout.free_ns)
        readout.free_ns = granted_ns + readout.service_ns
        read_us[pixel] = <uint64_t>((t0_ns + <int64_t>granted_ns) // 1000)
        event.t_us = <uint64_t>((t0_ns + <int64_t>granted_ns + readout.latency_ns) // 1000)
        put(read, event)
    readout.free_ns = max(readout.free_ns - (t1_ns - t0_ns), 0.0)


cdef int64_t read_until(const Events *events, uint64_t t_us) noexcept nogil:
    """How many events, which are in order, have times up to `t_us`."""
    cdef int64_t low = 0, high = events.count, middle
    while low < high:
        middle = (low + high) // 2
        if events.at[middle].t_us <= t_us:
            low = middle + 1
        else:
            high = middle
    return low
