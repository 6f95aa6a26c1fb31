"""The rod near upright, along one axis: what its controllers are designed on.

With the foot's acceleration u as input, x'' = u and lean'' = 3 / (2 L) (g lean - u): a uniform rod
on a joint at its foot. Its mass has no say.
"""

from __future__ import annotations

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.scenarios.pole_balance.model import lqr_gain

GRAVITY_M_S2 = 9.81
LENGTH_M = 0.2
PERIOD_S = 0.002


def linear_plant() -> tuple[FloatArray, FloatArray]:
    """Continuous A (4, 4) and B (4, 1) of the state (place, speed, lean, lean rate)."""
    turning = 1.5 / LENGTH_M
    a, b = np.zeros((4, 4)), np.zeros((4, 1))
    a[0, 1] = a[2, 3] = 1.0
    a[3, 2] = turning * GRAVITY_M_S2
    b[1, 0], b[3, 0] = 1.0, -turning
    return a, b


def optimal_gain(weights: FloatArray, effort: float) -> FloatArray:
    """Gain K (4,) of `u = -K s`, s = (place, speed, lean, lean rate); see `lqr_gain`."""
    return lqr_gain(*linear_plant(), np.diag(weights), effort, PERIOD_S)
