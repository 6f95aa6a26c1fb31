"""Pair STDP along a projection, brought up to date only when a source fires.

All pairs count, additively, within bounds (Song, Miller & Abbott 2000; Morrison, Diesmann &
Gerstner 2008, Biol. Cybern. 98). When spikes of a source arrive, the spikes that each target has
fired since the last time raise its synapse, one by one; it delivers; and the target's trace lowers
it (Morrison, Aertsen & Diesmann 2007, Neural Comput. 19). So a silent synapse costs nothing and no
index by target is kept. A target's spikes are remembered for `window` steps. A source that stays
silent so long is looked after once, before they are forgotten; then its trace counts for nothing.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc


cdef void learn(
    Learner *l, float *arrived, int64_t source, int64_t begin, int64_t end, int64_t now, float value
) noexcept nogil:
    """A spike of `source` arrives at its synapses `begin` to `end`, `value` times as strong."""
    cdef int64_t fired = l.fired[source], since = l.since[source], count = end - begin
    cdef float trace = l.trace[source]
    if fired < 0 or since >= fired + l.stdp.window:
        since = now  # nothing of the past counts any more
    if l.targets16 != NULL:
        learn_row16(&l.stdp, arrived, l.targets16 + begin, l.weights + begin, count, now, since,
                    fired, trace, value)
    else:
        learn_row32(&l.stdp, arrived, l.targets32 + begin, l.weights + begin, count, now, since,
                    fired, trace, value)


cdef void settle(Learner *l, int64_t source, int64_t begin, int64_t end) noexcept nogil:
    """Bring the synapses `begin` to `end` of `source` up to date."""
    cdef int64_t fired = l.fired[source], since = l.since[source]
    if fired < 0 or since >= fired + l.stdp.window:
        return
    if l.targets16 != NULL:
        settle_row16(&l.stdp, l.targets16 + begin, l.weights + begin, end - begin, since, fired,
                     l.trace[source])
    else:
        settle_row32(&l.stdp, l.targets32 + begin, l.weights + begin, end - begin, since, fired,
                     l.trace[source])


cdef void settle_all(Learner *l, const int64_t *rows, int64_t now) noexcept nogil:
    """Bring every synapse up to date with what happened before step `now`."""
    cdef int64_t j
    for j in range(l.sources):
        settle(l, j, rows[j], rows[j + 1])
    skip_to(l, now)


cdef void skip_to(Learner *l, int64_t now) noexcept nogil:
    """Let what the targets did before step `now` count as dealt with."""
    cdef int64_t j
    for j in range(l.sources):
        l.since[j] = max(l.since[j], now - 1)


cdef inline bint is_due(const Learner *l, int64_t k, int64_t now) noexcept nogil:
    return (k < l.due_count
            and now - l.due[(l.due_first + k) & (l.due_room - 1)].fired >= l.stdp.window)


cdef void settle_due(
    Learner *l, const int64_t *first, const int64_t *last, int64_t now
) noexcept nogil:
    """Look after the sources that have been silent for a window; rows from first to last."""
    cdef int64_t k = 0
    cdef Due due
    while is_due(l, k, now):
        due = l.due[(l.due_first + k) & (l.due_room - 1)]
        if l.fired[due.source] == due.fired:
            settle(l, due.source, first[due.source], last[due.source])
        k += 1


cdef void note_settled(Learner *l, int64_t now) noexcept nogil:
    """After every thread has done `settle_due`."""
    cdef Due due
    while is_due(l, 0, now):
        due = l.due[l.due_first]
        if l.fired[due.source] == due.fired:
            l.since[due.source] = due.fired + l.stdp.window
        l.due_first = (l.due_first + 1) & (l.due_room - 1)
        l.due_count -= 1


cdef void note_source(Learner *l, int64_t source, int64_t now) noexcept nogil:
    """After every thread has done `learn`: a spike of `source` arrived in step `now`."""
    cdef int64_t ago = now - l.fired[source]
    if l.fired[source] < 0 or ago >= l.stdp.window:
        l.trace[source] = 1.0
    else:
        l.trace[source] = l.trace[source] * l.stdp.decay_plus[ago] + 1.0
    l.fired[source] = now
    l.since[source] = now - 1  # spikes of the targets in this very step follow it
    if l.due_count == l.due_room and not widen_due(l):
        return
    l.due[(l.due_first + l.due_count) & (l.due_room - 1)] = Due(source, now)
    l.due_count += 1


cdef bint widen_due(Learner *l) noexcept nogil:
    cdef int64_t room = max(2 * l.due_room, 256), k
    cdef Due *wider = <Due *>malloc(room * sizeof(Due))
    if wider == NULL:
        l.exhausted = 1
        return False
    for k in range(l.due_count):
        wider[k] = l.due[(l.due_first + k) & (l.due_room - 1)]
    free(l.due)
    l.due, l.due_room, l.due_first = wider, room, 0
    return True


cdef void note_targets(
    Learner *l, const int32_t *fired, int64_t count, int64_t now
) noexcept nogil:
    """The targets listed in `fired` spike in step `now`."""
    cdef Stdp *s = &l.stdp
    cdef Target *target
    cdef int64_t k, i, ago, oldest
    forget_one(l, now)
    for k in range(count):
        i = fired[k]
        target = &s.target[i]
        if s.spikes[i] >= s.depth:
            oldest = s.history[i * s.depth + (s.spikes[i] & (s.depth - 1))]
            if now - oldest <= s.window and not deepen(l):
                return
        ago = s.window
        if s.spikes[i]:
            ago = min(ago, now - s.history[i * s.depth + ((s.spikes[i] - 1) & (s.depth - 1))])
        target.trace = target.trace * s.decay_minus[ago] + 1.0
        target.previous = target.last if s.spikes[i] else <int32_t>(now - s.window)
        target.last = <int32_t>now
        s.history[i * s.depth + (s.spikes[i] & (s.depth - 1))] = now
        s.spikes[i] += 1


cdef inline void forget_one(Learner *l, int64_t now) noexcept nogil:
    """Clear the trace of a long silent target, a different one each step: its 32 bits of time
    would come round again."""
    cdef int64_t i = now % l.targets, spikes = l.stdp.spikes[i]
    cdef int64_t mask = l.stdp.depth - 1
    if spikes and now - l.stdp.history[i * l.stdp.depth + ((spikes - 1) & mask)] >= l.stdp.window:
        l.stdp.target[i].trace = 0.0


cdef bint deepen(Learner *l) noexcept nogil:
    """Remember twice as many spikes of each target."""
    cdef Stdp *s = &l.stdp
    cdef int64_t depth = 2 * s.depth, i, k
    cdef int64_t *history = <int64_t *>calloc(l.targets * depth, sizeof(int64_t))
    if history == NULL:
        l.exhausted = 1
        return False
    for i in range(l.targets):
        for k in range(max(0, s.spikes[i] - s.depth), s.spikes[i]):
            history[i * depth + (k & (depth - 1))] = s.history[i * s.depth + (k & (s.depth - 1))]
    free(s.history)
    s.history, s.depth = history, depth
    return True
