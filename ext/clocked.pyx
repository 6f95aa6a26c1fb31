"""The clocked engine: runs a flat program of operations, one pass a clock step.

The program is made by reflexarc.runtime.backends.lowering; the header explains its parts. Spikes
are delivered along the rows of the sources that fired, so the cost of a quiet layer is that of
its neurons alone.
"""

import numpy as np

from libc.math cimport ceil, exp, isfinite, trunc
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from reflexarc.ext.plasticity cimport Pes, update_pes, update_trace
from reflexarc.ext.spikes cimport Spike
from reflexarc.ext.stdp cimport (
    Due,
    Learner,
    Stdp,
    Target,
    learn,
    note_settled,
    note_source,
    note_targets,
    settle_all,
    settle_due,
    skip_to,
    widen_due,
)

OP = np.dtype([(name, np.int64) for name in (
    "kind", "variant", "n", "m", "x", "x_list", "y", "y_list", "state", "params", "uniform",
    "weights", "rows", "targets", "arrived", "layer", "fired", "wait", "ring", "lag", "synapses",
)])
PORT = np.dtype([(name, np.int64) for name in ("at", "list_id", "size", "held", "next", "end")])
TARGET = np.dtype([("last", np.int32), ("trace", np.float32)])
WAITING = np.dtype([(name, np.int64) for name in ("step", "i")])
KINDS = {
    "copy": COPY, "add": ADD, "scan": SCAN, "linear": LINEAR, "neurons": NEURONS,
    "delay_read": DELAY_READ, "delay_write": DELAY_WRITE, "log": LOG, "pes": PES,
    "conv": CONV, "scale": SCALE, "threshold": THRESHOLD,
    "record": RECORD, "collect": COLLECT, "fired": FIRED, "generate": GENERATE,
    "learn": LEARN, "project": PROJECT, "population": POPULATION,
}
STORAGES = {
    "sparse32": SPARSE32, "sparse64": SPARSE64, "dense32": DENSE32, "dense64": DENSE64,
    "plastic": PLASTIC,
}
RESETS = {
    "graded": GRADED, "v_reset": TO_VALUE, "subtract": SUBTRACT,
    "subtract_each": SUBTRACT_EACH, "subtract_late": SUBTRACT_LATE,
    "v_reset_rectified": TO_VALUE_RECTIFIED,
}
MODELS = {
    "lif": LIF_MODEL, "cuba_lif": CUBA_LIF, "ALIF": ALIF, "DeltaLIF": DELTA_LIF, "ExpLIF": EXP_LIF,
    "AlphaLIF": ALPHA_LIF, "CondLIF": COND_LIF, "AdEx": ADEX, "Izhikevich": IZHIKEVICH,
}
GENERATORS = {"Poisson": POISSON, "Regular": REGULAR}
THREADS = MOST_THREADS

#: So many spikes ahead the place of a row is looked up.
cdef int64_t _AHEAD = 8
#: A layer is shared out in pieces of this many neurons, so that no cache line has two owners.
cdef int64_t PIECE = 64

ctypedef fused weight_t:
    float
    double


cdef int64_t scan(int64_t n, const double *x, int32_t *events) noexcept nogil:
    """List the elements of x that are not zero."""
    cdef int64_t i, count = 0
    for i in range(n):
        if x[i] != 0.0:
            events[count] = <int32_t>i
            count += 1
    return count


cdef int64_t deliver_sparse(
    double *y, const double *x, const int32_t *sources, int64_t count,
    const int64_t *rows, const int32_t *targets, const weight_t *weights,
) noexcept nogil:
    """Add x_j times the compressed row of each listed source (all `count` if no list)."""
    cdef int64_t k, j, p, events = 0
    for k in range(count):
        j = sources[k] if sources != NULL else k
        if x[j] == 0.0:
            continue
        for p in range(rows[j], rows[j + 1]):
            y[targets[p]] += weights[p] * x[j]
        events += rows[j + 1] - rows[j]
    return events


cdef int64_t deliver_dense(
    double *y, const double *x, const int32_t *sources, int64_t count, int64_t n,
    const weight_t *weights,
) noexcept nogil:
    """Add x_j times the full row of each listed source (all `count` if no list)."""
    cdef int64_t k, j, i, events = 0
    cdef const weight_t *row
    cdef double value
    for k in range(count):
        j = sources[k] if sources != NULL else k
        value = x[j]
        if value == 0.0:
            continue
        row = weights + j * n
        for i in range(n):
            y[i] += row[i] * value
        events += n
    return events


