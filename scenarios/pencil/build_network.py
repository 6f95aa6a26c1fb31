"""Writes network.yaml and network.nir: the spiking network that balances the rod.

    python -m reflexarc.scenarios.pencil.build_network [FILE.yaml]

Each camera has a network of its own, and both are alike. What it knows of its line are the place of
the rod's foot and its lean, and their rates: `state`. Cells of `beside` compare every event with
the line that `state` expects: one for each pixel and each of `STEPS_M`, which fires together with
an event that lies further to the right than that. So their spikes say how far beside the line the
events are; what is far from it counts little, for it may be noise (Conradt et al. 2009). They
correct `state` as a Kalman filter does, which predicts it from its own command. `cells`, a
population tuned to the state, give the optimal acceleration (the Neural Engineering Framework,
Eliasmith & Anderson 2003).

What is learnt while it runs is where upright is: `adapts` starts at zero and follows the place of
the foot (PES). While the foot is off the middle, the correction at the present state grows.

    camera -> seen (LIF) -> beside (LIF) -> state (LI) -> cells (LIF) -> nominal (LI)
    state -> beside;  both commands -> state              adapts -> correction (LI)
    acceleration = nominal + correction
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from reflexarc.runtime.builder import Builder, Population
from reflexarc.runtime.connectivity import OneToOne, Pairs
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save
from reflexarc.scenarios.lif import LifCurve
from reflexarc.scenarios.pencil.model import PERIOD_S, linear_plant, optimal_gain
from reflexarc.scenarios.pencil.view import EYE_M, HEIGHT_PX, WIDTH_PX, on_plane
from reflexarc.scenarios.pole_balance.model import hold

SEED = 1
PIXELS = WIDTH_PX * HEIGHT_PX
#: How far to the right of the expected line an event must lie for a cell of `beside`.
STEPS_M: FloatArray = np.array([-0.025, -0.015, -0.005, 0.005, 0.015, 0.025])
#: Standard deviation of what an event counts with its distance from the line.
BESIDE_M = 0.008
#: A distance of 1 / this is beyond the picture.
REACH_PER_M = 3.0
#: Place (m), speed (m/s), lean (rad) and its rate (rad/s) that the population represents well.
STATE_SCALE: FloatArray = np.array([0.05, 0.4, 0.12, 1.0])
#: What the Kalman filter expects: events of the rod a step, how far beside it they are, and by how
#: much speed and lean rate change by chance in a second.
EVENTS, EVENT_M = 10.0, 0.003
CHANCE_M_S, CHANCE_RAD_S = 0.3, 2.0
#: Squared weights of the state, for an effort of 1 m/s2 (see `optimal_gain`).
WEIGHTS: FloatArray = np.array([30000.0, 1000.0, 1000.0, 10.0])
COMMAND_SCALE_M_S2 = 10.0
CELLS, CELL_TAU_S = 300, 0.02
CURVE = LifCurve(CELL_TAU_S, PERIOD_S)
COMMAND_TAU_S = 0.004
#: By how much the correction grows in a second for a foot that is 1 m off, in m/s2.
LEARNING_PER_S = 150.0
#: The largest correction is about this, in m/s2.
MOST_M_S2 = 6.0


def build() -> Network:
    """The network, the same at every call."""
    net = Builder(seed=SEED)
    axes = [_axis(net, axis) for axis in "xy"]
    acceleration = net.output("acceleration", 2)
    for axis, commands in enumerate(axes):
        for command in commands:
            net.linear(command, acceleration[axis : axis + 1], [[COMMAND_SCALE_M_S2]])
    return net.build(mode="clocked", dt_s=PERIOD_S)


def _axis(net: Builder, axis: str) -> tuple[Population, Population]:
    """One camera's network; its nominal command and its correction."""
    state = _tracker(net, axis)
    encoders, bias = CURVE.tuning(np.random.default_rng(SEED), CELLS, 4, widest=0.9, at=1.0)
    cells = net.population(f"cells_{axis}", CELLS, LIF(tau_s=CELL_TAU_S))
    nominal = net.population(f"nominal_{axis}", 1, LI(tau_s=COMMAND_TAU_S))
    correction = net.population(f"correction_{axis}", 1, LI(tau_s=COMMAND_TAU_S))
    off = net.population(f"off_{axis}", 1, LI(tau_s=0.02))
    net.linear(state, cells, encoders, bias)
    net.linear(cells, nominal, command_weights(encoders, bias))
    net.linear(state, off, [[-1.0, 0.0, 0.0, 0.0]])
    net.linear(
        cells,
        correction,
        np.zeros((1, CELLS)),
        name=f"adapts_{axis}",
        plasticity=learning(bias, axis),
    )
    for command in (nominal, correction):
        net.linear(command, state, input_weights())
    return nominal, correction


def _tracker(net: Builder, axis: str) -> Population:
    """From events to the state of the line."""
    camera = net.input(f"camera_{axis}", PIXELS)
    seen = net.population(f"seen_{axis}", PIXELS, _instant())
    beside = net.population(f"beside_{axis}", len(STEPS_M) * PIXELS, _instant())
    state = net.population(f"state_{axis}", 4, LI(tau_s=1.0))
    net.project(camera, seen, OneToOne(), weight=2.0)
    each = np.arange(len(STEPS_M) * PIXELS)
    net.project(seen, beside, Pairs(each % PIXELS, each), weight=1.0)
    net.linear(state, beside, *expectation())
    net.linear(beside, state, innovation())
    net.linear(state, state, prediction())
    return state


