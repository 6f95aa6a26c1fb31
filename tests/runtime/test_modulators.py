"""Modulators: ports that rules name, with a level or without, in both modes and in a scenario."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.exact import ExactBackend
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.errors import ConfigError, GraphError, UnsupportedError
from reflexarc.runtime.inspection import inspect
from reflexarc.runtime.network import Input, Linear, Modulator, Network, Output
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.replay import replay

DT_S, STEPS = 1e-3, 60
RULE = Pes(modulator="error", learning_rate=0.01, tau_pre_s=0.01)


def network(tau_s=None, *, identity=False):
    """Lines (3) -> learnt -> out (2), taught by a modulator or by Input -> Linear(identity)."""
    nodes = [
        Input(name="lines", shape=(3,)),
        Linear(name="learnt", shape=(2,), weight=np.ones((2, 3))),
        Output(name="out", shape=(2,)),
    ]
    edges = [("lines", "learnt"), ("learnt", "out")]
    if identity:
        nodes.insert(0, Input(name="given", shape=(2,)))
        nodes.insert(1, Linear(name="error", shape=(2,), weight=np.eye(2)))
        edges.append(("given", "error"))
    else:
        nodes.insert(1, Modulator(name="error", shape=(2,), tau_s=tau_s))
    return Network(
        nodes={node.name: node for node in nodes},
        edges=tuple(edges),
        mode="clocked",
        dt_s=DT_S,
        plasticity={"learnt": RULE},
    )


def level(program):
    return program._values[program._signals["error"].range].copy()


def lines_and_errors():
    random = np.random.default_rng(2)
    return (random.random((STEPS, 3)) < 0.3).astype(float), random.standard_normal((STEPS, 2))


def learn(net, port, lines, errors):
    """The weights after every step, and what left."""
    program = ClockedBackend().compile(net)
    weights, left = [], []
    for k in range(STEPS):
        out = program.step((k + 1) * 1_000_000, {"lines": lines[k], port: errors[k]})
        weights.append(program.weights("learnt"))
        left.append(out["out"])
    return np.array(weights), np.array(left)


def test_pes_learns_from_the_port_as_from_a_node():
    lines, errors = lines_and_errors()
    weights, left = learn(network(), "error", lines, errors)
    as_node = learn(network(identity=True), "given", lines, errors)
    np.testing.assert_array_equal(weights, as_node[0])
    np.testing.assert_array_equal(left, as_node[1])
    assert not (weights[-1] == weights[0]).all()
    run = reflexarc.simulate(network(), {"lines": lines, "error": errors})
    np.testing.assert_array_equal(run.outputs["out"], left)


@pytest.mark.parametrize("tau_s", [None, 0.02])
def test_spikes_and_held_values_have_their_levels(tau_s):
    program = ClockedBackend().compile(network(tau_s))
    spikes = np.array([(1_200_000, 0), (1_700_000, 0)], SPIKE)
    program.step(3_000_000, {"error": spikes})
    keep = 0.0 if tau_s is None else exp(-DT_S / tau_s)
    once = 0.0 if tau_s is None else 2 / tau_s
    assert level(program) == pytest.approx([once * keep, 0.0], rel=1e-14)
    program.step(5_000_000, {"error": np.array([1.0, -3.0])})
    after = once * keep**3
    expected = [after + 1 - keep**2, -3 * (1 - keep**2)]
    assert level(program) == pytest.approx(expected, rel=1e-14)
    program.step(8_000_000, {})
    assert level(program) == pytest.approx(np.array(expected) * keep**3, rel=1e-14)


def test_a_spike_is_seen_at_its_height_in_its_step():
    program = ClockedBackend().compile(network(0.02))
    program.step(1_000_000, {"error": np.array([(900_000, 1)], SPIKE)})
    assert level(program) == pytest.approx([0.0, 1 / 0.02], rel=1e-14)


@pytest.mark.parametrize("tau_s", [None, 0.02])
def test_spikes_teach_alike_by_step_and_by_simulate(tau_s):
    lines, _ = lines_and_errors()
    t_ns = np.array([2, 7, 7, 7, 30, 31]) * 1_000_000
    spikes = np.array([(t, k % 2) for k, t in enumerate(t_ns)], SPIKE)
    program, left = ClockedBackend().compile(network(tau_s)), []
    for k in range(STEPS):
        inside = spikes[spikes["t_ns"] // 1_000_000 == k]
        step = program.step((k + 1) * 1_000_000, {"lines": lines[k], "error": inside})
        left.append(step["out"])
    given_ = reflexarc.Spikes(t_ns * 1e-9, spikes["i"].astype(int))
    run = reflexarc.simulate(network(tau_s), {"lines": lines, "error": given_})
    np.testing.assert_array_equal(run.outputs["out"], left)
    assert not np.array_equal(np.array(left)[:, 0], lines.sum(axis=1))


def test_a_level_is_part_of_the_state():
    lines, errors = lines_and_errors()
    program, fresh = (ClockedBackend().compile(network(0.02)) for _ in range(2))
    program.step(9_000_000, {"lines": lines[0], "error": errors[0]})
    fresh.restore(program.state())
    assert level(fresh).all()
    for one in (program, fresh):
        one.step(20_000_000, {"lines": lines[1]})
    np.testing.assert_array_equal(program.weights("learnt"), fresh.weights("learnt"))


taus_s = st.none() | st.floats(1e-6, 1e6)


@given(st.lists(st.tuples(st.integers(1, 5), taus_s), min_size=1, max_size=4), st.booleans())
def test_saved_modulators_come_back(tmp_path_factory, modulators, spread):
    nodes = list(network(identity=True).nodes.values())
    for k, (size, tau_s) in enumerate(modulators):
        made = Modulator(name=f"m{k}", shape=(size,), tau_s=tau_s)
        nodes.insert(k if spread else len(nodes), made)
    net = replace(network(identity=True), nodes={node.name: node for node in nodes})
    path = tmp_path_factory.mktemp("saved") / "net.yaml"
    reflexarc.save(net, path)
    loaded = reflexarc.load(path)
    assert list(loaded.nodes) == list(net.nodes)
    assert [n for n in loaded.inputs() if isinstance(n, Modulator)] == [
        n for n in nodes if isinstance(n, Modulator)
    ]


def test_a_nir_file_cannot_hold_one(tmp_path):
    net = replace(network(), plasticity={})
    with pytest.raises(UnsupportedError, match="'error': NIR has no modulators"):
        reflexarc.save(net, tmp_path / "net.nir")


@pytest.mark.parametrize("edge", [("error", "out"), ("learnt", "error")])
@pytest.mark.parametrize("backend", [ClockedBackend, ExactBackend])
def test_an_edge_is_refused(edge, backend):
    net = network()
    net = replace(net, edges=(*net.edges, edge), plasticity={})
    with pytest.raises(GraphError, match="'error' is a modulator"):
        backend().compile(net)


@pytest.mark.parametrize("tau_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_wrong_tau_is_refused(tau_s):
    with pytest.raises(ConfigError, match="modulator 'm': tau_s"):
        reflexarc.Builder().modulator("m", tau_s=tau_s)


def test_the_exact_backend_takes_one_and_refuses_rules():
    net = replace(network(0.1), plasticity={})
    program = ExactBackend().compile(net)
    spikes = np.array([(500, 1)], SPIKE)
    out = program.step(1_000_000, {"error": spikes, "lines": np.array([(500, 1)], SPIKE)})
    silent = ExactBackend().compile(net)
    np.testing.assert_array_equal(
        out["out"], silent.step(1_000_000, {"lines": np.array([(500, 1)], SPIKE)})["out"]
    )
    with pytest.raises(
        UnsupportedError, match="defined by clock steps; run the network in clocked mode"
    ):
        ExactBackend().compile(network())


def test_the_builder_and_inspect_show_it():
    net = reflexarc.Builder()
    lines, out = net.input("lines", 3), net.output("out", 2)
    name = net.modulator("dopamine", 2, tau_s=0.2)
    rule = Pes(modulator=name, learning_rate=0.1)
    net.linear(lines, out, np.ones((2, 3)), name="learnt", plasticity=rule)
    built = net.build(mode="clocked", dt_s=1e-3)
    facts = {node.name: node for node in inspect(built).nodes}
    assert facts["dopamine"].kind == "Modulator"
    assert "tau_s 0.2" in facts["dopamine"].says
    assert not [line for line in inspect(built).warnings if "dopamine" in line]


@pytest.fixture
def taught_slide(slide_folder):
    """The scenario `slide`, its rule taught by a level of the reading and by camera events."""
    sidecar = slide_folder / "nets" / "slide.yaml"
    said = yaml.safe_load(sidecar.read_text())
    said["modulators"] = {"wanted": {"size": 6}, "pulses": {"size": 4, "tau_s": 0.05}}
    said["plasticity"]["seen"] = {**said["plasticity"]["seen"], "modulator": "wanted"}
    said["plasticity"]["felt"] = {**said["plasticity"]["seen"]}
    sidecar.write_text(yaml.safe_dump(said))
    scenario = slide_folder / "scenario.yaml"
    said = yaml.safe_load(scenario.read_text())
    said["encoders"] += [
        {
            "kind": "level",
            "stream": "state",
            "port": "wanted",
            "readings": [0] * 6,
            "gain": [1.0, 1.0, 1.0, -1.0, -1.0, -1.0],
        },
        {**said["encoders"][0], "port": "pulses"},
    ]
    scenario.write_text(yaml.safe_dump(said))
    return slide_folder


def test_a_scenario_feeds_records_and_replays_it(taught_slide, record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    state = {tick.now_ns: tick.batches[1].values[0] for tick in run.ticks}
    for tick in run.ticks:
        np.testing.assert_array_equal(np.abs(tick.inputs["wanted"]), abs(state[tick.now_ns]))
    assert any(len(tick.inputs["pulses"]) for tick in run.ticks)
    first = run.scenario.make_policy().program.weights("felt")
    assert not np.array_equal(run.policy.program.weights("felt"), first)
    assert len(Recording.open(run.path).batches("state")) == len(run.ticks)
    result = replay(run.path)
    assert result.identical
    assert result.ticks == len(run.ticks)
