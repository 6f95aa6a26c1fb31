"""The clocked backend: the contract, order of evaluation, delays, dialects, learning."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.ext.clocked import ClockedEngine
from reflexarc.ext.plasticity import TRACE_FLOOR
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.contract import three_neurons
from reflexarc.runtime.backends.lowering import lower
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.dialect import DIALECTS
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import (
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Scale,
    Threshold,
)

MS = 1_000_000


def layer(name, kind, size=1, **values):
    parameters = {key: np.full(size, float(value)) for key, value in values.items()}
    return Neurons(name=name, shape=(size,), kind=kind, parameters=parameters)


def lif(name, size=1, **values):
    default = {"tau": 0.01, "r": 1, "v_leak": 0, "v_threshold": 1, "v_reset": 0}
    return layer(name, "LIF", size, **{**default, **values})


def linear(name, weight, bias=None):
    weight = np.atleast_2d(np.asarray(weight, float))
    bias = None if bias is None else np.asarray(bias, float)
    return Linear(name=name, shape=(len(weight),), weight=weight, bias=bias)


def net(*nodes, edges, **keys):
    pairs = tuple(tuple(edge.split(">")) for edge in edges.split())
    return Network(nodes={node.name: node for node in nodes}, edges=pairs, **keys)


def port(name, size=1):
    return Input(name=name, shape=(size,))


def out(name="out", size=1):
    return Output(name=name, shape=(size,))


def run(network, raster, dt_s=1e-3, **options):
    raster = np.asarray(raster, float)
    program = ClockedBackend().compile(network, dt_s=dt_s)
    return program.run({"in": raster}, steps=len(raster), **options)


def test_the_engine_has_its_header():
    # Without build/names the .pxd is silently ignored and the struct is empty.
    assert ClockedEngine.__basicsize__ > object.__basicsize__


# Time.


@pytest.mark.parametrize("dt_s", [0.0, -1e-3, 1.5e-9, float("nan"), float("inf")])
def test_the_step_must_be_whole_nanoseconds(dt_s):
    with pytest.raises(ConfigError, match="whole number of nanoseconds"):
        ClockedBackend().compile(three_neurons(), dt_s=dt_s)


def test_a_step_is_needed():
    with pytest.raises(ConfigError, match="give dt_s"):
        ClockedBackend().compile(three_neurons())


def test_a_step_that_is_no_multiple_is_refused():
    program = ClockedBackend().compile(three_neurons(), dt_s=1e-3)
    with pytest.raises(ValueError, match="whole steps of 1000000 ns"):
        program.step(1_500_000, {})


def test_spikes_enter_in_the_step_their_time_falls_in():
    network = net(port("in"), linear("w", 1), out(), edges="in>w w>out")
    program = ClockedBackend().compile(network, dt_s=1e-3)
    spikes = np.array([(2 * MS - 1, 0), (2 * MS, 0), (2 * MS + 5, 0)], SPIKE)
    assert program.step(2 * MS, {"in": spikes[:1]})["out"] == [1.0]
    assert program.step(3 * MS, {"in": spikes[1:]})["out"] == [2.0]
    assert program.step(4 * MS, {})["out"] == [0.0]


def test_a_long_step_is_cut_without_loss():
    network = net(port("in"), lif("n", v_threshold=0.5), out(), edges="in>n n>out")
    level = {"in": np.array([1.0])}
    whole = ClockedBackend().compile(network, dt_s=1e-3)
    pieces = ClockedBackend().compile(network, dt_s=1e-3)
    expected = [pieces.step((k + 1) * 500 * MS, level)["out"] for k in range(5)]
    assert np.array_equal(whole.step(2500 * MS, level)["out"], np.concatenate(expected))


def test_spikes_of_a_long_step_enter_each_in_their_own():
    network = net(port("in"), lif("n", v_threshold=0.01), out(), edges="in>n n>out")
    program = ClockedBackend().compile(network, dt_s=1e-3)
    given_ns = np.array([0, 999, 1000, 1500, 2400]) * MS
    spikes = np.array([(t_ns, 0) for t_ns in given_ns], SPIKE)
    assert program.step(2500 * MS, {"in": spikes})["out"]["t_ns"].tolist() == given_ns.tolist()


def test_a_long_step_joins_spikes_and_shows_the_last_values():
    edges = "in>n n>out in>v v>level"
    nodes = port("in"), lif("n", v_threshold=0.5), layer("v", "LI", tau=0.5, r=1, v_leak=0)
    network = net(*nodes, out(), out("level"), edges=edges)
    whole, pieces = (ClockedBackend().compile(network, dt_s=1e-3) for _ in range(2))
    given = {"in": np.array([1.0])}
    shown = whole.step(2500 * MS, given)
    steps = [pieces.step((k + 1) * 500 * MS, given) for k in range(5)]
    assert np.array_equal(shown["out"], np.concatenate([step["out"] for step in steps]))
    assert shown["level"] == steps[-1]["level"]


def test_many_spikes_enter_at_several_ports():
    weight = np.ones((1, 2))
    network = net(
        port("in", 2),
        port("more", 2),
        linear("a", weight),
        linear("b", 100 * weight),
        out(),
        edges="in>a a>out more>b b>out",
    )
    program = ClockedBackend().compile(network, dt_s=1e-3)
    spikes = np.zeros(300, SPIKE)
    spikes["i"] = np.arange(300) % 2
    assert program.step(MS, {"in": spikes[:200], "more": spikes})["out"] == [30200.0]


def test_spikes_of_a_refused_step_do_not_enter_later():
    network = net(port("in"), port("more"), linear("a", 1), out(), edges="in>a more>a a>out")
    program = ClockedBackend().compile(network, dt_s=1e-3)
    good, bad = np.array([(0, 0)], SPIKE), np.array([(0, 7)], SPIKE)
    with pytest.raises(ValueError, match="'more': index 7 of only 1 elements"):
        program.step(MS, {"in": good, "more": bad})
    assert program.step(MS, {})["out"] == [0.0]


def test_spikes_may_lie_apart_in_memory_but_must_be_a_row():
    network = net(port("in"), linear("w", 1), out(), edges="in>w w>out")
    program = ClockedBackend().compile(network, dt_s=1e-3)
    spikes = np.zeros((4, 2), SPIKE)
    with pytest.raises(ValueError, match=r"'in': .*dimensions"):
        program.step(MS, {"in": spikes})
    assert program.step(MS, {"in": spikes[:, 0]})["out"] == [4.0]


def test_spikes_out_of_order_are_refused():
    program = ClockedBackend().compile(three_neurons(), dt_s=1e-3)
    with pytest.raises(ValueError, match="must ascend"):
        program.step(MS, {"input": np.array([(5, 0), (4, 0)], SPIKE)})


def test_non_finite_values_are_refused():
    program = ClockedBackend().compile(three_neurons(), dt_s=1e-3)
    with pytest.raises(ValueError, match="must be finite"):
        program.step(MS, {"input": np.array([1.0, np.nan])})


# Graph.


def test_a_chain_is_evaluated_within_one_step():
    network = net(
        port("in"),
        linear("a", 2, [1]),
        linear("b", 3),
        out(),
        edges="b>out a>b in>a",
    )
    assert run(network, [[1], [0]]).outputs["out"].tolist() == [[9.0], [3.0]]


def test_several_edges_into_a_node_add_up():
    network = net(
        port("in", 2),
        linear("a", [[1, 2]]),
        linear("b", [[10, 20]]),
        lif("n", v_threshold=100),
        out(),
        edges="in>a in>b a>n b>n n>out",
    )
    result = run(network, [[1, 1]], probes={"n": [1e-3]})
    assert result.probes["n"][0, 0] == pytest.approx(33 * (1 - np.exp(-0.1)))


@pytest.mark.parametrize("edges", ["in>a a>out a>b b>a", "b>a a>b a>out in>a"])
def test_a_cycle_carries_the_previous_step(edges):
    network = net(port("in"), linear("a", 1), linear("b", 0.5), out(), edges=edges)
    values = run(network, [[1], [0], [0]]).outputs["out"][:, 0]
    assert values.tolist() == [1.0, 0.5, 0.25]


def test_a_node_may_feed_itself():
    network = net(port("in"), linear("a", 0.5), out(), edges="in>a a>a a>out")
    assert run(network, [[8], [0], [0]]).outputs["out"][:, 0].tolist() == [4.0, 2.0, 1.0]


def test_a_node_may_be_fed_by_itself_alone():
    network = net(port("in"), linear("a", 2, [1]), out(), edges="a>a a>out")
    assert run(network, [[0], [0]]).outputs["out"][:, 0].tolist() == [3.0, 7.0]


@pytest.mark.parametrize(("dialect", "first"), [("snntorch", 3.0), ("norse", 1.0)])
def test_whether_a_recurrent_bias_acts_at_once_is_the_dialects_choice(dialect, first):
    network = net(
        port("in"), linear("a", 1), linear("b", 0, [2]), out(), edges="in>a a>b b>a a>out"
    )
    values = run(replace(network, dialect=dialect), [[1], [0]]).outputs["out"][:, 0]
    assert values.tolist() == [first, 2.0]


def test_delays_are_whole_steps_of_their_own_element():
    delay = Delay(name="d", shape=(3,), delay_s=np.array([0.0, 1e-3, 3e-3]))
    network = net(port("in", 3), delay, out(size=3), edges="in>d d>out")
    values = run(network, [[1, 1, 1], *[[0, 0, 0]] * 4]).outputs["out"]
    assert np.argwhere(values).tolist() == [[0, 0], [1, 1], [3, 2]]


def test_a_delay_in_a_cycle_costs_its_own_steps_and_no_more():
    delay = Delay(name="d", shape=(1,), delay_s=np.array([2e-3]))
    network = net(port("in"), linear("a", 1), delay, out(), edges="in>a a>d d>a a>out")
    values = run(network, [[1], *[[0]] * 5]).outputs["out"][:, 0]
    assert values.tolist() == [1, 0, 1, 0, 1, 0]


def test_a_fractional_delay_is_rounded_with_a_warning():
    delay = Delay(name="d", shape=(1,), delay_s=np.array([1.4e-3]))
    network = net(port("in"), delay, out(), edges="in>d d>out")
    with pytest.warns(UserWarning, match="node 'd': delays are rounded"):
        values = run(network, [[1], [0], [0]]).outputs["out"][:, 0]
    assert values.tolist() == [0, 1, 0]


def test_spikes_through_a_delay_are_spikes():
    delay = Delay(name="d", shape=(1,), delay_s=np.array([2e-3]))
    network = net(port("in"), lif("n", v_threshold=0.01), delay, out(), edges="in>n n>d d>out")
    program = ClockedBackend().compile(network, dt_s=1e-3)
    spikes = program.step(5 * MS, {"in": np.array([(0, 0)], SPIKE)})["out"]
    assert spikes.tolist() == [(2 * MS, 0)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_storage_does_not_change_a_product(seed):
    """Sparse or dense, float32 or float64, events or graded: the product is that of NumPy."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(5, 7)) * (rng.random((5, 7)) < rng.choice([0.2, 0.9]))
    if rng.random() < 0.5:
        weight = weight.astype(np.float32).astype(np.float64)
    bias = rng.normal(size=5) if rng.random() < 0.5 else None
    graded = linear("g", np.eye(7))
    edges = "in>w w>out" if rng.random() < 0.5 else "in>g g>w w>out"
    network = net(port("in", 7), graded, linear("w", weight, bias), out(size=5), edges=edges)
    x = rng.normal(size=(3, 7)) * (rng.random((3, 7)) < 0.6)
    expected = x @ weight.T + (0 if bias is None else bias)
    assert run(network, x).outputs["out"] == pytest.approx(expected, abs=1e-12)


