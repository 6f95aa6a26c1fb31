"""Edges that learn: the bookkeeping around a rule's kernel; rule.h has the parts and the idea.

A target's spikes are remembered for the rule's window. A source that stays silent so long is looked
after once, before they are forgotten; then its past counts for nothing.
"""

import numpy as np

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.stdlib cimport calloc, free, malloc

MOMENT = np.dtype([("at", np.int64), ("mark", float)])
TARGET = np.dtype([("last", np.int64), ("previous", np.int64), ("trace", float), ("mark", float)])
FINE = FINE_TICKS
DECAYS = MOST_DECAYS
#: Spikes of a target that are remembered at first.
cdef int64_t _DEPTH = 8


# --- what happens -----------------------------------------------------------------------------

cdef inline Row row_of(const Learner *l, int64_t source) noexcept nogil:
    return Row(source, l.rows[source], l.rows[source + 1])


cdef inline bint is_past(const Learner *l, int64_t source) noexcept nogil:
    """Whether nothing of a source's past counts any more."""
    return l.fired[source] < 0 or l.since[source] >= l.fired[source] + l.window


cdef void settle_row(Learner *l, int64_t source, int64_t now) noexcept nogil:
    """Replay for the synapses of one source what their targets have done, up to `now`."""
    if l.kernel.settle != NULL and not is_past(l, source):
        l.kernel.settle(l, row_of(l, source))
        l.since[source] = max(l.since[source], now)


cdef void settle_all(const Learner *l) noexcept nogil:
    """Replay for every synapse what its target has done. It changes no future bit."""
    cdef int64_t j
    if l.kernel.settle == NULL:
        return
    for j in range(l.sources):
        if not is_past(l, j):
            l.kernel.settle(l, row_of(l, j))


cdef void finish_all(const Learner *l, int64_t until) noexcept nogil:
    """After `settle_all`: what time alone has done since."""
    cdef int64_t j
    if l.kernel.finish == NULL:
        return
    for j in range(l.sources):
        if not is_past(l, j):
            l.kernel.finish(l, row_of(l, j), min(until, l.fired[j] + l.window))


cdef void skip_to(Learner *l, int64_t now) noexcept nogil:
    """Let what the targets did before `now` count as dealt with."""
    cdef int64_t j
    for j in range(l.sources):
        l.since[j] = max(l.since[j], now - 1)


cdef void begin(Learner *l, int64_t now) noexcept nogil:
    """Let an edge learn that has not. Spikes while it did not are never learnt from."""
    if l.kernel != NULL and not l.active:
        skip_to(l, now)
        l.begun[0] = Moment(now, l.kernel.mark(l, now) if l.kernel.mark != NULL else 0.0)
    l.active = 1


cdef void end(Learner *l, int64_t now) noexcept nogil:
    """Leave the weights as they are, up to date."""
    if l.kernel != NULL and l.active:
        settle_all(l)
        finish_all(l, now)
        skip_to(l, now)
    l.active = 0


cdef inline bint is_due(const Learner *l, int64_t k, int64_t now) noexcept nogil:
    return (k < l.due_count
            and now - l.due[(l.due_first + k) & (l.due_room - 1)].fired >= l.window)


cdef void settle_due(
    const Learner *l, const int64_t *first, const int64_t *last, int64_t now
) noexcept nogil:
    """Look after the sources that have been silent for a window; rows from first to last."""
    cdef int64_t k = 0
    cdef Due due
    cdef Row row
    while is_due(l, k, now):
        due = l.due[(l.due_first + k) & (l.due_room - 1)]
        row = Row(due.source, first[due.source], last[due.source])
        if l.fired[due.source] == due.fired and not is_past(l, due.source):
            if l.kernel.settle != NULL:
                l.kernel.settle(l, row)
            if l.kernel.finish != NULL:
                l.kernel.finish(l, row, due.fired + l.window)
        k += 1


