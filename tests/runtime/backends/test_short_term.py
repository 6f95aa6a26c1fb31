"""Short-term plasticity: NEST's numbers, on projections and matrices, alone and under STDP."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.network import Network
from reflexarc.runtime.plasticity import PairStdp, Rule, ShortTerm

CONFORMANCE = Path(__file__).parents[2] / "conformance"
GOLDENS = [
    entry
    for entry in json.loads((CONFORMANCE / "rule_goldens.json").read_text())["entries"]
    if entry["rule"] == "short_term"
]
ORACLE = runpy.run_path(str(CONFORMANCE / "rule_oracle.py"))["short_term"]
DT_S, DT_NS = 1e-4, 100_000
RULE = ShortTerm(u=0.3, tau_recovery_s=0.3, tau_facilitation_s=0.05)
STDP = PairStdp(a_plus=0.02, a_minus=0.021, w_max=1.0)


def network(
    rules: Rule | tuple[Rule, ...], *, matrix: bool = False, delay_s: float = 0.0, lines: int = 1
) -> Network:
    """Lines onto a slow neuron that sums what they deliver."""
    net = reflexarc.Builder()
    pre, post = net.input("pre", lines), net.input("post", 1)
    cell = net.population("cell", 1, reflexarc.DeltaLIF(tau_s=1e12, v_threshold=1e6))
    if matrix:
        net.linear(pre, cell, [[0.5] * lines], name="edge", plasticity=rules)
    else:
        net.project(pre, cell, reflexarc.AllToAll(), weight=0.5, delay_s=delay_s, name="edge",
                    plasticity=rules)  # fmt: skip
    net.project(post, cell, reflexarc.AllToAll(), weight=1e8)
    net.output("spikes", cell)
    return net.build(mode="clocked", dt_s=DT_S)


def spikes(steps: Any, line: int = 0) -> Array:
    """One at the start of each step."""
    found = np.zeros(len(steps), SPIKE)
    found["t_ns"], found["i"] = np.asarray(steps) * DT_NS, line
    return found


def shares(program: ClockedProgram, steps: list[int]) -> Array:
    """The share u x at each arrival, as the state has it."""
    found = []
    for step in steps:
        program.step((step + 1) * DT_NS, {"pre": spikes([step])})
        state = program.state()
        found.append(state["edge/short_term_u"][0] * state["edge/short_term_x"][0])
    return np.array(found)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden["name"])
def test_shares_are_those_of_nest(golden: dict[str, Any], matrix: bool) -> None:
    program = ClockedBackend().compile(network(ShortTerm(**golden["parameters"]), matrix=matrix))
    steps = np.rint(np.array(golden["pre_s"]) / DT_S).astype(int).tolist()
    assert shares(program, steps) == pytest.approx(golden["factors"], rel=1e-12)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("rules", [RULE, (STDP, RULE)])
def test_what_arrives_is_the_share_of_the_weight(
    rules: Rule | tuple[Rule, ...], matrix: bool
) -> None:
    steps = [3, 10, 40, 41, 300]
    program = ClockedBackend().compile(network(rules, matrix=matrix))
    run = program.run(
        {"pre": np.isin(np.arange(400), steps)[:, None].astype(float)},
        steps=400,
        probes={"cell": np.array([0.0, *(DT_S * (np.array(steps) + 1.5))])},
    )
    jumps = np.diff(run.probes["cell"][:, 0])
    expected = ORACLE(np.array(steps) * DT_S, u=0.3, tau_recovery_s=0.3, tau_facilitation_s=0.05)
    scale = jumps[0] / expected[0]  # a matrix feeds a current, a projection the voltage
    assert jumps == pytest.approx(scale * expected, rel=1e-6)
    assert np.unique(np.round(expected, 3)).size == len(steps)


@settings(deadline=None, max_examples=20)
@given(
    steps=st.lists(st.integers(0, 3000), min_size=1, max_size=20, unique=True).map(sorted),
    u=st.floats(0.01, 1.0),
    tau_recovery_s=st.floats(1e-3, 1.0),
    tau_facilitation_s=st.just(0.0) | st.floats(1e-3, 1.0),
    start=st.integers(0, 10**9),
)
def test_shares_are_those_of_the_oracle_whenever_it_begins(
    steps: list[int], u: float, tau_recovery_s: float, tau_facilitation_s: float, start: int
) -> None:
    values = {
        "u": u, "tau_recovery_s": tau_recovery_s, "tau_facilitation_s": tau_facilitation_s
    }  # fmt: skip
    early, late = (ClockedBackend().compile(network(ShortTerm(**values))) for _ in range(2))
    state = late.state()
    state["step"][0] = start
    late.restore(state)
    found = shares(early, steps)
    assert found == pytest.approx(ORACLE(np.array(steps) * DT_S, **values), rel=1e-9, abs=1e-300)
    assert shares(late, [start + step for step in steps]).tobytes() == found.tobytes()
    assert np.all((found >= 0) & (found <= 1))


def busy(program: ClockedProgram, first: int, last: int) -> bytes:
    """Many lines for a while; what the cell and the synapses have come to."""
    rng = np.random.default_rng(first)
    steps = np.sort(rng.integers(first, last, 200))
    given = spikes(steps)
    given["i"] = rng.integers(0, 5, 200)
    program.step(last * DT_NS, {"pre": given, "post": spikes(steps[::7])})
    return b"".join(part.tobytes() for part in program.state().values())


@pytest.mark.parametrize("rules", [RULE, (STDP, RULE)])
@pytest.mark.parametrize("matrix", [False, True])
def test_going_on_from_a_state_equals_never_having_stopped(
    rules: Rule | tuple[Rule, ...], matrix: bool
) -> None:
    net = network(rules, matrix=matrix, lines=5)
    program, fresh = (ClockedBackend().compile(net) for _ in range(2))
    busy(program, 0, 500)
    state = program.state()
    expected = busy(program, 500, 1000)
    for other in (fresh, program):
        other.restore(state)
        assert busy(other, 500, 1000) == expected


@pytest.mark.parametrize("rules", [RULE, (STDP, RULE)])
def test_the_number_of_threads_changes_no_bit(rules: Rule | tuple[Rule, ...]) -> None:
    net = network(rules, delay_s=3e-4, lines=5)
    found = {busy(ClockedBackend(threads).compile(net), 0, 500) for threads in (1, 2, 3)}
    assert len(found) == 1


def test_it_acts_while_nothing_learns_and_changes_no_weight() -> None:
    program = ClockedBackend().compile(network((STDP, RULE)))
    program.learning = False
    assert shares(program, [0, 100])[1] != RULE.u
    assert program.weights("edge") == pytest.approx(0.5)


def test_weights_that_learn_are_the_same_with_and_without() -> None:
    weights = []
    for rules in (STDP, (STDP, RULE)):
        program = ClockedBackend().compile(network(rules, lines=5))
        busy(program, 0, 500)
        weights.append(program.weights("edge").tobytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize("key", ["frozen", "w_min", "sign"])
def test_what_is_said_of_weights_is_refused_by_name(key: str) -> None:
    value = {"frozen": True, "w_min": 0.0, "sign": "any"}[key]
    with pytest.raises(ValidationError, match=f"{key}: short_term changes no weight"):
        ShortTerm(u=0.5, tau_recovery_s=0.8, **{key: value})


def test_two_on_one_edge_are_refused() -> None:
    with pytest.raises(reflexarc.ConfigError, match="changes the transmission already"):
        network((RULE, RULE))


def test_an_edge_without_learning_cannot_be_frozen() -> None:
    program = ClockedBackend().compile(network(RULE))
    with pytest.raises(ValueError, match="has no rule of its weights"):
        program.freeze("edge")


@pytest.mark.parametrize("part", ["u", "x", "fired"])
def test_a_damaged_state_is_refused(part: str) -> None:
    program = ClockedBackend().compile(network(RULE))
    state = program.state()
    state[f"edge/short_term_{part}"] += 2
    with pytest.raises(ValueError, match="damaged"):
        program.restore(state)
