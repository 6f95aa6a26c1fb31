"""The science API: drives and arrays onto steps, ends, modes, functions without neurons."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import reflexarc
from reflexarc import Spikes, StepCurrent
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import Delay, Input, Linear, Network, Neurons, Output


def network(*middle, size=2, **keys):
    nodes = [Input(name="in", shape=(size,)), *middle, Output(name="out", shape=(size,))]
    names = [node.name for node in nodes]
    edges = tuple(pairwise(names))
    return Network(nodes={node.name: node for node in nodes}, edges=edges, **keys)


def through(size=2, **keys):
    return network(Linear(name="w", shape=(size,), weight=np.eye(size)), size=size, **keys)


def lif(size=2):
    values = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0}
    parameters = {key: np.full(size, value) for key, value in values.items()}
    return Neurons(name="n", shape=(size,), kind="LIF", parameters=parameters)


def shown(given, until_s=None, dt_s=0.1):
    run = reflexarc.simulate(through(), {"in": given}, until_s, mode="clocked", dt_s=dt_s)
    return run.outputs["out"].tolist()


def test_an_array_tells_the_number_of_steps():
    assert shown(np.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert shown([[1, 2], [3, 4]]) == [[1, 2], [3, 4]]


def test_after_an_array_there_is_silence():
    assert shown(np.array([[1, 2]]), 0.3) == [[1, 2], [0, 0], [0, 0]]


def test_a_spike_counts_one_in_the_step_of_its_time():
    # 0.3 / 0.1 is a little less than 3.
    assert shown(Spikes([0.3, 0.0, 0.35], [1, 0, 1]), 0.4) == [[1, 0], [0, 0], [0, 0], [0, 2]]


def test_a_spike_of_some_area_is_spread_over_its_step():
    assert shown(Spikes([0.0], [0], area=0.2), 0.1) == [[2, 0]]


def test_a_spike_after_the_end_is_not_there():
    assert shown(Spikes([0.2, 9.0], [0, 0]), 0.2) == [[0, 0], [0, 0]]


def test_a_current_counts_its_mean_over_a_step():
    found = shown(StepCurrent(0.05, 0.25, [0, 1], [4.0, 1.0]), 0.4)
    assert found == pytest.approx(np.array([[2, 0.5], [4, 1], [2, 0.5], [0, 0]]))


def test_a_list_adds_up():
    given = [np.ones((2, 2)), Spikes([0.1], [0]), StepCurrent(0, 0.1, 1, 5.0)]
    assert shown(given) == [[1, 6], [2, 1]]


def test_a_silent_input_needs_no_entry():
    run = reflexarc.simulate(through(), {}, 0.2, mode="clocked", dt_s=0.1)
    assert run.outputs["out"].tolist() == [[0, 0], [0, 0]]


def test_without_neurons_a_graph_is_a_function_of_each_step():
    weight, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5])
    x = np.random.default_rng(0).normal(size=(5, 2))
    affine = Linear(name="w", shape=(2,), weight=weight, bias=bias)
    run = reflexarc.simulate(network(affine), {"in": x})
    assert run.outputs["out"] == pytest.approx(x @ weight.T + bias)


def test_spikes_probes_and_records():
    run = reflexarc.simulate(
        network(lif(), Linear(name="w", shape=(2,), weight=np.eye(2))),
        {"in": StepCurrent(0.0, 1.0, 0, 1.0)},
        0.05,
        mode="clocked",
        dt_s=1e-3,
        probes={"n": [0.0, 0.005]},
        record=["n"],
    )
    # v = 1 - exp(-t / tau) passes 0.5 at 6.93 ms, in step 6, and again every 7 steps.
    assert run.spikes["n"].t_s == pytest.approx(np.arange(6, 50, 7) * 1e-3)
    assert set(run.spikes["n"].i) == {0}
    assert run.probes["n"] == pytest.approx(np.array([[0, 0], [1 - np.exp(-0.5), 0]]))
    assert run.counters.spikes == 7
    assert "out" not in run.spikes


def test_exact_and_clocked_agree_on_a_held_current():
    drive = {"in": StepCurrent(0.0, 1.0, [0, 1], [1.0, 2.0])}
    exact = reflexarc.simulate(network(lif()), drive, 0.05, mode="exact")
    fine = reflexarc.simulate(network(lif()), drive, 0.05, mode="clocked", dt_s=1e-6)
    for neuron in (0, 1):
        a, b = (run.spikes["out"].t_s[run.spikes["out"].i == neuron] for run in (exact, fine))
        assert a == pytest.approx(b, abs=2e-5)
        assert len(a) > 5


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"on": np.ones((1, 2))}, {}, "no Input 'on'; there are: in"),
        ({"in": np.ones((1, 3))}, {}, r"input 'in': expected an array of shape \(steps, 2\)"),
        ({"in": np.array([["a", "b"]])}, {}, "input 'in': expected Spikes"),
        ({"in": np.array([[1.0, np.nan]])}, {}, "input 'in': every value must be finite"),
        ({"in": Spikes([0.0], [2])}, {"until_s": 1.0}, "index 2 of only 2 elements"),
        ({"in": StepCurrent(0, 1, 5, 1.0)}, {"until_s": 1.0}, "index 5 of only 2 elements"),
        ({"in": Spikes([0.0], [1])}, {}, "give until_s, or an array"),
        ({"in": np.ones((9, 2))}, {"until_s": 0.2}, "an array has 9 steps, until_s only 2"),
        ({}, {"until_s": -1.0}, "until_s -1.0 must be a time from 0"),
        ({}, {"until_s": float("inf")}, "until_s inf must be a time from 0"),
        ({}, {"until_s": 1.0, "mode": "fast"}, "mode 'fast' is not known"),
        ({}, {"until_s": 1.0, "dt_s": None}, "clocked mode needs a step; give dt_s"),
        ({"in": np.ones((1, 2))}, {"mode": "exact"}, "an array needs mode='clocked' and dt_s"),
        ({}, {"mode": "exact"}, "exact mode needs until_s"),
    ],
)
def test_what_is_wrong_is_named(given, options, message):
    options = {"mode": "clocked", "dt_s": 0.1, **options}
    with pytest.raises(ConfigError, match=message):
        reflexarc.simulate(network(lif()), given, options.pop("until_s", None), **options)


def test_an_unknown_dialect_is_refused():
    with pytest.raises(UnsupportedError, match="dialect 'x'"):
        reflexarc.simulate(through(), {}, 1.0, mode="clocked", dt_s=0.1, dialect="x")


def test_a_delay_needs_a_step():
    delay = Delay(name="d", shape=(2,), delay_s=np.array([0.1, 0.2]))
    with pytest.raises(ConfigError, match="clocked mode needs a step"):
        reflexarc.simulate(network(delay), {"in": np.ones((3, 2))}, mode="clocked")


def test_importing_the_package_is_cheap():
    code = "import sys, reflexarc; sys.exit('numpy' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_all_there():
    assert all(getattr(reflexarc, name) is not None for name in reflexarc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        reflexarc.nothing  # noqa: B018


# What a stranger may give.

FRIENDLY = [
    Spikes([0.02, 0.01], 1),
    Spikes(0.01, 0),
    Spikes([], []),
    Spikes([1e30], [0]),
    StepCurrent(0, 1e9, [0, 1], 1.5),
    StepCurrent(0, np.inf, 1, np.float32(3)),
    [],
    [Spikes([0], [0], 1), StepCurrent(0, 1, 0, 2)],
]


@pytest.mark.parametrize("given", FRIENDLY)
@pytest.mark.parametrize("mode", ["exact", "clocked"])
def test_what_a_stranger_may_give(given, mode):
    run = reflexarc.simulate(network(lif()), {"in": given}, 1, mode=mode, dt_s=0.01, record="n")
    assert set(run.spikes) == {"out", "n"}


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (Spikes([0], [0]), {}, "inputs must be a dict by Input name, not Spikes; there are: in"),
        ({"in": None}, {}, "input 'in': expected Spikes, StepCurrent, an array"),
        ({"in": [[1], [0, 1]]}, {}, "input 'in': expected Spikes, StepCurrent, an array"),
        ({}, {"until_s": "long"}, "until_s: expected a number, not 'long'"),
        ({}, {"until_s": 1e12}, "until_s 1000000000000.0 must be a time from 0 to 3e.09 s"),
        ({}, {"dt_s": "small", "mode": "clocked"}, "dt_s: expected a number"),
        ({}, {"probes": ["n"]}, "probes: give times by layer, not list"),
        ({}, {"probes": {"n": ["a"]}}, "probes: times of 'n' must be numbers"),
        ({}, {"probes": {"n": [np.nan]}}, "times of 'n'"),
        ({}, {"dialect": "none"}, "dialect 'none' is not known"),
    ],
)
def test_what_a_stranger_may_get_wrong_is_one_line(given, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        reflexarc.simulate(network(lif()), given, **{"until_s": 1.0, "mode": "exact", **options})
    assert "\n" not in str(caught.value)


def test_a_step_current_needs_numbers():
    with pytest.raises(ConfigError, match="t0_s: expected a number, not 'now'"):
        StepCurrent("now", 1, 0, 1.0)


def test_a_current_begins_on_the_edge_of_its_step():
    given = {"in": StepCurrent(0.3, 0.6, 0, 1.0)}  # 0.3 / 0.1 is a little less than 3
    run = reflexarc.simulate(through(), given, 0.8, mode="clocked", dt_s=0.1)
    assert run.outputs["out"][:, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]


def test_the_end_belongs_to_the_next_run_and_may_be_probed():
    neurons = network(lif())
    whole = {"in": StepCurrent(0, 9, 0, 1.5)}
    first_s = reflexarc.simulate(neurons, whole, 1.0).spikes["out"].t_s[0]
    run = reflexarc.simulate(neurons, whole, first_s, probes={"n": first_s})
    assert run.spikes["out"].t_s.size == 0
    assert run.probes["n"][0, 0] == pytest.approx(neurons.nodes["n"].parameters["v_threshold"][0])
    late = reflexarc.simulate(neurons, {}, 0.3, probes={"n": [0.1 * 3]})
    assert late.probes["n"].shape == (1, 2)