cdef int64_t linear(const Op *op, const Arrays *a) noexcept nogil:
    """y = bias + weights x; returns the number of products."""
    cdef int64_t i, count = op.m
    cdef const double *x = a.values + op.x
    cdef double *y = a.values + op.y
    cdef const int32_t *sources = NULL
    for i in range(op.n):
        y[i] = a.constants[op.params + i] if op.params >= 0 else 0.0
    if op.x_list >= 0:
        sources = a.events + a.starts[op.x_list]
        count = a.counts[op.x_list]
    if op.variant == SPARSE32:
        return deliver_sparse(y, x, sources, count, a.rows + op.rows, a.targets + op.targets,
                              a.weights32 + op.weights)
    if op.variant == SPARSE64:
        return deliver_sparse(y, x, sources, count, a.rows + op.rows, a.targets + op.targets,
                              a.weights64 + op.weights)
    if op.variant == DENSE32:
        return deliver_dense(y, x, sources, count, op.n, a.weights32 + op.weights)
    if op.variant == DENSE64:
        return deliver_dense(y, x, sources, count, op.n, a.weights64 + op.weights)
    return deliver_dense(y, x, sources, count, op.n, <const double *>a.values + op.weights)


cdef int64_t scatter(
    const Conv *c, const int64_t *hits_y, const int64_t *hits_x, const int32_t *hits,
    double *y, const double *x, const int32_t *sources, int64_t count, const weight_t *weights,
) noexcept nogil:
    """Add x_j times the taps of each listed source (all `count` if no list) to what they reach."""
    cdef int64_t k, j, p, q, o, channel, row, column, plane = c.out_y * c.out_x, events = 0
    cdef double value
    cdef double *group
    cdef double *target
    cdef const weight_t *taps
    cdef const weight_t *tap
    for k in range(count):
        j = sources[k] if sources != NULL else k
        value = x[j]
        if value == 0.0:
            continue
        column = j % c.in_x
        row = j // c.in_x % c.in_y
        channel = j // (c.in_x * c.in_y)
        group = y + channel // c.channels_in * c.channels_out * plane
        taps = weights + channel * c.taps * c.channels_out
        for p in range(hits_y[row], hits_y[row + 1]):
            for q in range(hits_x[column], hits_x[column + 1]):
                tap = taps + (hits[2 * p] * c.taps_x + hits[2 * q]) * c.channels_out
                target = group + hits[2 * p + 1] * c.out_x + hits[2 * q + 1]
                for o in range(c.channels_out):
                    target[o * plane] += tap[o] * value
                events += c.channels_out
    return events


cdef int64_t convolve(const Op *op, const Arrays *a) noexcept nogil:
    """y = (bias + taps x) / divisor; returns the number of products."""
    cdef int64_t i, events, count = op.m
    cdef const Conv *c = <const Conv *>(a.rows + op.rows)
    cdef const int64_t *hits_y = a.rows + op.rows + sizeof(Conv) // sizeof(int64_t)
    cdef const int64_t *hits_x = hits_y + c.in_y + 1
    cdef const int32_t *hits = a.targets + op.targets
    cdef const double *x = a.values + op.x
    cdef double *y = a.values + op.y
    cdef const int32_t *sources = NULL
    for i in range(op.n):
        y[i] = a.constants[op.params + i] if op.params >= 0 else 0.0
    if op.x_list >= 0:
        sources = a.events + a.starts[op.x_list]
        count = a.counts[op.x_list]
    if op.variant == DENSE32:
        events = scatter(c, hits_y, hits_x, hits, y, x, sources, count,
                         a.weights32 + op.weights)
    else:
        events = scatter(c, hits_y, hits_x, hits, y, x, sources, count,
                         a.weights64 + op.weights)
    if c.divisor != 1:
        for i in range(op.n):
            y[i] /= c.divisor
    return events


cdef void scale(int64_t n, double *y, const double *x, const double *by) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        y[i] = by[i] * x[i]


cdef void relax(
    int64_t n, double *v, const double *x, const double *decay, const double *gain,
) noexcept nogil:
    """v = decay v + gain x."""
    cdef int64_t i
    for i in range(n):
        v[i] = decay[i] * v[i] + gain[i] * x[i]


cdef void relax_to(
    int64_t n, double *v, const double *x, const double *decay, const double *gain,
    const double *rest,
) noexcept nogil:
    """v = decay v + gain x + rest."""
    cdef int64_t i
    for i in range(n):
        v[i] = decay[i] * v[i] + gain[i] * x[i] + rest[i]


cdef void mark_above(int64_t n, double *y, const double *v, const double *limit) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        y[i] = 1.0 if v[i] > limit[i] else 0.0


cdef void reset_to(int64_t n, double *v, const double *y, const double *reset) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        v[i] = reset[i] if y[i] != 0.0 else v[i]


cdef void rectify(int64_t n, double *v) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        v[i] = 0.0 if v[i] < 0.0 else v[i]


cdef void subtract(int64_t n, double *v, const double *y, const double *by) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        v[i] -= y[i] * by[i]


cdef void subtract_each(
    int64_t n, double *v, double *y, const double *limit, const double *threshold,
    const double *lowest,
) noexcept nogil:
    """As many spikes as thresholds fit into v; v goes no lower than `lowest`."""
    cdef int64_t i
    for i in range(n):
        y[i] = trunc(v[i] / threshold[i]) if v[i] > limit[i] else 0.0
        v[i] -= y[i] * threshold[i]
        if v[i] < lowest[i]:
            v[i] = lowest[i]


