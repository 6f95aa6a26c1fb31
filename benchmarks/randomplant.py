"""Random plants: coupled joints pushed by forces that their controller does not know.

The family of Stewart, DeWolf, Kleinhans & Eliasmith, "Closed-loop neuromorphic benchmarks",
Frontiers in Neuroscience 9:464 (2015), with the numbers of the authors' benchmark
(ctn_benchmarks, control). For each of n joints

    dq/dt = m + scale (a + B [z, sin z]),  z = c + d q,  a, c, d in R^n, B in R^(n x 2n)

where all of a, B, c and d are standard normal: the force on a joint depends on all joints. m is
the motors' answer to the command u: 10 tanh(u), 10 ms late, with noise, through a low-pass of
10 ms. What is sensed is q with noise, through a low-pass of 10 ms, 10 ms late.

Two choices are ours. A plant starts at rest at the start of its path. And one that needs more than
80 % of what a motor can give somewhere on that path is drawn again: no controller would hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

DT_S = 0.001
MOTOR_LIMIT = 10.0
AUTHORITY = 0.8
DELAY_STEPS = 10
FILTER_S = 0.01
NOISE = 0.1
PERIOD_S = 4.0
MAX_FREQUENCY_HZ = 1.0
PERIOD_STEPS = round(PERIOD_S / DT_S)
_KEEP = np.exp(-DT_S / FILTER_S)
#: Steps whose noise is drawn at once.
_BLOCK = 500


@dataclass(frozen=True)
class Path:
    """Where the joints shall be, over and over: arrays of shape (PERIOD_STEPS, plants, joints).

    `sensed` is what the last step of a plant that keeps to the path lets its controller see.
    """

    q: Array
    rate: Array
    sensed: Array


@dataclass(frozen=True)
class Forces:
    """Unknown external forces: `a`, `c`, `d` of shape (plants, 1, n), `b` (plants, 2n, n).

    `redrawn` counts the draws that were beyond the motors.
    """

    a: Array
    b: Array
    c: Array
    d: Array
    redrawn: int

    def at(self, q: Array) -> Array:
        """The force at `q`, both of shape (plants, copies, joints)."""
        z = self.c + self.d * q
        return np.asarray(self.a + np.concatenate((z, np.sin(z)), axis=2) @ self.b)


def draw_path(joints: int, seeds: Sequence[int]) -> Path:
    """A random path for each seed: frequencies below MAX_FREQUENCY_HZ, a power of 1 in all."""
    harmonics = np.arange(round(MAX_FREQUENCY_HZ * PERIOD_S))
    omega = 2 * np.pi * harmonics / PERIOD_S
    phase = omega[:, None] * np.arange(PERIOD_STEPS) * DT_S
    amplitude = np.array([_amplitudes(joints, len(harmonics), seed) for seed in seeds])
    q = np.einsum("pjh,ht->tpj", amplitude, np.sin(phase))
    rate = np.einsum("pjh,ht->tpj", amplitude, omega[:, None] * np.cos(phase))
    return Path(q, rate, _through_sensor(q))


def _through_sensor(q: Array) -> Array:
    """One period of `q` as the sensors show it without noise, long after the start."""
    shown, low_pass = np.empty_like(q), np.zeros(q.shape[1:])
    for step in range(2 * PERIOD_STEPS):
        low_pass += (1.0 - _KEEP) * (q[step % PERIOD_STEPS] - low_pass)
        shown[(step + DELAY_STEPS) % PERIOD_STEPS] = low_pass
    return shown


def _amplitudes(joints: int, harmonics: int, seed: int) -> Array:
    generator = np.random.default_rng((seed, 0))
    real, imaginary = generator.standard_normal((2, joints, harmonics))
    return np.asarray(real / np.sqrt(np.sum(real**2 + imaginary**2)))


def path_rms(joints: int) -> tuple[float, float]:
    """Root mean square of q and dq/dt of one joint, over the family of paths."""
    omega = 2 * np.pi * np.arange(1, round(MAX_FREQUENCY_HZ * PERIOD_S)) / PERIOD_S
    power = 0.25 / (joints * (len(omega) + 1))
    return float(np.sqrt(power * len(omega))), float(np.sqrt(power * np.sum(omega**2)))


def draw_forces(path: Path, seeds: Sequence[int], draw: int = 0, scale: float = 1.0) -> Forces:
    """Forces for each seed, within the motors' reach on the whole path; other `draw`s, others."""
    found = [
        _draw_one(path.q[:, [k]], path.rate[:, [k]], (seed, 1 + draw), scale)
        for k, seed in enumerate(seeds)
    ]
    a, b, c, d = (np.concatenate([getattr(one, key) for one in found]) for key in "abcd")
    return Forces(a, b, c, d, sum(one.redrawn for one in found))


def _draw_one(q: Array, rate: Array, seed: tuple[int, int], scale: float) -> Forces:
    generator = np.random.default_rng(seed)
    joints, redrawn = q.shape[2], 0
    while True:
        a, c, d = generator.standard_normal((3, 1, 1, joints))
        b = generator.standard_normal((1, 2 * joints, joints))
        forces = Forces(scale * a, scale * b, c, d, redrawn)
        needed = rate.swapaxes(0, 1) - forces.at(q.swapaxes(0, 1))
        if np.abs(needed).max() <= AUTHORITY * MOTOR_LIMIT:
            return forces
        redrawn += 1


class RandomPlants:
    """Plants side by side, each in some copies that share its noise: for fair comparisons.

    Attributes:
        q: the true joint angles, shape (plants, copies, joints).
        forces: may be replaced at any time.
    """

    def __init__(self, forces: Forces, seeds: Sequence[int], copies: int = 1) -> None:
        shape = (len(seeds), copies, forces.a.shape[2])
        self.forces = forces
        self.q = np.zeros(shape)
        self._motor, self._sensor = np.zeros(shape), np.zeros(shape)
        self._commands = np.zeros((DELAY_STEPS, *shape))
        self._readings = np.zeros((DELAY_STEPS, *shape))
        self._generators = [np.random.default_rng((seed, 1_000_000)) for seed in seeds]
        self._noise = np.empty((0, 0))
        self._step = 0

    def step(self, command: Array) -> Array:
        """Hold `command` for a step of DT_S; what is sensed then. Both are shaped like `q`."""
        motor_noise, sensor_noise = self._draw_noise()
        slot = self._step % DELAY_STEPS
        motor = self._commands[slot] + motor_noise
        self._commands[slot] = MOTOR_LIMIT * np.tanh(command)
        self._motor += (1.0 - _KEEP) * (motor - self._motor)
        self.q += DT_S * (self._motor + self.forces.at(self.q))
        self._sensor += (1.0 - _KEEP) * (self.q + sensor_noise - self._sensor)
        sensed: Array = self._readings[slot].copy()
        self._readings[slot] = self._sensor
        self._step += 1
        return sensed

    def _draw_noise(self) -> tuple[Array, Array]:
        """Noise of motors and sensors, shape (plants, 1, joints), the same for all copies."""
        at = self._step % _BLOCK
        if at == 0:
            joints = self.q.shape[2]
            drawn = [g.standard_normal((_BLOCK, 2, 1, joints)) for g in self._generators]
            self._noise = NOISE * np.stack(drawn, axis=2)
        return self._noise[at, 0], self._noise[at, 1]
