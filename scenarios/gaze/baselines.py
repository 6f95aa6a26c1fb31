"""The conventional way: look at the filtered centre of the events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller


class CentroidConfig(Strict):
    """Image size in pixels, angles at its edges in rad, time constant of the filter."""

    width: int = Field(default=640, ge=1)
    height: int = Field(default=480, ge=1)
    pan_rad: float = 0.6
    tilt_rad: float = 0.45
    tau_s: float = Field(default=0.1, gt=0)


class Centroid(Controller):
    """Aims at the mean position of the events, low-pass filtered; holds still without events."""

    Config: ClassVar[type[Strict]] = CentroidConfig

    def __init__(self, config: CentroidConfig, seed: int) -> None:
        self._config = config
        self._aim = np.zeros(2)
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Wanted pan and tilt in rad, shape (2,)."""
        config = self._config
        keep = math.exp(-(now_ns - self._last_ns) * 1e-9 / config.tau_s)
        self._last_ns = now_ns
        for batch in batches:
            if batch.stream == "camera" and len(batch.values):
                x = 2 * float(batch.values["x"].mean()) / config.width - 1
                y = 2 * float(batch.values["y"].mean()) / config.height - 1
                seen = np.array([-x * config.pan_rad, -y * config.tilt_rad])
                self._aim = seen + keep * (self._aim - seen)
        return self._aim
