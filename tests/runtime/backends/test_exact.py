"""The exact backend: closed forms, its contract, and what it refuses."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.stats import kstest

from reflexarc.runtime.backends.exact import ExactBackend
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.drive import Spikes, StepCurrent
from reflexarc.runtime.errors import ConfigError, GraphError, ReflexarcError, UnsupportedError
from reflexarc.runtime.network import (
    NEURON_PARAMETERS,
    RECEPTORS,
    Delay,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Projection,
    Threshold,
)
from reflexarc.runtime.plasticity import Pes

CLOSE_S = 1e-12
DAYS_30_NS = 30 * 86_400 * 1_000_000_000
LIF = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
CUBA = {
    "tau_syn": 0.005,
    "tau_mem": 0.02,
    "r": 1.0,
    "v_leak": 0.0,
    "v_threshold": 1.0,
    "v_reset": 0.0,
    "w_in": 1.0,
}
EXP = {
    "tau_mem": 0.02,
    "r": 1.0,
    "v_leak": 0.0,
    "v_threshold": 1.0,
    "v_reset": 0.0,
    "refractory": 0.0,
    "tau_excitatory": 0.005,
    "tau_inhibitory": 0.01,
    "i_offset": 0.0,
}
ALIF = {**LIF, "refractory": 0.0, "tau_threshold": 0.1, "threshold_jump": 0.3}
DELTA = {**LIF, "refractory": 0.0, "i_offset": 0.0}
IF = {"r": 1.0, "v_threshold": 1.0, "v_reset": 0.0}
LI = {"tau": 0.02, "r": 1.0, "v_leak": 0.0}


def neurons(name, kind, parameters, size=1):
    arrays = {key: np.full(size, value) for key, value in parameters.items()}
    return Neurons(name=name, shape=(size,), kind=kind, parameters=arrays)


def linear(name, weight, bias=None):
    weight = np.atleast_2d(np.array(weight, float))
    return Linear(name=name, shape=(len(weight),), weight=weight, bias=bias)


def projection(name, dense, delay_s=0.0, receptor=""):
    """The non-zero weights of `dense` (outputs, inputs) as a Projection."""
    dense = np.atleast_2d(np.array(dense, np.float32))
    source, target = np.nonzero(dense.T)
    return Projection(
        name=name,
        shape=(len(dense),),
        sources=dense.shape[1],
        rows=np.searchsorted(source, np.arange(dense.shape[1] + 1)),
        targets=target.astype(np.int32),
        weight=dense[target, source],
        delay_s=delay_s,
        receptor=receptor,
    )


def line(*nodes, **options):
    """The nodes one behind the other, between an Input and an Output of fitting size."""
    first = nodes[0]
    size = first.weight.shape[1] if isinstance(first, Linear) else first.size
    size = first.sources if isinstance(first, Projection) else size
    ports = Input(name="input", shape=(size,)), Output(name="output", shape=nodes[-1].shape)
    every = [ports[0], *nodes, ports[1]]
    edges = [(a.name, b.name) for a, b in pairwise(every)]
    return Network(nodes={node.name: node for node in every}, edges=tuple(edges), **options)


def compiled(*nodes, **options):
    return ExactBackend().compile(line(*nodes, **options))


def simulate(program, drives, until_s, **options):
    return program.run({"input": drives}, until_s, **options)


def spike_records(t_ns, i=0):
    records = np.zeros(len(t_ns), SPIKE)
    records["t_ns"], records["i"] = t_ns, i
    return records


def test_lif_under_a_constant_current_fires_with_its_period():
    period_s = LIF["tau"] * log(1.5 / 0.5)
    run = simulate(compiled(neurons("n", "LIF", LIF)), [StepCurrent(0, np.inf, 0, 1.5)], 1.0)
    expected_s = period_s * np.arange(1, 46)
    assert len(run.spikes["output"].t_s) == 45
    assert np.abs(run.spikes["output"].t_s - expected_s).max() < CLOSE_S


@pytest.mark.parametrize("kind", ["LIF", "DeltaLIF", "ExpLIF", "AlphaLIF"])
def test_refractory_time_golden_interval(kind):
    """NEST's iaf_psc_*: 400 pA into 250 pF, 15 mV, 10 ms, 2 ms refractory: 29.72589 ms."""
    p = {**EXP, "tau_mem": 0.01, "tau": 0.01, "r": 0.04, "v_threshold": 15.0, "refractory": 2e-3}
    names = (*NEURON_PARAMETERS[kind], "refractory")
    layer = neurons("n", kind, {name: p[name] for name in names})
    run = simulate(compiled(layer), [StepCurrent(0, np.inf, 0, 400.0)], 1.0)
    intervals_s = np.diff(run.spikes["output"].t_s)
    assert len(intervals_s) == 32
    assert np.abs(intervals_s - (0.002 + 0.01 * log(16))).max() < CLOSE_S
    assert intervals_s[0] == pytest.approx(29.72589e-3, abs=5e-9)


