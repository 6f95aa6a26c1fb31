"""Reward-modulated learning in continuous time: NEST's numbers, the clocked engine, uptimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.exact import ExactBackend, ExactProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.drive import Drive, Spikes, StepCurrent
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import Network
from reflexarc.runtime.plasticity import RewardStdp

GOLDENS = [
    entry
    for entry in json.loads(
        (Path(__file__).parents[2] / "conformance" / "rule_goldens.json").read_text()
    )["entries"]
    if entry["rule"] == "reward_stdp"
]
DAY_S, DT_NS = 86_400.0, 500_000
RULE = RewardStdp(
    modulator="reward", a_plus=0.05, a_minus=0.06, tau_eligibility_s=0.1, baseline=0.3, w_max=1.0
)
each_place = pytest.mark.parametrize("matrix", [False, True], ids=["projection", "matrix"])
each_level = pytest.mark.parametrize("tau_s", [0.03, None], ids=["decaying", "held"])


def network(
    rule: RewardStdp = RULE,
    *,
    matrix: bool = False,
    lines: int = 5,
    weight: float = 0.5,
    tau_s: float | None = 0.03,
    dt_s: float | None = None,
) -> Network:
    """Lines onto neurons that fire when lines of their own say so, and are slow otherwise."""
    net = reflexarc.Builder()
    pre, post = net.input("pre", lines), net.input("post", lines)
    net.modulator(rule.modulator, tau_s=tau_s)
    cells = net.population("cells", lines, reflexarc.DeltaLIF(tau_s=1e6, v_threshold=1e6))
    if matrix:
        net.linear(pre, cells, np.full((lines, lines), weight), name="edge", plasticity=rule)
    else:
        net.project(pre, cells, reflexarc.AllToAll(), weight=weight, name="edge", plasticity=rule)
    net.project(post, cells, reflexarc.OneToOne(), weight=1e8)
    net.output("spikes", cells)
    return net.build(mode="exact" if dt_s is None else "clocked", dt_s=dt_s)


def compiled(rule: RewardStdp = RULE, **values: Any) -> ExactProgram:
    return ExactBackend().compile(network(rule, **values))


def weights(program: Any) -> Array:
    return np.asarray(program.weights("edge")).reshape(-1)


def train(t_ns: Any, i: Any = 0) -> Array:
    found = np.zeros(np.size(t_ns), SPIKE)
    found["t_ns"], found["i"] = t_ns, i
    return found


def busy(program: Any, first: int, last: int, held: bool = False) -> None:
    """Traffic from step `first` to step `last`, the reward given every 20 steps if it is held."""
    rng = np.random.default_rng(3)
    fires, rewards = rng.random((2, 3000, 5)) < 0.02, rng.random(3000) < 0.02
    levels = rng.normal(size=3000)
    for begin in range(first, last, 20):
        inputs: dict[str, Array] = {}
        for name, fired in zip(("pre", "post"), fires, strict=True):
            step, line = np.nonzero(fired[begin : begin + 20])
            inputs[name] = train((begin + step) * DT_NS, line)
        (given,) = np.nonzero(rewards[begin : begin + 20])
        inputs["reward"] = np.array([levels[begin]]) if held else train((begin + given) * DT_NS)
        program.step((begin + 20) * DT_NS, inputs)


def drives(shift_s: float = 0.0, **times_s: list[float]) -> dict[str, list[Drive]]:
    return {
        name: [Spikes(np.asarray(at) + shift_s, np.zeros(len(at), np.int64))]
        for name, at in times_s.items()
    }


@each_place
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden["name"])
def test_the_weight_is_nests(golden: dict[str, Any], matrix: bool) -> None:
    said = dict(golden["parameters"])
    tau_s = said.pop("tau_modulator_s")
    rule = RewardStdp(modulator="dopamine", dendritic_delay_s=5e-4, **said)
    program = compiled(rule, matrix=matrix, lines=1, weight=golden["weight"], tau_s=tau_s)
    state = program.state()  # a projection is built from float32, too coarse for what follows
    state["edge/weight"][:] = golden["weight"]
    program.restore(state)
    names = {"pre": "pre_s", "post": "post_s", "dopamine": "modulator_s"}
    found, now_ns = [], 0
    trains = {name: train(np.rint(np.array(golden[key]) * 1e9)) for name, key in names.items()}
    for t_s in golden["read_s"]:
        until_ns = round(t_s * 1e9)
        within = {
            name: all_[(all_["t_ns"] >= now_ns) & (all_["t_ns"] < until_ns)]
            for name, all_ in trains.items()
        }
        program.step(until_ns, within)
        found.append(weights(program)[0])
        now_ns = until_ns
    assert found == pytest.approx(golden["weights"], rel=1e-11, abs=1e-11)


def test_the_weight_that_the_issue_prints_is_among_them() -> None:
    (golden,) = (golden for golden in GOLDENS if golden["name"] == "reward-issue")
    assert golden["weights"] == pytest.approx([9.424936716529], rel=1e-12)


@each_place
@each_level
def test_weights_are_those_of_the_clocked_engine(matrix: bool, tau_s: float | None) -> None:
    found = []
    for backend, dt_s in ((ClockedBackend(), DT_NS * 1e-9), (ExactBackend(), None)):
        program = backend.compile(network(matrix=matrix, tau_s=tau_s, dt_s=dt_s))
        busy(program, 0, 2000, held=tau_s is None)
        found.append(weights(program))
    assert np.unique(found[0]).size > 10
    assert found[1] == pytest.approx(found[0], rel=1e-9)


@each_place
@each_level
def test_reading_changes_no_bit(matrix: bool, tau_s: float | None) -> None:
    whole, read = (compiled(matrix=matrix, tau_s=tau_s) for _ in range(2))
    busy(whole, 0, 1600, held=tau_s is None)
    for first in range(0, 1600, 40):
        busy(read, first, first + 40, held=tau_s is None)
        weights(read)
        read.state()
    for program, parts in ((whole, 1), (read, 10)):
        for _ in range(parts):  # in all more epochs than are kept
            program.run({}, 20.0 / parts)
            weights(read)
        reward = [Spikes([0.15], [0])] if tau_s else [StepCurrent(0.15, 0.25, 0, 2.0)]
        program.run({**drives(pre=[0.1, 0.2], post=[0.11]), "reward": reward}, 0.3)
    assert weights(read).tobytes() == weights(whole).tobytes()
    ours, theirs = whole.state(), read.state()
    assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)


@each_place
@each_level
def test_going_on_from_a_state_equals_never_having_stopped(
    matrix: bool, tau_s: float | None
) -> None:
    program, fresh = (compiled(matrix=matrix, tau_s=tau_s) for _ in range(2))
    busy(program, 0, 400, held=tau_s is None)
    state = program.state()
    busy(program, 400, 800, held=tau_s is None)
    end = program.state()
    for other in (fresh, program):
        other.restore(state)
        busy(other, 400, 800, held=tau_s is None)
        again = other.state()
        assert all(again[key].tobytes() == end[key].tobytes() for key in end)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_damaged_level_is_refused(value: float) -> None:
    program = compiled()
    state = program.state()
    state["levels"][:] = value
    with pytest.raises(ValueError, match="a modulator of no level"):
        program.restore(state)


@each_place
@pytest.mark.parametrize("days", [1, 30, 366])
def test_weights_do_not_depend_on_uptime(matrix: bool, days: int) -> None:
    rng, found = np.random.default_rng(9), []
    times = {name: np.sort(rng.uniform(0, 1.0, 30)).tolist() for name in ("pre", "post", "reward")}
    for shift in (0, days):
        program = compiled(RULE.model_copy(update={"baseline": 0.0}), matrix=matrix, lines=1)
        program.run({}, shift * DAY_S)
        program.run(drives(**times), 1.1)
        found.append(weights(program)[0])
    assert found[0] != 0.5
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_nothing_is_learnt_while_learning_is_off() -> None:
    program = compiled()
    busy(program, 0, 200)
    program.learning = False
    kept = weights(program).tobytes()
    busy(program, 200, 400)
    assert weights(program).tobytes() == kept
    program.learning = True
    busy(program, 400, 600)
    assert weights(program).tobytes() != kept


def test_rewards_cost_silent_synapses_nothing() -> None:
    program = compiled()
    program.run(drives(pre=[0.001], post=[0.002]), 0.01)
    before = program.counters()
    program.run(drives(reward=np.arange(0.0, 1.0, 1e-3).tolist()), 1.0)
    assert program.counters() == before
    assert np.unique(weights(program)).size > 1


def test_what_a_modulator_does_not_take_is_refused() -> None:
    decaying, held = compiled(), compiled(tau_s=None)
    with pytest.raises(ValueError, match="cannot reach a modulator with a tau_s in exact mode"):
        decaying.step(1_000, {"reward": np.ones(1)})
    with pytest.raises(ConfigError, match="cannot reach a modulator with a tau_s in exact mode"):
        decaying.run({"reward": [StepCurrent(0.0, 1.0, 0, 1.0)]}, 1.0)
    with pytest.raises(ValueError, match="a spike has no level in exact mode"):
        held.step(1_000, {"reward": train([0])})
    with pytest.raises(ConfigError, match="a spike has no level in exact mode"):
        held.run(drives(reward=[0.1]), 1.0)


def test_a_held_level_teaches_as_long_as_it_is_held() -> None:
    """One pair, and dw/dt = c n while a level of 2 is held, in closed form."""
    rule = RULE.model_copy(update={"baseline": 0.0})
    program = compiled(rule, lines=1, tau_s=None)
    level: list[Drive] = [StepCurrent(0.1, 0.2, 0, 2.0)]
    program.run({**drives(pre=[0.01], post=[0.02]), "reward": level}, 0.5)
    eligibility = 0.05 * np.exp(-0.01 / 0.02)
    change = 2.0 * eligibility * 0.1 * (np.exp(-0.08 / 0.1) - np.exp(-0.18 / 0.1))
    assert weights(program)[0] == pytest.approx(0.5 + change, rel=1e-9)


def test_only_a_modulator_may_be_named() -> None:
    net = reflexarc.Builder()
    pre = net.input("pre", 1)
    cells = net.population("cells", 1, reflexarc.DeltaLIF())
    net.linear(pre, cells, [[0.5]], name="edge", plasticity=RewardStdp(
        modulator="pre", a_plus=0.1, a_minus=0.1
    ))  # fmt: skip
    net.output("spikes", cells)
    with pytest.raises(UnsupportedError, match="'pre' must be a Modulator of one value; add one"):
        ExactBackend().compile(net.build(mode="exact"))