cdef void subtract_late(
    int64_t n, double *v, double *y, const double *limit, const double *threshold,
) noexcept nogil:
    """snnTorch's subtraction: y comes in as whether v stood above the limit before the step."""
    cdef int64_t i
    cdef double before, tested
    for i in range(n):
        before = y[i]
        tested = v[i] - before * threshold[i]
        y[i] = 1.0 if tested > limit[i] else 0.0
        v[i] = tested - (y[i] - before) * threshold[i]


cdef int64_t neurons(const Op *op, const Arrays *a) noexcept nogil:
    """One step of a layer; returns the number of spikes.

    Rows of parameters: a, g, c, then of spiking layers limit, threshold, reset (or lowest v),
    then of layers with a synapse a_syn, g_syn.
    """
    cdef int64_t n = op.n, k, spikes = 0
    cdef const double *p = a.constants + op.params
    cdef const double *x = a.values + op.x
    cdef const double *limit = p + 3 * n
    cdef double *v = a.values + op.state
    cdef double *y = a.values + op.y
    cdef double *current = v + n
    cdef int32_t *events
    cdef bint spiking = op.variant != GRADED
    if op.m:  # with a synapse
        k = 6 if spiking else 3
        relax(n, current, x, p + k * n, p + (k + 1) * n)
        x = current
    if op.variant == SUBTRACT_LATE:
        mark_above(n, y, v, limit)
    relax_to(n, v, x, p, p + n, p + 2 * n)
    if not spiking:
        return 0
    if op.variant == SUBTRACT_LATE:
        subtract_late(n, v, y, limit, p + 4 * n)
    elif op.variant == SUBTRACT_EACH:
        subtract_each(n, v, y, limit, p + 4 * n, p + 5 * n)
    else:
        mark_above(n, y, v, limit)
        if op.variant == TO_VALUE:
            reset_to(n, v, y, p + 5 * n)
        elif op.variant == TO_VALUE_RECTIFIED:
            reset_to(n, v, y, p + 5 * n)
            rectify(n, v)
        else:
            subtract(n, v, y, p + 4 * n)
    events = a.events + a.starts[op.y_list]
    a.counts[op.y_list] = scan(n, y, events)
    for k in range(a.counts[op.y_list]):
        spikes += <int64_t>y[events[k]]
    return spikes


cdef void delay_read(const Op *op, const Arrays *a, int64_t step) noexcept nogil:
    """The ring holds op.m rows; row `step % op.m` is that of the step."""
    cdef int64_t i, row
    cdef const int32_t *delay = a.targets + op.targets
    for i in range(op.n):
        row = (step + op.m - delay[i]) % op.m
        a.values[op.y + i] = a.values[op.state + row * op.n + i]


cdef void delay_write(const Op *op, const Arrays *a, int64_t step) noexcept nogil:
    cdef int64_t i, row = op.state + (step % op.m) * op.n
    for i in range(op.n):
        a.values[row + i] = a.values[op.x + i]


cdef int64_t pes(const Op *op, const Arrays *a, bint learning) noexcept nogil:
    cdef const Pes *rule = <const Pes *>(a.constants + op.params)
    cdef double *trace = a.values + op.state
    update_trace(op.m, trace, a.values + op.x, rule.trace_decay, rule.trace_gain)
    if not learning:
        return 0
    return update_pes(op.n, op.m, a.values + op.weights, trace, a.values + op.y, rule)


# --- spikes onto projections ------------------------------------------------------------------