def test_a_refractory_neuron_is_held_and_takes_no_jump_while_its_current_goes_on():
    layer = neurons("n", "ExpLIF", {**EXP, "refractory": 4e-3})
    program = compiled(projection("w", [[10.0]]), layer, initial_v={"n": np.array([2.0])})
    drives = [Spikes([0.001], [0])]
    run = simulate(program, drives, 0.02, probes={"n": [0.003, 0.004, 0.006]})
    assert run.spikes["output"].t_s[0] == 0.0
    assert run.probes["n"][:2, 0].tolist() == [0.0, 0.0]
    current = 10 * exp(-0.003 / 0.005)
    rise = current / (1 - 0.02 / 0.005) * (exp(-0.002 / 0.005) - exp(-0.002 / 0.02))
    assert run.probes["n"][2, 0] == pytest.approx(rise, abs=1e-14)
    jumping = compiled(
        projection("w", [[0.75]]), neurons("n", "DeltaLIF", {**DELTA, "refractory": 4e-3})
    )
    run = simulate(
        jumping, [Spikes([0.0, 0.0, 0.003, 0.004], [0] * 4)], 0.02, probes={"n": [0.005]}
    )
    assert run.spikes["output"].t_s.tolist() == [0.0]
    assert run.probes["n"][0, 0] == pytest.approx(0.75 * exp(-0.001 / 0.02), abs=1e-15)


def test_an_adaptive_threshold_lengthens_the_intervals():
    run = simulate(compiled(neurons("n", "ALIF", ALIF)), [StepCurrent(0, np.inf, 0, 3.0)], 0.5)
    t_s = run.spikes["output"].t_s
    assert t_s[0] == pytest.approx(0.02 * log(3 / 2), abs=CLOSE_S)
    raised = 0.3 * exp(-(t_s[1] - t_s[0]) / 0.1)
    assert 3 * (1 - exp(-(t_s[1] - t_s[0]) / 0.02)) == pytest.approx(1 + raised, abs=1e-13)
    assert np.diff(t_s)[-1] > 2 * np.diff(t_s)[0]


@pytest.mark.parametrize(("factor", "count"), [(1 - 1e-13, 1), (1 + 1e-13, 2)])
def test_a_falling_threshold_that_grazes_the_voltage(factor, count):
    """A spike at 0 raises the threshold; of v, which falls more slowly, it is short by a hair."""
    p = {**ALIF, "tau_threshold": 0.005, "threshold_jump": 0.5}
    raised = 0.5 * exp(-0.001 / 0.005)

    def excess(v, t):
        return v * exp(-t / 0.02) - 1 - raised * exp(-t / 0.005)

    def highest(v):
        return excess(v, log(0.02 * raised / (0.005 * v)) / (1 / 0.005 - 1 / 0.02))

    critical = brentq(highest, 1.0, 1.0 + raised, xtol=1e-15)
    area = critical * factor * 0.02
    program = compiled(neurons("n", "ALIF", p), initial_v={"n": np.array([2.0])})
    run = simulate(program, [Spikes([0.001], [0], area)], 0.05)
    assert len(run.spikes["output"].t_s) == count


def test_an_alpha_current_peaks_at_its_weight():
    """The charge of w e t/tau exp(-t/tau) is w e tau."""
    layer = neurons("n", "AlphaLIF", {**EXP, "tau_mem": 1e6, "r": 1e6, "v_threshold": 1e9})
    program = compiled(projection("w", [[2.0]]), layer)
    run = simulate(program, [Spikes([0.0], [0])], 1.0, probes={"n": [0.5]})
    assert run.probes["n"][0, 0] == pytest.approx(2.0 * np.e * 0.005, rel=1e-6)


def generators(kind, size=1, **parameters):
    return neurons("n", kind, parameters, size)


def fed_by(layer, **options):
    """A network in which `layer` alone feeds the Output."""
    output = Output(name="output", shape=layer.shape)
    return Network(nodes={"n": layer, "output": output}, edges=(("n", "output"),), **options)


def test_a_regular_generator_keeps_its_phase():
    program = ExactBackend().compile(fed_by(generators("Regular", period=0.01, phase=0.003)))
    t_s = program.run({}, 0.05).spikes["output"].t_s
    assert np.abs(t_s - (0.003 + 0.01 * np.arange(5))).max() < CLOSE_S
    later_s = program.run({}, 0.05).spikes["output"].t_s
    assert np.abs(later_s - t_s).max() < CLOSE_S


def test_poisson_generators_have_exponential_intervals_and_a_seed():
    layer = generators("Poisson", 50, rate=40.0)
    run = ExactBackend().compile(fed_by(layer, seed=3)).run({}, 10.0).spikes["output"]
    gaps_s = np.concatenate([np.diff(run.t_s[run.i == k], prepend=0.0) for k in range(50)])
    assert kstest(gaps_s, "expon", args=(0, 1 / 40)).pvalue > 0.01
    again = ExactBackend().compile(fed_by(layer, seed=3)).run({}, 10.0).spikes["output"]
    other = ExactBackend().compile(fed_by(layer, seed=4)).run({}, 10.0).spikes["output"]
    assert again.t_s.tobytes() == run.t_s.tobytes()
    assert other.t_s.tobytes() != run.t_s.tobytes()
    silent = ExactBackend().compile(fed_by(generators("Poisson", rate=0.0)))
    assert len(silent.run({}, 10.0).spikes["output"].t_s) == 0


