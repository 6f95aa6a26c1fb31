"""Camera events in UDP datagrams: taken from a socket many at a time, and decoded.

One `recvmmsg` waits for the first datagram and takes along what has come with it.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import os

import numpy as np

from reflexarc.ext.ring import EVENT


cdef extern from "<sys/socket.h>" nogil:
    int MSG_WAITFORONE, SOL_SOCKET
    int recvmmsg(int socket, mmsghdr *headers, unsigned int count, int flags, void *timeout)
    cmsghdr *CMSG_FIRSTHDR(msghdr *header)
    cmsghdr *CMSG_NXTHDR(msghdr *header, cmsghdr *control)
    uint8_t *CMSG_DATA(cmsghdr *control)


# Linux's asm/socket.h: how many datagrams the socket had no room for.
SO_RXQ_OVFL = 40
cdef int OVERRUN = 40
# A sender whose time steps back by more, or ahead by a day, has started anew.
cdef int64_t BACK_US = 1_000_000
cdef int64_t AHEAD_US = 86_400_000_000
cdef int64_t TURN_US = 1LL << 32


cdef int take_mail(Mail *mail, int socket) noexcept nogil:
    """Wait for a datagram, as long as the socket's own time limit, and take what has come; errno."""
    cdef int k
    for k in range(MOST):
        mail.letters[k].data.iov_base = mail.bytes + k * DATAGRAM_BYTES
        mail.letters[k].data.iov_len = DATAGRAM_BYTES
        mail.headers[k].msg_hdr.msg_iov = &mail.letters[k].data
        mail.headers[k].msg_hdr.msg_iovlen = 1
        mail.headers[k].msg_hdr.msg_control = mail.letters[k].control
        mail.headers[k].msg_hdr.msg_controllen = CONTROL_BYTES
    mail.count = recvmmsg(socket, mail.headers, MOST, MSG_WAITFORONE, NULL)
    if mail.count < 0:
        mail.count = 0
        return errno
    note_overrun(mail, &mail.headers[mail.count - 1].msg_hdr)
    return 0


cdef void note_overrun(Mail *mail, msghdr *header) noexcept nogil:
    """What the kernel says beside a datagram; nothing before the first loss."""
    cdef uint32_t lost
    cdef cmsghdr *control = CMSG_FIRSTHDR(header)
    while control is not NULL:
        if control.cmsg_level == SOL_SOCKET and control.cmsg_type == OVERRUN:
            memcpy(&lost, CMSG_DATA(control), sizeof(lost))
            mail.overrun += <uint32_t>(lost - <uint32_t>mail.overrun)  # it starts anew after 2^32
        control = CMSG_NXTHDR(header, control)


cdef inline uint32_t word(const uint8_t *data) noexcept nogil:
    return data[0] | data[1] << 8 | data[2] << 16 | <uint32_t>data[3] << 24


cdef inline uint16_t half(const uint8_t *data) noexcept nogil:
    return <uint16_t>(data[0] | data[1] << 8)


cdef inline int64_t event_bytes(const Stream *stream) noexcept nogil:
    """Of an event; SPIF's may be half as long."""
    return 13 if stream.encoding == T64 else 8


cdef int64_t most_events(const Stream *stream, int64_t size) noexcept nogil:
    """How many events so many bytes hold at most."""
    return size // (4 if stream.encoding == SPIF else event_bytes(stream))


cdef int64_t stream_us(Stream *stream, uint64_t sent_us) noexcept nogil:
    """Time since the first event, never decreasing, of an event with the sender's time."""
    cdef int64_t t_us
    if not stream.begun:
        stream.begun, stream.begin_us = True, sent_us
    t_us = <int64_t>(sent_us - stream.begin_us)
    if stream.encoding != T64:
        if t_us - stream.seen_us < -(TURN_US >> 1):
            stream.turns_us += TURN_US
        stream.seen_us = t_us
        t_us += stream.turns_us
    if not stream.last_us - BACK_US <= t_us <= stream.last_us + AHEAD_US:
        stream.begin_us += <uint64_t>(t_us - stream.last_us)
        stream.seen_us -= t_us - stream.last_us
        t_us = stream.last_us
    stream.last_us = max(t_us, stream.last_us)
    return stream.last_us


cdef inline int64_t put(
    Stream *stream, uint64_t sent_us, uint16_t x, uint16_t y, uint8_t on, Event *out
) noexcept nogil:
    """Write one event where it lies on the sensor; whether it does."""
    if x >= stream.width or y >= stream.height:
        stream.outside += 1
        return 0
    out.t, out.x, out.y, out.p = <uint64_t>stream_us(stream, sent_us), x, y, on
    return 1