# Neurons.


def reference(kind, dialect, p, x, dt_s):
    """One neuron after DIALECTS.json, in plain Python: voltages and spikes of each step."""
    d = DIALECTS[dialect]
    decay = (lambda tau: 1 - dt_s / tau) if d.decay == "euler" else lambda tau: np.exp(-dt_s / tau)
    unit = d.gain == "unit"
    r = 1.0 if kind in d.ignores_r else p["r"]
    leak, reset = p.get("v_leak", 0.0), 0.0 if d.resets_to_zero else p.get("v_reset", 0.0)
    v = {"zero": 0.0, "leak": leak, "reset": reset}[d.initial_v]
    rest = leak if d.leaking_synapse else 0.0
    current, voltages, spikes = rest, [], []
    for value in x:
        if "tau_syn" in p:
            a = 1 - dt_s / p["tau_syn"] if d.euler_synapse else decay(p["tau_syn"])
            gain = 1.0 if unit else p["w_in"] * (1 - a)
            current = (
                a * (current + gain * value)
                if d.inject_before_decay
                else (a * current + gain * value)
            )
            current += (1 - a) * rest
            value = current
        late = d.reset == "subtract_late" and v > p.get("v_threshold", np.inf)
        if kind in ("IF", "I"):
            v = v + (value if d.unit_if else r * dt_s * value)
        else:
            a = decay(p.get("tau", p.get("tau_mem")))
            v = a * v + (1.0 if unit else r * (1 - a)) * value + (1 - a) * leak
        z = 0
        if "v_threshold" in p:
            th = p["v_threshold"]
            v -= late * th
            fires = v >= th if d.fires_at_threshold else v > th
            z = int(fires)
            if d.reset == "v_reset":
                v = reset if fires else v
                v = max(v, 0.0) if d.rectifies else v
            elif d.reset == "subtract_each":
                z = int(v / th) if fires else 0
                v -= z * th
                v = max(v, -th) if d.clips_if and kind == "IF" else v
            else:
                v -= (z - late) * th
        voltages.append(v)
        spikes.append(z)
    return np.array(voltages), np.array(spikes)


