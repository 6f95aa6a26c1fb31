"""Event-driven spiking network in continuous time.

Between events every neuron follows its closed form, so it is brought up to date only when
something reaches it. Most inputs move nothing else: a bound says until when the neuron cannot fire,
and only when that time comes is the crossing solved, from the state as last seen. So spikes do not
depend on when it was looked at. The cost follows events, not neurons or steps (Brette 2006, Neural Comput. 18, "Exact simulation of
integrate-and-fire models with synaptic conductances"; Morrison et al. 2007, Neural Comput. 19).

Time is a pair (int64 nanoseconds, float64 fraction of one): a difference of two times loses
nothing to the age of the run, as a single float64 of seconds would.
"""

from typing import NamedTuple

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from reflexarc.ext.crossing cimport next_crossing
from reflexarc.ext.exactedge cimport (
    TICKS,
    Pending,
    after_arrival,
    before_arrival,
    note_fired,
    note_pending,
    push_pending,
    reach,
    show,
    ticks,
)
from reflexarc.ext.instant cimport NS, Time, earlier, later, same, seconds_between
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
from reflexarc.ext.membrane cimport (
    ADAPTIVE_KIND,
    ALPHA_KIND,
    CURRENT_BASED_KIND,
    EXPONENTIAL_KIND,
    INTEGRATOR_KIND,
    LEAKY_KIND,
    POISSON_KIND,
    PORT_KIND,
    REGULAR_KIND,
    Model,
    Unit,
    add_charge,
    add_drive,
    advance,
    earliest,
    gain,
    peak,
)
from reflexarc.ext.transmitter cimport point_at

TIME = np.dtype([("ns", "i8"), ("frac", "f8")])
MODEL = np.dtype(
    [
        (name, "f8")
        for name in (
            "tau",
            "tau_syn1",
            "tau_syn2",
            "r",
            "v_leak",
            "v_threshold",
            "v_reset",
            "w_in",
            "tau_threshold",
            "threshold_jump",
            "refractory",
            "interval",
            "phase",
            "gain1",
            "gain2",
            "peak1",
            "peak2",
        )
    ]
    + [("kind", "i4"), ("layer", "i4")]
)
UNIT = np.dtype(
    [(name, "f8") for name in ("v", "current1", "current2", "drive", "charge")]
    + [("seen", TIME), ("touched", "i4"), ("awaited", "i4")]
    + [(name, "f8") for name in ("raised", "jump", "rise1", "rise2", "drive_low")]
    + [("random", "u8"), ("refractory", "i8"), ("padding", "i8")]
)
FIBRE = np.dtype(
    [("delay_ns", "f8"), ("begin", "i8"), ("end", "i8"), ("synapses", "i8"), ("bundle", "i8")]
    + [("row", "i8")]
)
EVENT = np.dtype([("at", TIME), ("value", "f8"), ("fibre", "i4"), ("kind", "i4")])
DUE = np.dtype([("at", TIME), ("unit", "i8")])
PENDING = np.dtype([("at", "i8"), ("target", "i8")])
LEVEL = np.dtype([("rate", "f8"), ("at", "i8")])
TICK_S = 1e-9 / TICKS
EMITTED = np.dtype([("at", TIME), ("area", "f8"), ("unit", "i8")])

cdef enum:  # kinds of event, why a unit was touched, and what it awaits
    _DIRAC = 1
    _CURRENT = 2
    _CROSSING = 4  # of the threshold, or the next spike of a generator
    _RELEASE = 8  # the end of the refractory time
    _CHECK = 16  # it cannot have fired before; whether it does is seen then

cdef enum:  # what a synapse acts on
    _TO_INPUT = 0
    _TO_VOLTAGE = 1
    _TO_FIRST = 2
    _TO_SECOND = 3
    _TO_LEVEL = 4

