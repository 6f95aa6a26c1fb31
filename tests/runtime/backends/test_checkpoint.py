"""States of the clocked backend: going on from one equals never having stopped, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflexarc.runtime.backends.base import State
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.backends.contract import refusal, same, same_state
from reflexarc.runtime.batch import Array
from reflexarc.runtime.builder import Builder
from reflexarc.runtime.network import Delay, Input, Network, Node, Output
from reflexarc.runtime.neurons import Izhikevich

DT_NS = 1_000_000
Make = Callable[..., Network]
Drive = Callable[[int, int], dict[str, Array]]
#: The fixtures are functions without a state.
STATELESS = [HealthCheck.function_scoped_fixture]


def compiled(network: Network, threads: int = 1) -> ClockedProgram:
    return ClockedBackend(threads).compile(network)


def go(program: ClockedProgram, inputs: Drive, first: int, last: int) -> list[Array]:
    return list(program.step(last * DT_NS, inputs(first, last)).values())


# Going on.


@settings(deadline=None, max_examples=25, suppress_health_check=STATELESS)
@given(
    stops=st.lists(st.integers(0, 120), min_size=1, max_size=5),
    fresh=st.lists(st.sampled_from([0, 0, 1, 2]), min_size=5, max_size=5),
)
def test_stops_change_no_bit(
    network: Make, inputs: Drive, stops: list[int], fresh: list[int]
) -> None:
    """At each stop the state goes back into the program (0) or into a new one with threads."""
    unbroken, program, first = compiled(network()), compiled(network()), 0
    for stop, threads in zip(sorted(stops), fresh, strict=False):
        go(program, inputs, first, stop)
        state, first = program.state(), stop
        if threads:
            program = compiled(network(), threads)
        else:
            go(program, inputs, first, first + 9)
        program.restore(state)
        assert same_state(program.state(), state)
    go(unbroken, inputs, 0, max(stops))
    assert same(go(program, inputs, first, first + 15), go(unbroken, inputs, first, first + 15))
    assert same_state(program.state(), unbroken.state())


def test_thousands_of_steps_later_nothing_has_gone_astray(network: Make, inputs: Drive) -> None:
    unbroken, program, first = compiled(network(20)), compiled(network(20)), 0
    for last in (500, 1_700, 2_300, 4_000):
        state = program.state()
        program = compiled(network(20))
        program.restore(state)
        left, expected = (go(each, inputs, first, last) for each in (program, unbroken))
        assert all(len(values) for values in expected)
        assert same(left, expected)
        first = last
    assert same_state(program.state(), unbroken.state())


def test_a_state_can_be_taken_between_any_two_steps_without_a_trace(
    network: Make, inputs: Drive
) -> None:
    watched, unwatched = compiled(network()), compiled(network())
    for step in range(60):
        go(watched, inputs, step, step + 1)
        watched.state()
    go(unwatched, inputs, 0, 60)
    assert same_state(watched.state(), unwatched.state())


def test_what_is_restored_is_on_its_way(network: Make, inputs: Drive) -> None:
    """The state of the test has something of all that a state must hold."""
    program = compiled(network())
    go(program, inputs, 0, 50)
    state = program.state()
    assert len(state["ring/index"]) > 0
    assert len(state["ring/value"]) > 0
    assert np.any(state["arrived"] != 0)
    assert np.any(state["counts"] > 0)
    assert np.any(state["pairs exp/of_source"] > 0)
    assert np.any(state["pairs exp/target"]["last"] >= 0)
    silent = compiled(network())
    silent.restore({**state, "arrived": np.zeros_like(state["arrived"])})
    program.restore(state)
    assert not same(go(program, inputs, 50, 60), go(silent, inputs, 50, 60))


@pytest.mark.parametrize("fresh", [False, True])
def test_weights_that_were_frozen_when_the_state_was_taken_learn_on(
    network: Make, inputs: Drive, fresh: bool
) -> None:
    unbroken, program = compiled(network()), compiled(network())
    for each in (unbroken, program):
        go(each, inputs, 0, 40)
        each.learning = False
        go(each, inputs, 40, 90)
    state = program.state()
    program = compiled(network()) if fresh else program
    program.restore(state)
    for each in (unbroken, program):
        each.learning = True
        go(each, inputs, 90, 150)
    for edge in ("pairs exp", "pairs delta", "learns"):
        assert same(program.weights(edge), unbroken.weights(edge))
    assert same_state(program.state(), unbroken.state())


# What is refused.


def refused(program: ClockedProgram, state: State) -> str:
    """What `state` is refused with: one line, and nothing has changed."""
    before = program.state()
    text = refusal(lambda: program.restore(state), ValueError)
    assert text.startswith("the state ")
    assert "\n" not in text
    assert same_state(program.state(), before)
    return text


def mirrored(wire: Any) -> Array:
    """Targets of other synapses with the same rows."""
    source = np.repeat(np.arange(wire.sources), np.diff(wire.rows))
    targets = wire.size - 1 - wire.targets
    return targets[np.lexsort((targets, source))].astype(wire.targets.dtype)


def another(plain: Network, what: str) -> Network:
    """A network that differs from `plain` in one thing."""
    if what == "seed":
        return replace(plain, seed=plain.seed + 1)
    wire: Any = plain.nodes["noise_to_exp"]
    matrix: Any = plain.nodes["levels_to_exp"]
    exp: Any = plain.nodes["exp"]
    node = {
        "weight": replace(wire, weight=wire.weight * np.float32(2)),
        "targets": replace(wire, targets=mirrored(wire)),
        "delay": replace(wire, delay_s=wire.delay_s + 1e-3),
        "matrix": replace(matrix, weight=matrix.weight * 2),
        "parameter": replace(exp, parameters={**exp.parameters, "r": exp.parameters["r"] * 2}),
    }[what]
    return replace(plain, nodes={**plain.nodes, node.name: node})


@pytest.mark.parametrize("what", ["seed", "weight", "targets", "delay", "matrix", "parameter"])
def test_a_state_of_another_network_is_refused(network: Make, inputs: Drive, what: str) -> None:
    program, other = compiled(network()), compiled(another(network(), what))
    go(program, inputs, 0, 10)
    assert "network" in refused(program, other.state())


def test_a_state_of_another_size_or_step_is_refused(network: Make) -> None:
    program = compiled(network())
    assert "does not have the parts" in refused(program, compiled(network(41)).state())
    finer = ClockedBackend().compile(network(), dt_s=5e-4)
    assert "network" in refused(program, finer.state())


def test_the_step_tells_apart_what_has_no_factor_of_it() -> None:
    net = Builder()
    net.output("out", net.population("cells", 2, Izhikevich()))
    programs = [ClockedBackend().compile(net.build(), dt_s=dt_s) for dt_s in (1e-3, 5e-4)]
    assert "another network" in refused(programs[0], programs[1].state())


def test_delays_of_the_same_longest_tell_networks_apart() -> None:
    def delayed(*delay_s: float) -> ClockedProgram:
        nodes: list[Node] = [Input(name="in", shape=(2,)), Output(name="out", shape=(2,))]
        nodes.append(Delay(name="delay", shape=(2,), delay_s=np.array(delay_s)))
        by_name = {node.name: node for node in nodes}
        return compiled(
            Network(nodes=by_name, edges=(("in", "delay"), ("delay", "out")), dt_s=1e-3)
        )

    assert "another network" in refused(delayed(1e-3, 3e-3), delayed(2e-3, 3e-3).state())


def test_learnt_weights_do_not_tell_networks_apart(network: Make, inputs: Drive) -> None:
    """A network saved with what it has learnt takes the states of the one it was."""
    program, plain = compiled(network()), network()
    go(program, inputs, 0, 30)
    wire: Any = plain.nodes["pairs exp"]
    learnt = replace(wire, weight=program.weights("pairs exp").astype(np.float32))
    saved = compiled(replace(plain, nodes={**plain.nodes, "pairs exp": learnt}))
    saved.restore(program.state())
    assert same_state(saved.state(), program.state())


def put(value: Any, at: int = 0) -> Callable[[Array], Array]:
    """Another value at one place."""

    def change(part: Array) -> Array:
        part[at] = value
        return part

    return change


PARTS = "does not have the parts"


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("values", lambda part: part.astype(np.float32), PARTS),
        ("values", lambda part: part[:-1], PARTS),
        ("arrived", lambda part: part.astype(np.float64), PARTS),
        ("ring/index", lambda part: part.astype(np.int64), PARTS),
        ("ring/counts", lambda part: part[1:], PARTS),
        ("pairs exp/weight", lambda part: part[:-1], PARTS),
        ("pairs exp/target", lambda part: part.view(np.int32), PARTS),
        ("network", put(0), "another network"),
        ("step", put(-1), "damaged: step -1"),
        ("step", put(2**62), "damaged: step"),
        ("counts", put(-1), "more events than elements"),
        ("counts", put(10**6), "more events than elements"),
        ("events", put(-1), "an event of no element"),
        ("events", put(10**6), "an event of no element"),
        ("ring/counts", put(-1), "more spikes than elements"),
        ("ring/counts", put(10**6), "more spikes than elements"),
        ("ring/index", put(-1), "a spike of no element"),
        ("ring/index", put(10**6), "a spike of no element"),
        ("ring/index", lambda part: part[:-1], "a spike of no element"),
        ("ring/index", lambda part: np.append(part, part[:1]), "do not match their counts"),
        ("ring/value", lambda part: part[:-1], "do not match their counts"),
        ("ring/value", lambda part: np.append(part, part[:1]), "do not match their counts"),
        ("pairs exp/fired", put(50), "a spike outside the time before it"),
        ("pairs exp/fired", put(-2), "a spike outside the time before it"),
        ("pairs delta/target", put((50, 3, 0.0, 0.0)), "a spike outside the time before it"),
        ("pairs delta/target", put((3, -(2**40), 0.0, 0.0)), "a spike outside the time before it"),
        ("pairs delta/weight", put(np.nan), "a weight outside its bounds"),
        ("pairs delta/weight", put(-1.0), "a weight outside its bounds"),
        ("pairs exp/since", put(-1), "spikes paired before they were there"),
        ("pairs exp/since", put(2**40), "a spike outside the time before it"),
    ],
)
def test_a_damaged_part_is_refused(
    network: Make, inputs: Drive, part: str, change: Callable[[Array], Array], reason: str
) -> None:
    program = compiled(network())
    go(program, inputs, 0, 50)
    state = program.state()
    assert reason in refused(program, {**state, part: change(state[part].copy())})


def test_a_part_too_few_or_too_many_is_refused(network: Make) -> None:
    program = compiled(network())
    state = program.state()
    assert PARTS in refused(program, {**state, "more": np.zeros(1)})
    for part in state:
        assert PARTS in refused(program, {k: v for k, v in state.items() if k != part})


@settings(deadline=None, max_examples=60, suppress_health_check=STATELESS)
@given(seed=st.integers(0, 2**32))
def test_any_damage_is_refused_or_harmless(network: Make, inputs: Drive, seed: int) -> None:
    """Whatever is accepted runs on without harm to the process."""
    rng = np.random.default_rng(seed)
    program = compiled(network(8))
    program.step(30 * DT_NS, inputs(0, 30))
    state = {key: part.copy() for key, part in program.state().items()}
    part = state[rng.choice([key for key in state if key != "network"])]
    raw = part.view(np.uint8).reshape(-1)
    raw[rng.integers(0, len(raw), 3)] = rng.integers(0, 256, 3)
    if not refusal(lambda: program.restore(state), ValueError):
        program.step(program.now_ns + 20 * DT_NS, {})