def test_a_projection_onto_the_input_is_a_linear_with_its_delay():
    rng = np.random.default_rng(5)
    weight = np.float32(rng.normal(1.0, 1.0, (4, 3)) * (rng.random((4, 3)) < 0.7))
    late = Delay(name="late", shape=(4,), delay_s=np.full(4, 0.002))
    layer = neurons("n", "CubaLIF", CUBA, 4)
    drives = [Spikes(rng.uniform(0, 0.1, 60), rng.integers(0, 3, 60), 0.05)]
    drives.append(StepCurrent(0.03, 0.06, 1, 2.0))
    dense = simulate(compiled(linear("w", weight), late, layer), drives, 0.15)
    sparse = simulate(compiled(projection("w", weight, 0.002), layer), drives, 0.15)
    assert len(dense.spikes["output"].t_s) > 10
    assert sparse.spikes["output"].t_s.tobytes() == dense.spikes["output"].t_s.tobytes()
    assert sparse.counters == dense.counters


def test_a_jump_is_the_weight_whatever_the_area():
    found = []
    for area in (0.001, 1.0):
        program = compiled(
            projection("w", [[0.25]]), neurons("n", "DeltaLIF", DELTA), spike_area=area
        )
        drives = [Spikes([0.001, 0.001], [0, 0])]
        run = simulate(program, drives, 0.01, probes={"n": [0.0015]})
        found.append(run.probes["n"][0, 0])
    assert found[0] == found[1] == pytest.approx(0.5 * exp(-0.0005 / 0.02), abs=1e-15)


def test_one_weight_for_all_and_a_target_that_comes_twice():
    twice = Projection(
        name="w",
        shape=(2,),
        sources=1,
        rows=np.array([0, 3]),
        targets=np.array([0, 1, 1], np.int32),
        weight=np.array([0.25], np.float32),
    )
    program = compiled(twice, neurons("n", "DeltaLIF", DELTA, 2))
    run = simulate(program, [Spikes([0.001], [0])], 0.01, probes={"n": [np.nextafter(0.001, 1)]})
    assert run.probes["n"][0].tolist() == [0.25, 0.5]
    assert run.counters.synaptic_events == 3


def test_a_current_cannot_jump():
    program = compiled(projection("w", [[0.25]]), neurons("n", "DeltaLIF", DELTA))
    with pytest.raises(ConfigError, match="'input': a current cannot reach the receptor 'jump'"):
        simulate(program, [StepCurrent(0, 1, 0, 1.0)], 0.1)


def test_large_projections_are_used_as_they_lie():
    """No copy of the synapses, and no loop over them: two million compile at once."""
    rng = np.random.default_rng(0)
    size, degree = 20_000, 100
    source, target = np.divmod(np.sort(rng.integers(0, size**2, size * degree)), size)
    big = Projection(
        name="w",
        shape=(size,),
        sources=size,
        rows=np.searchsorted(source, np.arange(size + 1)),
        targets=target.astype(np.int32),
        weight=np.ones(1, np.float32),
        delay_s=0.001,
    )
    layer = neurons("n", "ExpLIF", EXP, size)
    nodes = {"w": big, "n": layer}
    network = Network(nodes=nodes, edges=(("n", "w"), ("w", "n")))
    tracemalloc.start()
    ExactBackend().compile(network)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * big.targets.nbytes  # the check of the targets, the units, the fibres


def test_if_fires_when_the_charge_is_reached():
    run = simulate(compiled(neurons("n", "IF", IF)), [StepCurrent(0.5, 3.6, 0, 1.0)], 9.0)
    assert np.abs(run.spikes["output"].t_s - [1.5, 2.5, 3.5]).max() < CLOSE_S


def test_a_jump_onto_the_threshold_does_not_fire_and_above_it_does():
    network = neurons("n", "LIF", {**LIF, "tau": 2.0**-7})
    on = simulate(compiled(network), [Spikes([2.0**-10], [0], 2.0**-7)], 0.01)
    above = simulate(compiled(network), [Spikes([2.0**-10], [0], np.nextafter(2.0**-7, 1))], 0.01)
    assert len(on.spikes["output"].t_s) == 0
    assert above.spikes["output"].t_s.tolist() == [2.0**-10]


def test_inputs_of_one_instant_are_summed_before_the_test():
    together = [Spikes([0.003, 0.003], [0, 0], [0.05, -0.04])]
    run = simulate(compiled(neurons("n", "LIF", LIF)), together, 0.01)
    assert len(run.spikes["output"].t_s) == 0


def test_equal_time_constants_follow_the_alpha_function():
    parameters = {**CUBA, "tau_syn": 0.01, "tau_mem": 0.01, "v_threshold": 100.0}
    t_s = np.array([0.001, 0.01, 0.05])
    program = compiled(neurons("n", "CubaLIF", parameters))
    run = simulate(program, [Spikes([0.0], [0], 0.05)], 0.06, probes={"n": t_s})
    expected_v = 5.0 * t_s / 0.01 * np.exp(-t_s / 0.01)
    assert np.abs(run.probes["n"][:, 0] - expected_v).max() < 1e-14