LEAKY = LEAKY_KIND
CURRENT_BASED = CURRENT_BASED_KIND
INTEGRATOR = INTEGRATOR_KIND
PORT = PORT_KIND
ADAPTIVE = ADAPTIVE_KIND
EXPONENTIAL = EXPONENTIAL_KIND
ALPHA = ALPHA_KIND
POISSON = POISSON_KIND
REGULAR = REGULAR_KIND
DIRAC = _DIRAC
CURRENT = _CURRENT
TO_INPUT = _TO_INPUT
TO_VOLTAGE = _TO_VOLTAGE
TO_FIRST = _TO_FIRST
TO_SECOND = _TO_SECOND
TO_LEVEL = _TO_LEVEL

#: A neuron that would fire again sooner than this is taken to fire without end.
cdef double _SHORTEST_INTERVAL_S = 1e-12
#: A spike foreseen later than this (a century) is not foreseen.
cdef double _HORIZON_S = 3e9
#: From here on an instant has no tick.
cdef int64_t _MOST_NS = <int64_t>1 << 55
#: After so many instants it is seen whether someone wants to interrupt.
cdef int64_t _MOST_INSTANTS = 100_000


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
    net.slot[due.unit] = <int32_t>place


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
    cdef int64_t place = net.slot[unit]
    cdef Due last
    if place < 0:
        return
    net.slot[unit] = -1
    net.unit[unit].awaited = 0
    net.due_count -= 1
    if place < net.due_count:
        last = net.due[net.due_count]
        settle_due(net, place, last)


cdef void foresee(
    Net* net, int64_t unit, Time at, double wait_s, int32_t what
) noexcept nogil:
    """Let `unit` await `what`, `wait_s` after `at`, and nothing else."""
    cdef Due due
    cdef int64_t place = net.slot[unit]
    if not wait_s <= _HORIZON_S:
        forget(net, unit)
        return
    if place < 0:
        place = net.due_count
        net.due_count += 1
    due.at = later(at, wait_s * NS)
    due.unit = unit
    net.unit[unit].awaited = what
    settle_due(net, place, due)


cdef inline void look_within(Net* net, int64_t unit, Time at, double wait_s) noexcept nogil:
    """See to it that `unit` is looked at again `wait_s` after `at`, or earlier.

    An entry that comes earlier anyway stays where it is: most inputs move nothing in the heap.
    """
    cdef int64_t place = net.slot[unit]
    if place < 0 or wait_s < seconds_between(at, net.due[place].at):
        foresee(net, unit, at, wait_s, _CHECK)
    else:
        net.unit[unit].awaited = _CHECK


cdef inline bint at_once(Time at, double wait_s) noexcept nogil:
    return wait_s * NS < 1.0 and same(later(at, wait_s * NS), at)


cdef void check(Net* net, int64_t unit, Time at) noexcept nogil:
    """Foresee better what the state as last seen leads to, and never before `at`."""
    cdef const Unit* u = &net.unit[unit]
    cdef const Model* m = &net.model[net.model_of[unit]]
    cdef double wait_s = earliest(u, m)
    cdef int32_t what = _CHECK
    if wait_s <= _HORIZON_S and not earlier(at, later(u.seen, wait_s * NS)):
        wait_s = next_crossing(u, m)
        what = _CROSSING
        if wait_s <= _HORIZON_S and earlier(later(u.seen, wait_s * NS), at):
            foresee(net, unit, at, 0.0, what)  # late by a rounding error
            return
    foresee(net, unit, u.seen, wait_s, what)


# --- generators -------------------------------------------------------------------------------

cdef inline double uniform(uint64_t* state) noexcept nogil:
    """A number in (0, 1]: SplitMix64 (Steele, Lea & Flood 2014, OOPSLA)."""
    cdef uint64_t z
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    z = z ^ (z >> 31)
    return (<double>(z >> 11) + 1.0) * 2.0**-53


cdef inline double next_interval(Unit* u, const Model* m) noexcept nogil:
    """Seconds to the next spike of a generator."""
    return m.interval if m.kind == REGULAR_KIND else -log(uniform(&u.random)) * m.interval


# --- one instant ------------------------------------------------------------------------------

