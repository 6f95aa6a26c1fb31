"""Edges of the exact engine that learn or have short-term plasticity."""

from libc.stdint cimport int64_t

from reflexarc.ext.instant cimport Time
from reflexarc.ext.learner cimport Learner
from reflexarc.ext.transmitter cimport Transmitter

cdef enum:
    TICKS = 256  # in a nanosecond


cdef struct Pending:  # a spike of a target, and when it gets to the synapses
    int64_t at
    int64_t target


cdef struct PlasticEdge:
    Learner learner          # its kernel NULL: no weight changes
    Transmitter transmitter  # its u NULL: a spike delivers all of a weight
    int64_t lag              # ticks from a target's spike to when the synapses see it
    Pending *pending         # ring of those that had not got there when last looked at
    int64_t room             # a power of two
    int64_t first
    int64_t count


cdef inline int64_t ticks(Time at) noexcept nogil:
    """To the nearest."""
    return at.ns * TICKS + <int64_t>(at.frac * TICKS + 0.5)


cdef void reach(Learner *l, int64_t now) noexcept nogil
cdef void show(PlasticEdge *e, const double *level, int64_t now) noexcept nogil
cdef void note_pending(PlasticEdge *e, int64_t now) noexcept nogil
cdef void note_fired(PlasticEdge *e, int64_t target, int64_t now) noexcept nogil
cdef double before_arrival(PlasticEdge *e, int64_t source, int64_t now) noexcept nogil
cdef int64_t after_arrival(PlasticEdge *e, int64_t source, int64_t now) noexcept nogil
cdef bint push_pending(PlasticEdge *e, int64_t target, int64_t at) noexcept nogil
