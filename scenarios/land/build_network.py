"""Writes network.yaml and network.nir: eighteen neurons that land a quadrotor.

    python -m reflexarc.scenarios.land.build_network [FILE.yaml]

Twelve spiking neurons fire from some divergence on, or below it, and four with its rate of
change; they fire in flight alone. `nominal` reads a thrust from them with weights that `evolve.py`
has found (weights.yaml), as Hagenaars et al. 2020 evolve theirs. What is learnt in flight is
`adapts`: as long as the nominal thrust stays away from 0, a correction grows in its direction, for
the divergence at which it happens (PES; DeWolf et al. 2016).

    divergence, rate, aloft -> cells (LIF) -> nominal (LI)              -> thrust
                               cells       -- adapts -> correction (LI) -> thrust
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydantic import Field

from reflexarc.runtime.builder import Builder
from reflexarc.runtime.config import Strict, read_yaml
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save
from reflexarc.scenarios.lif import LifCurve

DT_S = 0.004
CELL_TAU_S, TRACE_TAU_S = 0.02, 0.05
CURVE = LifCurve(CELL_TAU_S, DT_S)
#: Divergences (1/s) at which neurons begin to fire: upwards, and downwards.
UPWARDS: FloatArray = np.array([-0.6, 0.1, 0.7, 1.3, 2.0, 3.0])
DOWNWARDS: FloatArray = np.array([0.4, 0.9, 1.4, 2.0, 2.8, 4.0])
RATES = 4
CELLS = len(UPWARDS) + len(DOWNWARDS) + RATES
#: How much further a neuron fires at MOST_HZ; for those of the rate from 0 (1/s^2).
SPAN_PER_S, SPAN_PER_S2 = 2.5, 10.0
MOST_HZ = 120.0
WEIGHTS = Path(__file__).with_name("weights.yaml")


class Weights(Strict):
    """What is evolved.

    Attributes:
        readout: from each neuron's spikes to the nominal thrust, in the quadrotor's weight.
        tau_s: time constant of the nominal thrust and of the correction.
        learning_rate: of the correction.
    """

    readout: list[float] = Field(min_length=CELLS, max_length=CELLS)
    tau_s: float = Field(gt=0)
    learning_rate: float = Field(ge=0)


def evolved() -> Weights:
    """Those that are shipped. Raises ConfigError where the file is damaged."""
    return read_yaml(WEIGHTS).validate(Weights)


def build(weights: Weights) -> Network:
    """The network, the same at every call."""
    sensed, start = tuning()
    net = Builder(seed=1)
    divergence, rate, aloft = (net.input(name, 1) for name in ("divergence", "rate", "aloft"))
    cells = net.population("cells", CELLS, LIF(tau_s=CELL_TAU_S))
    nominal = net.population("nominal", 1, LI(tau_s=weights.tau_s))
    correction = net.population("correction", 1, LI(tau_s=weights.tau_s))
    net.linear(divergence, cells, sensed[:, :1])
    net.linear(rate, cells, sensed[:, 1:])
    net.linear(aloft, cells, start[:, None])
    net.linear(cells, nominal, [weights.readout], name="reads")
    rule = Pes(modulator="nominal", learning_rate=weights.learning_rate, tau_pre_s=TRACE_TAU_S)
    net.linear(cells, correction, np.zeros((1, CELLS)), name="adapts", plasticity=rule)
    thrust = net.output("thrust", 1)
    net.linear(nominal, thrust, [[1.0]])
    net.linear(correction, thrust, [[-1.0]])
    return net.build(mode="clocked", dt_s=DT_S)


def tuning() -> tuple[FloatArray, FloatArray]:
    """Input weights for divergence and rate (neurons, 2), and the current in flight (neurons,)."""
    gain = float(CURVE.current_for(np.array(MOST_HZ))) - 1.0
    first = np.concatenate((UPWARDS, DOWNWARDS, np.zeros(RATES)))
    sensed = np.zeros((CELLS, 2))
    sensed[:-RATES, 0] = np.repeat([1.0, -1.0], len(UPWARDS)) * gain / SPAN_PER_S
    sensed[-RATES:, 1] = np.tile([1.0, -1.0], RATES // 2) * gain / SPAN_PER_S2
    return sensed, 1.0 - sensed[:, 0] * first


def rates_hz(divergence: FloatArray) -> FloatArray:
    """Of each neuron at each of these steady divergences (1/s), shape (divergences, neurons)."""
    sensed, start = tuning()
    return CURVE.rates_hz(np.outer(divergence, sensed[:, 0]) + start)


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(evolved()), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
