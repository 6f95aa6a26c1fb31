"""Edges of the exact engine that learn or have short-term plasticity.

A spike that arrives finds its row as its targets have left it, delivers, and is learnt from; see
rule.h. A spike of a target counts from the tick after the one in which it gets to the synapses, so
that of two within one tick the arrival comes first, as in a clock step.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from reflexarc.ext.learner cimport (
    Learner,
    Row,
    note_settled,
    note_source,
    note_target,
    settle_due,
)
from reflexarc.ext.transmitter cimport release


cdef void reach(Learner *l, int64_t now) noexcept nogil:
    """Come to `now`, where spikes before it have been taken in.

    Sources that have been silent for a window are dealt with on the way, each when it is due: later
    neither the spikes nor the kernel's past need be remembered.
    """
    while l.due_count > 0 and l.due[l.due_first].fired <= now - l.window:
        look_after(l, l.due[l.due_first].fired + l.window)
    if l.kernel.reached != NULL:
        l.kernel.reached(l, now)


cdef void show(PlasticEdge *e, const double *level, int64_t now) noexcept nogil:
    """A level has changed: tell the kernel if it is that of its modulator."""
    if e.learner.modulator == level and e.learner.kernel != NULL:
        note_pending(e, now)
        reach(&e.learner, now)
        if e.learner.kernel.shown != NULL:
            e.learner.kernel.shown(&e.learner, now)


cdef void note_pending(PlasticEdge *e, int64_t now) noexcept nogil:
    """Take in what the targets have done before `now`."""
    cdef Pending spike
    while e.count > 0 and e.pending[e.first].at < now:
        spike = e.pending[e.first]
        e.first = (e.first + 1) & (e.room - 1)
        e.count -= 1
        reach(&e.learner, spike.at)
        note_target(&e.learner, spike.target, spike.at)


cdef void look_after(Learner *l, int64_t now) noexcept nogil:
    """Deal with the sources that have been silent for a window now."""
    if l.kernel.reached != NULL:
        l.kernel.reached(l, now)
    if l.active:
        settle_due(l, l.rows, l.rows + 1, now)
    note_settled(l, now)


cdef void note_fired(PlasticEdge *e, int64_t target, int64_t now) noexcept nogil:
    """A target fires."""
    note_pending(e, now)
    if not push_pending(e, target, now + e.lag):
        e.learner.exhausted = 1


cdef double before_arrival(PlasticEdge *e, int64_t source, int64_t now) noexcept nogil:
    """Bring a source's row up to date; returns the share of its weights to be delivered."""
    cdef Learner *l = &e.learner
    if l.kernel != NULL:
        note_pending(e, now)
        reach(l, now)
        if l.active and l.kernel.settle != NULL and has_past(l, source, now):
            l.kernel.settle(l, row_of(l, source))
            if l.kernel.finish != NULL:
                l.kernel.finish(l, row_of(l, source), now)
            l.since[source] = max(l.since[source], now - 1)
    return release(&e.transmitter, source, now) if e.transmitter.u != NULL else 1.0


cdef inline bint has_past(const Learner *l, int64_t source, int64_t now) noexcept nogil:
    return l.fired[source] >= 0 and max(l.since[source], now) < l.fired[source] + l.window


cdef inline Row row_of(const Learner *l, int64_t source) noexcept nogil:
    return Row(source, l.rows[source], l.rows[source + 1])


cdef int64_t after_arrival(PlasticEdge *e, int64_t source, int64_t now) noexcept nogil:
    """Learn from a spike that has been delivered, once a tick; returns how many weights did."""
    cdef Learner *l = &e.learner
    cdef int64_t learnt = 0
    if l.kernel == NULL or l.fired[source] == now:
        return 0
    if l.active and l.kernel.arrive != NULL:
        l.kernel.arrive(l, row_of(l, source), now, 1.0, NULL)
        learnt = l.rows[source + 1] - l.rows[source]
    note_source(l, source, now)
    return learnt


cdef bint push_pending(PlasticEdge *e, int64_t target, int64_t at) noexcept nogil:
    """Queue a spike of a target; whether there was memory."""
    if e.count == e.room and not widen_pending(e):
        return False
    e.pending[(e.first + e.count) & (e.room - 1)] = Pending(at, target)
    e.count += 1
    return True


cdef bint widen_pending(PlasticEdge *e) noexcept nogil:
    cdef int64_t room = max(2 * e.room, 64), k
    cdef Pending *wider = <Pending *>malloc(room * sizeof(Pending))
    if wider == NULL:
        return False
    for k in range(e.count):
        wider[k] = e.pending[(e.first + k) & (e.room - 1)]
    free(e.pending)
    e.pending, e.room, e.first = wider, room, 0
    return True
