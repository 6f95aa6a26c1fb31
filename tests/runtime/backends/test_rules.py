"""What holds for every rule that a kernel carries out, whatever it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.network import Network
from reflexarc.runtime.plasticity import KernelRule

DT_S, DT_NS = 1e-3, 1_000_000
SOURCES, TARGETS, ERRORS, STEPS = 6, 130, 2, 250

#: By name: class, options, and those that make it learn nothing.
RULES: dict[str, tuple[type[KernelRule], dict[str, Any], dict[str, Any]]] = {
    "pair_stdp": (
        reflexarc.PairStdp,
        {"a_plus": 0.05, "a_minus": 0.06, "tau_minus_s": 0.03},
        {"a_plus": 0.0, "a_minus": 0.0},
    ),
    "triplet_stdp": (
        reflexarc.TripletStdp,
        {"fit": "visual_cortex"},
        {"a2_plus": 0.0, "a3_plus": 0.0, "a2_minus": 0.0, "a3_minus": 0.0},
    ),
    "r_stdp": (
        reflexarc.RewardStdp,
        {"modulator": "reward", "a_plus": 1.0, "a_minus": 1.2, "tau_eligibility_s": 0.1},
        {"a_plus": 0.0, "a_minus": 0.0},
    ),
    "vogels": (
        reflexarc.Vogels,
        {"sign": "any", "learning_rate": 0.02, "alpha": 0.2},
        {"learning_rate": 0.0},
    ),
    "clopath": (
        reflexarc.Clopath,
        {
            "theta_plus": 1.0,
            "theta_minus": 0.2,
            "v_rest": 0.0,
            "v_spike": 3.0,
            "a_ltp": 1e-2,
            "a_ltd": 1e-2,
        },
        {"a_ltp": 0.0, "a_ltd": 0.0},
    ),
    "oja": (reflexarc.Oja, {"learning_rate": 1e-3, "beta": 2.0}, {"learning_rate": 0.0}),
    "bcm": (reflexarc.Bcm, {"learning_rate": 1e-5, "tau_theta_s": 0.1}, {"learning_rate": 0.0}),
    "voja": (reflexarc.Voja, {"learning_rate": 0.5, "scale": 2.0}, {"learning_rate": 0.0}),
    "e_prop": (
        reflexarc.EProp,
        {"modulator": "errors", "learning_rate": 2000.0, "c_reg": 0.01, "tau_rate_s": 0.1},
        {"learning_rate": 0.0},
    ),
}
CASES = [
    (name, edge)
    for name, (rule, _, _) in RULES.items()
    for edge in ("projection", "matrix")
    if edge in rule.places
]
each_case = pytest.mark.parametrize(("name", "edge"), CASES)


def declared(name: str, *, still: bool = False, **options: Any) -> KernelRule:
    """A rule of the table with bounds, and others of its options."""
    rule, values, none = RULES[name]
    bounds = {"w_min": 0.0, "w_max": 1.0}
    return rule(**{**bounds, **values, **(none if still else {}), **options})


def learner(edge: str, rule: KernelRule, first: float = 0.5) -> Network:
    """Lines onto neurons that also fire when lines of their own say so."""
    net = reflexarc.Builder(seed=2)
    pre, post = net.input("pre", SOURCES), net.input("post", TARGETS)
    net.input("errors", ERRORS)
    net.input("reward", 1)
    neurons = reflexarc.DeltaLIF(tau_s=0.02, v_threshold=3.0, refractory_s=2e-3)
    cells = net.population("cells", TARGETS, neurons)
    if edge == "projection":
        net.project(pre, cells, reflexarc.Probability(0.8), weight=first, delay_s=2e-3,
                    name="learns", plasticity=rule)  # fmt: skip
    else:
        weight = np.full((TARGETS, SOURCES), first)
        net.linear(pre, cells, weight, name="learns", plasticity=rule)
    net.project(post, cells, reflexarc.OneToOne(), weight=5.0)
    net.output("spikes", cells)
    return net.build(mode="clocked", dt_s=DT_S)


def drive(seed: int, steps: int = STEPS) -> dict[str, Array]:
    """Rasters (steps, lines) and errors."""
    rng = np.random.default_rng(seed)
    return {
        "pre": (rng.random((steps, SOURCES)) < 0.1).astype(float),
        "post": (rng.random((steps, TARGETS)) < 0.03).astype(float),
        "errors": rng.standard_normal((steps, ERRORS)),
        "reward": rng.standard_normal((steps, 1)),
    }


def run(program: ClockedProgram, inputs: dict[str, Array], read_every: int = 0) -> Array:
    """Weights at the end, after reading them now and then."""
    for step in range(len(inputs["pre"])):
        program.step(program.now_ns + DT_NS, {name: x[step] for name, x in inputs.items()})
        if read_every and step % read_every == 0:
            program.weights("learns")
    return program.weights("learns")


def part(inputs: dict[str, Array], *bounds: int | None) -> dict[str, Array]:
    return {name: x[slice(*bounds)] for name, x in inputs.items()}


def fresh(edge: str, rule: KernelRule, threads: int = 1, first: float = 0.5) -> ClockedProgram:
    return ClockedBackend(threads).compile(learner(edge, rule, first))


@each_case
def test_it_learns_and_learns_nothing_at_rate_zero(name: str, edge: str) -> None:
    still = fresh(edge, declared(name, still=True))
    before = still.weights("learns")
    assert run(still, drive(1)).tobytes() == before.tobytes()
    assert np.abs(run(fresh(edge, declared(name)), drive(1)) - before).max() > 1e-2


@each_case
@settings(deadline=None, max_examples=5)
@given(
    seed=st.integers(0, 2**32),
    sign=st.sampled_from(["any", "positive", "negative"]),
    precision=st.sampled_from(["double", "single"]),
)
def test_bounds_and_signs_hold(name: str, edge: str, seed: int, sign: str, precision: str) -> None:
    rule = declared(name, w_min=0.4, w_max=0.6, sign=sign, precision=precision)
    program = fresh(edge, rule, first=-0.5 if sign == "negative" else 0.5)
    inputs, reached = drive(seed, 100), []
    for step in range(100):
        run(program, part(inputs, step, step + 1))
        w = program.weights("learns") * (-1 if sign == "negative" else 1)
        reached += [w.min(), w.max()]
    kind = np.float32 if precision == "single" and edge == "projection" else np.float64
    assert min(reached) >= kind(0.4)
    assert max(reached) <= kind(0.6)
    assert np.ptp(reached) > 0


@each_case
def test_a_sign_holds_without_a_bound_at_zero(name: str, edge: str) -> None:
    rule = declared(name, w_min=-1.0, sign="positive")
    assert run(fresh(edge, rule, first=0.01), drive(3)).min() >= 0.0


@each_case
@pytest.mark.parametrize("precision", ["double", "single"])
def test_reading_weights_changes_no_bit(name: str, edge: str, precision: str) -> None:
    rule = declared(name, precision=precision)
    unread, read = run(fresh(edge, rule), drive(4)), run(fresh(edge, rule), drive(4), 7)
    assert read.tobytes() == unread.tobytes()


@each_case
def test_going_on_from_a_state_equals_never_having_stopped(name: str, edge: str) -> None:
    rule, inputs = declared(name), drive(5)
    program, other = fresh(edge, rule), fresh(edge, rule)
    run(program, part(inputs, 0, 120))
    state = program.state()
    whole = run(program, part(inputs, 120, None))
    for again in (other, program):
        again.restore(state)
        assert run(again, part(inputs, 120, None)).tobytes() == whole.tobytes()
        after = {key: x.tobytes() for key, x in again.state().items()}
        assert after == {key: x.tobytes() for key, x in program.state().items()}


@each_case
def test_the_number_of_threads_changes_no_bit(name: str, edge: str) -> None:
    rule = declared(name)
    found = {run(fresh(edge, rule, threads), drive(6)).tobytes() for threads in (1, 2, 3)}
    assert len(found) == 1


@each_case
def test_when_it_begins_changes_no_bit(name: str, edge: str) -> None:
    rule, inputs = declared(name), drive(7)
    late = fresh(edge, rule)
    late.step(1_234 * DT_NS, {})
    found, expected = run(late, inputs), run(fresh(edge, rule), inputs)
    if name == "r_stdp":  # its running integral is rounded by where it stands
        assert found == pytest.approx(expected, rel=1e-13, abs=0)
    else:
        assert found.tobytes() == expected.tobytes()


@each_case
def test_frozen_weights_stay_and_learn_again_when_let(name: str, edge: str) -> None:
    inputs = drive(8)
    program = fresh(edge, declared(name, frozen=True))
    before = program.weights("learns")
    assert run(program, part(inputs, 0, 100)).tobytes() == before.tobytes()
    program.freeze("learns", False)
    learnt = run(program, part(inputs, 100, 200))
    assert not np.array_equal(learnt, before)
    program.learning = False
    assert run(program, part(inputs, 200, None)).tobytes() == learnt.tobytes()


@each_case
def test_silence_is_not_learnt_from(name: str, edge: str) -> None:
    program = fresh(edge, declared(name))
    run(program, drive(9))
    program.step(program.now_ns + 2_000 * DT_NS, {})
    updates, before = program.counters().weight_updates, program.weights("learns")
    program.step(program.now_ns + 500 * DT_NS, {})
    assert program.counters().weight_updates == updates > 0
    assert program.weights("learns").tobytes() == before.tobytes()


def test_spikes_are_records_too() -> None:
    inputs = drive(10)
    by_value = run(fresh("projection", declared("oja")), inputs)
    program, given_ = fresh("projection", declared("oja")), {}
    for port in ("pre", "post"):
        step, line = np.nonzero(inputs[port])
        given_[port] = np.zeros(len(step), SPIKE)
        given_[port]["t_ns"], given_[port]["i"] = step * DT_NS, line
    program.step(STEPS * DT_NS, given_)
    assert program.weights("learns").tobytes() == by_value.tobytes()


@pytest.mark.parametrize(("name", "options"), [("voja", {"scale": -2.0}), ("e_prop", {})])
def test_rules_that_follow_a_gradient_move_weights_of_either_sign_alike(
    name: str, options: dict[str, Any]
) -> None:
    bounds = {"w_min": -10.0, "w_max": 10.0, **options}
    free = run(fresh("matrix", declared(name, **bounds), first=-0.5), part(drive(11), 0, 60))
    held = declared(name, sign="negative", **bounds)
    signed = run(fresh("matrix", held, first=-0.5), part(drive(11), 0, 60))
    assert free.max() < 0.0  # no bound has mattered
    assert np.ptp(free) > 1e-3
    assert signed.tobytes() == free.tobytes()