KINDS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "IF": ("r", "v_threshold", "v_reset"),
    "I": ("r",),
}
VALUES = {
    "tau": 0.008,
    "tau_syn": 0.004,
    "tau_mem": 0.012,
    "r": 3.0,
    "v_leak": 0.05,
    "v_threshold": 0.7,
    "v_reset": -0.1,
    "w_in": 1.5,
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_follows_each_dialect(kind, dialect):
    p = {name: VALUES[name] for name in KINDS[kind]}
    if kind in ("IF", "I"):
        p["r"] = 300.0
    x = np.random.default_rng(3).normal(0.4, 0.8, 200)
    late = DIALECTS[dialect].output_shift_steps
    network = net(port("in"), layer("n", kind, **p), out(), edges="in>n n>out", dialect=dialect)
    warnings.simplefilter("ignore", UserWarning)  # what the dialect ignores
    times_s = np.arange(1 + late, len(x) + 1) * 1e-3
    result = run(network, x[:, None], probes={"n": times_s})
    voltages, spikes = reference(kind, dialect, p, x, 1e-3)
    kept = len(x) - late
    assert result.probes["n"][:, 0] == pytest.approx(voltages[:kept], abs=1e-12)
    shown = spikes if "v_threshold" in p else voltages
    assert result.outputs["out"][late:, 0] == pytest.approx(shown[:kept], abs=1e-12)
    if "v_threshold" in p:
        assert spikes.sum() > 3


@pytest.mark.parametrize(("dialect", "fires"), [("spikingjelly", 1.0), ("snntorch", 0.0)])
def test_whether_the_threshold_itself_fires_is_the_dialects_choice(dialect, fires):
    network = net(port("in"), lif("n", tau=2e-3), out(), edges="in>n n>out", dialect=dialect)
    assert run(network, [[2.0]]).outputs["out"][0, 0] == fires


def test_what_a_dialect_ignores_is_said():
    network = net(port("in"), lif("n", r=2, v_reset=-1), out(), edges="in>n n>out", dialect="norse")
    with pytest.warns(UserWarning, match="'n': dialect norse ignores r, v_reset"):
        ClockedBackend().compile(network, dt_s=1e-3)


def test_the_default_dialect_is_exact_for_held_inputs():
    network = net(port("in"), lif("n", tau=0.02, v_threshold=9), out(), edges="in>n n>out")
    result = run(network, np.full((50, 1), 1.5), probes={"n": [0.0, 0.01, 0.05]})
    expected = 1.5 * (1 - np.exp(-np.array([0.0, 0.01, 0.05]) / 0.02))
    assert result.probes["n"][:, 0] == pytest.approx(expected, abs=1e-14)


def test_initial_v_overrides_the_dialect():
    network = net(
        port("in"),
        lif("n", v_leak=0.5),
        out(),
        edges="in>n n>out",
        initial_v={"n": np.array([0.25])},
        dialect="norse",
    )
    assert run(network, [[0]], probes={"n": [0.0]}).probes["n"] == [[0.25]]


def test_an_unknown_dialect_is_refused_with_the_known():
    with pytest.raises(UnsupportedError, match=r"'nors' is not known; there are: .*norse"):
        ClockedBackend().compile(replace(three_neurons(), dialect="nors"), dt_s=1e-3)


# Running.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": {"w": [0.0]}}, "probe 'w': no layer"),
        ({"probes": {"n": [0.1]}}, "probe 'n': times must lie within 0 to 0.002"),
        ({"record": ["w"]}, "record 'w': not a spiking node"),
        ({"record": ["x"]}, "record 'x'"),
    ],
)
def test_a_wrong_probe_or_record_is_named(options, message):
    network = net(port("in"), linear("w", 1), lif("n"), out(), edges="in>w w>n n>out")
    with pytest.raises(ConfigError, match=message):
        run(network, [[0], [0]], **options)