@pytest.mark.parametrize("apart", [1e-15, 1e-12, 1e-9, 1e-6])
def test_nearly_equal_time_constants_lose_no_digits(apart):
    def spikes(tau_syn):
        layer = neurons("n", "CubaLIF", {**CUBA, "tau_syn": tau_syn, "tau_mem": 0.01})
        return simulate(compiled(layer), [Spikes([0.0], [0], 0.05)], 0.05).spikes["output"].t_s

    equal_s, near_s = spikes(0.01), spikes(0.01 * (1 + apart))
    assert len(equal_s) == len(near_s) == 2
    assert np.abs(near_s - equal_s).max() < 0.1 * apart + 1e-16


def test_a_peak_that_grazes_the_threshold():
    critical_area = 0.02 * 4 ** (1 / 3)
    for factor, count in ((1 - 1e-13, 0), (1 + 1e-13, 1)):
        layer = neurons("n", "CubaLIF", CUBA)
        run = simulate(compiled(layer), [Spikes([0.002], [0], critical_area * factor)], 0.06)
        assert len(run.spikes["output"].t_s) == count


def test_cuba_falls_first_and_then_rises_through_the_threshold():
    """An inhibitory current decays while a constant one drives the membrane."""
    program = compiled(neurons("n", "CubaLIF", CUBA))
    drives = [StepCurrent(0, np.inf, 0, 2.0), Spikes([0.0], [0], -0.1)]
    t_s = simulate(program, drives, 0.1).spikes["output"].t_s

    def v(t):
        a, b = -2.0, -22.0 * 0.005 / (0.005 - 0.02)
        return 2.0 + (a - b) * exp(-t / 0.02) + b * exp(-t / 0.005)

    assert v(t_s[0]) == pytest.approx(1.0, abs=1e-13)
    assert all(v(t) < 1 for t in np.linspace(0, t_s[0] - 1e-9, 1000))


def test_a_bias_is_a_constant_current_that_a_delay_holds_back():
    delay = Delay(name="delay", shape=(1,), delay_s=np.array([0.004]))
    weight = linear("weight", [[1.0]], bias=np.array([1.5]))
    run = simulate(compiled(weight, delay, neurons("n", "LIF", LIF)), [], 0.03)
    assert run.spikes["output"].t_s == pytest.approx([0.004 + 0.02 * log(3)], abs=CLOSE_S)


def test_decimal_delays_meet_at_one_instant():
    """1 ms + 4.1 ms and 5.1 ms are one instant: the inhibition comes in time."""
    nodes = {
        "input": Input(name="input", shape=(1,)),
        "late": Delay(name="late", shape=(1,), delay_s=np.array([0.0041])),
        "go": Input(name="go", shape=(1,)),
        "minus": linear("minus", [[-1.0]]),
        "n": neurons("n", "LIF", LIF),
        "output": Output(name="output", shape=(1,)),
    }
    edges = (("input", "late"), ("late", "minus"), ("minus", "n"), ("go", "n"), ("n", "output"))
    program = ExactBackend().compile(Network(nodes=nodes, edges=edges, spike_area=0.03))
    run = program.run({"input": [Spikes([0.001], [0])], "go": [Spikes([0.0051], [0])]}, 0.01)
    assert len(run.spikes["output"].t_s) == 0


def test_a_diamond_reaches_its_end_once():
    """Two ways of equal delay through different numbers of layers, into one instant."""
    nodes = [
        Input(name="input", shape=(1,)),
        neurons("a", "LIF", LIF),
        neurons("b", "LIF", LIF),
        linear("minus", [[-1.0]]),
        neurons("end", "LIF", LIF),
        Output(name="output", shape=(1,)),
    ]
    edges = (
        ("input", "a"),
        ("a", "b"),
        ("a", "end"),
        ("b", "minus"),
        ("minus", "end"),
        ("end", "output"),
    )
    network = Network(nodes={node.name: node for node in nodes}, edges=edges, spike_area=0.03)
    run = (
        ExactBackend()
        .compile(network)
        .run({"input": [Spikes([0.001], [0])]}, 0.01, record=["a", "b", "end"])
    )
    counts = {name: len(run.spikes[name].t_s) for name in ("a", "b", "end")}
    assert counts == {"a": 1, "b": 1, "end": 0}


def test_a_delayed_loop_runs():
    delay = Delay(name="delay", shape=(1,), delay_s=np.array([0.01]))
    network = line(neurons("n", "LIF", LIF), spike_area=0.03)
    looped = Network(
        nodes={**network.nodes, "delay": delay},
        edges=(*network.edges, ("n", "delay"), ("delay", "n")),
        spike_area=0.03,
    )
    run = simulate(ExactBackend().compile(looped), [Spikes([0.001], [0])], 0.05)
    assert run.spikes["output"].t_s == pytest.approx([0.001, 0.011, 0.021, 0.031, 0.041])


