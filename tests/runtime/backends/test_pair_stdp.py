"""Pair STDP along a projection, against a plain loop over every step and synapse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.network import Input, Network, Neurons, Node, Output, Projection
from reflexarc.runtime.plasticity import PairStdp

DT_S, DT_NS = 1e-3, 1_000_000
RULE = PairStdp(a_plus=0.02, a_minus=0.021, tau_plus_s=0.02, tau_minus_s=0.03, w_max=1.0)


def learner(
    sources: int = 6, targets: int = 5, delay_s: float = 2e-3, rule: PairStdp = RULE
) -> Network:
    """Lines onto neurons that copy lines of their own: both sides' spikes are given."""
    rng = np.random.default_rng(3)
    per_source = [
        np.sort(rng.choice(targets, rng.integers(1, targets + 1), replace=False))
        for _ in range(sources)
    ]
    rows = np.concatenate([[0], np.cumsum([len(row) for row in per_source])]).astype(np.int64)
    parameters = {
        "tau": 1e-3,
        "r": 1.0,
        "v_leak": 0.0,
        "v_threshold": 50.0,
        "v_reset": 0.0,
        "refractory": 0.0,
        "i_offset": 0.0,
    }
    nodes: list[Node] = [
        Input(name="pre", shape=(sources,)),
        Input(name="post", shape=(targets,)),
        Projection(
            name="learns",
            shape=(targets,),
            sources=sources,
            rows=rows,
            targets=np.concatenate(per_source).astype(np.int32),
            weight=np.full(rows[-1], 0.5, np.float32),
            delay_s=delay_s,
        ),
        Projection(
            name="copies",
            shape=(targets,),
            sources=targets,
            rows=np.arange(targets + 1),
            targets=np.arange(targets, dtype=np.uint16),
            weight=np.array([100.0], np.float32),
        ),
        Neurons(
            name="lif",
            shape=(targets,),
            kind="DeltaLIF",
            parameters={name: np.full(targets, value) for name, value in parameters.items()},
        ),
        Output(name="output", shape=(targets,)),
    ]
    edges = (
        ("pre", "learns"),
        ("learns", "lif"),
        ("post", "copies"),
        ("copies", "lif"),
        ("lif", "output"),
    )
    return Network(
        nodes={node.name: node for node in nodes},
        edges=edges,
        mode="clocked",
        dt_s=DT_S,
        plasticity={"learns": rule},
    )


def spikes(raster: Array, first: int) -> Array:
    """The spikes of a raster (steps, lines) whose first row is step `first`."""
    step, line = np.nonzero(raster)
    found = np.empty(len(step), SPIKE)
    found["t_ns"], found["i"] = (first + step) * DT_NS, line
    return found


def run(program: ClockedProgram, pre: Array, post: Array, first: int = 0) -> None:
    until_ns = (first + len(pre)) * DT_NS
    program.step(until_ns, {"pre": spikes(pre, first), "post": spikes(post, first)})


def stepped(network: Network, pre: Array, post: Array) -> Array:
    """The rule written down plainly in float64, step by step and synapse by synapse."""
    node, rule = network.nodes["learns"], network.plasticity["learns"]
    assert isinstance(node, Projection)
    assert isinstance(rule, PairStdp)
    source = np.repeat(np.arange(node.sources), np.diff(node.rows))
    lag = round(node.delay_s / DT_S)
    w = np.full(len(node.targets), 0.5)
    x, y = np.zeros(node.sources), np.zeros(node.size)
    for step in range(len(pre)):
        x *= np.exp(-DT_S / rule.tau_plus_s)
        y *= np.exp(-DT_S / rule.tau_minus_s)
        arriving = pre[step - lag] if step >= lag else np.zeros(node.sources, bool)
        hit = arriving[source]
        w[hit] = np.maximum(w[hit] - rule.a_minus * y[node.targets[hit]], rule.w_min)
        x[arriving] += 1
        hit = post[step][node.targets]
        w[hit] = np.minimum(w[hit] + rule.a_plus * x[source[hit]], rule.w_max)
        y[post[step]] += 1
    return w