cdef void note_settled(Learner *l, int64_t now) noexcept nogil:
    """After every thread has done `settle_due`."""
    cdef Due due
    while is_due(l, 0, now):
        due = l.due[l.due_first]
        if l.fired[due.source] == due.fired:
            l.since[due.source] = max(l.since[due.source], due.fired + l.window)
        l.due_first = (l.due_first + 1) & (l.due_room - 1)
        l.due_count -= 1


cdef void note_source(Learner *l, int64_t source, int64_t now) noexcept nogil:
    """After every thread has had it `arrive`: a spike of `source` has reached its synapses."""
    if l.kernel.sent != NULL:
        l.kernel.sent(l, source, now)
    l.fired[source] = now
    l.since[source] = now - 1  # a spike of a target at this very time follows it
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


cdef void note_target(Learner *l, int64_t i, int64_t now) noexcept nogil:
    """A target fires."""
    cdef double mark = l.kernel.spiked(l, i, now) if l.kernel.spiked != NULL else 0.0
    if l.kernel.event == NULL:
        remember(l, i, now, mark)


cdef void note_events(Learner *l, int64_t now) noexcept nogil:
    """What targets do in a step beside firing."""
    cdef int64_t i
    cdef double mark
    if l.kernel.event == NULL:
        return
    for i in range(l.targets):
        mark = l.kernel.event(l, i, now)
        if mark != 0.0:
            remember(l, i, now, mark)


cdef void remember(Learner *l, int64_t i, int64_t now, double mark) noexcept nogil:
    cdef Target *target = &l.target[i]
    cdef Moment *place
    if l.spikes[i] >= l.depth:
        place = &l.history[i * l.depth + (l.spikes[i] & (l.depth - 1))]
        if now - place.at <= l.window and not deepen(l):
            return
    target.previous, target.last, target.mark = target.last, now, mark
    l.history[i * l.depth + (l.spikes[i] & (l.depth - 1))] = Moment(now, mark)
    l.spikes[i] += 1


cdef bint deepen(Learner *l) noexcept nogil:
    """Remember twice as many spikes of each target."""
    cdef int64_t depth = 2 * l.depth, i, k
    cdef Moment *history = <Moment *>calloc(l.targets * depth, sizeof(Moment))
    if history == NULL:
        l.exhausted = 1
        return False
    for i in range(l.targets):
        for k in range(max(0, l.spikes[i] - l.depth), l.spikes[i]):
            history[i * depth + (k & (depth - 1))] = l.history[i * l.depth + (k & (l.depth - 1))]
    free(l.history)
    l.history, l.depth = history, depth
    return True


# --- setting up -------------------------------------------------------------------------------

cdef const Kernel *kernel_of(object capsule) except NULL:
    cdef const Kernel *kernel = <const Kernel *>PyCapsule_GetPointer(capsule, "reflexarc.kernel")
    if kernel.abi != KERNEL_ABI:
        raise ValueError(
            f"a kernel of version {kernel.abi} for a release with version {KERNEL_ABI}; compile "
            "it again"
        )
    return kernel


def numbers(capsule):
    """How many numbers a rule keeps for each source, target and synapse, and for all together."""
    kernel = kernel_of(capsule)
    return kernel.per_source, kernel.per_target, kernel.per_synapse, kernel.shared


def is_finished(capsule):
    """Whether time alone changes its weights."""
    return kernel_of(capsule).finish != NULL


def is_stepped(capsule):
    """Whether a rule is defined by clock steps: it has no exact mode."""
    kernel = kernel_of(capsule)
    return kernel.event != NULL or (kernel.step != NULL and kernel.shown == NULL)