def test_chained_weights_multiply_and_parallel_ones_add():
    first, second = np.array([[1.0, 2.0], [0.0, -1.0], [0.5, 0.0]]), np.array([[1.0, 3.0, -2.0]])
    integrator = neurons("n", "I", {"r": 1.0})
    program = compiled(linear("first", first), linear("second", second), integrator)
    run = simulate(program, [Spikes([0.001, 0.002], [0, 1], 1.0)], 0.01, probes={"n": [0.0015]})
    assert run.probes["n"][0, 0] == (second @ first)[0, 0]
    assert run.outputs["output"][0, 0] == (second @ first).sum()
    assert program.counters().synaptic_events == 1  # the first weight cancels to zero


def test_weights_are_a_copy():
    weight = linear("weight", [[1.0, 2.0]])
    program = compiled(weight, neurons("n", "LIF", LIF))
    program.weights("weight")[:] = 0
    assert np.array_equal(program.weights("weight"), weight.weight)
    with pytest.raises(ConfigError, match="'n' is no Linear"):
        program.weights("n")


def test_initial_voltage():
    run = simulate(
        compiled(neurons("n", "LI", LI), initial_v={"n": np.array([2.0])}),
        [],
        0.02,
        probes={"n": [0.0, 0.02]},
    )
    assert run.probes["n"][:, 0] == pytest.approx([2.0, 2.0 / np.e], abs=1e-15)


def test_silent_neurons_cost_nothing():
    """The same work among 3 neurons and among 30,000."""
    counters = []
    for size in (3, 30_000):
        layer = neurons("n", "CubaLIF", CUBA, size)
        run = simulate(compiled(layer), [Spikes([0.001, 0.002], [0, 1], 0.08)], 1.0)
        counters.append(run.counters)
    assert counters[0] == counters[1]
    assert 0 < counters[0].neuron_updates < 20


def test_step_shows_voltage_charge_or_spikes():
    volts = compiled(neurons("n", "LI", LI), spike_area=0.02)
    assert volts.step(20_000_000, {"input": spike_records([0])})["output"] == [exp(-1.0)]
    charge = compiled(neurons("n", "LIF", LIF), linear("weight", [[0.5]]), spike_area=0.03)
    shown = charge.step(1_000_000, {"input": spike_records([0, 10])})
    assert shown["output"].tolist() == [0.03]
    fired = compiled(neurons("n", "LIF", LIF), spike_area=0.03)
    assert fired.step(1_000_000, {"input": spike_records([7])})["output"].tolist() == [(7, 0)]


def test_a_vector_is_a_current_for_its_step_only():
    program = compiled(neurons("n", "I", {"r": 1.0}, 2))
    program.step(1_000_000_000, {"input": np.array([1.0, 3.0])})
    v = program.step(5_000_000_000, {})["output"]
    assert v.tolist() == [1.0, 3.0]


def test_thirty_days_of_uptime_change_no_bit():
    nodes = linear("weight", np.ones((2, 2)) * 0.6), neurons("n", "CubaLIF", CUBA, 2)
    drives = [Spikes([0.0010001, 0.0073], [0, 1], 0.1), StepCurrent(0.01, 0.2, 1, 2.5)]
    fresh, aged = compiled(*nodes), compiled(*nodes)
    aged.step(DAYS_30_NS, {})
    expected = simulate(fresh, drives, 0.3, probes={"n": [0.1, 0.3]})
    found = simulate(aged, drives, 0.3, probes={"n": [0.1, 0.3]})
    assert len(expected.spikes["output"].t_s) > 20
    assert found.spikes["output"].t_s.tobytes() == expected.spikes["output"].t_s.tobytes()
    assert found.probes["n"].tobytes() == expected.probes["n"].tobytes()


