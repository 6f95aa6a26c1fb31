"""What every rule of spikes keeps to, and reward-modulated STDP against a plain loop over steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.plasticity import KernelRule

DT_S, DT_NS = 1e-3, 1_000_000
SOURCES, TARGETS = 5, 4
REWARD_TAU_S = 0.03

_CLOPATH = {"theta_plus": 0.4, "theta_minus": 0.05, "v_rest": 0.0, "v_spike": 5.0, "w_max": 1.0}
_SDSP = {"tau_calcium_s": 0.03, "theta_up_low": 0.5, "theta_down_low": 0.3, "theta_v": 0.3}
_REWARD = {"modulator": "reward", "tau_eligibility_s": 0.05, "w_max": 1.0}
#: By name: a rule that learns much within 400 steps, and one whose learning rates are zero.
RULES: Mapping[str, tuple[KernelRule, KernelRule]] = {
    "pair_stdp": (
        reflexarc.PairStdp(a_plus=0.1, a_minus=0.11, w_max=1.0),
        reflexarc.PairStdp(a_plus=0.0, a_minus=0.0, w_max=1.0),
    ),
    "triplet_stdp": (
        reflexarc.TripletStdp(fit="visual_cortex", a3_plus=0.1, a2_minus=0.1, w_max=1.0),
        reflexarc.TripletStdp(
            a2_plus=0, a3_plus=0, a2_minus=0, a3_minus=0, tau_x_s=0.1, tau_y_s=0.1, w_max=1.0
        ),
    ),
    "r_stdp": (
        reflexarc.RewardStdp(a_plus=1.0, a_minus=1.1, baseline=2.0, **_REWARD),
        reflexarc.RewardStdp(a_plus=0.0, a_minus=0.0, baseline=2.0, **_REWARD),
    ),
    "vogels": (
        reflexarc.Vogels(learning_rate=0.05, alpha=0.7, w_max=1.0),
        reflexarc.Vogels(learning_rate=0.0, alpha=0.7, w_max=1.0),
    ),
    "clopath": (
        reflexarc.Clopath(a_ltp=0.1, a_ltd=0.5, **_CLOPATH),
        reflexarc.Clopath(a_ltp=0.0, a_ltd=0.0, **_CLOPATH),
    ),
    "clopath_homeostatic": (
        reflexarc.Clopath(a_ltp=0.1, a_ltd=0.5, tau_mean_s=0.1, u_reference=0.3, **_CLOPATH),
        reflexarc.Clopath(a_ltp=0.0, a_ltd=0.0, u_reference=0.3, **_CLOPATH),
    ),
    "sdsp": (
        reflexarc.Sdsp(jump_up=0.3, jump_down=0.3, **_SDSP),
        reflexarc.Sdsp(jump_up=0.0, jump_down=0.0, **_SDSP),
    ),
}
every = pytest.mark.parametrize("name", RULES)
both = pytest.mark.parametrize("matrix", [False, True], ids=["projection", "matrix"])


def compiled(
    rule: KernelRule,
    *,
    matrix: bool = False,
    lag: int = 0,
    threads: int = 1,
    tau_s: float | None = REWARD_TAU_S,
    weight: float = 0.5,
    v_threshold: float = 50.0,
) -> ClockedProgram:
    """Lines onto neurons that other lines make fire and whose voltage a current moves."""
    net = reflexarc.Builder()
    pre, post = net.input("pre", SOURCES), net.input("post", TARGETS)
    current = net.input("current", TARGETS)
    net.modulator("reward", tau_s=tau_s)
    cells = net.population(
        "cells", TARGETS, reflexarc.DeltaLIF(tau_s=5e-3, v_threshold=v_threshold)
    )
    weight = -weight if rule.sign == "negative" else weight
    if matrix:
        weights = np.full((TARGETS, SOURCES), weight)
        net.linear(pre, cells, weights, name="learns", plasticity=rule)
    else:
        net.project(pre, cells, reflexarc.AllToAll(), weight=weight, delay_s=lag * DT_S,
                    name="learns", plasticity=rule)  # fmt: skip
    net.project(post, cells, reflexarc.OneToOne(), weight=4 * v_threshold)
    net.linear(current, cells, np.eye(TARGETS))
    net.output("spikes", cells)
    return ClockedBackend(threads).compile(net.build(mode="clocked", dt_s=DT_S))


def spikes(raster: Array, first: int) -> Array:
    """The spikes of a raster (steps, lines) whose first row is step `first`."""
    step, line = np.nonzero(raster)
    found = np.empty(len(step), SPIKE)
    found["t_ns"], found["i"] = (first + step) * DT_NS, line
    return found


class World:
    """Spikes, rewards and currents of some steps."""

    def __init__(self, seed: int, steps: int = 400, rate: float = 0.05) -> None:
        rng = np.random.default_rng(seed)
        self.steps = steps
        self.rasters = {
            "pre": rng.random((steps, SOURCES)) < rate,
            "post": rng.random((steps, TARGETS)) < rate,
            "reward": rng.random((steps, 1)) < 0.1,
        }
        self.currents = rng.normal(0.2, 0.5, (steps // 20, TARGETS))

    def run(self, program: ClockedProgram, first: int, last: int, shift: int = 0) -> None:
        """Steps `first` to `last`, multiples of 20, `shift` steps later than they say."""
        for k in range(first, last, 20):
            inputs = {n: spikes(r[k : k + 20], k + shift) for n, r in self.rasters.items()}
            inputs["current"] = self.currents[k // 20]
            program.step((k + 20 + shift) * DT_NS, inputs)


def learnt(program: ClockedProgram, world: World, shift: int = 0) -> Array:
    world.run(program, 0, world.steps, shift)
    return program.weights("learns")


@every
@both
@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.005, 0.05, 0.4]),
    low=st.sampled_from([0.0, 0.4]),
    high=st.sampled_from([0.6, 1.0]),
)
def test_bounds_are_never_left(
    name: str, matrix: bool, seed: int, rate: float, low: float, high: float
) -> None:
    rule = RULES[name][0].model_copy(update={"w_min": low, "w_max": high})
    world, program = World(seed, rate=rate), compiled(rule, matrix=matrix)
    for first in range(0, world.steps, 40):
        world.run(program, first, first + 40)
        weights = (-1 if rule.sign == "negative" else 1) * program.weights("learns")
        assert weights.min() >= low
        assert weights.max() <= high


@every
@both
def test_a_zero_learning_rate_changes_no_bit(name: str, matrix: bool) -> None:
    program = compiled(RULES[name][1], matrix=matrix)
    before = program.weights("learns").tobytes()
    assert learnt(program, World(1)).tobytes() == before


@every
@both
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32), shift=st.integers(1, 500))
def test_what_is_learnt_does_not_depend_on_when(
    name: str, matrix: bool, seed: int, shift: int
) -> None:
    weight = 1.0 if name == "sdsp" else 0.5  # 0.5 is no X that stays
    early, late = (compiled(RULES[name][0], matrix=matrix, weight=weight) for _ in range(2))
    late.step(shift * DT_NS, {})
    found = learnt(late, World(seed), shift)
    assert found == pytest.approx(learnt(early, World(seed)), rel=1e-9, abs=1e-9)


@every
@both
def test_it_learns_and_going_on_from_a_state_equals_never_having_stopped(
    name: str, matrix: bool
) -> None:
    rule, world = RULES[name][0], World(2)
    whole, fresh = (compiled(rule, matrix=matrix) for _ in range(2))
    before = whole.weights("learns")
    world.run(whole, 0, 200)
    state = whole.state()
    world.run(whole, 200, 400)
    assert not np.array_equal(whole.weights("learns"), before)
    wanted = whole.state()
    for program in (fresh, whole):
        program.restore(state)
        world.run(program, 200, 400)
        assert program.weights("learns").tobytes() == whole.weights("learns").tobytes()
        assert {k: v.tobytes() for k, v in program.state().items()} == {
            k: v.tobytes() for k, v in wanted.items()
        }


@every
@both
def test_reading_weights_changes_no_bit(name: str, matrix: bool) -> None:
    rule, world = RULES[name][0], World(3)
    read, unread = (compiled(rule, matrix=matrix) for _ in range(2))
    for first in range(0, world.steps, 20):
        world.run(read, first, first + 20)
        read.weights("learns")
        read.state()
    assert read.weights("learns").tobytes() == learnt(unread, world).tobytes()


@every
@pytest.mark.parametrize("lag", [0, 3])
def test_the_number_of_threads_changes_no_bit(name: str, lag: int) -> None:
    found = {
        learnt(compiled(RULES[name][0], lag=lag, threads=threads), World(4)).tobytes()
        for threads in (1, 2, 3)
    }
    assert len(found) == 1


@every
@both
def test_weights_stay_while_learning_is_off(name: str, matrix: bool) -> None:
    world, program = World(5), compiled(RULES[name][0], matrix=matrix)
    world.run(program, 0, 100)
    program.learning = False
    frozen = program.weights("learns")
    world.run(program, 100, 300)
    assert np.array_equal(program.weights("learns"), frozen)
    program.learning = True
    assert np.array_equal(program.weights("learns"), frozen)
    world.run(program, 300, 400)
    assert not np.array_equal(program.weights("learns"), frozen)


@both
def test_a_source_that_sends_just_as_its_past_ends_learns_from_it_once(matrix: bool) -> None:
    rule = reflexarc.PairStdp(a_plus=0.1, a_minus=0.1, tau_plus_s=2e-3, tau_minus_s=2e-3, w_max=1)
    window = round(rule.window_s / DT_S)
    pre, post = np.zeros((100, SOURCES), bool), np.zeros((100, TARGETS), bool)
    pre[[7, 7 + window]] = post[8] = True
    program = compiled(rule, matrix=matrix)
    program.step(100 * DT_NS, {"pre": spikes(pre, 0), "post": spikes(post, 0)})
    assert program.weights("learns") == pytest.approx(0.5 + 0.1 * np.exp(-0.5), rel=1e-6)


# --- reward-modulated STDP --------------------------------------------------------------------


def reward_rule(**options: Any) -> reflexarc.RewardStdp:
    said = {"a_plus": 0.3, "a_minus": 0.31, "tau_plus_s": 0.01, "tau_minus_s": 0.015}
    return reflexarc.RewardStdp(modulator="reward", w_min=-1e30, **{**said, **options})


def integral(level: float, tau_s: float | None, baseline: float, tau_c_s: float) -> float:
    """Over a step, of a decaying eligibility of 1 times what the level is above the baseline."""
    rate = 1 / tau_c_s + (0.0 if tau_s is None else 1 / tau_s)
    return level * -np.expm1(-rate * DT_S) / rate + baseline * tau_c_s * np.expm1(-DT_S / tau_c_s)


def stepped(rule: reflexarc.RewardStdp, pre: Array, post: Array, levels: Array,
            tau_s: float | None) -> Array:  # fmt: skip
    """The rule written down plainly, step by step; weights (sources, targets) after each step."""
    w, c = np.full((SOURCES, TARGETS), 0.5), np.zeros((SOURCES, TARGETS))
    x, y, weights = np.zeros(SOURCES), np.zeros(TARGETS), []
    for arriving, fired, level in zip(pre, post, levels, strict=True):
        c -= rule.a_minus * np.outer(arriving, y)
        x += arriving
        c += rule.a_plus * np.outer(x, fired)
        y += fired
        w = w + c * integral(level, tau_s, rule.baseline, rule.tau_eligibility_s)
        weights.append(w)
        c *= np.exp(-DT_S / rule.tau_eligibility_s)
        x *= np.exp(-DT_S / rule.tau_plus_s)
        y *= np.exp(-DT_S / rule.tau_minus_s)
    return np.array(weights)


def level_of(values: Array, tau_s: float | None) -> Array:
    """What the modulator shows in each step when `values` are held in it."""
    if tau_s is None:
        return values
    keep, level, shown = np.exp(-DT_S / tau_s), 0.0, []
    for value in values:
        level = keep * level + (1 - keep) * value
        shown.append(level)
    return np.array(shown)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.003, 0.03, 0.3]),
    tau_c_s=st.sampled_from([0.015, 0.05, 0.6]),
    tau_s=st.sampled_from([None, 0.004, 0.2]),
    baseline=st.sampled_from([0.0, -0.7]),
    matrix=st.booleans(),
)
def test_one_integral_of_the_reward_equals_steps(
    seed: int, rate: float, tau_c_s: float, tau_s: float | None, baseline: float, matrix: bool
) -> None:
    """Through many epochs of the integral, and past the window of silent sources."""
    rule = reward_rule(tau_eligibility_s=tau_c_s, baseline=baseline)
    program = compiled(rule, matrix=matrix, tau_s=tau_s, v_threshold=1e9)
    rng, steps = np.random.default_rng(seed), 1200
    pre, post = rng.random((steps, SOURCES)) < rate, rng.random((steps, TARGETS)) < rate
    values = np.repeat(rng.normal(0, 3, steps // 5), 5)
    wanted = stepped(rule, pre, post, level_of(values, tau_s), tau_s)
    for k in range(0, steps, 5):
        inputs = {name: spikes(train[k : k + 5], k) for name, train in
                  (("pre", pre), ("post", post))}  # fmt: skip
        program.step((k + 5) * DT_NS, {**inputs, "reward": values[k : k + 1]})
        if rng.random() < 0.1:
            found = program.weights("learns")
            found = found.T if matrix else found.reshape(SOURCES, TARGETS)
            assert found == pytest.approx(wanted[k + 4], rel=1e-10, abs=1e-10)


def test_a_spike_carries_what_the_reward_has_done_since_the_last() -> None:
    rule = reward_rule(tau_eligibility_s=1.0)
    pre, post = np.zeros((200, SOURCES), bool), np.zeros((200, TARGETS), bool)
    pre[10, 0] = post[15] = True
    reward = np.ones(1)
    for matrix in (False, True):
        program = compiled(rule, matrix=matrix, tau_s=None)
        program.step(150 * DT_NS, {"pre": spikes(pre[:150], 0), "post": spikes(post[:150], 0),
                                   "reward": reward})  # fmt: skip
        before = program.weights("learns")
        weight = before[0, 0] if matrix else before[0]
        arrival = np.zeros(1, SPIKE)
        arrival["t_ns"] = 150 * DT_NS
        program.step(151 * DT_NS, {"pre": arrival, "reward": reward})
        v = program.run({}, steps=0, probes={"cells": [0.0]}).probes["cells"][0, 0]
        assert weight > 0.51
        gain = -np.expm1(-DT_S / 5e-3) if matrix else 1.0
        assert v == pytest.approx(gain * weight, rel=1e-6)


def test_eligibility_decays_while_learning_is_off() -> None:
    """Whether the source is silent then or not."""
    rule = reward_rule(tau_eligibility_s=0.1)
    pre, post = np.zeros((20, SOURCES), bool), np.zeros((20, TARGETS), bool)
    pre[5, :2] = post[8] = True
    between = np.zeros((50, SOURCES), bool)
    between[[10, 40], 0] = True
    program = compiled(rule, tau_s=None)
    program.step(20 * DT_NS, {"pre": spikes(pre, 0), "post": spikes(post, 0)})
    program.learning = False
    program.step(70 * DT_NS, {"pre": spikes(between, 20), "reward": np.ones(1)})
    program.learning = True
    assert np.all(program.weights("learns") == 0.5)
    program.step(120 * DT_NS, {"reward": np.ones(1)})
    weights = program.weights("learns").reshape(SOURCES, TARGETS)
    left = rule.a_plus * np.exp(-3e-3 / rule.tau_plus_s - 0.062 / 0.1)
    assert weights[:2] - 0.5 == pytest.approx(left * 0.1 * -np.expm1(-0.5), rel=1e-9)
    assert np.all(weights[2:] == 0.5)


def test_a_reward_that_is_no_number_teaches_nothing() -> None:
    """A graded node can overflow; then its step counts as the baseline."""
    rule = reward_rule()
    net = reflexarc.Builder()
    pre, post, big = net.input("pre", 1), net.input("post", 1), net.input("big", 1)
    net.linear(big, net.output("shown", 1), [[1e300]], name="scale")
    cell = net.population("cell", 1, reflexarc.DeltaLIF(tau_s=5e-3, v_threshold=50.0))
    named = rule.model_copy(update={"modulator": "scale"})
    net.project(pre, cell, reflexarc.AllToAll(), weight=0.5, name="learns", plasticity=named)
    net.project(post, cell, reflexarc.AllToAll(), weight=200.0)
    net.output("spikes", cell)
    program = ClockedBackend().compile(net.build(mode="clocked", dt_s=DT_S))
    one = np.zeros(1, SPIKE)
    program.step(10 * DT_NS, {"pre": one, "post": one, "big": np.full(1, 1e300)})
    assert program.weights("learns").tolist() == [0.5]
    program.step(20 * DT_NS, {"big": np.full(1, 1e-300)})
    assert program.weights("learns")[0] > 0.5
    assert np.isfinite(program.weights("learns")).all()


# --- what does not fit ------------------------------------------------------------------------


def test_rules_that_do_not_fit_say_so_in_a_line() -> None:
    with pytest.raises(ValueError, match="tau_eligibility_s must be at least"):
        reward_rule(tau_eligibility_s=0.001)
    with pytest.raises(reflexarc.ConfigError, match="dendritic_delay_s: clopath sees the voltage"):
        compiled(reflexarc.Clopath(dendritic_delay_s=1e-3))
    with pytest.raises(reflexarc.ConfigError, match=r"w_min: .* is w_max too"):
        compiled(reflexarc.Sdsp(w_min=0.5, w_max=0.5))
    with pytest.raises(reflexarc.ConfigError, match="'cells' has 4 values; name a node of one"):
        compiled(reflexarc.RewardStdp(modulator="cells", a_plus=1, a_minus=1))