def rasters(seed: int, steps: int, rate: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.random((steps, 6)) < rate, rng.random((steps, 5)) < rate


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.002, 0.02, 0.2, 0.8]),
    lag=st.integers(0, 4),
)
def test_weights_are_those_of_the_plain_loop(seed: int, rate: float, lag: int) -> None:
    network = learner(delay_s=lag * DT_S)
    program = ClockedBackend().compile(network)
    pre, post = rasters(seed, 400, rate)
    run(program, pre, post)
    assert program.weights("learns") == pytest.approx(stepped(network, pre, post), abs=2e-5)


def test_sources_silent_for_longer_than_the_window_are_looked_after() -> None:
    rule = PairStdp(a_plus=0.02, a_minus=0.021, tau_plus_s=2e-3, tau_minus_s=3e-3, w_max=1.0)
    network = learner(rule=rule)
    program = ClockedBackend().compile(network)
    pre, post = rasters(5, 3000, 0.003)
    post |= np.random.default_rng(1).random(post.shape) < 0.3  # far more than are remembered
    run(program, pre, post)
    assert program.weights("learns") == pytest.approx(stepped(network, pre, post), abs=2e-5)


def test_reading_weights_changes_no_bit() -> None:
    pre, post = rasters(7, 600, 0.05)
    read, unread = (ClockedBackend().compile(learner()) for _ in range(2))
    run(unread, pre, post)
    for first in range(0, 600, 25):
        run(read, pre[first : first + 25], post[first : first + 25], first)
        read.weights("learns")
    assert read.weights("learns").tobytes() == unread.weights("learns").tobytes()


def test_going_on_from_a_state_equals_never_having_stopped() -> None:
    pre, post = rasters(8, 600, 0.05)
    program, fresh = (ClockedBackend().compile(learner()) for _ in range(2))
    run(program, pre[:300], post[:300])
    state = program.state()
    run(program, pre[300:], post[300:], 300)
    for other in (fresh, program):
        other.restore(state)
        run(other, pre[300:], post[300:], 300)
        assert other.weights("learns").tobytes() == program.weights("learns").tobytes()
    assert (
        program.state()["learns/of_source"].tobytes() == fresh.state()["learns/of_source"].tobytes()
    )


def test_the_number_of_threads_changes_no_bit() -> None:
    pre, post = rasters(9, 600, 0.05)
    weights = []
    for threads in (1, 2, 3):
        program = ClockedBackend(threads).compile(learner())
        run(program, pre, post)
        weights.append(program.weights("learns").tobytes())
    assert weights[0] == weights[1] == weights[2]


def test_frozen_weights_stay_and_learn_again_when_let() -> None:
    pre, post = rasters(10, 400, 0.05)
    program = ClockedBackend().compile(learner())
    run(program, pre[:100], post[:100])
    program.learning = False
    frozen = program.weights("learns")
    run(program, pre[100:300], post[100:300], 100)
    assert np.array_equal(program.weights("learns"), frozen)
    program.learning = True
    assert np.array_equal(program.weights("learns"), frozen)
    run(program, pre[300:], post[300:], 300)
    assert not np.array_equal(program.weights("learns"), frozen)


def test_bounds_hold() -> None:
    rule = PairStdp(a_plus=0.5, a_minus=0.5, w_min=0.2, w_max=0.7)
    program = ClockedBackend().compile(learner(rule=rule))
    pre, post = rasters(11, 500, 0.1)
    for first in range(0, 500, 20):
        run(program, pre[first : first + 20], post[first : first + 20], first)
        weights = program.weights("learns").astype(np.float32)
        assert weights.min() >= np.float32(0.2)
        assert weights.max() <= np.float32(0.7)


def test_several_spikes_of_a_source_in_a_step_are_learnt_from_once() -> None:
    pre, post = rasters(12, 200, 0.1)
    once, twice = (ClockedBackend().compile(learner()) for _ in range(2))
    run(once, pre, post)
    doubled = np.repeat(spikes(pre, 0), 2)
    twice.step(len(pre) * DT_NS, {"pre": doubled, "post": spikes(post, 0)})
    assert twice.weights("learns").tobytes() == once.weights("learns").tobytes()