def test_what_exact_mode_cannot_do_is_refused_by_name():
    lif = neurons("n", "LIF", LIF)
    looped = Network(nodes={"n": lif, "w": linear("w", [[1.0]])}, edges=(("n", "w"), ("w", "n")))
    with pytest.raises(UnsupportedError, match=r"n -> w -> n|w -> n -> w.*Delay"):
        ExactBackend().compile(looped)
    relays = {"w": linear("w", [[1.0]]), "d": Delay(name="d", shape=(1,), delay_s=np.ones(1))}
    with pytest.raises(UnsupportedError, match="no neuron"):
        ExactBackend().compile(Network(nodes=relays, edges=(("w", "d"), ("d", "w"))))
    with pytest.raises(UnsupportedError, match="'li' hands on a voltage"):
        compiled(neurons("li", "LI", LI), lif)
    with pytest.raises(UnsupportedError, match="t: the exact backend cannot run a Threshold"):
        compiled(Threshold(name="t", shape=(1,), threshold=np.ones(1)), lif)
    with pytest.raises(UnsupportedError, match="plasticity 'w': rule pes is defined by clock"):
        compiled(linear("w", [[1.0]]), lif, plasticity={"w": Pes(modulator="n", learning_rate=1)})
    with pytest.raises(UnsupportedError, match="bias cannot reach an Output"):
        compiled(lif, linear("w", [[1.0]], bias=np.ones(1)))
    with pytest.raises(UnsupportedError, match=r"n: AdEx has no closed form.*clocked"):
        compiled(neurons("n", "AdEx", {"c": 1.0}))
    late = Delay(name="late", shape=(1,), delay_s=np.ones(1))
    with pytest.raises(UnsupportedError, match=r"late -> w: .*Projection begins at"):
        compiled(late, projection("w", [[1.0]]), lif)
    with pytest.raises(UnsupportedError, match="shares the port"):
        network = line(neurons("li", "LI", LI))
        ExactBackend().compile(
            Network(nodes=network.nodes, edges=(*network.edges, ("input", "output")))
        )


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (neurons("n", "LIF", {**LIF, "v_reset": 1.0}), "v_reset must be below v_threshold"),
        (neurons("n", "LIF", {**LIF, "tau": 0.0}), "tau must be above 0"),
        (neurons("n", "LIF", {**LIF, "r": np.nan}), "r must be 1 finite"),
        (Delay(name="n", shape=(1,), delay_s=np.array([1e-15])), "delay must be 0, or"),
        (Delay(name="n", shape=(1,), delay_s=np.array([-1.0])), "delay must be 0, or"),
        (linear("n", [[np.inf]]), "finite"),
        (neurons("n", "LIF", {**LIF, "refractory": 1e-13}), "refractory must be 0, or"),
        (generators("Poisson", rate=-1.0), "rate must not be negative"),
        (generators("Regular", period=0.0, phase=0.0), "period must be at least"),
        (neurons("n", "ExpLIF", LIF), "ExpLIF needs tau_mem"),
        (projection("n", [[np.nan]]), "every weight must be finite"),
        (projection("n", [[1.0]], delay_s=-1.0), "delay_s must be 0 or more"),
        (
            replace(projection("n", [[1.0]]), rows=np.array([0, 2])),
            "rows must ascend to the number",
        ),
        (replace(projection("n", [[1.0]]), rows=np.array([1, 1])), "rows must be int64 of shape"),
        (
            replace(projection("n", [[1.0]]), targets=np.ones(1, np.int32)),
            "targets must lie within",
        ),
    ],
)
def test_nodes_without_a_meaning_are_refused(node, message):
    with pytest.raises(GraphError, match=f"n: .*{message}"):
        compiled(node)


def test_edges_that_do_not_fit_are_refused():
    network = line(neurons("n", "LIF", LIF, 2))
    for edges, message in (
        ((("input", "nobody"),), "no node 'nobody'"),
        ((("input", "w"),), "2 elements cannot feed 3"),
    ):
        nodes = {**network.nodes, "w": linear("w", np.ones((1, 3)))}
        with pytest.raises(GraphError, match=message):
            ExactBackend().compile(Network(nodes=nodes, edges=edges))
    with pytest.raises(GraphError, match="w -> n: LIF has no 'jump'; it has: input"):
        compiled(projection("w", [[1.0]], receptor="jump"), neurons("n", "LIF", LIF))
    with pytest.raises(GraphError, match="w -> output: a Projection ends at a layer"):
        compiled(projection("w", [[1.0]]))
    with pytest.raises(GraphError, match="input -> n: a Poisson generator takes no input"):
        compiled(generators("Poisson", rate=1.0))
    with pytest.raises(GraphError, match=r"initial_v\.n"):
        compiled(neurons("n", "LIF", LIF), initial_v={"n": np.zeros(3)})


def test_wrong_names_and_times_of_a_run_are_refused():
    program = compiled(neurons("n", "LIF", LIF))
    for inputs, options, message in (
        ({"inptu": []}, {}, "no such port"),
        ({"input": [Spikes([0.0], [1])]}, {}, "index 1 of 1"),
        ({}, {"probes": {"output": [0.0]}}, "'output' is not a layer"),
        ({}, {"probes": {"n": [2.0]}}, "times of 'n'"),
        ({}, {"record": ["input"]}, "'input' is not a layer of spiking"),
    ):
        with pytest.raises(ConfigError, match=message):
            program.run(inputs, 1.0, **options)
    with pytest.raises(ConfigError, match="until_s"):
        program.run({}, np.inf)
    straight = Network(
        nodes={"a": Input(name="a", shape=(1,)), "b": Output(name="b", shape=(1,))},
        edges=(("a", "b"),),
    )
    with pytest.raises(ConfigError, match="a current cannot reach an Output"):
        ExactBackend().compile(straight).run({"a": [StepCurrent(0, 1, 0, 1)]}, 1.0)
    run = ExactBackend().compile(straight).run({"a": [Spikes([0.25], [0])]}, 1.0)
    assert run.spikes["b"].t_s.tolist() == [0.25]


def test_a_refused_step_changes_nothing():
    program = compiled(neurons("n", "LIF", LIF))
    program.step(1000, {"input": spike_records([10])})
    before = program.state()
    for until_ns, inputs in (
        (999, {}),
        (2000, {"input": spike_records([999])}),
        (2000, {"input": spike_records([2000])}),
        (2000, {"input": spike_records([1500], 1)}),
        (2000, {"input": np.ones(2)}),
        (2000, {"input": np.array([np.nan])}),
        (2000, {"other": np.ones(1)}),
    ):
        with pytest.raises(ValueError, match=r"input|until_ns"):
            program.step(until_ns, inputs)
    assert_same_state(before, program.state())


