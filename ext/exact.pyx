"""Event-driven spiking network in continuous time.

Between events every neuron follows its closed form, so it is brought up to date only when
something reaches it, and its next own spike is foreseen once and revised only then. The cost
follows events, not neurons or steps (Brette 2006, Neural Comput. 18, "Exact simulation of
integrate-and-fire models with synaptic conductances"; Morrison et al. 2007, Neural Comput. 19).

Time is a pair (int64 nanoseconds, float64 fraction of one): a difference of two times loses
nothing to the age of the run, as a single float64 of seconds would.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, exp, expm1, fabs, floor, isfinite, log1p
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

TIME = np.dtype([("ns", "i8"), ("frac", "f8")])
MODEL = np.dtype(
    [
        (name, "f8")
        for name in ("tau", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in")
    ]
    + [("kind", "i4"), ("layer", "i4")]
)
UNIT = np.dtype(
    [(name, "f8") for name in ("v", "current", "drive", "drive_low", "charge")]
    + [("seen", TIME), ("touched", "i4"), ("slot", "i4")]
)
FIBRE = np.dtype([("delay_ns", "f8"), ("begin", "i8"), ("end", "i8"), ("synapses", "i8")])
EVENT = np.dtype([("at", TIME), ("value", "f8"), ("fibre", "i4"), ("kind", "i4")])
DUE = np.dtype([("at", TIME), ("unit", "i8")])
EMITTED = np.dtype([("at", TIME), ("area", "f8"), ("unit", "i8")])

cdef enum:  # kinds of unit
    _LEAKY = 0
    _CURRENT_BASED = 1
    _INTEGRATOR = 2
    _PORT = 3

cdef enum:  # kinds of event, and why a unit was touched
    _DIRAC = 1
    _CURRENT = 2
    _OWN_SPIKE = 4

LEAKY = _LEAKY
CURRENT_BASED = _CURRENT_BASED
INTEGRATOR = _INTEGRATOR
PORT = _PORT
DIRAC = _DIRAC
CURRENT = _CURRENT

cdef double _NS = 1e9
#: A neuron that would fire again sooner than this is taken to fire without end.
cdef double _SHORTEST_INTERVAL_S = 1e-12
#: A spike foreseen later than this (a century) is not foreseen.
cdef double _HORIZON_S = 3e9
#: After so many instants it is seen whether someone wants to interrupt.
cdef int64_t _MOST_INSTANTS = 100_000


# --- time -------------------------------------------------------------------------------------

cdef inline bint earlier(Time a, Time b) noexcept nogil:
    return a.ns < b.ns or (a.ns == b.ns and a.frac < b.frac)


cdef inline bint same(Time a, Time b) noexcept nogil:
    return a.ns == b.ns and a.frac == b.frac


cdef inline double seconds_between(Time a, Time b) noexcept nogil:
    return (<double>(b.ns - a.ns) + (b.frac - a.frac)) / _NS


cdef inline Time later(Time t, double ns) noexcept nogil:
    cdef double whole = floor(ns)
    t.frac += ns - whole
    if t.frac >= 1.0:
        t.frac -= 1.0
        whole += 1.0
    t.ns += <int64_t>whole
    return t


# --- neurons between events -------------------------------------------------------------------

cdef inline double psp(const Model* m, double t) noexcept nogil:
    """Response of the membrane to a current exp(-t / tau_syn).

    (exp(-t/tau_syn) - exp(-t/tau)) / (1 - tau/tau_syn), written so that it stays exact as the
    time constants approach each other, and is t/tau exp(-t/tau) where they meet.
    """
    return psp_from(m, t, exp(-t / max(m.tau, m.tau_syn)))


cdef inline double psp_from(const Model* m, double t, double slow_decay) noexcept nogil:
    """`psp` when the decay with the longer time constant is known already."""
    cdef double rate = fabs(m.tau_syn - m.tau) / (m.tau_syn * m.tau)
    cdef double area = -expm1(-rate * t) / rate if rate > 0.0 else t
    return slow_decay * area / m.tau


cdef inline void advance(Unit* u, const Model* m, Time at) noexcept nogil:
    """Bring `u` from `u.seen` to `at` under its constant drive."""
    cdef double dt = seconds_between(u.seen, at)
    cdef double rest, level, excess, decay, decay_syn
    u.seen = at
    if dt == 0.0:
        return
    if m.kind == _LEAKY:
        rest = m.v_leak + m.r * u.drive
        u.v = rest + (u.v - rest) * exp(-dt / m.tau)
    elif m.kind == _CURRENT_BASED:
        level = m.w_in * u.drive
        rest = m.v_leak + m.r * level
        excess = u.current - level
        decay, decay_syn = exp(-dt / m.tau), exp(-dt / m.tau_syn)
        u.v = rest + (u.v - rest) * decay + m.r * excess * psp_from(m, dt, max(decay, decay_syn))
        u.current = level + excess * decay_syn
    elif m.kind == _INTEGRATOR:
        u.v += m.r * u.drive * dt


cdef inline void add_charge(Unit* u, const Model* m) noexcept nogil:
    """Let the Diracs of this instant act."""
    if m.kind == _LEAKY:
        u.v += m.r * u.charge / m.tau
    elif m.kind == _CURRENT_BASED:
        u.current += m.w_in * u.charge / m.tau_syn
    else:
        u.v += m.r * u.charge
    u.charge = 0.0


cdef inline void add_drive(Unit* u, double current) noexcept nogil:
    """Add to the constant drive with the rounding error kept (Knuth's two-sum).

    What was switched on and is switched off again leaves exactly what was there before.
    """
    cdef double total = u.drive + current
    cdef double part = total - u.drive
    u.drive_low += (u.drive - (total - part)) + (current - part)
    u.drive = total + u.drive_low
    u.drive_low -= u.drive - total


cdef double next_crossing(const Unit* u, const Model* m) noexcept nogil:
    """Seconds until v first exceeds the threshold: 0 if it does at once, infinity if never."""
    if m.v_threshold == INFINITY:
        return INFINITY
    if u.v > m.v_threshold:
        return 0.0
    if m.kind == _LEAKY:
        return leaky_crossing(u, m)
    if m.kind == _CURRENT_BASED:
        return current_based_crossing(u, m)
    if m.r * u.drive > 0.0:
        return (m.v_threshold - u.v) / (m.r * u.drive)
    return INFINITY


cdef double leaky_crossing(const Unit* u, const Model* m) noexcept nogil:
    cdef double rest = m.v_leak + m.r * u.drive
    if rest > m.v_threshold:
        return m.tau * log1p((m.v_threshold - u.v) / (rest - m.v_threshold))
    return INFINITY


cdef double current_based_crossing(const Unit* u, const Model* m) noexcept nogil:
    """First crossing of v(t) = rest + a exp(-t/tau) + b psp(t), v(0) <= threshold.

    v' vanishes at most once, at a time known in closed form, so v is monotone before and after
    it and each piece is asked only whether it ends above the threshold.
    """
    cdef double rest = m.v_leak + m.r * m.w_in * u.drive
    cdef double a = u.v - rest
    cdef double b = m.r * (u.current - m.w_in * u.drive)
    cdef double slope = b - a  # tau v'(0)
    cdef double turn
    if rest <= m.v_threshold and (slope <= 0.0 or stays_below(u, m, rest, a, b)):
        return INFINITY
    if u.v == m.v_threshold and (slope > 0.0 or (slope == 0.0 and b < 0.0)):
        return 0.0
    turn = turning_point(m, slope, b)
    if slope > 0.0 and isfinite(turn):  # up to a peak, then down for ever
        if excess_after(u, m, a, b, turn) <= 0.0:
            return INFINITY
        return first_root(u, m, a, b, 0.0, turn)
    if rest <= m.v_threshold:
        return INFINITY
    return root_after(u, m, a, b, turn if isfinite(turn) else 0.0)


cdef inline bint stays_below(
    const Unit* u, const Model* m, double rest, double a, double b
) noexcept nogil:
    """A cheap bound that spares most inputs the search: psp(t) < min(1, tau_syn / tau)."""
    cdef double reach = max(b, 0.0) * min(1.0, m.tau_syn / m.tau)
    return u.v < m.v_threshold and rest + max(a, 0.0) + reach < m.v_threshold


cdef inline double turning_point(const Model* m, double slope, double b) noexcept nogil:
    """When v' vanishes, or infinity."""
    cdef double q, delta
    if b == 0.0 or slope == 0.0 or (slope > 0.0) != (b > 0.0):
        return INFINITY
    q = slope * m.tau_syn / b
    delta = (m.tau_syn - m.tau) / (m.tau_syn * m.tau)
    if delta == 0.0:
        return q
    return log1p(delta * q) / delta if delta * q > -1.0 else INFINITY


cdef inline double excess_after(
    const Unit* u, const Model* m, double a, double b, double t
) noexcept nogil:
    """v(t) minus threshold, built on the change since now: short waits keep full precision."""
    return (u.v - m.v_threshold) + (a * expm1(-t / m.tau) + b * psp(m, t))


cdef double root_after(
    const Unit* u, const Model* m, double a, double b, double low
) noexcept nogil:
    """The crossing of a piece that rises from `low` towards a rest above the threshold."""
    cdef double span = m.tau
    while excess_after(u, m, a, b, low + span) <= 0.0:
        span *= 2.0
        if span > _HORIZON_S:
            return INFINITY
    return first_root(u, m, a, b, low, low + span)


cdef double first_root(
    const Unit* u, const Model* m, double a, double b, double low, double high
) noexcept nogil:
    """Newton's method inside a bracket on which v rises through the threshold once.

    The first step is taken from now, where v and v' are known: on the way up to a peak v is
    concave, and Newton's method from below it never overshoots.
    """
    cdef double t = (m.v_threshold - u.v) * m.tau / (b - a)
    cdef double excess, slope, following, change, decay_syn, response
    cdef int step
    if not low < t < high:
        t = 0.5 * (low + high)
    for step in range(200):
        change = expm1(-t / m.tau)
        decay_syn = exp(-t / m.tau_syn)
        response = b * psp_from(m, t, max(1.0 + change, decay_syn))
        excess = (u.v - m.v_threshold) + (a * change + response)
        slope = (b * decay_syn - a * (1.0 + change) - response) / m.tau
        if excess > 0.0:
            high = t
        else:
            low = t
        following = t - excess / slope
        if slope > 0.0 and low <= following <= high:
            if fabs(following - t) <= 1e-11 * following:  # the error left is its square
                return following
        else:
            following = 0.5 * (low + high)
            if not low < following < high:
                return high
        t = following
    return t


# --- what is on its way -----------------------------------------------------------------------

cdef inline bint event_before(const Event* a, const Event* b) noexcept nogil:
    """Order by time, then by what it is: the order of insertion never matters."""
    if a.at.ns != b.at.ns:
        return a.at.ns < b.at.ns
    if a.at.frac != b.at.frac:
        return a.at.frac < b.at.frac
    if a.fibre != b.fibre:
        return a.fibre < b.fibre
    if a.kind != b.kind:
        return a.kind < b.kind
    return a.value < b.value


cdef void push_event(Net* net, Event event) noexcept nogil:
    cdef Events* heap = &net.events
    cdef int64_t place, parent
    if not reserve_events(heap, heap.count + 1):
        net.exhausted = 1
        return
    place = heap.count
    heap.count += 1
    while place > 0:
        parent = (place - 1) >> 1
        if not event_before(&event, &heap.at[parent]):
            break
        heap.at[place] = heap.at[parent]
        place = parent
    heap.at[place] = event


cdef Event pop_event(Net* net) noexcept nogil:
    cdef Events* heap = &net.events
    cdef Event first = heap.at[0]
    cdef Event last
    cdef int64_t place = 0
    cdef int64_t child
    heap.count -= 1
    last = heap.at[heap.count]
    while True:
        child = 2 * place + 1
        if child >= heap.count:
            break
        if child + 1 < heap.count and event_before(&heap.at[child + 1], &heap.at[child]):
            child += 1
        if not event_before(&heap.at[child], &last):
            break
        heap.at[place] = heap.at[child]
        place = child
    heap.at[place] = last
    return first


cdef bint reserve_events(Events* heap, int64_t count) noexcept nogil:
    cdef int64_t capacity = max(2 * heap.capacity, 64)
    cdef void* grown
    if count <= heap.capacity:
        return True
    capacity = max(capacity, count)
    grown = realloc(heap.at, capacity * sizeof(Event))
    if grown == NULL:
        return False
    heap.at = <Event*>grown
    heap.capacity = capacity
    return True


# --- spikes foreseen --------------------------------------------------------------------------

cdef inline bint due_before(const Due* a, const Due* b) noexcept nogil:
    if a.at.ns != b.at.ns:
        return a.at.ns < b.at.ns
    if a.at.frac != b.at.frac:
        return a.at.frac < b.at.frac
    return a.unit < b.unit


cdef inline void put_due(Net* net, int64_t place, Due due) noexcept nogil:
    net.due[place] = due
    net.unit[due.unit].slot = <int32_t>place


cdef void settle_due(Net* net, int64_t place, Due due) noexcept nogil:
    """Put `due` where it belongs, starting from the free `place`."""
    cdef int64_t other
    while place > 0:
        other = (place - 1) >> 1
        if not due_before(&due, &net.due[other]):
            break
        put_due(net, place, net.due[other])
        place = other
    while True:
        other = 2 * place + 1
        if other >= net.due_count:
            break
        if other + 1 < net.due_count and due_before(&net.due[other + 1], &net.due[other]):
            other += 1
        if not due_before(&net.due[other], &due):
            break
        put_due(net, place, net.due[other])
        place = other
    put_due(net, place, due)


cdef void forget(Net* net, int64_t unit) noexcept nogil:
    """Take back the spike foreseen for `unit`, if there is one."""
    cdef int64_t place = net.unit[unit].slot
    cdef Due last
    if place < 0:
        return
    net.unit[unit].slot = -1
    net.due_count -= 1
    if place < net.due_count:
        last = net.due[net.due_count]
        settle_due(net, place, last)


cdef void foresee(Net* net, int64_t unit, Time at, double wait_s) noexcept nogil:
    """Revise when `unit` will fire by itself: `wait_s` after `at`."""
    cdef Due due
    cdef int64_t place = net.unit[unit].slot
    if not wait_s <= _HORIZON_S:
        forget(net, unit)
        return
    if place < 0:
        place = net.due_count
        net.due_count += 1
    due.at = later(at, wait_s * _NS)
    due.unit = unit
    settle_due(net, place, due)


# --- one instant ------------------------------------------------------------------------------

cdef inline void touch(Net* net, int64_t unit, Time at, int32_t reason) noexcept nogil:
    """Bring `unit` to `at` and mark it for this instant."""
    cdef Unit* u = &net.unit[unit]
    cdef int32_t layer
    if u.touched == 0:
        layer = net.model[unit].layer
        advance(u, &net.model[unit], at)
        net.touched[net.layer_first[layer] + net.touched_count[layer]] = <int32_t>unit
        net.touched_count[layer] += 1
    u.touched |= reason


cdef void deliver(Net* net, int64_t fibre, Time at, int32_t kind, double value) noexcept nogil:
    cdef const Fibre* f = &net.fibre[fibre]
    cdef int64_t s
    for s in range(f.begin, f.end):
        touch(net, net.target[s], at, kind)
        if kind == _DIRAC:
            net.unit[net.target[s]].charge += net.weight[s] * value
        else:
            add_drive(&net.unit[net.target[s]], net.weight[s] * value)
    if kind == _DIRAC:
        net.synaptic_events += f.synapses


cdef void send(Net* net, int64_t fibre, Time at, int32_t kind, double value) noexcept nogil:
    """Queue `value` for when it has passed `fibre`."""
    cdef Event event
    event.at = later(at, net.fibre[fibre].delay_ns)
    event.value = value
    event.fibre = <int32_t>fibre
    event.kind = kind
    push_event(net, event)


cdef void fire(Net* net, int64_t unit, Time at) noexcept nogil:
    cdef int64_t fibre
    net.unit[unit].v = net.model[unit].v_reset
    net.spikes += 1
    for fibre in range(net.fibres_of[unit], net.fibres_of[unit + 1]):
        if net.fibre[fibre].delay_ns == 0.0:
            deliver(net, fibre, at, _DIRAC, net.spike_area)
        else:
            send(net, fibre, at, _DIRAC, net.spike_area)


cdef void record(Net* net, int64_t unit, Time at, double area) noexcept nogil:
    cdef Log* log = &net.log
    cdef int64_t capacity
    cdef void* grown
    if log.count == log.capacity:
        capacity = max(2 * log.capacity, 64)
        grown = realloc(log.at, capacity * sizeof(Emitted))
        if grown == NULL:
            net.exhausted = 1
            return
        log.at = <Emitted*>grown
        log.capacity = capacity
    log.at[log.count].at = at
    log.at[log.count].area = area
    log.at[log.count].unit = unit
    log.count += 1


cdef void update(Net* net, int64_t unit, Time at) noexcept nogil:
    """Let what reached `unit` at this instant act; test, reset and foresee."""
    cdef Unit* u = &net.unit[unit]
    cdef const Model* m = &net.model[unit]
    cdef bint fires = u.touched == _OWN_SPIKE
    cdef double wait_s = 0.0
    net.neuron_updates += 1
    if u.touched & _OWN_SPIKE and (at.ns > 0 or at.frac > 0.0):
        u.v = m.v_threshold  # just reached; only at the very start may v stand above it
    if u.touched & _DIRAC:
        add_charge(u, m)
    u.touched = 0
    if not fires:
        wait_s = next_crossing(u, m)
        fires = wait_s <= _HORIZON_S and same(later(at, wait_s * _NS), at)
    if fires:
        fire(net, unit, at)
        if net.recorded[m.layer]:
            record(net, unit, at, net.spike_area)
        wait_s = next_crossing(u, m)
        if wait_s < _SHORTEST_INTERVAL_S:
            net.runaway = unit
            wait_s = INFINITY
    foresee(net, unit, at, wait_s)


cdef void pass_port(Net* net, int64_t unit, Time at) noexcept nogil:
    """Record what reached an output port."""
    cdef Unit* u = &net.unit[unit]
    record(net, unit, at, u.charge)
    u.charge = 0.0
    u.touched = 0


cdef void run_instant(Net* net, Time at) noexcept nogil:
    """Everything that happens at `at`: arrivals first, then layer after layer.

    A zero-delay synapse only ever leads to a later layer, so each unit sees all inputs of the
    instant summed, once.
    """
    cdef Event event
    cdef int64_t layer, n, first, unit
    while net.events.count > 0 and same(net.events.at[0].at, at):
        event = pop_event(net)
        deliver(net, event.fibre, at, event.kind, event.value)
    while net.due_count > 0 and same(net.due[0].at, at):
        unit = net.due[0].unit
        forget(net, unit)
        touch(net, unit, at, _OWN_SPIKE)
    for layer in range(net.layers):
        first = net.layer_first[layer]
        for n in range(net.touched_count[layer]):
            unit = net.touched[first + n]
            if net.model[unit].kind == _PORT:
                pass_port(net, unit, at)
            else:
                update(net, unit, at)
        net.touched_count[layer] = 0


cdef bint run_until(Net* net, Time until, int64_t most) noexcept nogil:
    """Every instant before `until`, at most `most` of them; whether that is all."""
    cdef Time at
    cdef int64_t n
    for n in range(most):
        if net.runaway >= 0 or net.exhausted:
            return True
        at = until
        if net.events.count > 0 and earlier(net.events.at[0].at, at):
            at = net.events.at[0].at
        if net.due_count > 0 and earlier(net.due[0].at, at):
            at = net.due[0].at
        net.now = at
        if same(at, until):
            return True
        run_instant(net, at)
    return False


# --- for Python -------------------------------------------------------------------------------

cdef class ExactEngine:
    """A network as arrays, its state, and `run`. See the stub for the contract."""

    def __init__(
        self, *, models, v, fibres_of, fibres, target, weight, layer_first, double spike_area
    ):
        units = np.zeros(len(models), UNIT)
        units["v"] = v
        units["slot"] = -1
        self.models, self.units = models, units
        self.fibres_of, self.fibres = fibres_of, fibres
        self.target, self.weight = target, weight
        self.layer_first = layer_first
        self.recorded = np.zeros(len(layer_first), np.uint8)
        self.touched = np.zeros(len(models), np.int32)
        self.touched_count = np.zeros(len(layer_first), np.int64)
        self.due = np.zeros(len(models), DUE)
        self._check(models, fibres_of, fibres, target, weight, layer_first)
        self._point(spike_area)
        self._foresee_all()

    def _check(self, models, fibres_of, fibres, target, weight, layer_first):
        """Refuse arrays that would lead outside one another."""
        if len(target) != len(weight):
            raise ValueError("target and weight must be of equal length")
        if len(fibres_of) <= len(models[models["kind"] != PORT]):
            raise ValueError("fibres_of must name the fibres of every neuron")
        if fibres_of[0] != 0 or fibres_of.max() != len(fibres) or (np.diff(fibres_of) < 0).any():
            raise ValueError("fibres_of must rise from 0 to the number of fibres")
        if len(fibres) and not (
            (fibres["begin"] >= 0).all()
            and (fibres["begin"] <= fibres["end"]).all()
            and (fibres["end"] <= len(target)).all()
        ):
            raise ValueError("a fibre has synapses outside target")
        if len(target) and not 0 <= target.min() <= target.max() < len(models):
            raise ValueError("target names a unit that is not there")
        first = np.searchsorted(models["layer"], np.arange(len(layer_first)))
        if (np.diff(models["layer"]) < 0).any() or not np.array_equal(first, layer_first):
            raise ValueError("layers must stand one after another from layer_first")

    cdef object _point(self, double spike_area):
        cdef Net* net = &self.net
        net.layers, net.units = self.layer_first.shape[0], self.models.shape[0]
        net.spike_area = spike_area
        net.runaway = -1
        net.fibres_of = &self.fibres_of[0]
        net.fibre = &self.fibres[0]
        net.target = &self.target[0]
        net.weight = &self.weight[0]
        net.model = &self.models[0]
        net.unit = &self.units[0]
        net.layer_first = &self.layer_first[0]
        net.recorded = &self.recorded[0]
        net.touched = &self.touched[0]
        net.touched_count = &self.touched_count[0]
        net.due = &self.due[0]

    cdef object _foresee_all(self):
        cdef int64_t unit
        cdef double wait_s
        for unit in range(self.net.units):
            if self.net.model[unit].kind != _PORT:
                wait_s = next_crossing(&self.net.unit[unit], &self.net.model[unit])
                foresee(&self.net, unit, self.net.now, wait_s)

    def __dealloc__(self):
        free(self.net.events.at)
        free(self.net.log.at)

    @property
    def now(self):
        return self.net.now.ns, self.net.now.frac

    def send(
        self,
        const int64_t[::1] ns,
        const double[::1] frac,
        const int64_t[::1] source,
        const double[::1] value,
        int32_t kind,
    ):
        cdef Time at
        cdef int64_t n, fibre
        if kind != DIRAC and kind != CURRENT:
            raise ValueError("kind must be DIRAC or CURRENT")
        if not ns.shape[0] == frac.shape[0] == source.shape[0] == value.shape[0]:
            raise ValueError("ns, frac, source and value must be of equal length")
        for n in range(ns.shape[0]):
            at.ns, at.frac = ns[n], frac[n]
            if earlier(at, self.net.now) or not 0.0 <= at.frac < 1.0:
                raise ValueError(f"input {n}: its time has passed or is not in range")
            if not 0 <= source[n] < self.fibres_of.shape[0] - 1:
                raise ValueError(f"input {n}: there is no source {source[n]}")
        with nogil:
            for n in range(ns.shape[0]):
                at.ns, at.frac = ns[n], frac[n]
                for fibre in range(self.fibres_of[source[n]], self.fibres_of[source[n] + 1]):
                    send(&self.net, fibre, at, kind, value[n])
        self._check_memory()

    def run(self, int64_t ns, double frac, const uint8_t[::1] recorded):
        cdef Time until
        cdef int64_t runaway
        cdef bint done = False
        until.ns, until.frac = ns, frac
        if earlier(until, self.net.now) or not 0.0 <= frac < 1.0:
            raise ValueError("run goes forward only")
        self.recorded[:] = recorded
        while not done:
            with nogil:
                done = run_until(&self.net, until, _MOST_INSTANTS)
            PyErr_CheckSignals()
        emitted = self._take_log()
        self._check_memory()
        runaway = self.net.runaway
        self.net.runaway = -1
        return emitted, runaway

    cdef object _take_log(self):
        emitted = np.empty(self.net.log.count, EMITTED)
        copy_out(emitted, self.net.log.at, emitted.nbytes)
        self.net.log.count = 0
        return emitted

    cdef object _check_memory(self):
        if self.net.exhausted:
            self.net.exhausted = 0
            raise MemoryError("no memory for spikes on their way; the run is incomplete")

    def voltage(self, int64_t first, int64_t last):
        cdef double[::1] v = np.empty(last - first)
        cdef Unit u
        cdef int64_t unit
        if not 0 <= first <= last <= self.net.units:
            raise ValueError("there are no such units")
        for unit in range(first, last):
            u = self.net.unit[unit]
            advance(&u, &self.net.model[unit], self.net.now)
            v[unit - first] = u.v
        return v.base

    def counters(self):
        return {
            "synaptic_events": self.net.synaptic_events,
            "neuron_updates": self.net.neuron_updates,
            "spikes": self.net.spikes,
        }

    def state(self):
        events = np.empty(self.net.events.count, EVENT)
        copy_out(events, self.net.events.at, events.nbytes)
        now = np.zeros((), TIME)
        now["ns"], now["frac"] = self.net.now.ns, self.net.now.frac
        return {
            "units": np.array(self.units),
            "events": events,
            "due": np.array(self.due[: self.net.due_count]),
            "now": now,
            "work": np.array(list(self.counters().values()), np.int64),
        }

    def restore(self, state):
        cdef const Unit[::1] units
        cdef const Due[::1] due
        events = state["events"]
        self._check_state(state["units"], events, state["due"], state["now"], state["work"])
        units, due = np.ascontiguousarray(state["units"]), np.ascontiguousarray(state["due"])
        if not reserve_events(&self.net.events, events.size):
            raise MemoryError("no memory to restore the state")
        self.units[:] = units
        self.due[: due.shape[0]] = due
        self.net.due_count = due.shape[0]
        copy_in(self.net.events.at, np.ascontiguousarray(events), events.nbytes)
        self.net.events.count = events.size
        self.net.now.ns, self.net.now.frac = state["now"]["ns"], state["now"]["frac"]
        self.net.synaptic_events, self.net.neuron_updates, self.net.spikes = state["work"]

    def _check_state(self, units, events, due, now, work):
        """Refuse a state of another network, before anything is changed."""
        dtypes = [array.dtype for array in (units, events, due, now)]
        if dtypes != [UNIT, EVENT, DUE, TIME] or units.shape != (self.net.units,):
            raise ValueError("the state is of another network")
        if work.shape != (3,) or now.shape != () or due.ndim != 1 or events.ndim != 1:
            raise ValueError("the state is damaged: an array has the wrong shape")
        fibre = events["fibre"]
        if fibre.size and not 0 <= fibre.min() <= fibre.max() < self.fibres.shape[0]:
            raise ValueError("the state is of another network")
        foreseen = np.flatnonzero(units["slot"] >= 0)
        if not np.array_equal(np.sort(due["unit"]), foreseen) or not np.array_equal(
            units["slot"][due["unit"]], np.arange(due.size)
        ):
            raise ValueError("the state is damaged: foreseen spikes do not match the units")


cdef void copy_out(array, const void* source, size_t size):
    if size:
        memcpy(<void*><size_t>array.ctypes.data, source, size)


cdef void copy_in(void* target, array, size_t size):
    if size:
        memcpy(target, <void*><size_t>array.ctypes.data, size)
