"""Writes network.yaml and network.nir: two motor neurons that learn to keep the lane.

    python -m reflexarc.scenarios.lane_keep.build_network [FILE.yaml]

After Bing et al. 2018 and Kaiser et al. 2019: the camera's events, pooled, reach a left and a right
motor neuron through synapses that are all alike at first. What differs between the motor neurons
steers. Each has a reward of its own, that of the one the reverse of the other's: being too far left
weakens what has just made the left one fire, and strengthens what has made the right one fire.

    camera -> left (LIF), by reward_left (R-STDP)   -> motors
    camera -> right (LIF), by reward_right (R-STDP) -> motors
"""

from __future__ import annotations

import sys
from math import expm1
from pathlib import Path

from reflexarc.runtime.builder import Builder
from reflexarc.runtime.connectivity import AllToAll
from reflexarc.runtime.network import Network
from reflexarc.runtime.neurons import LIF
from reflexarc.runtime.plasticity import RewardStdp
from reflexarc.runtime.save import save

DT_S = 0.001
#: Of the picture of 64 x 32 pixels; each cell is a line of the camera.
CELL_PX, COLUMNS, ROWS = 4, 16, 8
MEMBRANE_S = 0.02
#: A spike of weight 1 moves the membrane by this share of the threshold.
JUMP = 0.04
FIRST_WEIGHT = 0.3
A_PLUS = 1e-3
A_MINUS = 0.0
ELIGIBILITY_S = 1.0
W_MIN = -1.0


def build() -> Network:
    """The network before it has learnt anything, the same at every call."""
    net = Builder(seed=1)
    camera = net.input("camera", ROWS * COLUMNS)
    motors = net.population("motors", 2, motor_model())
    for n, side in enumerate(("left", "right")):
        net.modulator(f"reward_{side}")
        learns = RewardStdp(
            modulator=f"reward_{side}",
            a_plus=A_PLUS,
            a_minus=A_MINUS,
            tau_eligibility_s=ELIGIBILITY_S,
            w_min=W_MIN,
            w_max=1.0,
        )
        net.project(
            camera,
            motors[n : n + 1],
            AllToAll(),
            weight=FIRST_WEIGHT,
            name=f"sees_{side}",
            plasticity=learns,
        )
    net.output("steering", motors)
    return net.build(mode="clocked", dt_s=DT_S)


def motor_model() -> LIF:
    """A leaky neuron of threshold 1; a spike of weight 1 raises its membrane by JUMP."""
    return LIF(tau_s=MEMBRANE_S, r=JUMP / -expm1(-DT_S / MEMBRANE_S))


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
