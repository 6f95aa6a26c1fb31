"""What a roboticist would use: LQR on the true state, and PD on a line tracked in the events."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, exp
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.pole_balance.model import POLE_MASS_KG, linear_plant, lqr_gain
from reflexarc.scenarios.pole_balance.view import on_plane


class LqrConfig(Strict):
    """Weights of the squared state (position, velocity, tilt, tilt rate) and of the force.

    The gains are optimal for a pole of `pole_mass_kg`, whatever the world's pole weighs.
    """

    state_weights: list[float] = Field(default=[1.0, 1.0, 10.0, 1.0], min_length=4, max_length=4)
    force_weight: float = Field(default=0.1, gt=0)
    pole_mass_kg: float = Field(default=POLE_MASS_KG, gt=0)
    period_s: float = Field(default=0.002, gt=0)

    def gain(self) -> FloatArray:
        """Gain K (4,) of `F = -K s`."""
        a, b = linear_plant(self.pole_mass_kg)
        return lqr_gain(a, b, np.diag(self.state_weights), self.force_weight, self.period_s)


class Lqr(Controller):
    """Linear-quadratic regulator on the stream "truth", which no robot has."""

    Config: ClassVar[type[Strict]] = LqrConfig

    def __init__(self, config: LqrConfig, seed: int) -> None:
        del seed
        self._gain = config.gain()
        self._force_n = np.zeros(1)

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The force in N, shape (1,)."""
        del now_ns
        for batch in batches:
            if batch.stream == "truth":
                self._force_n = np.atleast_1d(-self._gain @ batch.values[:4])
        return self._force_n


class PdConfig(Strict):
    """Gains of `F = gains . (position, velocity, tilt, tilt rate)`, and the tracker.

    `memory_events` is how many events the line remembers; `rate_tau_s` filters the tilt rate.
    """

    gains: list[float] = Field(default=[3.1, 6.0, 56.0, 13.7], min_length=4, max_length=4)
    width: int = Field(default=64, ge=1)
    height: int = Field(default=48, ge=1)
    memory_events: float = Field(default=30.0, gt=0)
    rate_tau_s: float = Field(default=0.02, gt=0)


class PdFromEvents(Controller):
    """PD on the tilt of a line tracked in the camera's events, and on the cart's own encoder."""

    Config: ClassVar[type[Strict]] = PdConfig

    def __init__(self, config: PdConfig, seed: int) -> None:
        del seed
        self._gains = np.array(config.gains)
        self._tracker = LineTracker(config.width, config.height, config.memory_events)
        self._rate_tau_s = config.rate_tau_s
        self._rail = np.zeros(2)
        self._tilt_rad = 0.0
        self._rate_rad_s = 0.0
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The force in N, shape (1,)."""
        for batch in batches:
            if batch.stream == "camera":
                self._tracker.update(batch.values)
            elif batch.stream == "rail":
                self._rail = batch.values
        self._filter(self._tracker.tilt_rad, (now_ns - self._last_ns) * 1e-9)
        self._last_ns = now_ns
        state = np.append(self._rail, (self._tilt_rad, self._rate_rad_s))
        return np.atleast_1d(self._gains @ state)

    def _filter(self, tilt_rad: float, elapsed_s: float) -> None:
        """Tilt rate by a filtered difference."""
        if elapsed_s > 0:
            share = 1.0 - exp(-elapsed_s / self._rate_tau_s)
            step = (tilt_rad - self._tilt_rad) / elapsed_s
            self._rate_rad_s += share * (step - self._rate_rad_s)
        self._tilt_rad = tilt_rad


class LineTracker:
    """The tilt of a line through the hinge, from the events of its two edges.

    Every event adds its squared distance from the line, a quadratic form in the slope, to a sum
    that forgets old events; the slope is where the sum is smallest. This is the tracker of
    Conradt et al. 2009 ("A pencil balancing robot using a pair of AER dynamic vision sensors"),
    with the hinge known. Polarities are summed apart: each sees the edge on one side.
    """

    def __init__(self, width: int, height: int, memory_events: float) -> None:
        self._size = width, height
        self._forget = 1.0 / memory_events
        self._sum_zz = np.ones(2)
        self._sum_xz = np.zeros(2)

    @property
    def tilt_rad(self) -> float:
        """The tilt now; 0 before there was any event."""
        return atan(float(np.mean(self._sum_xz / self._sum_zz)))

    def update(self, events: npt.NDArray[Any]) -> None:
        """Take in EVENT records, in order of time."""
        x, z = on_plane(events["x"], events["y"], *self._size)
        for polarity in (0, 1):
            of = events["p"] == polarity
            keep = np.exp(-self._forget * np.arange(np.count_nonzero(of), -1, -1))
            self._sum_zz[polarity] = keep @ np.append(self._sum_zz[polarity], z[of] ** 2)
            self._sum_xz[polarity] = keep @ np.append(self._sum_xz[polarity], x[of] * z[of])
