"""Writes network.yaml and network.nir: a spiking population beside the arm's own controller.

    python -m reflexarc.scenarios.reach_payload.build_network [FOLDER]

Nothing in it is trained. `adapts` and `settles` start at zero and learn while the arm moves, from
the feedback torque: as long as the controller still has to push, the correction grows in that
direction (DeWolf et al. 2016, after Slotine & Li 1987). The cells fire in their part of the motion;
the steady ones always do, so that what they learn is the same everywhere: an integral.

    nominal (model + feedback) ------------------------> torque
    wanted motion (21) -> cells (LIF) -- adapts --> correction (LI) -> torque
                         steady (LIF) -- settles -> correction
    feedback (minus the feedback torque): what teaches `adapts` and `settles`
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from reflexarc.runtime.builder import Builder
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save
from reflexarc.scenarios.lif import LifCurve
from reflexarc.scenarios.reach_payload.arm import JOINTS

DT_S = 0.001
SEED = 1
CELLS = 1000
CELL_TAU_S = 0.02
CURVE = LifCurve(CELL_TAU_S, DT_S)
CORRECTION_TAU_S = 0.01
#: Of the activity that is taught: about as long as an error takes to show.
TRACE_TAU_S = 0.04
#: At a steady state the correction grows by this much of the feedback torque a second: what the
#: cells learn of it, and the steady neurons. The two together swing above about 14.
SPEED_HZ, STEADY_SPEED_HZ = 3.0, 8.0
STEADY = 100
STEADY_RATES_HZ = (150.0, 250.0)
#: Wanted angles, rates and accelerations.
MOTION = 3 * JOINTS
#: Cells fire beyond thresholds up to this far from the middle, in standard deviations.
WIDEST = 1.5


def build(speed_hz: float = SPEED_HZ, cells: int = CELLS) -> Network:
    """The network, the same at every call."""
    generator = np.random.default_rng(SEED)
    weight, bias = CURVE.tuning(generator, cells, MOTION, widest=WIDEST, at=2.0)
    usual_hz = CURVE.rates_hz(generator.standard_normal((1000, MOTION)) @ weight.T + bias)
    steady_hz = np.linspace(*STEADY_RATES_HZ, STEADY)
    net = Builder(seed=SEED)
    nominal = net.input("nominal", 2 * JOINTS)
    motion = net.input("motion", MOTION)
    net.modulator("feedback", JOINTS)
    ensemble = net.population("cells", cells, LIF(tau_s=CELL_TAU_S))
    steady = net.population("steady", STEADY, LIF(tau_s=CELL_TAU_S))
    correction = net.population("correction", JOINTS, LI(tau_s=CORRECTION_TAU_S))
    torque = net.output("torque", JOINTS)
    net.linear(motion, ensemble, weight, bias, name="encode")
    net.linear(
        motion, steady, np.zeros((STEADY, MOTION)), CURVE.current_for(steady_hz), name="keep_on"
    )
    adapts, settles = taught(speed_hz, usual_hz), taught(STEADY_SPEED_HZ, steady_hz)
    none, none_steady = np.zeros((JOINTS, cells)), np.zeros((JOINTS, STEADY))
    net.linear(ensemble, correction, none, name="adapts", plasticity=adapts)
    net.linear(steady, correction, none_steady, name="settles", plasticity=settles)
    net.linear(nominal, torque, np.tile(np.eye(JOINTS), 2), name="pass_on")
    net.linear(correction, torque, np.eye(JOINTS), name="correct")
    return net.build(mode="clocked", dt_s=DT_S)


def taught(speed_hz: float, usual_hz: FloatArray) -> Pes:
    """The rule of neurons that usually fire at `usual_hz`, shape (..., neurons)."""
    power = float(np.mean(np.sum(usual_hz**2, axis=-1)))
    return Pes(modulator="feedback", learning_rate=speed_hz / (power * DT_S), tau_pre_s=TRACE_TAU_S)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    save(build(), folder / "network.yaml")
