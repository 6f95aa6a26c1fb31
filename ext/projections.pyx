"""Spikes onto projections: remembered by their source, delivered row by row, learnt from."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.string cimport memcpy

from reflexarc.ext.learner cimport (
    Learner,
    Row,
    carry,
    note_events,
    note_settled,
    note_source,
    note_target,
    settle_due,
)
from reflexarc.ext.populations cimport bound_of
from reflexarc.ext.program cimport Arrays, Machine, Op, Ring, Synapses
from reflexarc.ext.transmitter cimport Transmitter, release

cdef extern from "synapses.h":
    void prefetch(const void *place) noexcept nogil
    void deliver_alike16(float *y, const uint16_t *t, const float *w, int64_t n, float x) noexcept nogil
    void deliver_alike32(float *y, const int32_t *t, const float *w, int64_t n, float x) noexcept nogil
    void deliver_each16(float *y, const uint16_t *t, const float *w, int64_t n, float x) noexcept nogil
    void deliver_each32(float *y, const int32_t *t, const float *w, int64_t n, float x) noexcept nogil
    void deliver_scaled16(float *y, const uint16_t *t, const float *w, int64_t n, float x) noexcept nogil
    void deliver_scaled32(float *y, const int32_t *t, const float *w, int64_t n, float x) noexcept nogil

#: So many spikes ahead the place of a row is looked up.
cdef int64_t _AHEAD = 8
#: At most so many synapses of a row are fetched ahead of their turn.
cdef int64_t _FETCHED = 1024

ctypedef fused target_t:
    uint16_t
    int32_t


cdef void record(const Op *op, const Arrays *a, int64_t step) noexcept nogil:
    """Remember the spikes of this step."""
    cdef Ring *ring = &a.rings[op.ring]
    cdef int64_t slot = step % ring.depth, count = a.counts[op.x_list], k
    cdef const int32_t *events = a.events + a.starts[op.x_list]
    cdef int32_t *index = ring.index + slot * ring.capacity
    ring.counts[slot] = count
    memcpy(index, events, count * sizeof(int32_t))
    if ring.value != NULL:
        for k in range(count):
            ring.value[slot * ring.capacity + k] = <float>a.values[op.x + events[k]]


cdef void release_all(Machine *m, const Op *op) noexcept nogil:
    """Find what is delivered of each spike that arrives now: before a projection or a product."""
    cdef Transmitter *t = &m.arrays.transmitters[op.release]
    cdef const double *x = m.arrays.values + op.x
    cdef const int32_t *index
    cdef const Ring *ring
    cdef int64_t k, slot
    if op.ring < 0:
        index = m.arrays.events + m.arrays.starts[op.x_list]
        for k in range(m.arrays.counts[op.x_list]):
            m.arrays.values[op.y + index[k]] = x[index[k]] * release(t, index[k], m.step)
    elif op.lag <= m.step:
        ring = &m.arrays.rings[op.ring]
        slot = (m.step - op.lag) % ring.depth
        for k in range(ring.counts[slot]):
            release(t, ring.index[slot * ring.capacity + k], m.step)


cdef void project(Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """Deliver what was sent `lag` steps ago onto this thread's targets."""
    cdef const Synapses *s = &m.arrays.synapses[op.synapses]
    cdef const Ring *ring = &m.arrays.rings[op.ring]
    cdef int64_t slot, k, j, begin, end, count, delivered = 0
    cdef const int32_t *index
    cdef const int64_t *first = s.first + thread * s.sources
    cdef const int64_t *last = first + s.next
    cdef float *arrived = m.arrays.arrived + op.arrived
    cdef float value = 1.0, sent
    cdef Learner *learner = &m.arrays.learners[op.synapses]
    cdef const double *share = NULL
    cdef bint learns = learner.active
    if learns:
        settle_due(learner, first, last, m.step)
    if op.lag > m.step:
        return
    if op.release >= 0:
        share = m.arrays.transmitters[op.release].share
    slot = (m.step - op.lag) % ring.depth
    index = ring.index + slot * ring.capacity
    count = ring.counts[slot]
    for k in range(min(_AHEAD, count)):
        prefetch(first + index[k])
    for k in range(count):
        j = index[k]
        if k + _AHEAD < count:
            prefetch(first + index[k + _AHEAD])
        if k + 2 < count:
            fetch_row(s, learner, first[index[k + 2]], last[index[k + 2]])
        if ring.value != NULL:
            value = ring.value[slot * ring.capacity + k]
        sent = value if share == NULL else <float>(value * share[j])
        begin, end = first[j], last[j]
        if learns and learner.kernel.arrive != NULL:
            learner.kernel.arrive(learner, Row(j, begin, end), m.step, sent, arrived)
        elif learner.kernel != NULL:
            carry(learner, Row(j, begin, end), sent, arrived)
        else:
            deliver(s, arrived, begin, end - begin, sent)
        delivered += s.rows[j + 1] - s.rows[j]
    if thread == 0:
        m.counters.synaptic_events += delivered
        if learns and learner.kernel.arrive != NULL:
            m.counters.weight_updates += delivered