cdef inline void touch(Net* net, int64_t unit, Time at, int32_t reason) noexcept nogil:
    """Bring `unit` to `at` and mark it for this instant."""
    cdef Unit* u = &net.unit[unit]
    cdef const Model* m
    if u.touched == 0:
        m = &net.model[net.model_of[unit]]
        advance(u, m, at)
        net.touched[net.layer_first[m.layer] + net.touched_count[m.layer]] = <int32_t>unit
        net.touched_count[m.layer] += 1
    u.touched |= reason


cdef inline void receive(
    Unit* u, const Model* m, int64_t receptor, int32_t kind, double weight, double value
) noexcept nogil:
    """Add to what the synapse acts on. The weight of a jump is the jump; see `add_charge`."""
    if kind == _CURRENT:
        add_drive(u, weight * value)
    elif receptor == _TO_INPUT:
        u.charge += weight * value
    elif receptor == _TO_VOLTAGE:
        u.jump += weight
    elif m.kind == ALPHA_KIND:  # the current peaks at `weight`, tau_syn after the spike
        if receptor == _TO_FIRST:
            u.rise1 += weight * exp(1.0) / m.tau_syn1
        else:
            u.rise2 += weight * exp(1.0) / m.tau_syn2
    elif receptor == _TO_FIRST:
        u.current1 += weight
    else:
        u.current2 += weight


cdef void change_level(Net* net, int64_t k, int64_t now, double amount) noexcept nogil:
    """Add to what modulator k shows, and tell the edges that learn from it."""
    cdef Level* of = &net.level_of[k]
    cdef int64_t n
    net.level[k] = net.level[k] * exp(-of.rate * <double>(now - of.at)) + amount
    of.at = now
    for n in range(net.edges):
        show(&net.edge[n], &net.level[k], now)


cdef void deliver(Net* net, int64_t fibre, Time at, int32_t kind, double value) noexcept nogil:
    cdef const Fibre* f = &net.fibre[fibre]
    cdef const Synapses* b = &net.bundle[f.bundle]
    cdef int64_t s, unit
    cdef double weight, share = 1.0
    if b.receptor == _TO_LEVEL:
        change_level(net, b.first, ticks(at), b.weight64[0] * value)
        return
    if b.edge != NULL:
        share = before_arrival(b.edge, f.row, ticks(at))
    for s in range(f.begin, f.end):
        unit = b.first + b.target[s]
        weight = b.weight64[s * b.stride] if b.weight64 != NULL else b.weight32[s * b.stride]
        weight *= share
        touch(net, unit, at, kind)
        receive(
            &net.unit[unit], &net.model[net.model_of[unit]], b.receptor, kind, weight, value
        )
    if kind == _DIRAC:
        net.synaptic_events += f.synapses
    if b.edge != NULL:
        net.weight_updates += after_arrival(b.edge, f.row, ticks(at))


cdef void send(Net* net, int64_t fibre, Time at, int32_t kind, double value) noexcept nogil:
    """Queue `value` for when it has passed `fibre`."""
    cdef Event event
    event.at = later(at, net.fibre[fibre].delay_ns)
    event.value = value
    event.fibre = <int32_t>fibre
    event.kind = kind
    push_event(net, event)


cdef void fire(Net* net, int64_t unit, Time at) noexcept nogil:
    """Reset, send the spike, and foresee what comes next."""
    cdef Unit* u = &net.unit[unit]
    cdef const Model* m = &net.model[net.model_of[unit]]
    cdef int64_t fibre, k
    net.spikes += 1
    for k in range(net.heard_by[m.layer], net.heard_by[m.layer + 1]):
        note_fired(&net.edge[net.hearer[k]], unit - net.layer_first[m.layer], ticks(at))
    for fibre in range(net.fibres_of[unit], net.fibres_of[unit + 1]):
        if net.fibre[fibre].delay_ns == 0.0:
            deliver(net, fibre, at, _DIRAC, net.spike_area)
        else:
            send(net, fibre, at, _DIRAC, net.spike_area)
    if net.recorded[m.layer]:
        record(net, unit, at, net.spike_area)
    u.v = m.v_reset
    u.raised += m.threshold_jump
    if is_generator(m):
        foresee(net, unit, at, next_interval(u, m), _CROSSING)
    elif m.refractory > 0.0:
        u.refractory = 1
        foresee(net, unit, at, m.refractory, _RELEASE)
    else:
        begin_interval(net, unit, at)