cdef void set_up(Learner *l, object edge):
    """Point at the arrays of an `Edge` (see reflexarc.runtime.backends.learner), which stay its."""
    cdef const double[::1] parameter = edge.parameter, coarse, fine
    cdef double[::1] of_source = edge.of_source, of_target = edge.of_target
    cdef double[::1] of_synapse = edge.of_synapse, shared = edge.shared, weight64
    cdef float[::1] weight32
    cdef const int64_t[::1] rows = edge.rows
    cdef const uint16_t[::1] narrow
    cdef const int32_t[::1] broad
    cdef int64_t[::1] fired = edge.fired, since = edge.since, spikes = edge.spikes
    cdef Target[::1] target = edge.target
    cdef int64_t n
    cdef Moment[::1] begun = edge.begun
    l.kernel = kernel_of(edge.kernel)
    if parameter.shape[0] > MOST_PARAMETERS:
        raise ValueError(f"a rule has at most {MOST_PARAMETERS} parameters")
    for n in range(parameter.shape[0]):
        l.parameter[n] = parameter[n]
    l.w_min, l.w_max, l.tick_s, l.window = edge.w_min, edge.w_max, edge.tick_s, edge.window
    l.sign = edge.sign
    l.sources, l.targets = edge.sources, edge.targets
    l.synapses = edge.synapses
    l.rows = &rows[0]
    if edge.index is not None and edge.index.dtype == np.uint16:
        narrow = edge.index
        l.targets16 = &narrow[0]
    elif edge.index is not None:
        broad = edge.index
        l.targets32 = &broad[0]
    if edge.weight.dtype == np.float32:
        weight32 = edge.weight
        l.weight32 = &weight32[0]
    else:
        weight64 = edge.weight
        l.weight64 = &weight64[0]
    l.of_source, l.of_target = &of_source[0], &of_target[0]
    l.of_synapse, l.shared = &of_synapse[0], &shared[0]
    l.fired, l.since, l.target, l.spikes = &fired[0], &since[0], &target[0], &spikes[0]
    l.begun = &begun[0]
    for k, (window, rate, coarse_, fine_) in enumerate(edge.decays):
        l.decay[k].window, l.decay[k].rate = window, rate
        if coarse_ is not None:
            coarse, fine = coarse_, fine_
            l.decay[k].coarse, l.decay[k].fine = &coarse[0], &fine[0]
    for n in range(len(edge.decays), MOST_DECAYS):
        l.decay[n] = l.decay[0]
    l.modulators = 0 if edge.modulator is None else len(edge.modulator)
    l.modulator, l.voltage = place_of(edge.modulator), place_of(edge.voltage)
    l.input, l.readout, l.behind = place_of(edge.input), place_of(edge.readout), edge.behind
    set_layer(&l.layer, edge.layer)
    l.modulator_rate = edge.modulator_rate
    l.active = 1
    l.depth = _DEPTH
    l.history = <Moment *>calloc(l.targets * l.depth, sizeof(Moment))
    if l.history == NULL:
        raise MemoryError("no memory for the spikes of the targets")


cdef void set_layer(Layer *layer, dict views) except *:
    layer.peak, layer.raised = place_of(views.get("peak")), place_of(views.get("raised"))
    layer.wait, layer.decay = place_of(views.get("wait")), place_of(views.get("decay"))
    layer.gain, layer.threshold = place_of(views.get("gain")), place_of(views.get("threshold"))
    layer.height, layer.relaxing = place_of(views.get("height")), place_of(views.get("relaxing"))
    layer.jump = place_of(views.get("jump"))


cdef const double *place_of(object values) except? NULL:
    """Where an array begins; NULL for None."""
    cdef const double[::1] view
    if values is None:
        return NULL
    view = values
    return &view[0]


cdef void tear_down(Learner *l) noexcept:
    free(l.due)
    free(l.history)


cdef void resume(Learner *l, int64_t now) noexcept:
    """Go on from the arrays as they are: find again what is not kept in them."""
    cdef int64_t i
    for i in range(l.targets):
        l.spikes[i] = l.target[i].last >= 0
        l.history[i * l.depth] = Moment(l.target[i].last, l.target[i].mark)
    l.due_first = l.due_count = 0
    fired = np.asarray(<int64_t[:l.sources]>l.fired)
    for i in np.argsort(fired, kind="stable"):
        if fired[i] >= 0 and fired[i] + l.window >= now:
            if l.due_count < l.due_room or widen_due(l):
                l.due[l.due_count] = Due(i, fired[i])
                l.due_count += 1
