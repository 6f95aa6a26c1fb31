"""Camera events in UDP datagrams: taken from a socket many at a time, and decoded."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from reflexarc.ext.ring cimport Event, first_of


cdef extern from "<sys/socket.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen

    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len

    cdef struct cmsghdr:
        int cmsg_level
        int cmsg_type


cdef enum:
    MOST = 64                 # datagrams taken at a time
    DATAGRAM_BYTES = 65536    # more than UDP can carry
    CONTROL_BYTES = 64        # room for what the kernel says beside each


cdef enum Encoding:
    T64, T32, SPIF


cdef struct Letter:
    iovec data
    uint8_t control[CONTROL_BYTES]


cdef struct Mail:
    mmsghdr headers[MOST]
    Letter letters[MOST]
    uint8_t *bytes            # MOST * DATAGRAM_BYTES
    int count                 # datagrams that wait to be decoded
    int64_t overrun           # datagrams that the socket had no room for


cdef struct Stream:
    Encoding encoding
    int64_t width
    int64_t height
    bint begun
    uint64_t begin_us         # the sender's time of stream time 0
    int64_t turns_us          # what 32 bits have lost by starting anew
    int64_t seen_us           # stream time of the last event as sent, without turns
    int64_t last_us           # stream time of the last event; never decreases
    int64_t malformed         # datagrams that end inside an event or hold none
    int64_t outside           # events outside the sensor


cdef int take_mail(Mail *mail, int socket) noexcept nogil
cdef int64_t most_events(const Stream *stream, int64_t size) noexcept nogil
cdef int64_t decode_datagram(
    Stream *stream, const uint8_t *data, int64_t size, uint64_t arrival_us, Event *out
) noexcept nogil


cdef class DatagramReader:
    cdef Mail mail
    cdef Stream stream
    cdef int socket