def test_firing_without_end_is_an_error_that_names_the_neuron():
    program = compiled(neurons("n", "LIF", LIF, 3))
    with pytest.raises(ReflexarcError, match="neuron 1 of layer 'n' fires without end"):
        simulate(program, [StepCurrent(0, 1, 1, 1e13)], 0.1)


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    assert all(a[key].tobytes() == b[key].tobytes() for key in a)


@st.composite
def feedforward(draw, layers=2, size=3):
    """A random network of current-based layers, one of them behind delays."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes = []
    for number in range(layers):
        weight = rng.normal(1.0, 2.0, (size, size)) * (rng.random((size, size)) < 0.8)
        nodes.append(linear(f"w{number}", weight))
        if number:
            delay_s = rng.uniform(1e-4, 3e-3, size)
            nodes.append(Delay(name=f"d{number}", shape=(size,), delay_s=delay_s))
        parameters = {
            "tau_syn": rng.uniform(2e-3, 2e-2, size),
            "tau_mem": rng.uniform(2e-3, 2e-2, size),
            "r": rng.uniform(0.5, 2, size),
            "v_leak": rng.uniform(-0.2, 0.2, size),
            "v_threshold": rng.uniform(0.5, 1, size),
            "v_reset": rng.uniform(-0.5, 0, size),
            "w_in": rng.uniform(0.5, 1.5, size),
        }
        nodes.append(
            Neurons(name=f"n{number}", shape=(size,), kind="CubaLIF", parameters=parameters)
        )
    return line(*nodes, spike_area=0.01), rng


def random_records(rng, until_ns, count=40, size=3):
    t_ns = np.sort(rng.integers(0, until_ns, count))
    return spike_records(t_ns, rng.integers(0, size, count))


@settings(max_examples=25, deadline=None)
@given(feedforward())
def test_split_of_steps_and_one_run_agree(case):
    network, rng = case
    until_ns = 50_000_000
    records = random_records(rng, until_ns)
    whole = ExactBackend().compile(network).step(until_ns, {"input": records})["output"]
    split = ExactBackend().compile(network)
    parts, begin = [], 0
    for end in [*np.sort(rng.integers(0, until_ns, 7)).tolist(), until_ns]:
        inside = records[(records["t_ns"] >= begin) & (records["t_ns"] < end)]
        parts.append(split.step(end, {"input": inside})["output"])
        begin = end
    drives = [Spikes(records["t_ns"] / 1e9, records["i"])]
    run = simulate(ExactBackend().compile(network), drives, until_ns / 1e9).spikes["output"]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert np.floor(run.t_s * 1e9 + 1e-6).astype(int).tolist() == whole["t_ns"].tolist()


@settings(max_examples=25, deadline=None)
@given(feedforward())
def test_going_on_after_restore_equals_never_having_stopped(case):
    network, rng = case
    records = random_records(rng, 40_000_000)
    first, second = records[records["t_ns"] < 20_000_000], records[records["t_ns"] >= 20_000_000]
    steady, restored = ExactBackend().compile(network), ExactBackend().compile(network)
    steady.step(20_000_000, {"input": first})
    restored.step(7_000_000, {})
    restored.restore(steady.state())
    expected = steady.step(60_000_000, {"input": second})["output"]
    assert restored.step(60_000_000, {"input": second})["output"].tobytes() == expected.tobytes()
    assert_same_state(steady.state(), restored.state())


def mixed_network(rng, size=6):
    """Every kind that exact mode has, in delayed loops, fed by generators."""
    uniform = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "refractory": 2e-3}
    p = {**EXP, **ALIF, **CUBA, **uniform, "rate": 200.0, "period": 7e-3, "phase": 1e-3}
    kinds = ["Poisson", "Regular", "LIF", "ALIF", "DeltaLIF", "ExpLIF", "AlphaLIF", "CubaLIF"]
    nodes, edges = [], []
    for kind in kinds:
        names = dict.fromkeys(
            (*NEURON_PARAMETERS[kind], "refractory")[: 1 if kind == "Poisson" else None]
        )
        values = {name: p[name] * rng.uniform(0.7, 1.3, size) for name in names if p[name]}
        values |= {name: np.zeros(size) for name in names if not p[name]}
        nodes.append(Neurons(name=kind, shape=(size,), kind=kind, parameters=values))
        nodes.append(Output(name=f"of {kind}", shape=(size,)))
        edges.append((kind, f"of {kind}"))
    for kind in kinds[2:]:
        for source in kinds:
            for receptor in RECEPTORS[kind]:
                scale = 20.0 if receptor == "input" else 0.5
                weight = rng.normal(0.0, scale, (size, size)) * (rng.random((size, size)) < 0.4)
                name = f"{source} > {kind} {receptor}"
                nodes.append(projection(name, weight, rng.uniform(1e-4, 3e-3), receptor))
                edges += [(source, name), (name, kind)]
    return Network(
        nodes={node.name: node for node in nodes}, edges=tuple(edges), spike_area=1e-3, seed=7
    )


@pytest.mark.parametrize("seed", range(6))
def test_stopping_anywhere_changes_nothing(seed):
    """Also between a check and what it leads to: stops fall on every kind of instant."""
    rng = np.random.default_rng(seed)
    network = mixed_network(rng)
    until_ns = 60_000_000
    steady = ExactBackend().compile(network)
    whole = steady.step(until_ns, {})
    assert all(len(spikes) > 0 for spikes in whole.values())
    halting = ExactBackend().compile(network)
    parts = {name: [] for name in whole}
    for end in [*np.sort(rng.integers(0, until_ns, 40)).tolist(), until_ns]:
        for name, spikes in halting.step(end, {}).items():
            parts[name].append(spikes)
        state, halting = halting.state(), ExactBackend().compile(network)
        halting.step(5_000_000, {})
        halting.restore(state)
    for name, spikes in whole.items():
        assert np.concatenate(parts[name]).tobytes() == spikes.tobytes()
    assert_same_state(steady.state(), halting.state())


@settings(max_examples=25, deadline=None)
@given(feedforward(), st.integers(0, 10**18))
def test_a_shift_in_time_changes_nothing(case, shift_ns):
    network, rng = case
    quiet = {name: np.zeros(node.size) for name, node in network.nodes.items()}
    nodes = {
        name: Neurons(
            name=name,
            shape=node.shape,
            kind=node.kind,
            parameters={**node.parameters, "v_leak": quiet[name]},
        )
        if isinstance(node, Neurons)
        else node
        for name, node in network.nodes.items()
    }
    network = Network(nodes=nodes, edges=network.edges, spike_area=network.spike_area)
    records = random_records(rng, 30_000_000)
    early = ExactBackend().compile(network).step(50_000_000, {"input": records})["output"]
    late = ExactBackend().compile(network)
    late.step(shift_ns, {})
    records["t_ns"] += shift_ns
    shifted = late.step(50_000_000 + shift_ns, {"input": records})["output"]
    assert (shifted["t_ns"] - shift_ns).tolist() == early["t_ns"].tolist()
    assert shifted["i"].tolist() == early["i"].tolist()


@settings(max_examples=25, deadline=None)
@given(feedforward())
def test_the_order_of_inputs_does_not_matter(case):
    network, rng = case
    records = random_records(rng, 30_000)  # crowded: many instants are shared
    shuffled = rng.permutation(records)
    programs = [ExactBackend().compile(network) for _ in range(2)]
    found = [
        program.step(50_000_000, {"input": values})["output"].tobytes()
        for program, values in zip(programs, (records, shuffled), strict=True)
    ]
    assert found[0] == found[1]
    assert_same_state(programs[0].state(), programs[1].state())


def feedforward_case(seed):
    """One network of `feedforward`'s kind without delays, and its generator."""
    rng = np.random.default_rng(seed)
    nodes = []
    for number in range(2):
        nodes.append(linear(f"w{number}", rng.normal(1.5, 1.5, (3, 3))))
        nodes.append(neurons(f"n{number}", "CubaLIF", {**CUBA, "v_leak": 0.1}, 3))
    return line(*nodes, spike_area=0.01), rng