cdef int64_t decode_t64(Stream *stream, const uint8_t *data, int64_t size, Event *out) noexcept nogil:
    cdef int64_t k, n = 0
    for k in range(0, size, 13):
        n += put(
            stream, word(data + k) | <uint64_t>word(data + k + 4) << 32,
            half(data + k + 8), half(data + k + 10), data[k + 12] & 1, out + n,
        )
    return n


cdef int64_t decode_t32(Stream *stream, const uint8_t *data, int64_t size, Event *out) noexcept nogil:
    cdef int64_t k, n = 0
    cdef uint16_t y_on
    for k in range(0, size, 8):
        y_on = half(data + k + 6)
        n += put(stream, word(data + k), half(data + k + 4), y_on >> 1, y_on & 1, out + n)
    return n


cdef int64_t decode_spif(
    Stream *stream, const uint8_t *data, int64_t size, uint64_t arrival_us, Event *out
) noexcept nogil:
    """All words of a datagram have a time, or none, as its first one."""
    cdef bint timed = word(data) >> 31 == 0
    cdef const uint8_t *end = data + size
    cdef uint32_t address, sent_us = <uint32_t>arrival_us
    cdef int64_t n = 0
    while data < end:
        address = word(data)
        if timed:
            sent_us = word(data + 4)
        n += put(
            stream, sent_us, address >> 16 & 0x7FFF, address & 0x7FFF, address >> 15 & 1, out + n
        )
        data += 8 if timed else 4
    return n


cdef bint is_whole(const Stream *stream, const uint8_t *data, int64_t size) noexcept nogil:
    """Whether a datagram holds events, and ends after one."""
    if stream.encoding == SPIF and size >= 4 and word(data) >> 31:
        return size % 4 == 0
    return size > 0 and size % event_bytes(stream) == 0


cdef int64_t decode_datagram(
    Stream *stream, const uint8_t *data, int64_t size, uint64_t arrival_us, Event *out
) noexcept nogil:
    """Write the events of a datagram, at most `most_events` of its size; how many."""
    if not is_whole(stream, data, size):
        stream.malformed += 1
        return 0
    if stream.encoding == T64:
        return decode_t64(stream, data, size, out)
    if stream.encoding == T32:
        return decode_t32(stream, data, size, out)
    return decode_spif(stream, data, size, arrival_us, out)


cdef class DatagramReader:
    """Takes datagrams from a socket and decodes the events in them.

    Args:
        socket: descriptor of a bound UDP socket that blocks, with a time limit of its own.
        encoding: "t64", "t32" or "spif"; see `reflexarc.sensors.datagrams`.
        width, height: of the sensor; events outside are left out and counted.

    Raises:
        ValueError: another encoding.
    """

    def __cinit__(self, int socket, str encoding, int64_t width, int64_t height):
        self.mail.bytes = <uint8_t *>calloc(MOST, DATAGRAM_BYTES)
        if self.mail.bytes is NULL:
            raise MemoryError
        encodings = {"t64": T64, "t32": T32, "spif": SPIF}
        if encoding not in encodings:
            raise ValueError(f"encoding {encoding!r}: one of {', '.join(encodings)}")
        self.socket = socket
        self.stream.encoding = encodings[encoding]
        self.stream.width, self.stream.height = width, height

    def __dealloc__(self):
        free(self.mail.bytes)

    @property
    def malformed(self):
        """Datagrams so far that ended inside an event or held none."""
        return self.stream.malformed

    @property
    def outside(self):
        """Events so far that lay outside the sensor."""
        return self.stream.outside

    @property
    def overrun(self):
        """Datagrams so far that the socket had no room for."""
        return self.mail.overrun

    def wait(self):
        """Wait for datagrams, as long as the socket's time limit; how many have come.

        `take` gives what is in them. Raises OSError, and what a signal's handler raises.
        """
        cdef int failure
        with nogil:
            failure = take_mail(&self.mail, self.socket)
        PyErr_CheckSignals()
        if failure not in (0, EAGAIN, EINTR):
            raise OSError(failure, os.strerror(failure))
        return self.mail.count

    def take(self, uint64_t arrival_us):
        """The events of the datagrams that have come, once, shape (n,), dtype EVENT.

        Times are microseconds since the first event; those that step back are held. What has no
        time gets `arrival_us`.
        """
        cdef int k
        cdef int64_t room = 0, n = 0
        for k in range(self.mail.count):
            room += most_events(&self.stream, self.mail.headers[k].msg_len)
        events = np.empty(room, EVENT)
        cdef Event *out = first_of(events, True)
        with nogil:
            for k in range(self.mail.count):
                n += decode_datagram(
                    &self.stream, self.mail.bytes + k * DATAGRAM_BYTES,
                    self.mail.headers[k].msg_len, arrival_us, out + n,
                )
        self.mail.count = 0
        return events if n == room else events[:n]