cdef void settle_senders(Machine *m, const Op *op) noexcept nogil:
    """Before a matrix multiplies: bring the rows of the sources that send now up to date."""
    cdef Learner *l = &m.arrays.learners[op.synapses]
    cdef const int32_t *sources = m.arrays.events + m.arrays.starts[op.x_list]
    cdef int64_t k, j
    if not l.active:
        return
    settle_due(l, l.rows, l.rows + 1, m.step)
    if l.kernel.settle == NULL:
        return
    for k in range(m.arrays.counts[op.x_list]):
        j = sources[k]
        if l.fired[j] >= 0 and max(l.since[j], m.step) < l.fired[j] + l.window:
            l.kernel.settle(l, Row(j, l.rows[j], l.rows[j + 1]))
            if l.kernel.finish != NULL:
                l.kernel.finish(l, Row(j, l.rows[j], l.rows[j + 1]), m.step)
            l.since[j] = max(l.since[j], m.step - 1)


cdef void note_fired(Machine *m, const Op *op) noexcept nogil:
    """Tell an edge that learns which sources reached it and which targets fired."""
    cdef Learner *l = &m.arrays.learners[op.synapses]
    note_settled(l, m.step)
    if op.ring < 0 and op.x_list >= 0:
        note_senders(m, op, l)
    elif op.ring >= 0 and op.lag <= m.step:
        note_arrivals(m, &m.arrays.rings[op.ring], op.lag, l)
    note_targets(m, op, l)
    note_events(l, m.step)
    if l.kernel.step != NULL:
        l.kernel.step(l, m.step)
        m.counters.weight_updates += l.updates
        l.updates = 0
    m.exhausted |= l.exhausted


cdef void note_senders(Machine *m, const Op *op, Learner *l) noexcept nogil:
    """Of a matrix, whose product has been delivered."""
    cdef const int32_t *sources = m.arrays.events + m.arrays.starts[op.x_list]
    cdef int64_t k, j
    for k in range(m.arrays.counts[op.x_list]):
        j = sources[k]
        if l.active and l.kernel.arrive != NULL:
            l.kernel.arrive(l, Row(j, l.rows[j], l.rows[j + 1]), m.step, 1.0, NULL)
            m.counters.weight_updates += l.rows[j + 1] - l.rows[j]
        note_source(l, j, m.step)


cdef void note_arrivals(Machine *m, const Ring *ring, int64_t lag, Learner *l) noexcept nogil:
    """Of a projection, whose rows have learnt while they delivered."""
    cdef int64_t k, slot = (m.step - lag) % ring.depth
    for k in range(ring.counts[slot]):
        note_source(l, ring.index[slot * ring.capacity + k], m.step)


