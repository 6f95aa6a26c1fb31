"""Writes network.nir: the spiking network that balances the pole.

    python -m reflexarc.scenarios.pole_balance.build_network [FILE]

Nothing in it is trained: every weight follows from the camera's geometry, the nominal plant's
optimal gains and least squares on tuning curves (the Neural Engineering Framework, Eliasmith &
Anderson 2003). What is learnt, is learnt while it runs: `adapt` starts at zero and follows the
nominal command (DeWolf et al. 2016, after Slotine & Li 1987): while the nominal command stays
away from zero, the correction at the present state grows in its direction.

    camera, place, steps -> state (LI) -> ensemble (LIF) -> nominal (LI)
    nominal - correction -> muscles (LIF) -> motor       -> correction (LI)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reflexarc.runtime.network import (
    FloatArray,
    Input,
    Linear,
    Network,
    NeuronKind,
    Neurons,
    Node,
    Output,
)
from reflexarc.runtime.nirfile import write
from reflexarc.scenarios.lif import LifCurve
from reflexarc.scenarios.pole_balance.baselines import LqrConfig
from reflexarc.scenarios.pole_balance.view import on_plane
from reflexarc.sensors.population import GaussianPopulation, GaussianPopulationSpec

DT_S = 0.002
SEED = 1
WIDTH, HEIGHT, CELL_PX = 64, 48, 4
#: Radians of tilt for one metre of signed moment of the events (sum of polarity times distance from
#: the hinge's vertical): measured on a swaying pole. It depends on the pole's contrast and width.
TILT_PER_MOMENT = -0.00216
#: Position, velocity, tilt and tilt rate that the ensemble represents well.
STATE_SCALE: FloatArray = np.array([1.0, 1.5, 0.25, 1.5])
#: Low-pass of each state. Tilt is the leaky integral of its changes: the leak forgets the unknown
#: start and the drift, and the cart's encoder supplies what is forgotten.
STATE_TAU_S: FloatArray = np.array([0.05, 0.03, 3.0, 0.015])
#: A command of 1 in the network.
FORCE_SCALE_N = 30.0
PLACE = GaussianPopulationSpec(
    kind="gaussian_population",
    stream="rail",
    port="place",
    low=-2.4,
    high=2.4,
    sigma=0.3,
    max_rate_hz=200.0,
)
PLACE_LINES = 20
STEP_QUANTUM_M = 0.002
ENSEMBLE_SIZE = 300
ENSEMBLE_TAU_S = 0.02
CURVE = LifCurve(ENSEMBLE_TAU_S, DT_S)
MOTOR_SIZE = 100
COMMAND_TAU_S = 0.005


def build() -> Network:
    """The network, the same at every call."""
    generator = np.random.default_rng(SEED)
    encoders, bias = CURVE.tuning(generator, ENSEMBLE_SIZE, 4, widest=0.9, at=1.0)
    nodes: list[Node] = [
        Input(name="camera", shape=(2 * len(cells()),)),
        Input(name="place", shape=(PLACE_LINES,)),
        Input(name="steps", shape=(2,)),
        linear("camera_to_state", camera_weights()),
        linear("place_to_state", place_weights()),
        linear("steps_to_state", step_weights()),
        neurons("state", "LI", tau=STATE_TAU_S),
        linear("encode", encoders, bias),
        neurons("ensemble", "LIF", tau=np.full(ENSEMBLE_SIZE, ENSEMBLE_TAU_S)),
        linear("decode", command_weights(encoders, bias, generator)),
        linear("adapt", np.zeros((1, ENSEMBLE_SIZE))),
        neurons("nominal", "LI", tau=np.array([COMMAND_TAU_S])),
        neurons("correction", "LI", tau=np.array([COMMAND_TAU_S])),
        linear("nominal_to_muscles", muscle_weights(), muscle_bias()),
        linear("correction_to_muscles", -muscle_weights()),
        neurons("muscles", "LIF", tau=np.full(MOTOR_SIZE, ENSEMBLE_TAU_S)),
        Output(name="motor", shape=(MOTOR_SIZE,)),
    ]
    edges = (
        ("camera", "camera_to_state"),
        ("place", "place_to_state"),
        ("steps", "steps_to_state"),
        ("camera_to_state", "state"),
        ("place_to_state", "state"),
        ("steps_to_state", "state"),
        ("state", "encode"),
        ("encode", "ensemble"),
        ("ensemble", "decode"),
        ("ensemble", "adapt"),
        ("decode", "nominal"),
        ("adapt", "correction"),
        ("nominal", "nominal_to_muscles"),
        ("correction", "correction_to_muscles"),
        ("nominal_to_muscles", "muscles"),
        ("correction_to_muscles", "muscles"),
        ("muscles", "motor"),
    )
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


def linear(name: str, weight: FloatArray, bias: FloatArray | None = None) -> Linear:
    """A Linear node, or an Affine one."""
    return Linear(name=name, shape=(len(weight),), weight=weight, bias=bias)


def neurons(name: str, kind: NeuronKind, tau: FloatArray) -> Neurons:
    """A layer with r = 1, v_leak = 0 and, if it spikes, threshold 1 and reset to 0."""
    one, zero = np.ones_like(tau), np.zeros_like(tau)
    parameters: Mapping[str, FloatArray] = {"tau": tau, "r": one, "v_leak": zero}
    if kind == "LIF":
        parameters = {**parameters, "v_threshold": one, "v_reset": zero}
    return Neurons(name=name, shape=tau.shape, kind=kind, parameters=parameters)


def cells() -> FloatArray:
    """Distance of each cell's centre from the hinge's vertical, in metres, row by row."""
    y, x = np.mgrid[0:HEIGHT:CELL_PX, 0:WIDTH:CELL_PX] + (CELL_PX - 1) / 2
    return on_plane(x.ravel(), y.ravel(), WIDTH, HEIGHT)[0]


def camera_weights() -> FloatArray:
    """Events to tilt and tilt rate.

    A dark pole that moves darkens in front and brightens behind, so the signed moment of the
    events is its displacement times its width and contrast: linear in the change of tilt.
    """
    change = TILT_PER_MOMENT * np.concatenate((-cells(), cells()))
    leak = 1.0 - np.exp(-DT_S / STATE_TAU_S[2])
    weight = np.zeros((4, len(change)))
    weight[2] = change / leak
    weight[3] = change / DT_S
    return weight / STATE_SCALE[:, None]


def place_weights() -> FloatArray:
    """Position from the place cells' spikes: least squares on their tuning curves."""
    population = GaussianPopulation(PLACE, PLACE_LINES)
    positions = np.linspace(PLACE.low, PLACE.high, 481)
    counts = np.array([population.rates_hz(x) for x in positions]) * DT_S
    weight = np.zeros((4, PLACE_LINES))
    weight[0] = least_squares(counts, positions)
    return weight / STATE_SCALE[:, None]