def pixels() -> tuple[FloatArray, FloatArray]:
    """Where each pixel looks, row by row, in m: beside the middle, above the foot."""
    row, column = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    return on_plane(column.ravel(), row.ravel())


def expectation() -> tuple[FloatArray, FloatArray]:
    """State to `beside`: weights (cells, 4) and biases.

    Alone it stays below the threshold of 1; with an event, which adds 1, a cell fires if the event
    lies further to the right of the line than the cell's step.
    """
    x, z = pixels()
    line = np.stack((np.ones_like(z), np.zeros_like(z), z, np.zeros_like(z)), axis=1) * STATE_SCALE
    bias = (x - STEPS_M[:, None]).ravel()
    return -REACH_PER_M * np.tile(line, (len(STEPS_M), 1)), REACH_PER_M * bias


def innovation() -> FloatArray:
    """`beside` to state, shape (4, cells): what each event corrects.

    An event of the rod measures place + z lean. The gain is that of the stationary Kalman filter.
    """
    _, z = pixels()
    measured = np.stack((np.ones_like(z), np.zeros_like(z), z, np.zeros_like(z)))
    gain = covariance() @ measured / EVENT_M**2
    return (
        np.hstack([influence * gain for influence in influences()])
        / _share()
        / STATE_SCALE[:, None]
    )


def influences() -> FloatArray:
    """What each step that an event exceeds adds to its distance from the line, shape (steps,).

    The sum over the steps that it exceeds is its distance, weighted by closeness.
    """
    middle = np.append((STEPS_M[1:] + STEPS_M[:-1]) / 2, STEPS_M[-1] + 0.01)
    counted = middle * np.exp(-0.5 * (middle / BESIDE_M) ** 2)
    counted[-1] = 0.0
    return np.diff(counted, prepend=0.0)


def covariance() -> FloatArray:
    """Of the state's error in the stationary Kalman filter, after the events of a step."""
    a, _ = discrete()
    z = np.linspace(0.0, 2 * EYE_M, 21)
    measured = np.stack((np.ones_like(z), 0 * z, z, 0 * z))
    told = EVENTS * measured @ measured.T / len(z) / EVENT_M**2
    chance = np.diag([0.0, CHANCE_M_S**2, 0.0, CHANCE_RAD_S**2]) * PERIOD_S
    error = np.eye(4) * 1e-3
    for _ in range(5000):
        before = a @ error @ a.T + chance
        error[:] = np.linalg.inv(np.linalg.inv(before) + told)
    return np.asarray(error)


def discrete() -> tuple[FloatArray, FloatArray]:
    """The plant over one step, in SI units."""
    return hold(*linear_plant(), PERIOD_S)


def prediction() -> FloatArray:
    """State to itself: what makes a leaky layer move as the plant does."""
    a, _ = discrete()
    scaled = a * STATE_SCALE / STATE_SCALE[:, None]
    return np.asarray(np.eye(4) + (scaled - np.eye(4)) / _share())


def input_weights() -> FloatArray:
    """A command to the state: what its acceleration does in a step."""
    _, b = discrete()
    return np.asarray(b * COMMAND_SCALE_M_S2 / STATE_SCALE[:, None] / _share())


def _share() -> float:
    """Of its input that the state takes over in a step."""
    return float(-np.expm1(-PERIOD_S / 1.0))


def command_weights(encoders: FloatArray, bias: FloatArray) -> FloatArray:
    """The optimal feedback, read from the population by least squares; shape (1, cells)."""
    generator = np.random.default_rng(SEED + 1)
    states = generator.standard_normal((4000, 4))
    states *= generator.uniform(0, 1.2, (4000, 1)) / np.linalg.norm(states, axis=1, keepdims=True)
    counts = CURVE.rates_hz(states @ encoders.T + bias) * PERIOD_S
    wanted = states @ (-optimal_gain(WEIGHTS, 1.0) * STATE_SCALE / COMMAND_SCALE_M_S2)
    ridge = (0.1 * counts.max()) ** 2 * len(counts)
    gram = counts.T @ counts + ridge * np.eye(CELLS)
    return np.linalg.solve(gram, counts.T @ wanted)[None]


def learning(bias: FloatArray, axis: str) -> Pes:
    """How the correction follows the place of the foot."""
    resting = CURVE.rates_hz(bias)
    power = float(resting @ resting) * PERIOD_S
    speed = LEARNING_PER_S * STATE_SCALE[0] / COMMAND_SCALE_M_S2
    most = MOST_M_S2 / COMMAND_SCALE_M_S2 / (resting.sum() * PERIOD_S)
    return Pes(
        modulator=f"off_{axis}",
        learning_rate=float(speed / power),
        tau_pre_s=0.02,
        w_min=-float(most),
        w_max=float(most),
    )


def _instant() -> LIF:
    """A neuron that forgets within a step."""
    return LIF(tau_s=PERIOD_S / 50)


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