def test_run_goes_on_from_where_it_stands():
    network = net(port("in"), lif("n", v_threshold=0.3), out(), edges="in>n n>out")
    raster = np.full((20, 1), 1.0)
    program = ClockedBackend().compile(network, dt_s=1e-3)
    parts = [program.run({"in": raster}, steps=20).spikes["out"].t_s for _ in range(2)]
    whole = run(network, np.full((40, 1), 1.0)).spikes["out"].t_s
    assert np.array_equal(np.concatenate(parts), whole)


# Nodes without a state; tests/runtime/test_linearmap.py has convolutions and pools.


def flat(name, size=1):
    return Flatten(name=name, shape=(size,), shape_in=(1, size))


def test_scale_and_threshold_work_on_each_element():
    scale = Scale(name="s", shape=(3,), scale=np.array([1.0, -2.0, 0.5]))
    threshold = Threshold(name="t", shape=(3,), threshold=np.array([1.0, -1.0, 0.0]))
    network = net(port("in", 3), scale, threshold, out("a", 3), out("b", 3),
                  edges="in>s s>t s>a t>b")  # fmt: skip
    shown = run(network, [[1, 1, 0], [2, 0, 1]])
    assert shown.outputs["a"].tolist() == [[1, -2, 0], [2, 0, 0.5]]
    assert shown.outputs["b"].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert shown.spikes["b"].i.tolist() == [0, 1, 2]