cdef inline bint is_generator(const Model* m) noexcept nogil:
    return m.kind == POISSON_KIND or m.kind == REGULAR_KIND


cdef void begin_interval(Net* net, int64_t unit, Time at) noexcept nogil:
    """Foresee what follows a reset at `at`, or stop if it is the next spike at once."""
    cdef const Unit* u = &net.unit[unit]
    cdef const Model* m = &net.model[net.model_of[unit]]
    cdef double wait_s = earliest(u, m)
    if wait_s < _SHORTEST_INTERVAL_S:
        wait_s = next_crossing(u, m)
        if wait_s < _SHORTEST_INTERVAL_S:
            net.runaway = unit
            wait_s = INFINITY
    foresee(net, unit, at, wait_s, _CHECK)


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
    cdef const Model* m = &net.model[net.model_of[unit]]
    cdef int32_t why = u.touched
    cdef double wait_s = 0.0
    net.neuron_updates += 1
    u.touched = 0
    if is_generator(m):
        fire(net, unit, at)
        return
    if why & _RELEASE:
        u.refractory = 0
    if why & _CROSSING and (at.ns > 0 or at.frac > 0.0):
        u.v = m.v_threshold + u.raised  # just reached; only at the very start v may be above
    add_charge(u, m)
    if u.refractory:
        return
    if why != _CROSSING:
        wait_s = earliest(u, m)
        if at_once(at, wait_s):
            wait_s = next_crossing(u, m)
    if at_once(at, wait_s):
        fire(net, unit, at)
    else:
        look_within(net, unit, at, wait_s)


cdef void pass_port(Net* net, int64_t unit, Time at) noexcept nogil:
    """Record what reached an output port."""
    cdef Unit* u = &net.unit[unit]
    record(net, unit, at, u.charge)
    u.charge = 0.0
    u.touched = 0


cdef void fall_due(Net* net, int64_t unit, Time at) noexcept nogil:
    """What `unit` has awaited is there."""
    cdef int32_t what = net.unit[unit].awaited
    if what != _CHECK:
        forget(net, unit)
        touch(net, unit, at, what)
    elif net.unit[unit].touched:
        forget(net, unit)  # it is looked at in this instant in any case
    else:
        check(net, unit, at)


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
        fall_due(net, net.due[0].unit, at)
    for layer in range(net.layers):
        first = net.layer_first[layer]
        for n in range(net.touched_count[layer]):
            unit = net.touched[first + n]
            if net.model[net.model_of[unit]].kind == PORT_KIND:
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

class Bundle(NamedTuple):
    """Synapses onto the units from `first` on. See the stub."""

    target: object
    weight: object
    first: int
    receptor: int


class Plastic(NamedTuple):
    """What changes about the synapses of a bundle. See the stub."""

    bundle: int
    layer: int
    lag: int


