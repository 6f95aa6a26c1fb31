"""Many landings at once, up and down alone: what the network is evolved in.

As in Hagenaars et al. 2020 it is a simple model with much noise, so that what does well in it does
well in the world, too. Its constants are those of `quadrotor.py` and `divergence.py`; how much of
the true divergence the detectors tell at each height was measured in the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.scenarios.land.build_network import (
    CELL_TAU_S,
    DT_S,
    TRACE_TAU_S,
    Weights,
    tuning,
)

GRAVITY_M_S2, DRAG_PER_S, LEG_M = 9.81, 0.3, 0.06
MOTOR_TAU_S, MEMORY_S, RATE_TAU_S, GUST_TAU_S = 0.04, 0.05, 0.1, 0.5
#: What is told of a true divergence, both 1/s: fast edges are taken for each other. Then the share
#: of it over the height in m: near the ground there is little to see. And noise of it, 1/s.
TRUE_PER_S: FloatArray = np.array([-3.0, 0.0, 1.0, 2.0, 3.0, 4.3, 6.0, 8.0, 11.0, 20.0])
TOLD_PER_S: FloatArray = np.array([-2.0, 0.0, 1.0, 1.6, 2.05, 2.5, 2.9, 3.15, 3.4, 3.6])
HEIGHTS_M: FloatArray = np.array([0.0, 0.05, 0.15, 0.3, 0.6, 1.2, 2.5, 4.0])
SHARES: FloatArray = np.array([0.3, 0.45, 0.9, 1.05, 0.95, 0.8, 0.85, 0.95])
NOISE_PER_S, NOISE_TAU_S = 0.12, 0.05
LIMIT_G = 0.8
#: Each landing's standard deviation of gusts (m/s) and charge of the battery, in turn.
LANDINGS = [(0.0, 1.0)] * 2 + [(0.5, 1.0)] * 2 + [(0.5, 0.85)] * 2
PATIENCE_S, LOST_S = 6.0, 12.0


class Networks:
    """Networks of `build_network`, side by side: the same arithmetic as the engine's.

    Args:
        weights: of each.
    """

    def __init__(self, weights: Sequence[Weights]) -> None:
        sensed, self._start = tuning()
        self._sensed = sensed.T
        self._readout = np.array([each.readout for each in weights])
        self._speed = np.array([each.learning_rate for each in weights])[:, None]
        self._keep = np.exp(-DT_S / np.array([each.tau_s for each in weights]))
        self.learnt = np.zeros_like(self._readout)
        self.rest()

    def rest(self) -> None:
        """Forget what is under way, but not what has been learnt."""
        self._voltage = np.zeros_like(self._readout)
        self._trace = np.zeros_like(self._readout)
        self._nominal = np.zeros(len(self._readout))
        self._correction = np.zeros(len(self._readout))

    def step(self, divergence: FloatArray, rate: FloatArray, aloft: FloatArray) -> FloatArray:
        """The thrust of each, shape (networks,); `aloft` is 1 in flight, else 0."""
        current = np.stack((divergence, rate), axis=1) @ self._sensed
        current += np.outer(aloft, self._start)
        keep = exp(-DT_S / CELL_TAU_S)
        voltage = keep * self._voltage + (1.0 - keep) * current
        spikes = (voltage > 1.0).astype(np.float64)
        self._voltage = np.where(spikes > 0, 0.0, voltage)
        share = 1.0 - self._keep
        self._nominal += share * ((self._readout * spikes).sum(axis=1) - self._nominal)
        self._correction += share * ((self.learnt * spikes).sum(axis=1) - self._correction)
        keep = exp(-DT_S / TRACE_TAU_S)
        self._trace = keep * self._trace + (1.0 - keep) / DT_S * spikes
        self.learnt -= self._speed * self._nominal[:, None] * self._trace * DT_S
        return self._nominal - self._correction


def land(weights: Sequence[Weights], worlds: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Let every network land as LANDINGS says, in the same `worlds`.

    Returns:
        How long each landing took (s; LOST_S where it did not end) and the speed at its end (m/s),
        both of shape (landings, worlds, networks).
    """
    generator = np.random.default_rng(seed)
    shape = (worlds, len(weights))
    networks = Networks([*weights] * worlds)
    flown = [_land(networks, shape, generator, *each) for each in LANDINGS]
    took_s, touched_m_s = np.array(flown).reshape(len(LANDINGS), 2, *shape).swapaxes(0, 1)
    return took_s, touched_m_s


def _land(
    networks: Networks,
    shape: tuple[int, int],
    generator: np.random.Generator,
    gusts_m_s: float,
    charge: float,
) -> tuple[FloatArray, FloatArray]:
    worlds, count = shape[0], shape[0] * shape[1]
    height, up = np.full(count, 4.0), np.zeros(count)
    lift, seen, rate = np.full(count, charge), np.zeros(count), np.zeros(count)
    took, ended = np.full(count, LOST_S), np.zeros(count)
    aloft = np.ones(count, bool)
    gust, noise = generator.standard_normal((2, worlds))
    networks.rest()
    for tick in range(int(PATIENCE_S / DT_S)):
        gust = _walk(gust, GUST_TAU_S, generator)
        noise = _walk(noise, NOISE_TAU_S, generator)
        told = np.interp(height, HEIGHTS_M, SHARES) * np.interp(
            -up / (height + LEG_M), TRUE_PER_S, TOLD_PER_S
        )
        told += NOISE_PER_S * np.repeat(noise, shape[1])
        before, seen = seen, seen + (1.0 - exp(-DT_S / MEMORY_S)) * (told - seen)
        rate += (1.0 - exp(-DT_S / RATE_TAU_S)) * ((seen - before) / DT_S - rate)
        asked = charge * (1.0 + np.clip(networks.step(seen, rate, aloft * 1.0), -LIMIT_G, LIMIT_G))
        lift += (1.0 - exp(-DT_S / MOTOR_TAU_S)) * (asked - lift)
        up += DT_S * (
            GRAVITY_M_S2 * (lift - 1.0) + DRAG_PER_S * (gusts_m_s * np.repeat(gust, shape[1]) - up)
        )
        height = height + DT_S * up
        down = aloft & (height <= 0)
        took[down], ended[down] = (tick + 1) * DT_S, np.maximum(-up[down], 0.0)
        aloft &= ~down
        # who is down sees nothing and waits for the others
        height[~aloft], up[~aloft], seen[~aloft], rate[~aloft] = 4.0, 0.0, 0.0, 0.0
        if not aloft.any():
            break
    return took, ended


def _walk(value: FloatArray, tau_s: float, generator: np.random.Generator) -> FloatArray:
    """One step of an Ornstein-Uhlenbeck process of standard deviation 1 in each world."""
    keep = exp(-DT_S / tau_s)
    fresh = generator.standard_normal(len(value))
    return np.asarray(keep * value + (1.0 - keep**2) ** 0.5 * fresh)
