"""E-prop against plain loops, against the gradient, and at a task."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.plasticity import Pes

ORACLE = runpy.run_path(str(Path(__file__).with_name("eprop_oracle.py")))
DT_S, DT_NS = 1e-3, 1_000_000
SOURCES, TARGETS, ERRORS = 7, 5, 2
STEPS = 300
KINDS = {
    "LIF": reflexarc.LIF(tau_s=0.02, v_reset=0.25, refractory_s=2e-3),
    "ALIF": reflexarc.ALIF(tau_s=0.02, v_reset=0.25, tau_threshold_s=0.1, threshold_jump=0.3),
}


def oracle_layer(kind: str) -> Any:
    if kind == "LIF":
        return ORACLE["Layer"](TARGETS, refractory_steps=2)
    return ORACLE["Layer"](TARGETS, jump=0.3, tau_threshold_s=0.1)


def rule(**options: Any) -> reflexarc.EProp:
    values = {"modulator": "errors", "learning_rate": 1000.0, "tau_readout_s": 0.03}
    return reflexarc.EProp(**{**values, **options})


def drawn(seed: int = 1) -> dict[str, Array]:
    """Spikes in, errors, and first weights."""
    rng = np.random.default_rng(seed)
    return {
        "pre": (rng.random((STEPS, SOURCES)) < 0.1).astype(float),
        "errors": rng.standard_normal((STEPS, ERRORS)),
        "weight": np.float32(rng.uniform(-2.0, 12.0, (TARGETS, SOURCES))).astype(float),
        "recurrent": rng.uniform(-4.0, 4.0, (TARGETS, TARGETS)),
        "readout": rng.standard_normal((ERRORS, TARGETS)),
    }


def network(
    learns: reflexarc.EProp,
    kind: str = "LIF",
    edge: str = "matrix",
    delay_s: float = 0.0,
    readout_rule: reflexarc.Pes | None = None,
) -> reflexarc.Network:
    """Lines onto a layer, itself onto itself, and a readout; the edge `learns` is one of three."""
    data = drawn()
    net = reflexarc.Builder(seed=4)
    pre = net.input("pre", SOURCES)
    net.input("errors", ERRORS)
    cells = net.population("cells", TARGETS, KINDS[kind])
    if edge == "projection":
        i, j = np.divmod(np.arange(data["weight"].size), SOURCES)
        net.project(pre, cells, reflexarc.Pairs(j, i), weight=data["weight"].reshape(-1),
                    delay_s=delay_s, name="learns", plasticity=learns)  # fmt: skip
    else:
        named = {"name": "learns", "plasticity": learns} if edge == "matrix" else {}
        net.linear(pre, cells, data["weight"], **named)
    named = {"name": "learns", "plasticity": learns} if edge == "recurrent" else {}
    net.linear(cells, cells, data["recurrent"], **named)
    shown = net.output("shown", ERRORS)
    net.linear(cells, shown, data["readout"], name="readout", plasticity=readout_rule)
    net.output("spikes", cells)
    return net.build(mode="clocked", dt_s=DT_S)


def run(program: ClockedProgram, pre: Array, errors: Array, each: Any = None) -> None:
    """Step by step; calls `each` after every one."""
    for x, error in zip(pre, errors, strict=True):
        program.step(program.now_ns + DT_NS, {"pre": x, "errors": error})
        if each is not None:
            each()


def single(w: Array, pre: Array) -> Array:
    """What a projection delivers: sums of float32."""
    arrived = np.zeros(TARGETS, np.float32)
    for j in np.flatnonzero(pre):
        arrived += w[:, j].astype(np.float32)
    return arrived


def oracle(
    learns: reflexarc.EProp, kind: str, edge: str, lag: int, feedback: list[Array]
) -> tuple[Array, Array]:
    """Weights after each step, and spikes; `feedback` is B in each step, (targets, errors)."""
    data, layer = drawn(), oracle_layer(kind)
    sources = TARGETS if edge == "recurrent" else SOURCES
    kappa = np.exp(-DT_S / learns.tau_readout_s)
    traces = ORACLE["Eligibility"](layer, sources, kappa, 1.0, learns.dampening)
    w, recurrent = data["weight"], data["recurrent"]
    fired, rate, back = np.zeros((3, TARGETS))
    keep = np.exp(-DT_S / learns.tau_rate_s)
    weights, spikes = [], []
    for t in range(STEPS):
        pre = data["pre"][t - lag] if t >= lag else np.zeros(SOURCES)
        arrivals = fired if edge == "recurrent" else pre
        current = single(w, pre) if edge == "projection" else w @ pre
        fired, above, free = layer.step(current + back)
        back = recurrent @ fired  # it acts in the next step, but by the weights of this one
        e = traces.step(arrivals, above, free)
        rate = keep * rate + (1 - keep) / DT_S * fired
        signal = feedback[t] @ data["errors"][t]
        regular = learns.c_reg * (rate - learns.f_target_hz)
        slope = signal[:, None] * traces.filtered + regular[:, None] * e
        changed = (recurrent if edge == "recurrent" else w) - learns.learning_rate * DT_S * slope
        if edge == "recurrent":
            recurrent = changed
        else:
            w = changed
        weights.append(changed)
        spikes.append(fired)
    return np.array(weights), np.array(spikes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("edge", "lag"), [("matrix", 0), ("projection", 0), ("projection", 3), ("recurrent", 0)]
)
@pytest.mark.parametrize("c_reg", [0.0, 0.01])
def test_weights_are_those_of_the_plain_loop(kind: str, edge: str, lag: int, c_reg: float) -> None:
    learns, data = rule(c_reg=c_reg, tau_rate_s=0.1), drawn()
    program = ClockedBackend().compile(network(learns, kind, edge, lag * DT_S))
    shared = program.state()["learns/shared"]
    feedback = shared[: TARGETS * ERRORS].reshape(TARGETS, ERRORS)
    weights, spikes = oracle(learns, kind, edge, lag, [feedback] * STEPS)
    found: list[Array] = []
    run(program, data["pre"], data["errors"], lambda: found.append(program.weights("learns")))
    read = np.array(found)
    if edge == "projection":  # rows by source
        read = read.reshape(STEPS, SOURCES, TARGETS).transpose(0, 2, 1)
    assert program.counters().spikes == spikes.sum() > 20
    assert np.abs(weights[-1] - weights[0]).max() > 0.02
    assert read == pytest.approx(weights, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("mode", ["symmetric", "adaptive"])
def test_feedback_follows_the_readout(mode: str, taught: bool) -> None:
    learns = rule(feedback=mode, readout="readout", feedback_decay_hz=3.0)
    pes = reflexarc.Pes(modulator="errors", learning_rate=0.1) if taught else None
    program, data = ClockedBackend().compile(network(learns, readout_rule=pes)), drawn()
    readouts: list[Array] = []
    before = program.state()["learns/shared"][: TARGETS * ERRORS]
    b = before.reshape(TARGETS, ERRORS) if mode == "adaptive" else None
    found: list[Array] = []

    def note() -> None:
        readouts.append(program.weights("readout"))
        found.append(program.weights("learns"))

    run(program, data["pre"], data["errors"], note)
    assert np.ptp(readouts, axis=0).max() > 0.1 or not taught
    feedback, last = [], data["readout"]
    for k in range(STEPS):  # the edge is declared first: it sees what the step before has left
        now = readouts[k - 1] if k else data["readout"]
        if b is not None:
            b = np.exp(-3.0 * DT_S) * b + (now - last).T
        feedback.append(now.T if b is None else b)
        last = now
    weights, _ = oracle(learns, "LIF", "matrix", 0, feedback)
    assert np.array(found) == pytest.approx(weights, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_of_its_changes_is_the_gradient(kind: str) -> None:
    """Back through time, by hand, for one layer, its readout and E = dt / 2 sum of error^2."""
    data, layer = drawn(), oracle_layer(kind)
    kappa, goal = np.exp(-DT_S / 0.03), drawn(2)["errors"]
    y, psi, errors = np.zeros(ERRORS), np.zeros((STEPS, TARGETS)), np.zeros((STEPS, ERRORS))
    for t in range(STEPS):
        fired, above, free = layer.step(data["weight"] @ data["pre"][t])
        psi[t] = np.where(free, 0.3 * np.maximum(0.0, 1 - np.abs(above)), 0.0)
        y = kappa * y + (1 - kappa) * data["readout"] @ fired
        errors[t] = y - goal[t]
    gradient = np.zeros((TARGETS, SOURCES))
    of_y, (of_v, of_raised) = np.zeros(ERRORS), np.zeros((2, TARGETS))
    for t in reversed(range(STEPS)):
        of_y = DT_S * errors[t] + kappa * of_y
        of_spike = (1 - kappa) * data["readout"].T @ of_y + layer.relaxing * layer.jump * of_raised
        of_v = psi[t] * of_spike + layer.decay * of_v
        of_raised = layer.relaxing * of_raised - psi[t] * of_spike
        gradient += np.outer((1 - layer.decay) * of_v, data["pre"][t])
    rate = 1e-4
    learns = rule(feedback="symmetric", readout="readout", learning_rate=rate)
    alone = network(learns, kind)
    unlooped = alone.nodes["cells_to_cells"].weight
    unlooped.flags.writeable = True
    unlooped[:] = 0.0
    program = ClockedBackend().compile(alone)
    run(program, data["pre"], errors)
    found = (data["weight"] - program.weights("learns")) / rate
    assert np.abs(gradient).max() > 1e-4
    assert found == pytest.approx(gradient, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modulator": "nowhere"}, "modulator"),
        ({"feedback": "symmetric"}, "readout"),
        ({"readout": "readout"}, "readout"),
        ({"feedback": "adaptive", "readout": "nowhere"}, "readout"),
        ({"feedback": "adaptive", "readout": "pre"}, "readout"),
    ],
)
def test_a_misfit_is_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        network(rule(**options))
    assert "\n" not in str(refused.value)


def test_layers_without_such_a_membrane_are_refused() -> None:
    net = reflexarc.Builder()
    pre = net.input("pre", 1)
    net.input("errors", 1)
    cells = net.population("cells", 1, reflexarc.ExpLIF())
    net.linear(pre, cells, [[1.0]], name="learns", plasticity=rule())
    with pytest.raises(UnsupportedError, match="'cells' is ExpLIF"):
        ClockedBackend().compile(net.build(mode="clocked", dt_s=DT_S))


def pattern_generator(
    seed: int, feedback: str = "symmetric", *, reads: bool = False
) -> reflexarc.Network:
    """Bellec et al. 2020, fig. 3, smaller: a recurrent layer that hears a clock draws a line.

    `reads`: the readout learns too, by the delta rule; else all that is learnt is learnt by e-prop.
    """
    rng, size = np.random.default_rng(seed), 100
    net = reflexarc.Builder(seed=seed)
    clock, goal = net.input("clock", 20), net.input("goal", 1)
    cells = net.population("cells", size, reflexarc.LIF(tau_s=0.02, refractory_s=2e-3))
    drawn = net.population("drawn", 1, reflexarc.LI(tau_s=0.03))
    error = net.output("error", 1)
    learns = reflexarc.EProp(
        modulator="error",
        learning_rate=100.0,
        tau_readout_s=0.03,
        feedback=feedback,
        feedback_scale=2.0,
        readout=None if feedback == "random" else "readout",
    )
    delta = Pes(modulator="error", learning_rate=0.001, tau_pre_s=0.03)
    recurrent = rng.standard_normal((size, size))
    np.fill_diagonal(recurrent, 0.0)
    heard = rng.normal(0.0, 10.0, (size, 20))
    readout = rng.normal(0.0, 2.0, (1, size))
    net.linear(clock, cells, heard, name="hears", plasticity=learns)
    net.linear(cells, cells, recurrent, name="talks", plasticity=learns)
    net.linear(cells, drawn, readout, name="readout", plasticity=delta if reads else None)
    net.linear(drawn, error, [[1.0]])
    net.linear(goal, error, [[-1.0]])
    return net.build(mode="clocked", dt_s=DT_S)


def squared_errors(program: ClockedProgram, trials: int, seed: int) -> Array:
    """The mean squared error of each trial of 1 s, over the variance of the line."""
    rng, t_s = np.random.default_rng(seed), np.arange(1000) * DT_S
    waves = zip((1.0, 2.0, 3.0, 5.0), rng.uniform(0.5, 2, 4), rng.uniform(0, 1, 4), strict=True)
    line = sum(a * np.sin(2 * np.pi * (f * t_s + shift)) for f, a, shift in waves)
    clock = np.zeros((1000, 20))
    for step in range(1000):  # groups of four take turns, 100 Hz each
        clock[step, 4 * (step // 200) :][:4] = step % 10 == 0
    found = []
    for _ in range(trials):
        run_ = program.run({"clock": clock, "goal": line[:, None]}, steps=1000)
        found.append(np.mean(run_.outputs["error"] ** 2) / np.var(line))
    return np.array(found)


def test_it_learns_to_draw_a_line() -> None:
    learning, frozen = (ClockedBackend().compile(pattern_generator(3)) for _ in range(2))
    frozen.learning = False
    found, beside = squared_errors(learning, 20, 5), squared_errors(frozen, 3, 5)
    assert found[-3:].mean() < 0.25 * beside.mean(), (found, beside)


@pytest.mark.parametrize("feedback", ["random", "adaptive"])
def test_a_readout_that_learns_aligns_with_its_feedback(feedback: str) -> None:
    """Bellec et al. 2020: with a readout that learns, feedback that knows nothing of it will do."""
    both, readout_alone = [], []
    for seed in (3, 5):
        network = pattern_generator(seed, feedback, reads=True)
        program, beside = (ClockedBackend().compile(network) for _ in range(2))
        beside.freeze("hears")
        beside.freeze("talks")
        both.append(squared_errors(program, 22, seed + 2)[-3:].mean())
        readout_alone.append(squared_errors(beside, 22, seed + 2)[-3:].mean())
    assert np.mean(both) < 0.75 * np.mean(readout_alone), (both, readout_alone)