def step_weights() -> FloatArray:
    """Velocity from the cart encoder's steps forward and backward."""
    weight = np.zeros((4, 2))
    weight[1] = np.array([1.0, -1.0]) * STEP_QUANTUM_M / DT_S
    return weight / STATE_SCALE[:, None]


def command_weights(
    encoders: FloatArray, bias: FloatArray, generator: np.random.Generator
) -> FloatArray:
    """The optimal state feedback of the nominal plant, read from the ensemble."""
    samples = generator.standard_normal((4000, 4))
    samples *= generator.uniform(0, 1.2, (4000, 1)) / np.linalg.norm(samples, axis=1, keepdims=True)
    counts = CURVE.rates_hz(samples @ encoders.T + bias) * DT_S
    gain = -LqrConfig().gain() * STATE_SCALE / FORCE_SCALE_N
    return least_squares(counts, samples @ gain)[None]


def least_squares(activity: FloatArray, target: FloatArray, noise: float = 0.1) -> FloatArray:
    """Weights w that make `activity @ w` the target, regularised as if activity were noisy."""
    ridge = (noise * activity.max()) ** 2 * len(activity)
    gram = activity.T @ activity + ridge * np.eye(activity.shape[1])
    return np.asarray(np.linalg.solve(gram, activity.T @ target))


def muscle_weights() -> FloatArray:
    """Half of the motor neurons pull to the right, half to the left."""
    direction = np.repeat([1.0, -1.0], MOTOR_SIZE // 2)
    return (2.0 * direction)[:, None]


def muscle_bias() -> FloatArray:
    """Resting currents: both halves fire against each other, so their difference is linear."""
    return np.tile(np.linspace(2.5, 3.9, MOTOR_SIZE // 2), 2)


def force_scale() -> float:
    """The population vector's scale (N / Hz) that makes a command of 1 `FORCE_SCALE_N`."""
    command = 0.3
    direction = np.sign(muscle_weights()[:, 0])
    pull_hz = (
        direction @ CURVE.rates_hz(muscle_weights()[:, 0] * command + muscle_bias()) / MOTOR_SIZE
    )
    return command * FORCE_SCALE_N / float(pull_hz)


if __name__ == "__main__":
    default = Path(__file__).with_name("network.nir")
    write(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
