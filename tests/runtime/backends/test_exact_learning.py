"""Learning in continuous time: the peers' numbers, plain loops, the clocked engine, uptimes."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.contract import chain, three_neurons
from reflexarc.runtime.backends.exact import ExactBackend, ExactProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.drive import Drive, Spikes
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import Linear, Network
from reflexarc.runtime.plasticity import PairStdp, Pes, Rule, ShortTerm, TripletStdp, Vogels

CONFORMANCE = Path(__file__).parents[2] / "conformance"
ORACLE = SimpleNamespace(**runpy.run_path(str(CONFORMANCE / "rule_oracle.py")))
GOLDENS = json.loads((CONFORMANCE / "rule_goldens.json").read_text())["entries"]
DAY_S = 86_400.0

PAIRINGS = {
    "all": "all_to_all",
    "nearest-symmetric": "nearest_symmetric",
    "nearest-pre-centred": "presynaptic_centred",
    "nearest-restricted": "restricted_symmetric",
}
RULES: Mapping[str, Rule] = {
    **{
        f"pair {pairing}": PairStdp(
            a_plus=0.05, a_minus=0.06, tau_minus_s=0.03, mu_plus=0.3, w_max=1.0, pairing=pairing
        )
        for pairing in PAIRINGS.values()
    },
    "additive": PairStdp(a_plus=0.05, a_minus=0.06, tau_minus_s=0.03, w_max=1.0),
    "late": PairStdp(a_plus=0.05, a_minus=0.06, w_max=1.0, dendritic_delay_s=1.5e-3),
    "triplet": TripletStdp(fit="visual_cortex", w_max=1.0),
    "triplet nearest": TripletStdp(fit="hippocampus", pairing="nearest", w_max=1.0),
    "vogels": Vogels(learning_rate=0.02, alpha=1.0, w_max=1.0),
    "inhibitory": PairStdp(a_plus=0.05, a_minus=0.06, w_max=1.0, sign="negative"),
}
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
each_place = pytest.mark.parametrize("matrix", [False, True], ids=["projection", "matrix"])


def network(
    rules: Rule | Sequence[Rule],
    *,
    matrix: bool = False,
    sources: int = 1,
    targets: int = 1,
    delay_s: float = 0.0,
    weight: float = 0.5,
    dt_s: float | None = None,
) -> Network:
    """Lines onto neurons that fire when lines of their own say so, and are slow otherwise."""
    rules = (rules,) if isinstance(rules, Rule) else tuple(rules)
    weight = -weight if any(rule.sign == "negative" for rule in rules) else weight
    net = reflexarc.Builder()
    pre, post = net.input("pre", sources), net.input("post", targets)
    cells = net.population("cells", targets, reflexarc.DeltaLIF(tau_s=1e6, v_threshold=1e6))
    if matrix:
        net.linear(pre, cells, np.full((targets, sources), weight), name="edge", plasticity=rules)
    else:
        net.project(pre, cells, reflexarc.AllToAll(), weight=weight, delay_s=delay_s, name="edge",
                    plasticity=rules)  # fmt: skip
    net.project(post, cells, reflexarc.OneToOne(), weight=1e8)
    net.output("spikes", cells)
    return net.build(mode="exact" if dt_s is None else "clocked", dt_s=dt_s)


def weight_of(program: ExactProgram) -> float:
    return float(program.weights("edge").reshape(-1)[0])


def lines(pre_s: Any, post_s: Any = ()) -> dict[str, list[Drive]]:
    """Spikes of one source and one target."""
    return {
        name: [Spikes(np.asarray(t_s, float), np.zeros(len(t_s), np.int64))]
        for name, t_s in (("pre", pre_s), ("post", post_s))
    }


def drive(program: ExactProgram, pre_s: Any, post_s: Any, until_s: float) -> float:
    """The weight of the only synapse, `until_s` later."""
    program.run(lines(pre_s, post_s), until_s)
    return weight_of(program)


# The peers' numbers.


def rule_of(golden: Mapping[str, Any], **more: Any) -> Rule:
    values = dict(golden["parameters"])
    if golden["rule"] == "pair_stdp":
        return PairStdp(**{**values, "pairing": PAIRINGS[values["pairing"]], **more})
    if golden["rule"] == "vogels":
        return Vogels(**values, sign="positive", **more)
    values["pairing"] = "nearest" if values.pop("nearest") else "all_to_all"
    return TripletStdp(**values, **more)


@each_place
@pytest.mark.parametrize(
    "golden",
    [entry for entry in GOLDENS if entry["rule"] in ("pair_stdp", "triplet_stdp", "vogels")],
    ids=lambda golden: golden["name"],
)
def test_each_arrival_carries_the_weight_of_the_peer(golden: dict[str, Any], matrix: bool) -> None:
    dendritic_s = golden["dendritic_delay_s"]
    delay_s = 0.0 if matrix else golden["delay_s"]
    if matrix:  # half of NEST's delay before and after makes the same differences
        dendritic_s /= 2
    rule = rule_of(golden, dendritic_delay_s=dendritic_s)
    program = ExactBackend().compile(
        network(rule, matrix=matrix, delay_s=delay_s, weight=golden["weight"])
    )
    found, now_ns = [], 0
    trains = {name: spikes(golden[f"{name}_s"]) for name in ("pre", "post")}
    for t_s in golden["pre_s"]:
        until_ns = round((t_s + delay_s) * 1e9) + 1
        inputs = {
            name: train[(train["t_ns"] >= now_ns) & (train["t_ns"] < until_ns)]
            for name, train in trains.items()
        }
        program.step(until_ns, inputs)
        found.append(weight_of(program))
        now_ns = until_ns
    rounded = abs(float(np.float32(golden["weight"])) - golden["weight"])  # a projection's first
    within = 1e-12 + (0.0 if matrix else rounded)
    assert found == pytest.approx(golden["weights"], rel=1e-12, abs=within)


def spikes(t_s: Sequence[float], i: int = 0) -> Array:
    train = np.zeros(len(t_s), SPIKE)
    train["t_ns"], train["i"] = np.rint(np.asarray(t_s) * 1e9).astype(np.int64), i
    return train


@each_place
@pytest.mark.parametrize(
    "golden",
    [entry for entry in GOLDENS if entry["rule"] == "short_term"],
    ids=lambda golden: golden["name"],
)
@pytest.mark.parametrize("learns", [False, True])
def test_what_is_delivered_is_the_peers_share(
    golden: dict[str, Any], matrix: bool, learns: bool
) -> None:
    rules: list[Rule] = [ShortTerm(**golden["parameters"])]
    if learns:
        rules.append(PairStdp(a_plus=0.1, a_minus=0.1, w_max=1.0))
    program = ExactBackend().compile(network(rules, matrix=matrix))
    pre_s = np.array(golden["pre_s"])
    probes = {"cells": [0.0, *(pre_s + 1e-6)]}
    voltages = program.run(lines(pre_s), pre_s[-1] + 1e-5, probes=probes).probes["cells"][:, 0]
    factors = np.array(golden["factors"])
    if matrix:  # a charge into a slow membrane
        assert np.diff(voltages) * factors[0] / voltages[1] == pytest.approx(factors, rel=1e-4)
    else:
        assert np.diff(voltages) == pytest.approx(0.5 * factors, rel=1e-5, abs=1e-7)
    state = program.state()
    share = state["edge/short_term_u"][0] * state["edge/short_term_x"][0]
    assert share == pytest.approx(factors[-1], rel=1e-12)


# Plain loops, at any times.


def expected(rule: Rule, pre_s: Any, post_s: Any, delay_s: float, until_s: float) -> float:
    """The weight by the plain reference: of all that the synapse has seen by then."""
    assert isinstance(rule, PairStdp | TripletStdp | Vogels)
    late = rule.dendritic_delay_s
    seen = ORACLE.events(pre_s, post_s, delay_s, late)
    seen = [event for event in seen if event[0] < until_s - late]
    if isinstance(rule, PairStdp):
        named = {ours: theirs for theirs, ours in PAIRINGS.items()}
        names = ("a_plus", "a_minus", "tau_plus_s", "tau_minus_s", "mu_plus", "mu_minus")
        values = {name: getattr(rule, name) for name in (*names, "w_min", "w_max")}
        return float(ORACLE.pair_stdp(seen, 0.5, pairing=named[rule.pairing], **values)[1][-1])
    if isinstance(rule, Vogels):
        names = ("learning_rate", "alpha", "tau_s", "w_min", "w_max")
        values = {name: getattr(rule, name) for name in names}
        return float(ORACLE.vogels(seen, 0.5, **values)[1][-1])
    names = ("a2_plus", "a3_plus", "a2_minus", "a3_minus", "tau_plus_s", "tau_minus_s", "tau_x_s",
             "tau_y_s", "w_min", "w_max")  # fmt: skip
    values = {name: getattr(rule, name) for name in names}
    nearest = rule.pairing == "nearest"
    return float(ORACLE.triplet_stdp(seen, 0.5, nearest=nearest, **values)[1][-1])


def trains(seed: int, rate_hz: float, span_s: float = 1.0) -> tuple[Array, Array]:
    """Times of both sides, off any grid, at least one of each."""
    rng = np.random.default_rng(seed)
    return tuple(  # type: ignore[return-value]
        np.sort(rng.uniform(0.0, span_s, 1 + rng.poisson(rate_hz * span_s))) for _ in range(2)
    )


@each_rule
@each_place
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    rate_hz=st.sampled_from([2.0, 20.0, 200.0]),
    delay_s=st.sampled_from([0.0, 1.2345678e-3]),
    days=st.sampled_from([0, 30]),
)
def test_weights_are_those_of_the_plain_loop(
    rule: Rule, matrix: bool, seed: int, rate_hz: float, delay_s: float, days: int
) -> None:
    delay_s = 0.0 if matrix else delay_s
    pre_s, post_s = trains(seed, rate_hz)
    program = ExactBackend().compile(network(rule, matrix=matrix, delay_s=delay_s))
    program.run({}, days * DAY_S)
    found = drive(program, pre_s, post_s, 1.1)
    sign = -1.0 if rule.sign == "negative" else 1.0
    # Of the range of weights: a tick is 2e-10 of a time constant, and many changes add up.
    by_loop = expected(rule, pre_s, post_s, delay_s, 1.1)
    assert sign * found == pytest.approx(by_loop, rel=0, abs=1e-9)
    assert rule.w_min <= sign * found <= rule.w_max


@each_place
def test_sources_silent_for_longer_than_the_window_are_looked_after(matrix: bool) -> None:
    rule = PairStdp(a_plus=0.01, a_minus=0.012, tau_plus_s=4e-3, tau_minus_s=3e-3, w_max=1.0)
    pre_s, _ = trains(11, 2.0, 6.0)
    _, post_s = trains(12, 300.0, 6.0)  # far more than are remembered
    program = ExactBackend().compile(network(rule, matrix=matrix))
    found = drive(program, pre_s, post_s, 6.1)
    assert found == pytest.approx(expected(rule, pre_s, post_s, 0.0, 6.1), rel=0, abs=1e-9)


def test_what_is_delivered_is_the_weight_as_it_is_then() -> None:
    rule = PairStdp(a_plus=0.2, a_minus=0.1, w_max=1.0)
    jumps, weights = [], []
    for read in (False, True):
        program = ExactBackend().compile(network(rule))
        program.run(lines([10e-3], [15e-3]), 19e-3)
        if read:
            weights.append(weight_of(program))
        probes = {"cells": [1e-3, 1.1e-3]}
        voltages = program.run(lines([1e-3]), 2e-3, probes=probes).probes["cells"]
        jumps.append(float(voltages[1, 0] - voltages[0, 0]))
    assert jumps[0] == jumps[1] == pytest.approx(weights[0], rel=1e-9)
    assert weights[0] == pytest.approx(0.5 + 0.2 * np.exp(-0.25), rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    rate_hz=st.sampled_from([5.0, 50.0]),
    days=st.sampled_from([0, 30]),
    tau_facilitation_s=st.sampled_from([0.0, 0.2]),
)
def test_shares_are_those_of_the_plain_loop(
    seed: int, rate_hz: float, days: int, tau_facilitation_s: float
) -> None:
    values = {"u": 0.4, "tau_recovery_s": 0.3, "tau_facilitation_s": tau_facilitation_s}
    pre_s, _ = trains(seed, rate_hz)
    program = ExactBackend().compile(network(ShortTerm(**values)))
    program.run({}, days * DAY_S)
    drive(program, pre_s, [], 1.1)
    state = program.state()
    share = state["edge/short_term_u"][0] * state["edge/short_term_x"][0]
    assert share == pytest.approx(ORACLE.short_term(pre_s, **values)[-1], rel=0, abs=1e-10)


@each_rule
@each_place
def test_thirty_days_of_uptime_change_no_bit(rule: Rule, matrix: bool) -> None:
    pre_s, post_s = trains(4, 100.0)
    weights = set()
    for days in (0, 1, 30, 366):
        program = ExactBackend().compile(network(rule, matrix=matrix))
        program.run({}, days * DAY_S)
        weights.add(drive(program, pre_s, post_s, 1.1))
    assert len(weights) == 1


# The clocked engine, where every spike lies on the grid.


@each_rule
@each_place
def test_weights_are_those_of_the_clocked_engine(rule: Rule, matrix: bool) -> None:
    rng, dt_ns = np.random.default_rng(6), 500_000
    size = {"matrix": matrix, "sources": 6, "targets": 5, "delay_s": 2e-3}
    inputs = {}
    for name, lines in (("pre", 6), ("post", 5)):
        step, line = np.nonzero(rng.random((1500, lines)) < 0.03)
        inputs[name] = np.zeros(len(step), SPIKE)
        inputs[name]["t_ns"], inputs[name]["i"] = step * dt_ns, line
    found = []
    for backend, dt_s in ((ClockedBackend(), 5e-4), (ExactBackend(), None)):
        program = backend.compile(network(rule, **size, dt_s=dt_s))
        program.step(2000 * dt_ns, inputs)
        found.append(program.weights("edge"))
    assert np.unique(found[0]).size > 10
    assert found[1] == pytest.approx(found[0], rel=1e-9)


# What belongs to a program.


def busy(program: ExactProgram, first: int, last: int, cut: int = 1) -> Array:
    """Traffic on six lines and five cells from `first` to `last` ms; the spikes that leave."""
    left = []
    for begin in np.linspace(first, last, cut + 1)[:-1].astype(int):
        end = begin + (last - first) // cut
        inputs = {}
        for name, lines in (("pre", 6), ("post", 5)):
            every = np.random.default_rng(len(name)).integers(0, 1_000_000_000, 3000)
            t_ns = np.sort(every)
            here = (t_ns >= begin * 1_000_000) & (t_ns < end * 1_000_000)
            inputs[name] = np.zeros(here.sum(), SPIKE)
            inputs[name]["t_ns"], inputs[name]["i"] = t_ns[here], t_ns[here] % lines
        left.append(program.step(int(end) * 1_000_000, inputs)["spikes"])
    return np.concatenate(left)


def several(rule: Rule | Sequence[Rule], matrix: bool) -> ExactProgram:
    return ExactBackend().compile(
        network(rule, matrix=matrix, sources=6, targets=5, delay_s=1.5e-3)
    )


@each_rule
@each_place
def test_reading_and_cutting_change_no_bit(rule: Rule, matrix: bool) -> None:
    whole, read = several(rule, matrix), several(rule, matrix)
    busy(whole, 0, 400)
    for first in range(0, 400, 20):
        busy(read, first, first + 20)
        read.weights("edge")
        read.state()
    assert read.weights("edge").tobytes() == whole.weights("edge").tobytes()
    ours, theirs = whole.state(), read.state()
    assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)


@each_rule
@each_place
@pytest.mark.parametrize("stacked", [False, True])
def test_going_on_from_a_state_equals_never_having_stopped(
    rule: Rule, matrix: bool, stacked: bool
) -> None:
    rules = (rule, ShortTerm(u=0.4, tau_recovery_s=0.1)) if stacked else (rule,)
    program, fresh = several(rules, matrix), several(rules, matrix)
    busy(program, 0, 201)
    state = program.state()
    busy(program, 201, 401)
    end = program.state()
    for other in (fresh, program):
        other.restore(state)
        busy(other, 201, 401)
        again = other.state()
        assert all(again[key].tobytes() == end[key].tobytes() for key in end)


def test_spikes_on_their_way_to_the_synapses_are_part_of_the_state() -> None:
    program = several(RULES["late"], False)
    program.step(10_000_000, {"post": spikes([9e-3], 2)})
    state = program.state()
    assert state["edge/pending"]["target"].tolist() == [2]
    state["edge/pending"]["target"] = 5
    with pytest.raises(ValueError, match="a spike of no target"):
        program.restore(state)


@pytest.mark.parametrize("part", ["weight", "fired", "since", "target", "short_term_u"])
def test_a_damaged_state_is_refused_and_changes_nothing(part: str) -> None:
    program = several((RULES["additive"], ShortTerm(u=0.4, tau_recovery_s=0.1)), False)
    busy(program, 0, 50)
    before, damaged = program.state(), program.state()
    array = damaged[f"edge/{part}"]
    if part == "target":
        array["last"] = 2**60
    else:
        array += 2**60 if array.dtype == np.int64 else 7
    with pytest.raises(ValueError, match="damaged"):
        program.restore(damaged)
    after = program.state()
    assert all(after[key].tobytes() == before[key].tobytes() for key in before)


@each_place
def test_a_rate_of_zero_changes_no_bit(matrix: bool) -> None:
    program = several(PairStdp(a_plus=0.0, a_minus=0.0, w_max=1.0), matrix)
    first = program.weights("edge").tobytes()
    busy(program, 0, 200)
    assert program.weights("edge").tobytes() == first


@each_place
def test_what_happens_while_it_is_held_is_never_learnt_from(matrix: bool) -> None:
    held, never = several(RULES["late"], matrix), several(RULES["late"], matrix)
    held.learning = False
    busy(held, 0, 100)
    assert np.unique(held.weights("edge")).tolist() == [0.5]
    assert held.counters().weight_updates == 0
    for program in (held, never):
        program.run({}, 30.0)  # nothing of it counts any more
        program.learning = True
        program.step(int(31e9), {"pre": late(30.2), "post": late(30.21)})
    assert held.weights("edge").tobytes() == never.weights("edge").tobytes()
    assert np.unique(held.weights("edge")).size > 1


def late(t_s: float) -> Array:
    """One spike of line 1."""
    return spikes([t_s], 1)


def test_work_follows_arrivals() -> None:
    program = several(RULES["additive"], False)
    program.step(10_000_000, {"pre": spikes([1e-3], 1), "post": spikes([2e-3, 3e-3], 0)})
    assert program.counters().weight_updates == 5


@each_place
def test_two_spikes_of_a_source_at_once_are_learnt_from_once(matrix: bool) -> None:
    weights = []
    for times in (1, 2):
        program = several(RULES["additive"], matrix)
        inputs = {"pre": np.repeat(spikes([5e-3, 9e-3]), times), "post": spikes([4e-3, 7e-3])}
        program.step(20_000_000, inputs)
        weights.append(program.weights("edge").tobytes())
    assert weights[0] == weights[1]


def test_sources_and_targets_of_one_layer() -> None:
    net = reflexarc.Builder()
    cells = net.population("cells", 3, reflexarc.DeltaLIF(tau_s=0.02, v_threshold=1.0))
    drive_ = net.input("drive", 3)
    net.project(drive_, cells, reflexarc.OneToOne(), weight=2.0)
    net.project(cells, cells, reflexarc.AllToAll(), weight=0.1, delay_s=1e-3, name="edge",
                plasticity=PairStdp(a_plus=0.01, a_minus=0.01, w_max=1.0))  # fmt: skip
    net.output("spikes", cells)
    program = ExactBackend().compile(net.build(mode="exact"))
    program.step(50_000_000, {"drive": np.concatenate([spikes([1e-3], 0), spikes([5e-3], 1)])})
    weights = program.weights("edge").reshape(-1, 3 if program.weights("edge").size == 9 else 2)
    assert weights[0].max() > 0.1  # 0 before 1
    assert weights[1].min() < 0.1  # 1 after 0


# What is refused.


def test_a_rule_of_clock_steps_is_refused_by_name_and_reason() -> None:
    net = reflexarc.Builder()
    pre, error = net.input("pre", 2), net.input("error", 1)
    cell = net.population("cell", 1, reflexarc.DeltaLIF())
    pes = Pes(modulator="error", learning_rate=1e-3)
    net.linear(pre, cell, [[0.0, 0.0]], name="edge", plasticity=pes)
    net.output("spikes", cell)
    del error
    with pytest.raises(UnsupportedError, match="rule pes is defined by clock steps; run the netw"):
        ExactBackend().compile(net.build(mode="exact"))
    known = ExactBackend().capabilities().rules
    assert {"pair_stdp", "triplet_stdp", "vogels", "r_stdp", "short_term"} <= known
    assert not known & {"pes", "oja", "bcm", "voja", "e_prop", "sdsp", "clopath"}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (reflexarc.Sdsp(), "rule sdsp reads the voltages of its targets at each arrival"),
        (reflexarc.Oja(learning_rate=1e-3), "rule oja is defined by clock steps; run the network"),
        (reflexarc.Clopath(), "rule clopath follows the voltages of its targets step by step"),
    ],
)
def test_a_rule_of_steps_is_refused_by_name_and_reason(rule: Rule, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        ExactBackend().compile(network(rule))
    assert rule.rule not in ExactBackend().capabilities().rules


@each_place
@pytest.mark.parametrize("rule", [RULES["additive"], ShortTerm(u=0.4, tau_recovery_s=0.1)])
def test_a_current_is_refused(rule: Rule, matrix: bool) -> None:
    program = several(rule, matrix)
    with pytest.raises(ValueError, match="current cannot reach 'edge', whose rules are of spikes,"):
        program.step(1_000_000, {"pre": np.ones(6)})
    with pytest.raises(ConfigError, match="current cannot reach 'edge'"):
        program.run({"pre": [reflexarc.StepCurrent(0.0, 1.0, 0, 1.0)]}, 1.0)


def test_an_edge_behind_another_is_refused() -> None:
    plain = three_neurons()
    before = Linear(name="before", shape=(2,), weight=np.eye(2))
    nodes = [plain.nodes["input"], before, plain.nodes["weights"], plain.nodes["lif"]]
    network = replace(chain(*nodes), plasticity={"weights": PairStdp(a_plus=0.1, a_minus=0.1)})
    with pytest.raises(UnsupportedError, match="begin at an Input or at neurons, not at 'before'"):
        ExactBackend().compile(network)


def test_after_417_days_there_is_no_time_for_learning() -> None:
    program = several(RULES["additive"], False)
    with pytest.raises(ValueError, match="417 days"):
        program.step(2**55, {})
