"""A closed lane on flat ground: its centre line, and where a place lies along and beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray

#: Distance of the points that describe the centre line.
STEP_M = 0.01


class WaveConfig(Strict):
    """A wave along the circle: `lobes` bulges of `height` times the radius, turned by `phase`."""

    lobes: int = Field(ge=1, le=12)
    height: float = Field(ge=-0.5, le=0.5)
    phase: float = 0.0


class TrackConfig(Strict):
    """The centre line: a circle of `radius_m` with `waves`.

    r(a) = radius_m (1 + sum of height cos(lobes a - phase)); angles in rad.
    """

    radius_m: float = Field(gt=0.5, le=20)
    waves: list[WaveConfig] = Field(default_factory=list)
    clockwise: bool = False


class Spot(NamedTuple):
    """A place as the lane sees it: m along the centre line, m to the left of it, and the lane's
    direction there in rad.
    """

    along_m: float
    left_m: float
    heading_rad: float


class Track:
    """A closed lane.

    Attributes:
        length_m: of the centre line.
        points: of the centre line, every STEP_M or a little less; x and y in m, shape (n, 2).
        headings: the lane's direction at each point, rad, shape (n,).
    """

    def __init__(self, config: TrackConfig) -> None:
        angle = np.linspace(0, 2 * np.pi, 20_001)
        waves = [w.height * np.cos(w.lobes * angle - w.phase) for w in config.waves]
        radius = config.radius_m * (1 + np.sum(waves, axis=0)) * np.ones_like(angle)
        side = -1.0 if config.clockwise else 1.0
        line = np.column_stack((radius * np.cos(angle), side * radius * np.sin(angle)))
        along = np.append(0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T)))
        self.length_m = float(along[-1])
        count = int(np.ceil(self.length_m / STEP_M))
        at = np.arange(count) * self.length_m / count
        self.points: FloatArray = np.column_stack([np.interp(at, along, axis) for axis in line.T])
        ahead = np.roll(self.points, -1, axis=0) - np.roll(self.points, 1, axis=0)
        self.headings: FloatArray = np.arctan2(ahead[:, 1], ahead[:, 0])

    @property
    def tightest_m(self) -> float:
        """The smallest radius of curvature."""
        turns = np.angle(np.exp(1j * (np.roll(self.headings, -1) - self.headings)))
        return float(self.length_m / len(self.points) / np.abs(turns).max())

    def spot(self, x: float, y: float) -> Spot:
        """Where a place lies: by the nearest point of the centre line."""
        away = self.points - (x, y)
        k = int(np.argmin(np.einsum("ij,ij->i", away, away)))
        heading = float(self.headings[k])
        left_m = float(-away[k, 1] * np.cos(heading) + away[k, 0] * np.sin(heading))
        return Spot(k * self.length_m / len(self.points), left_m, heading)

    def place(self, along_m: float, left_m: float = 0.0) -> tuple[float, float, float]:
        """x, y (m) and the lane's direction (rad) of a spot; the inverse of `spot`."""
        k = round(along_m / self.length_m * len(self.points)) % len(self.points)
        (x, y), heading = self.points[k], float(self.headings[k])
        return float(x - left_m * np.sin(heading)), float(y + left_m * np.cos(heading)), heading

    def ahead(self, along_m: float, far_m: FloatArray) -> FloatArray:
        """X and y of the centre line `far_m` ahead of a spot, m, shape (len(far_m), 2)."""
        steps = np.round((along_m + far_m) / self.length_m * len(self.points)).astype(int)
        return np.asarray(self.points[steps % len(self.points)])
