"""What a roboticist would use: PD on the true state, PD or PID on lines tracked in the events."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.pencil.view import EYE_M, on_plane


class PdConfig(Strict):
    """Gains of `acceleration = gains . (place, speed, lean, lean rate)`, the same for both axes."""

    gains: list[float] = Field(default=[30.0, 22.0, 73.0, 8.3], min_length=4, max_length=4)


class Pd(Controller):
    """PD on the stream "truth", which no robot has."""

    Config: ClassVar[type[Strict]] = PdConfig

    def __init__(self, config: PdConfig, seed: int) -> None:
        del seed
        self._gains = np.array(config.gains)
        self._wanted = np.zeros(2)

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The acceleration in m/s2, shape (2,)."""
        del now_ns
        for batch in batches:
            if batch.stream == "truth":
                self._wanted = self._gains @ batch.values.reshape(4, 2)
        return self._wanted


class LinePdConfig(PdConfig):
    """As `PdConfig`, and the tracker.

    `memory_events` is how many events a line remembers; one counts the less the further it lies
    from the line (standard deviation `beside_m`). `rate_tau_s` filters the rates. `integral` (1/s)
    is the gain of the place's integral over that of the place.
    """

    memory_events: float = Field(default=150.0, gt=0)
    beside_m: float = Field(default=0.015, gt=0)
    rate_tau_s: float = Field(default=0.015, gt=0)
    integral: float = Field(default=0.0, ge=0)


class LinePd(Controller):
    """PD on the places and slopes of the lines tracked in both cameras; PID with `integral`."""

    Config: ClassVar[type[Strict]] = LinePdConfig

    def __init__(self, config: LinePdConfig, seed: int) -> None:
        del seed
        self._config = config
        self._gains = np.array(config.gains)
        self._lines = [LineTracker(config.memory_events, config.beside_m) for _ in "xy"]
        self._seen, self._rate = np.zeros((2, 2)), np.zeros((2, 2))
        self._sum_m_s = np.zeros(2)
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The acceleration in m/s2, shape (2,)."""
        for batch in batches:
            if batch.stream.startswith("camera-"):
                self._lines["xy".index(batch.stream[-1])].update(batch.values)
        self._filter((now_ns - self._last_ns) * 1e-9)
        self._last_ns = now_ns
        place, lean = self._seen.T
        speed, lean_rate = self._rate.T
        off_m = place + self._config.integral * self._sum_m_s
        return np.asarray(self._gains @ np.array([off_m, speed, lean, lean_rate]))

    def _filter(self, elapsed_s: float) -> None:
        """Rates by a filtered difference."""
        seen = np.array([line.place_and_slope for line in self._lines])
        if elapsed_s > 0:
            share = 1.0 - exp(-elapsed_s / self._config.rate_tau_s)
            self._rate += share * ((seen - self._seen) / elapsed_s - self._rate)
            self._sum_m_s += seen[:, 0] * elapsed_s
        self._seen = seen


class LineTracker:
    """Place of the foot and slope of a line, from the events of its edges.

    Every event adds its squared distance from the line, a quadratic form in place and slope, to a
    sum that forgets old events; the line is where the sum is smallest. Events far from the line so
    far count little. After Conradt et al. 2009.
    """

    def __init__(self, memory_events: float, beside_m: float) -> None:
        self._forget = 1.0 / memory_events
        self._beside_m = beside_m
        # an upright line in the middle, as if all that is remembered had been on it
        z = np.linspace(0.0, 2 * EYE_M, 9)
        self._sums = memory_events * np.array(
            [[1.0, z.mean(), 0.0], [z.mean(), (z**2).mean(), 0.0]]
        )
        self.place_and_slope: FloatArray = np.zeros(2)

    def update(self, events: npt.NDArray[Any]) -> None:
        """Take in EVENT records, in order of time."""
        x, z = on_plane(events["x"], events["y"])
        place, slope = self.place_and_slope
        weight = np.exp(-0.5 * ((x - place - slope * z) / self._beside_m) ** 2)
        last = weight.cumsum()
        weight *= np.exp(-self._forget * (last[-1] - last)) if len(last) else 1.0
        self._sums *= exp(-self._forget * last[-1]) if len(last) else 1.0
        one = np.ones_like(x)
        self._sums += np.array([one, z]) * weight @ np.array([one, z, x]).T
        self.place_and_slope[:] = np.linalg.solve(self._sums[:, :2], self._sums[:, 2])