def reference_spikes(layer, weight, arrivals, until_s):
    """Spikes of one current-based layer by a general ODE solver with event location."""
    found = []
    p = layer.parameters
    for k in range(layer.size):
        state, now = np.zeros(2), 0.0

        def slope(_t, y, k=k):
            dv = (p["v_leak"][k] - y[0] + p["r"][k] * y[1]) / p["tau_mem"][k]
            return [dv, -y[1] / p["tau_syn"][k]]

        def crossing(_t, y, k=k):
            return y[0] - p["v_threshold"][k]

        crossing.terminal, crossing.direction = True, 1
        for at, charges in [*arrivals, (until_s, np.zeros(weight.shape[1]))]:
            while now < at:
                piece = solve_ivp(
                    slope, (now, at), state, "DOP853", events=crossing, rtol=1e-12, atol=1e-13
                )
                now, state = piece.t[-1], piece.y[:, -1]
                if piece.status == 1:
                    found.append((now, k))
                    state = np.array([p["v_reset"][k], state[1]])
            state[1] += p["w_in"][k] * (weight[k] @ charges) / p["tau_syn"][k]
    return sorted(found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_against_a_general_ode_solver(seed):
    """Two layers without delay: the reference feeds the second with what the first fired."""
    network, rng = feedforward_case(seed)
    until_s, area = 0.03, network.spike_area
    records = random_records(rng, 20_000_000, count=12)
    drive = Spikes(records["t_ns"] / 1e9, records["i"])
    run = simulate(ExactBackend().compile(network), [drive], until_s, record=["n0", "n1"])
    arrivals = sorted((t, i) for t, i in zip(drive.t_s, drive.i, strict=True))
    for number in range(2):
        pulses = [(t, area * np.eye(3)[i]) for t, i in arrivals]
        weight = network.nodes[f"w{number}"].weight
        expected = reference_spikes(network.nodes[f"n{number}"], weight, pulses, until_s)
        found = run.spikes[f"n{number}"]
        order = np.lexsort((found.i, found.t_s))
        assert found.i[order].tolist() == [i for _, i in expected]
        assert np.abs(found.t_s[order] - [t for t, _ in expected]).max(initial=0.0) < 1e-9
        arrivals = expected
    assert len(run.spikes["n1"].t_s) > 3