cdef class ExactEngine:
    """A network as arrays, its state, and `run`. See the stub for the contract."""

    def __init__(
        self, *, models, model_of, v, random, fibres_of, fibres, bundles, layer_first,
        double spike_area, edges=(), levels=None, levels_of=None
    ):
        units = np.zeros(len(model_of), UNIT)
        units["v"], units["random"] = v, random
        self.model_of, self.units = model_of, units
        self.models = np.array(models)
        self.fibres_of, self.fibres = fibres_of, fibres
        self.layer_first = layer_first
        self.recorded = np.zeros(len(layer_first), np.uint8)
        self.touched = np.zeros(len(units), np.int32)
        self.touched_count = np.zeros(len(layer_first), np.int64)
        self.due = np.zeros(len(units), DUE)
        self.slot = np.full(len(units), -1, np.int32)
        self.levels = np.zeros(0) if levels is None else levels
        self.levels_of = np.zeros(0, LEVEL) if levels_of is None else levels_of
        self._check_units(models, model_of, layer_first)
        self._check_fibres(models["kind"][model_of], fibres_of, fibres, bundles)
        self._keep(bundles)
        self._place_edges(edges)
        self._point(spike_area)
        self._complete_models()
        self._foresee_all()

    def _check_units(self, models, model_of, layer_first):
        """Refuse units without a model, and layers that do not stand one after another."""
        if not 0 <= model_of.min() <= model_of.max() < len(models):
            raise ValueError("model_of names a model that is not there")
        layer = models["layer"][model_of]
        first = np.searchsorted(layer, np.arange(len(layer_first)))
        if (np.diff(layer) < 0).any() or not np.array_equal(first, layer_first):
            raise ValueError("layers must stand one after another from layer_first")

    def _check_fibres(self, kind, fibres_of, fibres, bundles):
        """Refuse synapses that would lead outside the arrays."""
        if len(fibres_of) <= np.count_nonzero(kind != PORT):
            raise ValueError("fibres_of must name the fibres of every neuron")
        if fibres_of[0] != 0 or fibres_of.max() != len(fibres) or (np.diff(fibres_of) < 0).any():
            raise ValueError("fibres_of must rise from 0 to the number of fibres")
        if len(fibres) and not 0 <= fibres["bundle"].min() <= fibres["bundle"].max() < len(bundles):
            raise ValueError("a fibre is of a bundle that is not there")
        size = np.array([len(bundle[0]) for bundle in bundles], np.int64)
        if not (
            (fibres["begin"] >= 0).all()
            and (fibres["begin"] <= fibres["end"]).all()
            and (fibres["end"] <= size[fibres["bundle"]]).all()
        ):
            raise ValueError("a fibre has synapses outside target")
        for target, weight, first, receptor in bundles:
            if len(weight) not in (1, len(target)):
                raise ValueError("target and weight must be of equal length")
            units = len(kind) if receptor != TO_LEVEL else len(self.levels)
            if len(target) and not 0 <= first + target.min() <= first + target.max() < units:
                raise ValueError("target names a unit that is not there")
            if not TO_INPUT <= receptor <= TO_LEVEL:
                raise ValueError(f"there is no receptor {receptor}")

    cdef object _keep(self, bundles):
        """Point at the arrays of the bundles, which stay where they are."""
        cdef Synapses* b
        cdef const int32_t[::1] target
        cdef const double[::1] weight64
        cdef const float[::1] weight32
        cdef int64_t n
        self.kept = list(bundles)
        self.net.bundle = <Synapses*>calloc(max(len(bundles), 1), sizeof(Synapses))
        if self.net.bundle == NULL:
            raise MemoryError("no memory for the bundles")
        for n in range(len(bundles)):
            target, weight = bundles[n][0], bundles[n][1]
            b = &self.net.bundle[n]
            b.first, b.receptor = bundles[n][2], bundles[n][3]
            b.stride = 0 if len(weight) == 1 else 1
            if not len(target):
                continue
            b.target = &target[0]
            if weight.dtype == np.float64:
                weight64 = weight
                b.weight64 = &weight64[0]
            else:
                weight32 = weight
                b.weight32 = &weight32[0]

    cdef object _place_edges(self, edges):
        cdef PlasticEdge* e
        layers = np.array([edge.layer for edge in edges], np.int64)
        self.heard_by = np.searchsorted(np.sort(layers), np.arange(len(self.layer_first) + 1))
        self.hearers = np.append(np.argsort(layers, kind="stable"), 0)
        self.net.edge = <PlasticEdge*>calloc(len(edges) + 1, sizeof(PlasticEdge))
        if self.net.edge == NULL:
            raise MemoryError("no memory for the edges that learn")
        self.net.edges = len(edges)
        for k, edge in enumerate(edges):
            e = &self.net.edge[k]
            e.lag = edge.lag
            self.net.bundle[<int64_t>edge.bundle].edge = e

    cdef PlasticEdge* _edge(self, int64_t k) except NULL:
        if not 0 <= k < self.net.edges:
            raise IndexError(f"there is no edge {k} that changes")
        return &self.net.edge[k]

    cdef object _point(self, double spike_area):
        cdef Net* net = &self.net
        net.layers, net.units = self.layer_first.shape[0], self.units.shape[0]
        net.spike_area = spike_area
        net.runaway = -1
        net.fibres_of = &self.fibres_of[0]
        net.fibre = &self.fibres[0]
        net.heard_by, net.hearer = &self.heard_by[0], &self.hearers[0]
        net.model = &self.models[0]
        net.model_of = &self.model_of[0]
        net.unit = &self.units[0]
        net.layer_first = &self.layer_first[0]
        net.recorded = &self.recorded[0]
        net.touched = &self.touched[0]
        net.touched_count = &self.touched_count[0]
        net.due = &self.due[0]
        net.slot = &self.slot[0]
        if self.levels.shape[0]:
            net.level, net.level_of = &self.levels[0], &self.levels_of[0]

    cdef object _complete_models(self):
        cdef Model* m
        cdef int64_t n
        for n in range(self.models.shape[0]):
            m = &self.models[n]
            if m.tau_syn1 > 0.0:
                m.gain1, m.peak1 = gain(m.tau, m.tau_syn1), peak(m, m.tau_syn1)
            if m.tau_syn2 > 0.0:
                m.gain2, m.peak2 = gain(m.tau, m.tau_syn2), peak(m, m.tau_syn2)

    cdef object _foresee_all(self):
        cdef int64_t unit
        cdef Model* m
        cdef Unit* u
        for unit in range(self.net.units):
            m, u = &self.models[self.model_of[unit]], &self.units[unit]
            if m.kind == REGULAR_KIND:
                foresee(&self.net, unit, self.net.now, m.phase, _CROSSING)
            elif m.kind == POISSON_KIND:
                foresee(&self.net, unit, self.net.now, next_interval(u, m), _CROSSING)
            elif m.kind != PORT_KIND:
                foresee(&self.net, unit, self.net.now, earliest(u, m), _CHECK)

    def __dealloc__(self):
        cdef int64_t k
        for k in range(self.net.edges):
            tear_down(&self.net.edge[k].learner)
            free(self.net.edge[k].pending)
        free(self.net.edge)
        free(self.net.bundle)
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
        if self.net.edges and ns >= _MOST_NS:
            raise ValueError(f"edges that learn or tire have no time from {_MOST_NS} ns on, 417 days")
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
        cdef int64_t k
        for k in range(self.net.edges):
            self.net.exhausted |= self.net.edge[k].learner.exhausted
            self.net.edge[k].learner.exhausted = 0
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
            advance(&u, &self.net.model[self.model_of[unit]], self.net.now)
            v[unit - first] = u.v
        return v.base

    def counters(self):
        return {
            "synaptic_events": self.net.synaptic_events,
            "neuron_updates": self.net.neuron_updates,
            "spikes": self.net.spikes,
            "weight_updates": self.net.weight_updates,
        }

    def learn(self, int64_t k, edge):
        set_up(&self._edge(k).learner, edge)
        self.kept.append(edge)

    def transmit(self, int64_t k, release):
        point_at(&self._edge(k).transmitter, release)
        self.kept.append(release)

    def set_learning(self, int64_t k, bint on):
        cdef PlasticEdge* e = self._edge(k)
        note_pending(e, ticks(self.net.now))
        reach(&e.learner, ticks(self.net.now))
        if on:
            begin(&e.learner, ticks(self.net.now))
        else:
            end(&e.learner, ticks(self.net.now))

    def settle(self, int64_t k):
        cdef PlasticEdge* e = self._edge(k)
        cdef int64_t now = ticks(self.net.now)
        note_pending(e, now)
        reach(&e.learner, now)
        if e.learner.active:
            with nogil:
                settle_all(&e.learner)
        skip_to(&e.learner, now)

    def finish(self, int64_t k):
        finish_all(&self._edge(k).learner, ticks(self.net.now))

    def resume(self, int64_t k, bint active):
        cdef Learner* l = &self._edge(k).learner
        l.active = active
        resume(l, ticks(self.net.now))

    def pending(self, int64_t k):
        cdef const PlasticEdge* e = self._edge(k)
        cdef int64_t n
        found = np.empty(e.count, PENDING)
        cdef Pending[::1] out = found
        for n in range(e.count):
            out[n] = e.pending[(e.first + n) & (e.room - 1)]
        return found

    def set_pending(self, int64_t k, const Pending[::1] pending):
        cdef PlasticEdge* e = self._edge(k)
        cdef int64_t n
        e.first = e.count = 0
        for n in range(pending.shape[0]):
            if not push_pending(e, pending[n].target, pending[n].at):
                raise MemoryError("no memory to restore the state")

    def state(self):
        events = np.empty(self.net.events.count, EVENT)
        copy_out(events, self.net.events.at, events.nbytes)
        now = np.zeros((), TIME)
        now["ns"], now["frac"] = self.net.now.ns, self.net.now.frac
        return {
            "units": np.array(self.units),
            "events": in_order(events, "fibre", "kind", "value"),
            "due": in_order(np.array(self.due[: self.net.due_count]), "unit"),
            "now": now,
            "levels": np.array(self.levels),
            "levels_at": np.array(np.asarray(self.levels_of)["at"]),
            "work": np.array(list(self.counters().values()), np.int64),
        }

    def restore(self, state):
        cdef const Unit[::1] units
        cdef const Due[::1] due
        cdef int64_t place
        events = state["events"]
        self._check_state(state["units"], events, state["due"], state["now"], state["work"])
        self._check_levels(state["levels"], state["levels_at"], tick_of(state["now"]))
        units, due = np.ascontiguousarray(state["units"]), np.ascontiguousarray(state["due"])
        if not reserve_events(&self.net.events, events.size):
            raise MemoryError("no memory to restore the state")
        self.units[:] = units
        np.asarray(self.levels)[:] = state["levels"]
        np.asarray(self.levels_of)["at"] = state["levels_at"]
        self.slot[:] = -1
        self.net.due_count = due.shape[0]
        for place in range(due.shape[0]):
            put_due(&self.net, place, due[place])
        copy_in(self.net.events.at, np.ascontiguousarray(events), events.nbytes)
        self.net.events.count = events.size
        self.net.now.ns, self.net.now.frac = state["now"]["ns"], state["now"]["frac"]
        (
            self.net.synaptic_events,
            self.net.neuron_updates,
            self.net.spikes,
            self.net.weight_updates,
        ) = state["work"]

    def _check_state(self, units, events, due, now, work):
        """Refuse a state of another network, before anything is changed."""
        dtypes = [array.dtype for array in (units, events, due, now)]
        if dtypes != [UNIT, EVENT, DUE, TIME] or units.shape != (self.net.units,):
            raise ValueError("the state is of another network")
        if work.shape != (4,) or now.shape != () or due.ndim != 1 or events.ndim != 1:
            raise ValueError("the state is damaged: an array has the wrong shape")
        fibre = events["fibre"]
        if fibre.size and not 0 <= fibre.min() <= fibre.max() < self.fibres.shape[0]:
            raise ValueError("the state is of another network")
        awaiting = np.flatnonzero(units["awaited"])
        if not np.array_equal(np.sort(due["unit"]), awaiting):
            raise ValueError("the state is damaged: what is due does not match the units")

    def _check_levels(self, levels, at, now):
        if levels.shape != at.shape or levels.shape != (self.levels.shape[0],):
            raise ValueError("the state is of another network")
        if levels.size and not (np.isfinite(levels).all() and 0 <= at.min() <= at.max() <= now):
            raise ValueError("the state is damaged: a modulator of no level, or after its time")


def tick_of(now):
    """The tick of an instant of dtype TIME. See the stub."""
    cdef Time at
    at.ns, at.frac = now["ns"], now["frac"]
    return ticks(at)


def in_order(array, *then):
    """By time, `then` by other fields: one of many ways to lie as a heap, the same for all."""
    keys = [array["at"]["ns"], array["at"]["frac"], *(array[name] for name in then)]
    return array[np.lexsort(keys[::-1])]


cdef void copy_out(array, const void* source, size_t size):
    if size:
        memcpy(<void*><size_t>array.ctypes.data, source, size)


cdef void copy_in(void* target, array, size_t size):
    if size:
        memcpy(target, <void*><size_t>array.ctypes.data, size)
