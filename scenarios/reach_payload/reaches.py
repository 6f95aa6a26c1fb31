"""Reaches: smooth ways from one posture to the next, round and round."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.scenarios.reach_payload.arm import NominalArm

#: The middle of all postures, rad, and how far they lie from it.
HOME_RAD: FloatArray = np.array([0.0, 0.6, 0.0, -1.4, 0.0, 1.0, 0.0])
SPREAD_RAD: FloatArray = np.array([0.9, 0.4, 0.4, 0.5, 0.6, 0.5, 0.6])
#: Of the hand: from one target to the next, and above the floor.
SHORTEST_M, LOWEST_M = 0.3, 0.15


class Wanted(NamedTuple):
    """Where the joints should be: rad, rad/s, rad/s^2, each of shape (7,)."""

    angle: FloatArray
    rate: FloatArray
    acceleration: FloatArray


class Reaches:
    """The wanted motion: each trial is one reach of `move_s` and a rest until `trial_s`.

    It follows the minimum-jerk profile of Flash & Hogan 1985, joint by joint. The last of the
    `targets`, shape (targets, 7) in rad, is where it all begins.
    """

    def __init__(self, targets: FloatArray, trial_s: float, move_s: float) -> None:
        self._targets = targets
        self._trial_ns = round(trial_s * 1e9)
        self._move_s = move_s

    def wanted(self, now_ns: int) -> Wanted:
        """The motion at `now_ns`."""
        trial, into_ns = divmod(now_ns, self._trial_ns)
        start, end = (self._targets[k % len(self._targets)] for k in (trial - 1, trial))
        s, way = min(into_ns * 1e-9 / self._move_s, 1.0), end - start
        rate = 30 * s**2 * (1 - s) ** 2 / self._move_s
        acceleration = 60 * s * (1 - s) * (1 - 2 * s) / self._move_s**2
        return Wanted(start + s**3 * (10 - 15 * s + 6 * s**2) * way, rate * way, acceleration * way)

    def left_s(self, now_ns: int) -> float:
        """How long the trial goes on."""
        return (self._trial_ns - now_ns % self._trial_ns) * 1e-9


def draw_targets(count: int, arm: NominalArm, generator: np.random.Generator) -> FloatArray:
    """Postures whose hands lie apart from the one before, shape (count, 7), rad."""
    targets: list[FloatArray] = []
    while len(targets) < count:
        target = HOME_RAD + SPREAD_RAD * generator.uniform(-1, 1, len(HOME_RAD))
        before = [targets[-1]] if targets else []
        if len(targets) == count - 1:
            before.append(targets[0])
        hand = arm.hand(target)
        apart = all(np.linalg.norm(hand - arm.hand(other)) >= SHORTEST_M for other in before)
        if apart and hand[2] >= LOWEST_M:
            targets.append(target)
    return np.array(targets)