def test_spikes_pass_a_flatten_without_an_operation():
    plain = net(port("in", 2), linear("w", [[1, 2]]), out(), edges="in>w w>out")
    network = net(port("in", 2), flat("f", 2), linear("w", [[1, 2]]), out(),
                  edges="in>f f>w w>out")  # fmt: skip
    assert run(network, np.eye(2)).outputs["out"].tolist() == [[1], [2]]
    dialect = DIALECTS["reflexarc"]
    operations = [lower(each, dialect, 1e-3).table() for each in (plain, network)]
    assert len(operations[0]) == len(operations[1])


def test_a_flatten_gathers_several_sources():
    network = net(port("in"), linear("w", 3), flat("f"), out(), edges="in>w in>f w>f f>out")
    assert run(network, [[1], [2]]).outputs["out"].ravel().tolist() == [4, 8]


def test_a_flatten_in_a_cycle_shows_the_previous_step_for_the_whole_step():
    """Evaluated as f, a, c: c may not see through f what a has become."""
    nodes = flat("f"), linear("c", 1), linear("a", 2, [1]), port("in"), out()
    network = net(*nodes, edges="f>a a>f f>c c>out")
    assert run(network, np.zeros((4, 1))).outputs["out"].ravel().tolist() == [1, 3, 7, 15]


@pytest.mark.parametrize(("dialect", "first"), [("snntorch", 3.0), ("norse", 0.0)])
def test_the_bias_of_a_recurrent_convolution_at_once(dialect, first):
    conv = Conv(
        name="c",
        shape=(1, 2),
        shape_in=(1, 2),
        weight=np.zeros((1, 1, 1)),
        bias=np.array([3.0]),
        stride=(1,),
        padding=((0, 0),),
        dilation=(1,),
    )
    network = net(port("in", 2), layer("a", "I", 2, r=1.0), conv, out("out", 2),
                  edges="in>a a>c c>a a>out", dialect=dialect)  # fmt: skip
    assert run(network, np.zeros((1, 2)), dt_s=1.0).outputs["out"].tolist() == [[first] * 2]


# Learning.

TAU_PRE_S = 0.02
PES = {"modulator": "err", "learning_rate": 0.05, "tau_pre_s": TAU_PRE_S}


def learner(weight, **rule):
    """Two lines -> plastic (2) -> out, with the error from a port of its own."""
    from reflexarc.runtime.plasticity import Pes

    return net(
        port("in", 2),
        port("err", 2),
        linear("w", weight),
        out(size=2),
        edges="in>w w>out",
        plasticity={"w": Pes(**{**PES, **rule})},
    )


def spikes(k, *lines):
    return np.array([(k * MS, line) for line in lines], SPIKE)


def test_pes_worked_by_hand():
    program = ClockedBackend().compile(learner(np.zeros((2, 2))), dt_s=1e-3)
    left = program.step(MS, {"in": spikes(0, 1), "err": np.array([2.0, -1.0])})["out"]
    assert left.tolist() == [0.0, 0.0]  # delivery comes before learning
    rate = (1 - np.exp(-1 / 20)) / 1e-3  # spikes per second after one spike
    change = -0.05 * rate * 1e-3 * np.array([2.0, -1.0])
    assert program.weights("w") == pytest.approx(np.column_stack([[0, 0], change]), abs=1e-15)
    assert program.counters().weight_updates == 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-2, -0.1), st.floats(0.1, 2))
