"""Writes network.yaml and network.nir: eighteen neurons that land a quadrotor.

    python -m reflexarc.scenarios.land.build_network [FILE.yaml]

Twelve spiking neurons fire from some divergence on, or below it, and four with its rate of change.
They fire in flight alone. `nominal` reads a thrust from them that bends at the wanted divergence
and brakes when the divergence grows; the numbers of that curve (`Genes`) are evolved in the world
by `evolve.py`, as Hagenaars et al. 2020 evolve theirs. What is learnt in flight is `adapts`: as long
as the nominal thrust stays away from 0, a correction grows in its direction, for the divergence at
which it happens (PES; DeWolf et al. 2016).

    divergence, rate, aloft -> cells (LIF) -> nominal (LI)              -> thrust
                               cells       -- adapts -> correction (LI) -> thrust
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydantic import Field

from reflexarc.runtime.builder import Builder
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save

DT_S = 0.004
CELL_TAU_S = 0.02
CELLS, RATE_CELLS = 12, 4
#: Divergences (1/s) at which neurons begin to fire: six upwards, six downwards.
UPWARDS: FloatArray = np.array([-0.6, 0.1, 0.7, 1.3, 2.0, 3.0])
DOWNWARDS: FloatArray = np.array([0.4, 0.9, 1.4, 2.0, 2.8, 4.0])
#: How much further a neuron fires at MOST_HZ; for those of the rate from 0 (1/s^2).
SPAN_PER_S, SPAN_PER_S2 = 2.5, 10.0
MOST_HZ = 120.0
#: What readout weights are fitted for.
LIKELY: FloatArray = np.linspace(-1.0, 5.0, 121)


class Genes(Strict):
    """What is evolved. Thrusts are in weights, divergences in 1/s.

    Attributes:
        wanted_per_s: the divergence at which the nominal thrust is that of hovering.
        below_g_s, above_g_s: slope of the thrust over the divergence, below it and above.
        rate_g_s2: thrust for each 1/s^2 by which the divergence grows.
        tau_s: time constant of the nominal thrust.
        speed_hz: how much of the nominal thrust the correction takes up in a second.
    """

    wanted_per_s: float = Field(default=1.0, gt=0)
    below_g_s: float = Field(default=0.3, ge=0)
    above_g_s: float = Field(default=0.3, ge=0)
    rate_g_s2: float = Field(default=0.01, ge=0)
    tau_s: float = Field(default=0.02, gt=0)
    speed_hz: float = Field(default=0.2, ge=0)

    def thrust_g(self, divergence: FloatArray) -> FloatArray:
        """The nominal thrust while the divergence does not change."""
        off = divergence - self.wanted_per_s
        return np.where(off < 0, self.below_g_s, self.above_g_s) * off


#: What `evolve.py` has found.
EVOLVED = Genes()


def build(genes: Genes = EVOLVED) -> Network:
    """The network, the same at every call."""
    weight, start = tuning()
    net = Builder(seed=1)
    divergence, rate, aloft = (net.input(name, 1) for name in ("divergence", "rate", "aloft"))
    cells = net.population("cells", CELLS + RATE_CELLS, LIF(tau_s=CELL_TAU_S))
    nominal = net.population("nominal", 1, LI(tau_s=genes.tau_s))
    correction = net.population("correction", 1, LI(tau_s=genes.tau_s))
    net.linear(divergence, cells, weight[:, :1])
    net.linear(rate, cells, weight[:, 1:])
    net.linear(aloft, cells, start[:, None])
    net.linear(cells, nominal, readout(genes)[None], name="reads")
    usual = rates_hz(weight[:, 0] * genes.wanted_per_s + start)
    rule = Pes(
        modulator="nominal",
        learning_rate=genes.speed_hz / float(usual @ usual),
        tau_pre_s=0.05,
    )
    zero = np.zeros((1, CELLS + RATE_CELLS))
    net.linear(cells, correction, zero, name="adapts", plasticity=rule)
    thrust = net.output("thrust", 1)
    net.linear(nominal, thrust, [[1.0]])
    net.linear(correction, thrust, [[-1.0]])
    return net.build(mode="clocked", dt_s=DT_S)


def tuning() -> tuple[FloatArray, FloatArray]:
    """Input weights for divergence and rate (neurons, 2), and the current in flight (neurons,)."""
    gain = float(current_for(np.array(MOST_HZ))) - 1.0
    sign = np.repeat([1.0, -1.0], CELLS // 2)
    first = np.concatenate((UPWARDS, DOWNWARDS))
    weight = np.zeros((CELLS + RATE_CELLS, 2))
    weight[:CELLS, 0] = sign * gain / SPAN_PER_S
    weight[CELLS:, 1] = np.tile([1.0, -1.0], RATE_CELLS // 2) * gain / SPAN_PER_S2
    start = np.ones(CELLS + RATE_CELLS)
    start[:CELLS] -= weight[:CELLS, 0] * first
    return weight, start


def readout(genes: Genes) -> FloatArray:
    """Weights (neurons,) from spikes to the nominal thrust; least squares on the rates."""
    weight, start = tuning()
    activity = rates_hz(np.outer(LIKELY, weight[:CELLS, 0]) + start[:CELLS]) * DT_S
    ridge = (0.05 * activity.max()) ** 2 * len(LIKELY) * np.eye(CELLS)
    wanted = activity.T @ genes.thrust_g(LIKELY)
    still = np.linalg.solve(activity.T @ activity + ridge, wanted)
    push = SPAN_PER_S2 * genes.rate_g_s2 / (MOST_HZ * DT_S * RATE_CELLS / 2)
    return np.concatenate((still, np.tile([push, -push], RATE_CELLS // 2)))


def rates_hz(current: FloatArray) -> FloatArray:
    """Rate of a LIF neuron under a constant current; spikes are half a step late on average."""
    drive = np.maximum(current, 1.0 + 1e-9)
    interval_s = DT_S / 2 - CELL_TAU_S * np.log1p(-1.0 / drive)
    return np.where(current > 1.0 + 1e-9, 1.0 / interval_s, 0.0)


def current_for(rate_hz: FloatArray) -> FloatArray:
    """The inverse of `rates_hz`."""
    return np.asarray(-1.0 / np.expm1((DT_S / 2 - 1.0 / rate_hz) / CELL_TAU_S))


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
