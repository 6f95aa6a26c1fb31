"""How fast LIF neurons of the clocked engine fire, and populations that are tuned by it.

curve = LifCurve(tau_s=0.02, dt_s=0.001)
weight, bias = curve.tuning(generator, cells=1000, axes=4, widest=0.9, at=1.0)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reflexarc.runtime.network import FloatArray

#: Beyond a current of 1, by so much at least, a neuron counts as one that fires.
LEAST = 1e-9
#: Of the rates of a population.
LOWEST_HZ, HIGHEST_HZ = 100.0, 200.0


class LifCurve(NamedTuple):
    """The curve of LIF neurons of unit threshold and resistance that are stepped every `dt_s`.

    Spikes fall on steps, half a step late on average.
    """

    tau_s: float
    dt_s: float

    def rates_hz(self, current: FloatArray) -> FloatArray:
        """Firing rates under constant currents, of the same shape."""
        drive = np.maximum(current, 1.0 + LEAST)
        interval_s = self.dt_s / 2 - self.tau_s * np.log1p(-1.0 / drive)
        return np.where(current > 1.0 + LEAST, 1.0 / interval_s, 0.0)

    def current_for(self, rate_hz: FloatArray) -> FloatArray:
        """The inverse of `rates_hz`, where neurons fire."""
        return np.asarray(-1.0 / np.expm1((self.dt_s / 2 - 1.0 / rate_hz) / self.tau_s))

    def tuning(
        self, generator: np.random.Generator, cells: int, axes: int, *, widest: float, at: float
    ) -> tuple[FloatArray, FloatArray]:
        """Input weights (cells, axes) and biases of a population.

        Preferred directions are spread evenly over the sphere, and along its own a neuron fires
        beyond an intercept evenly drawn from -widest to widest, at 100 to 200 Hz by `at`.
        """
        direction = generator.standard_normal((cells, axes))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        intercept = generator.uniform(-widest, widest, cells)
        most = self.current_for(generator.uniform(LOWEST_HZ, HIGHEST_HZ, cells))
        gain = (most - 1.0) / (at - intercept)
        return gain[:, None] * direction, 1.0 - gain * intercept
