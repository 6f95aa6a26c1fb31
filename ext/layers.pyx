"""Operations on whole layers: weights, convolutions, NIR's neurons under a dialect, delays, PES.

Spikes are delivered along the rows of the sources that fired, so the cost of a quiet layer is that
of its neurons alone.
"""

from libc.math cimport fabs, trunc
from libc.stdint cimport int32_t, int64_t

from reflexarc.ext.plasticity cimport Pes, update_pes, update_trace
from reflexarc.ext.program cimport (
    DENSE32,
    DENSE64,
    GRADED,
    SPARSE32,
    SPARSE64,
    SUBTRACT_EACH,
    SUBTRACT_LATE,
    TO_VALUE,
    TO_VALUE_RECTIFIED,
    Arrays,
    Conv,
    Op,
)

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


cdef inline void begin_sum(const Op *op, const Arrays *a) noexcept nogil:
    """y = bias, or 0."""
    cdef int64_t i
    cdef double *y = a.values + op.y
    for i in range(op.n):
        y[i] = a.constants[op.params + i] if op.params >= 0 else 0.0


cdef inline const int32_t *listed(const Op *op, const Arrays *a, int64_t *count) noexcept nogil:
    """The sources that are not zero and how many; NULL and all of them if there is no list."""
    if op.x_list < 0:
        count[0] = op.m
        return NULL
    count[0] = a.counts[op.x_list]
    return a.events + a.starts[op.x_list]


cdef int64_t linear(const Op *op, const Arrays *a) noexcept nogil:
    """y = bias + weights x; returns the number of products."""
    cdef int64_t count
    cdef const double *x = a.values + op.x
    cdef double *y = a.values + op.y
    cdef const int32_t *sources = listed(op, a, &count)
    begin_sum(op, a)
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
    cdef int64_t i, events, count
    cdef const Conv *c = <const Conv *>(a.rows + op.rows)
    cdef const int64_t *hits_y = a.rows + op.rows + sizeof(Conv) // sizeof(int64_t)
    cdef const int64_t *hits_x = hits_y + c.in_y + 1
    cdef const int32_t *hits = a.targets + op.targets
    cdef const double *x = a.values + op.x
    cdef double *y = a.values + op.y
    cdef const int32_t *sources = listed(op, a, &count)
    begin_sum(op, a)
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
    if op.tuned >= 0:
        p = a.values + op.tuned
        limit = p + 3 * n
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


cdef void modulate(const Op *op, const Arrays *a, bint held) noexcept nogil:
    """Levels under a held value, or under spikes, each worth one value held for the step."""
    cdef const double *p = a.constants + op.params  # decay, gain, value of a spike
    cdef double unit = 1.0 if held else p[2], level
    cdef int64_t i
    for i in range(op.n):
        level = p[0] * a.values[op.y + i] + p[1] * (a.values[op.x + i] * unit)
        a.values[op.y + i] = level if fabs(level) >= 1e-300 else 0.0  # denormals are slow


cdef int64_t pes(const Op *op, const Arrays *a, bint learning) noexcept nogil:
    cdef const Pes *rule = <const Pes *>(a.constants + op.params)
    cdef double *trace = a.values + op.state
    update_trace(op.m, trace, a.values + op.x, rule.trace_decay, rule.trace_gain)
    if not learning:
        return 0
    return update_pes(op.n, op.m, a.values + op.weights, trace, a.values + op.y, rule)