cdef void note_targets(Machine *m, const Op *op, Learner *l) noexcept nogil:
    """Those that fire now or, with a dendritic delay, whose spikes get to the synapses now."""
    cdef const int32_t *fired = m.arrays.events + m.arrays.starts[op.y_list]
    cdef int64_t k, count = m.arrays.counts[op.y_list], slot
    cdef const Ring *ring
    if op.m > 0:
        ring = &m.arrays.rings[op.rows]
        slot = (m.step - op.m) % ring.depth
        fired = ring.index + slot * ring.capacity
        count = ring.counts[slot] if op.m <= m.step else 0
    for k in range(count):
        note_target(l, fired[k], m.step)


cdef inline void fetch_row(
    const Synapses *s, const Learner *l, int64_t begin, int64_t end
) noexcept nogil:
    """Have a row at hand when its turn comes, or as much of it as fits beside the rest."""
    cdef int64_t k
    end = min(end, begin + _FETCHED)
    if s.targets16 != NULL:
        for k in range(begin, end, 32):
            prefetch(s.targets16 + k)
    else:
        for k in range(begin, end, 16):
            prefetch(s.targets32 + k)
    if l.weight64 != NULL:
        for k in range(begin, end, 8):
            prefetch(l.weight64 + k)
    elif not s.alike:
        for k in range(begin, end, 16):
            prefetch(s.weight + k)


cdef inline void deliver(
    const Synapses *s, float *arrived, int64_t begin, int64_t count, float value
) noexcept nogil:
    cdef const float *weight = s.weight if s.alike else s.weight + begin
    if s.targets16 != NULL:
        if s.alike:
            deliver_alike16(arrived, s.targets16 + begin, weight, count, weight[0] * value)
        elif value == 1.0:
            deliver_each16(arrived, s.targets16 + begin, weight, count, value)
        else:
            deliver_scaled16(arrived, s.targets16 + begin, weight, count, value)
    elif s.alike:
        deliver_alike32(arrived, s.targets32 + begin, weight, count, weight[0] * value)
    elif value == 1.0:
        deliver_each32(arrived, s.targets32 + begin, weight, count, value)
    else:
        deliver_scaled32(arrived, s.targets32 + begin, weight, count, value)


cdef void collect(const Op *op, const Arrays *a) noexcept nogil:
    """y += what arrived, which is cleared."""
    cdef int64_t i
    cdef float *arrived = a.arrived + op.arrived
    for i in range(op.n):
        a.values[op.y + i] += arrived[i]
        arrived[i] = 0.0


# --- a row's parts by thread ------------------------------------------------------------------

def cut_rows(const int64_t[::1] rows, targets, int64_t layer, int64_t threads):
    """Where each thread's part of each row begins: int64, shape (threads + 1, sources)."""
    cdef int64_t sources = rows.shape[0] - 1, thread, j
    cuts = np.empty((threads + 1, sources), np.int64)
    cuts[0], cuts[threads] = rows[:sources], rows[1:]
    cdef int64_t[:, ::1] places = cuts
    cdef const uint16_t[::1] narrow
    cdef const int32_t[::1] broad
    for thread in range(1, threads):
        if targets.dtype == np.uint16:
            narrow = targets
            for j in range(sources):
                places[thread, j] = first_from(
                    narrow, rows[j], rows[j + 1], bound_of(layer, thread, threads))
        else:
            broad = targets
            for j in range(sources):
                places[thread, j] = first_from(
                    broad, rows[j], rows[j + 1], bound_of(layer, thread, threads))
    return cuts


cdef int64_t first_from(
    const target_t[::1] targets, int64_t begin, int64_t end, int64_t bound
) noexcept nogil:
    """The place of the first target of a row that is `bound` or more."""
    cdef int64_t middle
    while begin < end:
        middle = (begin + end) // 2
        if targets[middle] < bound:
            begin = middle + 1
        else:
            end = middle
    return begin
