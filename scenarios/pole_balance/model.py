"""The nominal plant on paper: its measures, linear dynamics about upright, optimal gains."""

from __future__ import annotations

import numpy as np

from reflexarc.runtime.network import FloatArray

GRAVITY_M_S2 = 9.81
#: As in cartpole.urdf.
CART_MASS_KG = 1.0
POLE_MASS_KG = 0.5
POLE_LENGTH_M = 1.0
POLE_WIDTH_M = 0.06


def linear_plant(pole_mass_kg: float = POLE_MASS_KG) -> tuple[FloatArray, FloatArray]:
    """A (4, 4) and B (4, 1) of `s' = A s + B F` for s = (position, velocity, tilt, tilt rate).

    A cart with a uniform pole about upright, without friction (Florian 2007, "Correct equations
    for the dynamics of the cart-pole system", linearised).
    """
    half = POLE_LENGTH_M / 2
    total = CART_MASS_KG + pole_mass_kg
    turning = half * (4 / 3 * total - pole_mass_kg)
    fall = total * GRAVITY_M_S2 / turning
    coupling = pole_mass_kg * half / total
    a = np.zeros((4, 4))
    a[0, 1] = a[2, 3] = 1.0
    a[3, 2] = fall
    a[1, 2] = -coupling * fall
    b = np.array([[0.0], [1 / total + coupling / turning], [0.0], [-1 / turning]])
    return a, b


def lqr_gain(a: FloatArray, b: FloatArray, q: FloatArray, r: float, period_s: float) -> FloatArray:
    """Gain K (states,) of `F = -K s` that minimises the sum of `s' q s + r F^2`.

    The plant is discretised with the force held over `period_s`; the Riccati difference equation
    is iterated until it stands still.
    """
    ad, bd = hold(a, b, period_s)
    p = q.copy()
    for _ in range(100_000):
        k = np.linalg.solve(np.atleast_2d(r) + bd.T @ p @ bd, bd.T @ p @ ad)
        following = q + ad.T @ p @ (ad - bd @ k)
        if np.allclose(following, p, rtol=1e-12, atol=0):
            break
        p = following
    return np.asarray(k[0])


def hold(a: FloatArray, b: FloatArray, period_s: float) -> tuple[FloatArray, FloatArray]:
    """Zero-order hold by the Taylor series of the matrix exponential of [[a, b], [0, 0]]."""
    n = len(a)
    joint = np.zeros((n + 1, n + 1))
    joint[:n, :n], joint[:n, n:] = a * period_s, b * period_s
    total = term = np.eye(n + 1)
    for order in range(1, 20):
        term = term @ joint / order
        total = total + term
    return total[:n, :n], total[:n, n:]
