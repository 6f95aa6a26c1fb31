"""The clocked engine: runs a flat program of operations, one pass a clock step.

The program is made by reflexarc.runtime.backends.lowering; the header of reflexarc.ext.program
explains its parts.
"""

import numpy as np

from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from reflexarc.ext.learner cimport (
    Learner,
    begin,
    end,
    finish_all,
    resume,
    set_up,
    settle_all,
    skip_to,
    tear_down,
)
from reflexarc.ext.layers cimport (
    convolve,
    delay_read,
    delay_write,
    linear,
    mark_above,
    modulate,
    neurons,
    pes,
    scale,
    scan,
)
from reflexarc.ext.populations cimport find_all_held, generate, join_fired, populate
from reflexarc.ext.program cimport (
    ADD,
    COLLECT,
    CONV,
    COPY,
    DELAY_READ,
    DELAY_WRITE,
    FIRED,
    GENERATE,
    LEARN,
    LINEAR,
    LOG,
    MODULATE,
    MOST_THREADS,
    NEURONS,
    PES,
    POPULATION,
    PROJECT,
    RECORD,
    RELEASE,
    REWIRE,
    SCALE,
    SCALING,
    SCAN,
    SETTLE,
    THRESHOLD,
    TUNE,
    Arrays,
    LogEntry,
    Machine,
    Op,
    Port,
    Ring,
    Synapses,
    meet,
    run_crew,
)
from reflexarc.ext.projections cimport (
    collect,
    note_fired,
    project,
    record,
    release_all,
    settle_senders,
)
from reflexarc.ext.spikes cimport Spike
from reflexarc.ext.transmitter cimport Transmitter, point_at
from reflexarc.ext.upkeep cimport (
    cut_again,
    make_room,
    rewire,
    scale_synapses,
    tear_down_bench,
    tune,
)

from reflexarc.ext.projections import cut_rows

WAITING = np.dtype([(name, np.int64) for name in ("step", "i")])
THREADS = MOST_THREADS


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
        m.counters.weight_updates += pes(op, a, m.arrays.learners[op.synapses].active)
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
    elif op.kind == SETTLE:
        settle_senders(m, op)
    elif op.kind == LEARN:
        note_fired(m, op)
    elif op.kind == RELEASE:
        release_all(m, op)
    elif op.kind == TUNE:
        tune(op, a)
    elif op.kind == SCALING:
        scale_synapses(m, op)
    elif op.kind == REWIRE:
        rewire(m, op)
    elif op.kind == MODULATE:
        modulate(op, a, m.ports[op.variant].held)


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


cdef class ClockedEngine:
    """Runs a program. The arrays belong to the caller; `values`, `events` and `counts` change.

    A step lasts `dt_ns`; step k begins at `k * dt_ns`. `projections` holds rows, targets, weight
    and the size of the layer it reaches of each, `matrices` is how many matrices learn (they
    are numbered behind the projections); `rings` holds the counts (depth,), indices and
    values (depth, capacity) of each, None for values that are all one.
    """

    def __init__(self, Op[::1] ops, double[::1] values, const double[::1] constants,
                 const float[::1] weights32, const double[::1] weights64,
                 const int64_t[::1] rows, const int32_t[::1] targets, int32_t[::1] events,
                 const int64_t[::1] starts, int64_t[::1] counts, Port[::1] ports,
                 float[::1] arrived, int32_t[::1] fired, int64_t layers,
                 list projections, int64_t matrices, list rings, int64_t dt_ns, uint64_t seed, int64_t threads):
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
        m.dt_ns, m.seed = dt_ns, seed
        m.crew.threads, m.crew.machine, m.crew.work = threads, m, run
        self._place_rings(rings)
        self._place_projections(projections)
        self._place_learners(len(projections) + matrices)

    def __dealloc__(self):
        free(self._machine.log)
        free(self._machine.arrays.rings)
        free(self._machine.arrays.synapses)
        for k in range(self._learner_count):
            tear_down(&self._machine.arrays.learners[k])
        free(self._machine.arrays.learners)
        free(self._machine.arrays.transmitters)
        tear_down_bench(&self._machine.arrays.bench)

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
        self._machine.arrays.synapses = <Synapses *>calloc(len(projections) + 1, sizeof(Synapses))
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

    def _place_learners(self, int64_t count):
        self._learner_count = count
        self._machine.arrays.learners = <Learner *>calloc(count + 1, sizeof(Learner))

    @property
    def step(self):
        return self._machine.step

    @step.setter
    def step(self, int64_t step):
        self._machine.step = step

    def learn(self, int64_t k, edge):
        """Let number k, a projection or a matrix, learn: an `Edge`, whose arrays change."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        set_up(l, edge)
        if l.targets16 != NULL or l.targets32 != NULL:
            self._machine.arrays.synapses[k].weight = l.weight32
            self._machine.arrays.synapses[k].alike = 0
        if edge.rewired:
            make_room(&self._machine.arrays.bench, np.diff(edge.rows).max(initial=0))
        self._owners.append(edge)

    def transmit(self, list releases):
        """Give edges short-term plasticity: each a `Release`, whose arrays change. Call it once."""
        cdef Transmitter *t = <Transmitter *>calloc(len(releases) + 1, sizeof(Transmitter))
        if t == NULL:
            raise MemoryError("no memory for short-term plasticity")
        self._machine.arrays.transmitters = t
        for k, edge in enumerate(releases):
            point_at(&t[k], edge)
            self._owners.append(edge)

    def set_learning(self, int64_t k, bint on):
        """Let number k, a projection, a matrix or an error's rule, learn, or stop it."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        if on:
            begin(l, self._machine.step)
        else:
            end(l, self._machine.step)

    def settle(self, int64_t k):
        """Replay for number k what its targets have done. It changes no future bit."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        if l.active:
            with nogil:
                settle_all(l)
        skip_to(l, self._machine.step)

    def finish(self, int64_t k):
        """After `settle`: what time alone has done since. The caller puts back what it changes."""
        finish_all(&self._machine.arrays.learners[k], self._machine.step)

    def resume(self, int64_t k, bint active):
        """Go on from the arrays of number k as they are, learning or not."""
        cdef Learner *l = &self._machine.arrays.learners[k]
        l.active = active
        if l.kernel != NULL:
            resume(l, self._machine.step)
        if l.targets16 != NULL or l.targets32 != NULL:
            cut_again(&self._machine, k)

    def refresh(self):
        """Take note that the caller has changed the arrays: find again who is held."""
        cdef int64_t k
        for k in range(self._machine.op_count):
            if self._ops[k].kind == POPULATION:
                find_all_held(&self._machine, &self._ops[k])

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