cdef inline int64_t bound_of(int64_t n, int64_t thread, int64_t threads) noexcept nogil:
    """The first of n neurons that belongs to `thread`."""
    cdef int64_t pieces = (n + PIECE - 1) // PIECE
    return min(n, (pieces * thread // threads) * PIECE)


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


cdef void project(Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """Deliver what was sent `lag` steps ago onto this thread's targets."""
    cdef const Synapses *s = &m.arrays.synapses[op.synapses]
    cdef const Ring *ring = &m.arrays.rings[op.ring]
    cdef int64_t slot, k, j, begin, end, count, delivered = 0
    cdef const int32_t *index
    cdef const int64_t *first = s.first + thread * s.sources
    cdef const int64_t *last = first + s.next
    cdef float *arrived = m.arrays.arrived + op.arrived
    cdef float value = 1.0
    cdef Learner *learner = &m.arrays.learners[op.synapses]
    cdef bint learns = learner.weights != NULL and m.learning
    if learns:
        settle_due(learner, first, last, m.step)
    if op.lag > m.step:
        return
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
            fetch_row(s, first[index[k + 2]])
        if ring.value != NULL:
            value = ring.value[slot * ring.capacity + k]
        begin, end = first[j], last[j]
        if learns:
            learn(learner, arrived, j, begin, end, m.step, value)
        else:
            deliver(s, arrived, begin, end - begin, value)
        delivered += s.rows[j + 1] - s.rows[j]
    if thread == 0:
        m.counters.synaptic_events += delivered
        if learns:
            m.counters.weight_updates += delivered


cdef void note_fired(Machine *m, const Op *op) noexcept nogil:
    """Tell a projection that learns which sources reached it and which targets fired."""
    cdef Learner *l = &m.arrays.learners[op.synapses]
    cdef const Ring *ring = &m.arrays.rings[op.ring]
    cdef int64_t k, slot
    note_settled(l, m.step)
    if op.lag <= m.step:
        slot = (m.step - op.lag) % ring.depth
        for k in range(ring.counts[slot]):
            note_source(l, ring.index[slot * ring.capacity + k], m.step)
    note_targets(l, m.arrays.events + m.arrays.starts[op.x_list], m.arrays.counts[op.x_list],
                 m.step)
    m.exhausted |= l.exhausted


cdef inline void fetch_row(const Synapses *s, int64_t begin) noexcept nogil:
    """Have the beginning of a row at hand when its turn comes."""
    if s.targets16 != NULL:
        prefetch(s.targets16 + begin)
        prefetch(s.targets16 + begin + 32)
    else:
        prefetch(s.targets32 + begin)
        prefetch(s.targets32 + begin + 16)
    if not s.alike:
        prefetch(s.weight + begin)


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


# --- populations ------------------------------------------------------------------------------

cdef void populate(Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """One step of this thread's stretch of a layer."""
    cdef Stretch s = stretch_of(m, op, thread)
    m.arrays.fired_counts[op.layer * m.crew.threads + thread] = step_of(op.variant, &s)


cdef Stretch stretch_of(const Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """The part of a layer that belongs to `thread`."""
    cdef const Arrays *a = &m.arrays
    cdef Stretch s
    s.first = bound_of(op.n, thread, m.crew.threads)
    s.last = bound_of(op.n, thread + 1, m.crew.threads)
    s.n, s.uniform, s.substeps = op.n, op.uniform, op.m
    s.state, s.rows = a.values + op.state, a.constants + op.params
    s.arrived = a.arrived + op.arrived if op.arrived >= 0 else NULL
    s.current = a.values + op.x if op.x >= 0 else NULL
    s.events = a.fired + op.fired + s.first
    s.wait = a.values + op.wait if op.wait >= 0 else NULL
    s.held = a.held + op.fired + s.first
    s.held_count = &a.held_counts[op.layer * m.crew.threads + thread]
    s.dt = m.dt_ns * 1e-9
    return s


cdef inline int64_t step_of(int64_t model, const Stretch *s) noexcept nogil:
    if model == LIF_MODEL:
        return lif_step(s)
    if model == CUBA_LIF:
        return cuba_lif_step(s)
    if model == ALIF:
        return alif_step(s)
    if model == DELTA_LIF:
        return delta_lif_step(s)
    if model == EXP_LIF:
        return exp_lif_step(s)
    if model == ALPHA_LIF:
        return alpha_lif_step(s)
    if model == COND_LIF:
        return cond_lif_step(s)
    if model == ADEX:
        return adex_step(s)
    return izhikevich_step(s)


cdef void clear_list(const Op *op, const Arrays *a) noexcept nogil:
    """Let y be zero again where its list says that it is not."""
    cdef int64_t k
    cdef const int32_t *events = a.events + a.starts[op.y_list]
    for k in range(a.counts[op.y_list]):
        a.values[op.y + events[k]] = 0.0


cdef int64_t join_fired(const Op *op, const Arrays *a, int64_t threads) noexcept nogil:
    """Join the stretches into the layer's list; returns the number of spikes."""
    cdef int64_t thread, first, count, k, total = 0
    cdef int32_t *events = a.events + a.starts[op.y_list]
    clear_list(op, a)
    for thread in range(threads):
        first = bound_of(op.n, thread, threads)
        count = a.fired_counts[op.layer * threads + thread]
        memcpy(events + total, a.fired + op.fired + first, count * sizeof(int32_t))
        total += count
    for k in range(total):
        a.values[op.y + events[k]] = 1.0
    a.counts[op.y_list] = total
    return total


# --- generators -------------------------------------------------------------------------------

cdef inline uint64_t scrambled(uint64_t z) noexcept nogil:
    """The output function of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA)."""
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline double uniform_at(uint64_t seed, int64_t step, int64_t i) noexcept nogil:
    """The random number in [0, 1) of element i in a step: a function, so that it needs no state."""
    cdef uint64_t golden = <uint64_t>0x9E3779B97F4A7C15
    cdef uint64_t row = scrambled(seed + golden * <uint64_t>(step + 1))
    return <double>(scrambled(row + golden * <uint64_t>(i + 1)) >> 11) * (1.0 / 9007199254740992.0)


cdef int64_t poisson_count(double u, double none, double mean) noexcept nogil:
    """Inversion of the Poisson distribution: `none` is exp(-mean)."""
    cdef int64_t k = 0
    cdef double chance = none, sum = none
    while u >= sum and k < 1000:
        k += 1
        chance *= mean / k
        sum += chance
    return k


cdef inline int64_t regular_count(double first, double period, int64_t step) noexcept nogil:
    """Spikes at first + k period, k from 0, within [step, step + 1); all in steps."""
    cdef double before = ceil((step - first) / period)
    cdef double after = ceil((step + 1 - first) / period)
    return <int64_t>(max(after, 0.0) - max(before, 0.0))


cdef int64_t generate(const Op *op, const Machine *m) noexcept nogil:
    """Spikes of a layer of generators; returns how many."""
    cdef const Arrays *a = &m.arrays
    cdef const double *p = a.constants + op.params
    cdef int32_t *events = a.events + a.starts[op.y_list]
    cdef int64_t i, k, listed = 0, spikes = 0
    cdef uint64_t seed = scrambled(m.seed + <uint64_t>op.layer)
    clear_list(op, a)
    for i in range(op.n):
        if op.variant == POISSON:
            k = poisson_count(uniform_at(seed, m.step, i), p[i], p[op.n + i])
        else:
            k = regular_count(p[i], p[op.n + i], m.step)
        if k:
            a.values[op.y + i] = <double>k
            events[listed] = <int32_t>i
            listed += 1
            spikes += k
    a.counts[op.y_list] = listed
    return spikes


# --- one step ---------------------------------------------------------------------------------

cdef void take_inputs(Machine *m) noexcept nogil:
    """Clear the ports that hold nothing and let the spikes of this step in."""
    cdef int64_t p, k
    cdef double *x
    cdef const int32_t *events
    cdef Port *port
    for p in range(m.port_count):
        port = &m.ports[p]
        if port.held:
            continue
        x = m.arrays.values + port.at
        events = m.arrays.events + m.arrays.starts[port.list_id]
        for k in range(m.arrays.counts[port.list_id]):
            x[events[k]] = 0.0
        m.arrays.counts[port.list_id] = 0
        while port.next < port.end and m.queue[port.next].step == m.step:
            inject(&m.arrays, port, m.queue[port.next].i)
            port.next += 1


cdef void inject(const Arrays *a, const Port *port, int64_t i) noexcept nogil:
    cdef double *x = a.values + port.at
    cdef int64_t *count = a.counts + port.list_id
    if x[i] == 0.0:
        a.events[a.starts[port.list_id] + count[0]] = <int32_t>i
        count[0] += 1
    x[i] += 1.0


cdef void note(Machine *m, const Op *op) noexcept nogil:
    """Log what leaves an output port in this step."""
    cdef int64_t k, i, count = m.arrays.counts[op.x_list]
    cdef const int32_t *events = m.arrays.events + m.arrays.starts[op.x_list]
    cdef LogEntry *entry
    if not reserve_log(m, m.logged + count):
        return
    for k in range(count):
        i = events[k]
        entry = &m.log[m.logged]
        entry.step, entry.port, entry.i = m.step, op.variant, i
        entry.count = <int64_t>m.arrays.values[op.x + i]
        m.logged += 1


cdef bint reserve_log(Machine *m, int64_t count) noexcept nogil:
    cdef int64_t capacity = max(2 * m.log_capacity, count)
    cdef void *grown
    if count <= m.log_capacity:
        return True
    grown = realloc(m.log, capacity * sizeof(LogEntry))
    if grown == NULL:
        m.exhausted = 1
        return False
    m.log = <LogEntry *>grown
    m.log_capacity = capacity
    return True


cdef void run_alone(Machine *m, const Op *op) noexcept nogil:
    """An operation that is not shared out."""
    cdef const Arrays *a = &m.arrays
    cdef int64_t i
    if op.kind == COPY:
        for i in range(op.n):
            a.values[op.y + i] = a.values[op.x + i]
    elif op.kind == ADD:
        for i in range(op.n):
            a.values[op.y + i] += a.values[op.x + i]
    elif op.kind == SCAN:
        a.counts[op.y_list] = scan(op.n, a.values + op.x, a.events + a.starts[op.y_list])
    elif op.kind == LINEAR:
        m.counters.synaptic_events += linear(op, a)
    elif op.kind == NEURONS:
        m.counters.spikes += neurons(op, a)
        m.counters.neuron_updates += op.n
    elif op.kind == DELAY_READ:
        delay_read(op, a, m.step)
    elif op.kind == DELAY_WRITE:
        delay_write(op, a, m.step)
    elif op.kind == LOG:
        note(m, op)
    elif op.kind == PES:
        m.counters.weight_updates += pes(op, a, m.learning)
    elif op.kind == CONV:
        m.counters.synaptic_events += convolve(op, a)
    elif op.kind == SCALE:
        scale(op.n, a.values + op.y, a.values + op.x, a.constants + op.params)
    elif op.kind == THRESHOLD:
        mark_above(op.n, a.values + op.y, a.values + op.x, a.constants + op.params)
        a.counts[op.y_list] = scan(op.n, a.values + op.y, a.events + a.starts[op.y_list])
    elif op.kind == RECORD:
        record(op, a, m.step)
    elif op.kind == COLLECT:
        collect(op, a)
    elif op.kind == FIRED:
        m.counters.spikes += join_fired(op, a, m.crew.threads)
        m.counters.neuron_updates += op.n
    elif op.kind == GENERATE:
        m.counters.spikes += generate(op, m)
    elif op.kind == LEARN:
        note_fired(m, op)


cdef inline bint is_shared(const Op *op) noexcept nogil:
    return op.kind >= PROJECT


cdef void tick(Machine *m, int64_t thread) noexcept nogil:
    """One step. Threads meet before and after what only the first of them does."""
    cdef int64_t k = 0
    while k < m.op_count:
        if not is_shared(&m.ops[k]):
            meet(&m.crew)
            while k < m.op_count and not is_shared(&m.ops[k]):
                if thread == 0:
                    run_alone(m, &m.ops[k])
                k += 1
            meet(&m.crew)
        elif m.ops[k].kind == PROJECT:
            project(m, &m.ops[k], thread)
            k += 1
        else:
            populate(m, &m.ops[k], thread)
            k += 1


cdef void run(void *machine, int64_t thread) noexcept nogil:
    """All steps of a call, as one thread of the crew."""
    cdef Machine *m = <Machine *>machine
    while m.step < m.until:
        if thread == 0:
            take_inputs(m)
        meet(&m.crew)
        tick(m, thread)
        meet(&m.crew)
        if thread == 0:
            m.step += 1
        meet(&m.crew)


# --- for Python -------------------------------------------------------------------------------

def all_finite(const double[:] x):
    """Whether every element is a finite number; NumPy takes longer on short vectors."""
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        if not isfinite(x[i]):
            return False
    return True


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


ctypedef fused target_t:
    uint16_t
    int32_t


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


cdef class ClockedEngine:
    """Runs a program. The arrays belong to the caller; `values`, `events` and `counts` change.

    A step lasts `dt_ns`; step k begins at `k * dt_ns`. `projections` holds rows, targets, weight
    and the size of the layer it reaches of each; `rings` holds the counts (depth,), indices and
    values (depth, capacity) of each, None for values that are all one.
    """

    def __init__(self, Op[::1] ops, double[::1] values, const double[::1] constants,
                 const float[::1] weights32, const double[::1] weights64,
                 const int64_t[::1] rows, const int32_t[::1] targets, int32_t[::1] events,
                 const int64_t[::1] starts, int64_t[::1] counts, Port[::1] ports,
                 float[::1] arrived, int32_t[::1] fired, int64_t layers,
                 list projections, list rings, int64_t dt_ns, uint64_t seed, int64_t threads):
        cdef Machine *m = &self._machine
        cdef int64_t[::1] fired_counts = np.zeros(layers * threads + 1, np.int64)
        cdef int64_t[::1] held_counts = np.zeros(layers * threads + 1, np.int64)
        cdef int32_t[::1] held = np.zeros(fired.shape[0], np.int32)
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads must be 1 to {MOST_THREADS}, not {threads}")
        self._owners = [values, constants, weights32, weights64, rows, targets, events, starts,
                        counts, arrived, fired, fired_counts, held, held_counts]
        self._ops = ops
        self._ports = ports
        self._queue = np.empty(64, WAITING)
        # The caller pads every array, so that the first element exists.
        m.ops, m.op_count = &ops[0], ops.shape[0] - 1
        m.ports, m.port_count = &ports[0], ports.shape[0] - 1
        m.arrays.values = &values[0]
        m.arrays.constants = &constants[0]
        m.arrays.weights32 = &weights32[0]
        m.arrays.weights64 = &weights64[0]
        m.arrays.rows = &rows[0]
        m.arrays.targets = &targets[0]
        m.arrays.events = &events[0]
        m.arrays.starts = &starts[0]
        m.arrays.counts = &counts[0]
        m.arrays.arrived = &arrived[0]
        m.arrays.fired = &fired[0]
        m.arrays.fired_counts = &fired_counts[0]
        m.arrays.held = &held[0]
        m.arrays.held_counts = &held_counts[0]
        m.dt_ns, m.seed, m.learning = dt_ns, seed, 1
        m.crew.threads, m.crew.machine, m.crew.work = threads, m, run
        self._place_rings(rings)
        self._place_projections(projections)

    def __dealloc__(self):
        free(self._machine.log)
        free(self._machine.arrays.rings)
        free(self._machine.arrays.synapses)
        for k in range(self._projection_count):
            free(self._machine.arrays.learners[k].due)
            free(self._machine.arrays.learners[k].stdp.history)
        free(self._machine.arrays.learners)

    def _place_rings(self, list rings):
        cdef Ring *ring
        cdef int64_t[::1] counts
        cdef int32_t[:, ::1] index
        cdef float[:, ::1] value
        self._machine.arrays.rings = <Ring *>calloc(len(rings) + 1, sizeof(Ring))
        for k, (counts_, index_, value_) in enumerate(rings):
            ring = &self._machine.arrays.rings[k]
            counts, index = counts_, index_
            ring.depth, ring.capacity = index.shape[0], index.shape[1]
            ring.counts, ring.index = &counts[0], &index[0, 0]
            if value_ is not None:
                value = value_
                ring.value = &value[0, 0]
            self._owners.append((counts_, index_, value_))

    def _place_projections(self, list projections):
        cdef Synapses *s
        cdef int64_t threads = self._machine.crew.threads
        cdef const int64_t[::1] rows
        cdef const float[::1] weight
        cdef const int64_t[:, ::1] cuts
        cdef const uint16_t[::1] narrow
        cdef const int32_t[::1] broad
        self._projection_count = len(projections)
        self._machine.arrays.synapses = <Synapses *>calloc(len(projections) + 1, sizeof(Synapses))
        self._machine.arrays.learners = <Learner *>calloc(len(projections) + 1, sizeof(Learner))
        for k, (rows_, targets_, weight_, layer) in enumerate(projections):
            s = &self._machine.arrays.synapses[k]
            rows, weight = rows_, weight_
            s.sources, s.targets = rows.shape[0] - 1, layer
            s.alike = weight.shape[0] == 1
            s.rows = s.first = &rows[0]
            s.next = 1
            if threads > 1:
                cuts = cut_rows(rows_, targets_, layer, threads)
                s.first, s.next = &cuts[0, 0], s.sources
                self._owners.append(cuts)
            s.weight = &weight[0] if weight.shape[0] else NULL
            if targets_.dtype == np.uint16:
                narrow = targets_
                s.targets16 = &narrow[0] if narrow.shape[0] else NULL
            else:
                broad = targets_
                s.targets32 = &broad[0] if broad.shape[0] else NULL
            self._owners += [rows_, targets_, weight_]

    @property
    def step(self):
        return self._machine.step

    @step.setter
    def step(self, int64_t step):
        self._machine.step = step

    @property
    def learning(self):
        return bool(self._machine.learning)

    @learning.setter
    def learning(self, bint on):
        cdef int64_t k
        for k in range(self._projection_count):
            if on and not self._machine.learning:
                self._skip(k)
            elif self._machine.learning and not on:
                self.settle(k)
        self._machine.learning = on

    def learn(self, int64_t k, rule, plus, minus, weight, target, fired, since, trace):
        """Let projection k learn. The arrays belong to the caller and change.

        `rule` is (up, down, w_min, w_max); plus and minus are the decays by steps apart, float32,
        0 at their end; weight float32 (synapses,); target (targets,) of TARGET; fired and since
        int64, trace float32, all (sources,).
        """
        cdef Learner *l = &self._machine.arrays.learners[k]
        cdef Synapses *s = &self._machine.arrays.synapses[k]
        cdef const float[::1] plus_ = plus, minus_ = minus
        cdef float[::1] weight_ = weight, trace_ = trace
        cdef Target[::1] target_ = target
        cdef int64_t[::1] fired_ = fired, since_ = since
        cdef int64_t[::1] spikes = np.zeros(s.targets, np.int64)
        l.sources, l.targets = s.sources, s.targets
        l.targets16, l.targets32 = s.targets16, s.targets32
        l.weights, l.trace, l.fired, l.since = &weight_[0], &trace_[0], &fired_[0], &since_[0]
        l.stdp.up, l.stdp.down, l.stdp.w_min, l.stdp.w_max = rule
        l.stdp.decay_plus, l.stdp.decay_minus = &plus_[0], &minus_[0]
        l.stdp.window = plus_.shape[0] - 1
        l.stdp.target, l.stdp.spikes, l.stdp.depth = &target_[0], &spikes[0], 8
        l.stdp.history = <int64_t *>calloc(s.targets * l.stdp.depth, sizeof(int64_t))
        if l.stdp.history == NULL:
            raise MemoryError("no memory for the spikes of the targets")
        s.weight, s.alike = l.weights, 0
        self._owners += [plus_, minus_, weight_, trace_, target_, fired_, since_, spikes]

    def settle(self, int64_t k):
        """Bring the weights of projection k up to date. It changes no future bit."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        if l.weights != NULL and self._machine.learning:
            with nogil:
                settle_all(l, self._machine.arrays.synapses[k].rows, self._machine.step)

    def _skip(self, int64_t k):
        if self._machine.arrays.learners[k].weights != NULL:
            skip_to(&self._machine.arrays.learners[k], self._machine.step)

    def latest(self, int64_t k):
        """The step of the latest spike of each target of projection k, -1 for none."""
        cdef Stdp *s = &self._machine.arrays.learners[k].stdp
        cdef int64_t i, targets = self._machine.arrays.learners[k].targets
        cdef int64_t[::1] steps = np.full(targets, -1, np.int64)
        for i in range(targets):
            if s.spikes[i]:
                steps[i] = s.history[i * s.depth + ((s.spikes[i] - 1) & (s.depth - 1))]
        return steps.base

    def resume(self, int64_t k, const int64_t[::1] latest):
        """Go on from the caller's arrays, restored, and the targets' `latest` spikes."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        cdef int64_t i, window = l.stdp.window
        for i in range(l.targets):
            l.stdp.spikes[i] = latest[i] >= 0
            l.stdp.history[i * l.stdp.depth] = latest[i]
        l.due_first = l.due_count = 0
        fired = np.asarray(<int64_t[:l.sources]>l.fired)
        for i in np.argsort(fired, kind="stable"):
            if fired[i] >= 0 and fired[i] + window >= self._machine.step:
                if l.due_count < l.due_room or widen_due(l):
                    l.due[l.due_count] = Due(i, fired[i])
                    l.due_count += 1

    def refresh(self):
        """Take note that the caller has changed the arrays: find again who is held."""
        cdef int64_t k, thread
        cdef Stretch s
        for k in range(self._machine.op_count):
            if self._ops[k].kind == POPULATION and self._ops[k].wait >= 0:
                for thread in range(self._machine.crew.threads):
                    s = stretch_of(&self._machine, &self._ops[k], thread)
                    find_held(&s)

    def release(self):
        """Make every input port silent: forget what was held and what was fed."""
        cdef int64_t p
        for p in range(self._machine.port_count):
            self._ports[p].held = self._ports[p].next = self._ports[p].end = 0
        self._queued = 0

    def hold(self, int64_t port, const double[:] x):
        """Show `x` at an input port in every step until `release`."""
        cdef int64_t i, list_ = self._ports[port].list_id
        cdef double *values = self._machine.arrays.values + self._ports[port].at
        if x.shape[0] != self._ports[port].size:
            raise ValueError(f"port {port} has {self._ports[port].size} elements, not {x.shape[0]}")
        for i in range(x.shape[0]):
            values[i] = x[i]
        self._machine.arrays.counts[list_] = scan(
            x.shape[0], values, self._machine.arrays.events + self._machine.arrays.starts[list_])
        self._ports[port].held = 1

    def feed(self, int64_t port, const Spike[:] spikes, int64_t until_ns):
        """Let `spikes` enter at an input port, each in the step its time falls in.

        Call it at most once a port between two `release`.

        Raises:
            ValueError: times do not ascend within [now, until_ns), or an index is too large.
        """
        cdef int64_t k, size = self._ports[port].size
        cdef int64_t now_ns = self._machine.step * self._machine.dt_ns, last_ns = now_ns
        for k in range(spikes.shape[0]):
            if not last_ns <= spikes[k].t_ns < until_ns:
                raise ValueError(f"spike times must ascend within [{now_ns}, {until_ns}) ns")
            if spikes[k].i >= size:
                raise ValueError(f"index {spikes[k].i} of only {size} elements")
            last_ns = spikes[k].t_ns
        self._make_room(spikes.shape[0])
        self._ports[port].next = self._queued
        cdef int64_t step = self._machine.step, end_ns = now_ns + self._machine.dt_ns
        for k in range(spikes.shape[0]):
            if spikes[k].t_ns >= end_ns:  # seldom: a division costs more than all the rest
                step = spikes[k].t_ns // self._machine.dt_ns
                end_ns = (step + 1) * self._machine.dt_ns
            self._queue[self._queued].step = step
            self._queue[self._queued].i = spikes[k].i
            self._queued += 1
        self._ports[port].end = self._queued

    def _make_room(self, int64_t more):
        """Let the queue take `more` spikes."""
        if self._queued + more > self._queue.shape[0]:
            larger = np.empty(2 * (self._queued + more), WAITING)
            larger[: self._queued] = np.asarray(self._queue)[: self._queued]
            self._queue = larger

    def advance(self, int64_t steps):
        """Run `steps` clock steps."""
        cdef Machine *m = &self._machine
        cdef bint started
        if steps < 0:
            raise ValueError(f"steps must be 0 or more, not {steps}")
        m.logged = 0
        m.until = m.step + steps
        m.queue = &self._queue[0]
        with nogil:
            started = run_crew(&m.crew)
        if not started:
            raise MemoryError(f"{m.crew.threads} threads could not be started; use fewer")
        if m.exhausted:
            m.exhausted = 0
            raise MemoryError("no memory for the spikes that left; run fewer steps at a time")

    def left(self, int64_t port, spike_dtype):
        """The spikes that left an output port in the last `advance`, in records of `spike_dtype`.

        A spike carries the start of its step.
        """
        cdef int64_t k, n, total = 0
        cdef const LogEntry *entry
        cdef const Machine *m = &self._machine
        for k in range(m.logged):
            if m.log[k].port == port:
                total += max(m.log[k].count, 0)
        spikes = np.empty(total, dtype=spike_dtype)
        cdef Spike[::1] out = spikes
        total = 0
        for k in range(m.logged):
            entry = &m.log[k]
            if entry.port != port:
                continue
            for n in range(entry.count):
                out[total].t_ns = entry.step * m.dt_ns
                out[total].i = <uint32_t>entry.i
                total += 1
        return spikes

    def counters(self):
        """Synaptic events, neuron updates, spikes, weight updates."""
        c = self._machine.counters
        return c.synaptic_events, c.neuron_updates, c.spikes, c.weight_updates
