"""The clocked engine: runs a flat program of operations, one pass a clock step.

The program is made by reflexarc.runtime.backends.lowering; the header explains its parts. Spikes
are delivered along the rows of the sources that fired, so the cost of a quiet layer is that of
its neurons alone.
"""

import numpy as np

from libc.math cimport isfinite, trunc
from libc.stdint cimport int32_t, int64_t, uint32_t

from reflexarc.ext.plasticity cimport Pes, update_pes, update_trace
from reflexarc.ext.spikes cimport Spike

OP = np.dtype([(name, np.int64) for name in (
    "kind", "variant", "n", "m", "x", "x_list", "y", "y_list", "state", "params", "weights",
    "rows", "targets",
)])
PORT = np.dtype([(name, np.int64) for name in ("at", "list_id", "size", "held", "next", "end")])
WAITING = np.dtype([(name, np.int64) for name in ("step", "i")])
LOG_ENTRY = np.dtype([(name, np.int64) for name in ("step", "port", "i", "count")])
KINDS = {
    "copy": COPY, "add": ADD, "scan": SCAN, "linear": LINEAR, "neurons": NEURONS,
    "delay_read": DELAY_READ, "delay_write": DELAY_WRITE, "log": LOG, "pes": PES,
    "conv": CONV, "scale": SCALE, "threshold": THRESHOLD,
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


def all_finite(const double[:] x):
    """Whether every element is a finite number; NumPy takes longer on short vectors."""
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        if not isfinite(x[i]):
            return False
    return True


cdef class ClockedEngine:
    """Runs a program. The arrays belong to the caller; `values`, `events` and `counts` change.

    A step lasts `dt_ns`; step k begins at `k * dt_ns`.
    """

    def __init__(self, Op[::1] ops, double[::1] values, const double[::1] constants,
                 const float[::1] weights32, const double[::1] weights64,
                 const int64_t[::1] rows, const int32_t[::1] targets, int32_t[::1] events,
                 const int64_t[::1] starts, int64_t[::1] counts, Port[::1] ports,
                 LogEntry[::1] log, int64_t steps_per_call, int64_t dt_ns):
        self._owners = (values, constants, weights32, weights64, rows, targets, events, starts,
                        counts)
        self._ops = ops
        self._ports = ports
        self._queue = np.empty(64, WAITING)
        self._log = log
        self._dt_ns = dt_ns
        self.steps_per_call = steps_per_call
        self.learning = True
        # The caller pads every array, so that the first element exists.
        self._arrays.values = &values[0]
        self._arrays.constants = &constants[0]
        self._arrays.weights32 = &weights32[0]
        self._arrays.weights64 = &weights64[0]
        self._arrays.rows = &rows[0]
        self._arrays.targets = &targets[0]
        self._arrays.events = &events[0]
        self._arrays.starts = &starts[0]
        self._arrays.counts = &counts[0]

    def release(self):
        """Make every input port silent: forget what was held and what was fed."""
        cdef int64_t p
        for p in range(self._ports.shape[0]):
            self._ports[p].held = self._ports[p].next = self._ports[p].end = 0
        self._queued = 0

    def hold(self, int64_t port, const double[:] x):
        """Show `x` at an input port in every step until `release`."""
        cdef int64_t i, list_ = self._ports[port].list_id
        cdef double *values = self._arrays.values + self._ports[port].at
        if x.shape[0] != self._ports[port].size:
            raise ValueError(f"port {port} has {self._ports[port].size} elements, not {x.shape[0]}")
        for i in range(x.shape[0]):
            values[i] = x[i]
        self._arrays.counts[list_] = scan(
            x.shape[0], values, self._arrays.events + self._arrays.starts[list_])
        self._ports[port].held = 1

    def feed(self, int64_t port, const Spike[:] spikes, int64_t until_ns):
        """Let `spikes` enter at an input port, each in the step its time falls in.

        Call it at most once a port between two `release`.

        Raises:
            ValueError: times do not ascend within [now, until_ns), or an index is too large.
        """
        cdef int64_t k, size = self._ports[port].size
        cdef int64_t now_ns = self.step * self._dt_ns, last_ns = now_ns
        for k in range(spikes.shape[0]):
            if not last_ns <= spikes[k].t_ns < until_ns:
                raise ValueError(f"spike times must ascend within [{now_ns}, {until_ns}) ns")
            if spikes[k].i >= size:
                raise ValueError(f"index {spikes[k].i} of only {size} elements")
            last_ns = spikes[k].t_ns
        self._make_room(spikes.shape[0])
        self._ports[port].next = self._queued
        for k in range(spikes.shape[0]):
            self._queue[self._queued].step = spikes[k].t_ns // self._dt_ns
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
        """Run `steps` clock steps, at most `steps_per_call`."""
        cdef int64_t step
        if not 0 <= steps <= self.steps_per_call:
            raise ValueError(f"steps must be 0 to {self.steps_per_call}, not {steps}")
        with nogil:
            self._logged = 0
            for step in range(steps):
                self._take_inputs()
                self._tick()

    def left(self, int64_t port, spike_dtype):
        """The spikes that left an output port in the last `advance`, in records of `spike_dtype`.

        A spike carries the start of its step.
        """
        cdef int64_t k, n, total = 0
        cdef const LogEntry *entry
        for k in range(self._logged):
            if self._log[k].port == port:
                total += max(self._log[k].count, 0)
        spikes = np.empty(total, dtype=spike_dtype)
        cdef Spike[::1] out = spikes
        total = 0
        for k in range(self._logged):
            entry = &self._log[k]
            if entry.port != port:
                continue
            for n in range(entry.count):
                out[total].t_ns = entry.step * self._dt_ns
                out[total].i = <uint32_t>entry.i
                total += 1
        return spikes

    def counters(self):
        """Synaptic events, neuron updates, spikes, weight updates."""
        c = self._counters
        return c.synaptic_events, c.neuron_updates, c.spikes, c.weight_updates

    cdef void _take_inputs(self) noexcept nogil:
        """Clear the ports that hold nothing and let the spikes of this step in."""
        cdef int64_t p, k
        cdef double *x
        cdef const int32_t *events
        cdef Port *port
        for p in range(self._ports.shape[0]):
            port = &self._ports[p]
            if port.held:
                continue
            x = self._arrays.values + port.at
            events = self._arrays.events + self._arrays.starts[port.list_id]
            for k in range(self._arrays.counts[port.list_id]):
                x[events[k]] = 0.0
            self._arrays.counts[port.list_id] = 0
            while port.next < port.end and self._queue[port.next].step == self.step:
                self._inject(port, self._queue[port.next].i)
                port.next += 1

    cdef void _inject(self, const Port *port, int64_t i) noexcept nogil:
        cdef double *x = self._arrays.values + port.at
        cdef int64_t *count = self._arrays.counts + port.list_id
        if x[i] == 0.0:
            self._arrays.events[self._arrays.starts[port.list_id] + count[0]] = <int32_t>i
            count[0] += 1
        x[i] += 1.0

    cdef void _note(self, const Op *op) noexcept nogil:
        cdef int64_t k, i
        cdef LogEntry *entry
        for k in range(self._arrays.counts[op.x_list]):
            i = self._arrays.events[self._arrays.starts[op.x_list] + k]
            entry = &self._log[self._logged]
            entry.step, entry.port, entry.i = self.step, op.variant, i
            entry.count = <int64_t>self._arrays.values[op.x + i]
            self._logged += 1

    cdef void _tick(self) noexcept nogil:
        cdef Op *op
        cdef Arrays *a = &self._arrays
        cdef int64_t k, i
        for k in range(self._ops.shape[0]):
            op = &self._ops[k]
            if op.kind == COPY:
                for i in range(op.n):
                    a.values[op.y + i] = a.values[op.x + i]
            elif op.kind == ADD:
                for i in range(op.n):
                    a.values[op.y + i] += a.values[op.x + i]
            elif op.kind == SCAN:
                a.counts[op.y_list] = scan(
                    op.n, a.values + op.x, a.events + a.starts[op.y_list])
            elif op.kind == LINEAR:
                self._counters.synaptic_events += linear(op, a)
            elif op.kind == NEURONS:
                self._counters.spikes += neurons(op, a)
                self._counters.neuron_updates += op.n
            elif op.kind == DELAY_READ:
                delay_read(op, a, self.step)
            elif op.kind == DELAY_WRITE:
                delay_write(op, a, self.step)
            elif op.kind == LOG:
                self._note(op)
            elif op.kind == CONV:
                self._counters.synaptic_events += convolve(op, a)
            elif op.kind == SCALE:
                scale(op.n, a.values + op.y, a.values + op.x, a.constants + op.params)
            elif op.kind == THRESHOLD:
                mark_above(op.n, a.values + op.y, a.values + op.x, a.constants + op.params)
                a.counts[op.y_list] = scan(
                    op.n, a.values + op.y, a.events + a.starts[op.y_list])
            else:
                self._counters.weight_updates += pes(op, a, self.learning)
        self.step += 1