def test_pes_follows_numpy(seed, w_min, w_max):
    rng = np.random.default_rng(seed)
    w = rng.uniform(w_min, w_max, (2, 2))
    program = ClockedBackend().compile(learner(w, w_min=w_min, w_max=w_max), dt_s=1e-3)
    trace, decay = np.zeros(2), np.exp(-1e-3 / TAU_PRE_S)
    for k in range(40):
        fired, error = rng.random(2) < 0.3, rng.normal(0, 5, 2)
        program.step((k + 1) * MS, {"in": spikes(k, *np.flatnonzero(fired)), "err": error})
        trace = decay * trace + (1 - decay) / 1e-3 * fired
        trace[np.abs(trace) < TRACE_FLOOR] = 0.0
        w = np.clip(w - 0.05 * 1e-3 * np.outer(error, trace), w_min, w_max)
        assert program.weights("w") == pytest.approx(w, abs=1e-12)
        assert w_min <= program.weights("w").min() <= program.weights("w").max() <= w_max


@pytest.mark.parametrize(("rate", "learning"), [(0.0, True), (0.05, False)])
def test_frozen_weights_keep_every_bit(rate, learning):
    weight = np.array([[0.1, -0.0], [1 / 3, 7.0]])
    program = ClockedBackend().compile(learner(weight, learning_rate=rate), dt_s=1e-3)
    program.learning = learning
    for k in range(30):
        program.step((k + 1) * MS, {"in": spikes(k, 0, 1), "err": np.array([1.0, -3.0])})
    assert program.weights("w").tobytes() == weight.tobytes()
    assert program.counters().weight_updates == 0


def test_a_broken_error_teaches_nothing():
    network = learner(np.ones((2, 2)))
    huge = net(
        *network.nodes.values(),
        linear("e", [[1e308], [1e308]]),
        port("scale"),
        edges="in>w w>out scale>e",
        plasticity={"w": network.plasticity["w"].model_copy(update={"modulator": "e"})},
    )
    program = ClockedBackend().compile(huge, dt_s=1e-3)
    program.step(MS, {"in": spikes(0, 0), "scale": np.array([10.0])})
    assert program.weights("w").tolist() == [[1, 1], [1, 1]]


def test_learnt_weights_and_traces_are_part_of_the_state():
    def teach(program, first, last):
        for k in range(first, last):
            program.step((k + 1) * MS, {"in": spikes(k, k % 2), "err": np.array([1.0, 0.5])})
        return program.weights("w").tobytes()

    program = ClockedBackend().compile(learner(np.zeros((2, 2))), dt_s=1e-3)
    teach(program, 0, 10)
    state = program.state()
    expected = teach(program, 10, 20)
    fresh = ClockedBackend().compile(learner(np.zeros((2, 2))), dt_s=1e-3)
    fresh.restore(state)
    assert teach(fresh, 10, 20) == expected


def test_a_state_of_another_network_of_the_same_shape_is_refused():
    first = ClockedBackend().compile(learner(np.zeros((2, 2))), dt_s=1e-3)
    second = ClockedBackend().compile(learner(np.zeros((2, 2)), learning_rate=0.1), dt_s=1e-3)
    with pytest.raises(ValueError, match="another network"):
        first.restore(second.state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modulator": "nothing"}, "'w': modulator: 'nothing' is not a node"),
        ({"modulator": "one"}, "'one' has 1 values and the edge 2 outputs"),
        ({"w_min": 0.5}, "w_min: 0.5 is above the smallest weight, 0"),
        ({"w_max": -1.0}, "w_max: -1 is below the largest weight, 0"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(change, message):
    network = learner(np.zeros((2, 2)), **change)
    network = replace(network, nodes={**network.nodes, "one": port("one")})
    with pytest.raises(ConfigError, match=message):
        ClockedBackend().compile(network, dt_s=1e-3)


def test_pes_needs_spikes():
    network = learner(np.zeros((2, 2)))
    nodes = {**network.nodes, "g": linear("g", np.eye(2))}
    graded = replace(network, nodes=nodes, edges=(("in", "g"), ("g", "w"), ("w", "out")))
    with pytest.raises(UnsupportedError, match="needs spikes into the edge, and g is graded"):
        ClockedBackend().compile(graded, dt_s=1e-3)
