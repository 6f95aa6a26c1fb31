"""The score: how long the pole stays up."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score


class BalancedConfig(Strict):
    """When the task has failed: the pole leans further, or the cart leaves the rail."""

    max_tilt_rad: float = Field(default=0.4, gt=0)
    rail_half_m: float = Field(default=2.4, gt=0)


class Balanced(Score):
    """Seconds until the pole fell or the cart left the rail."""

    Config: ClassVar[type[Strict]] = BalancedConfig
    unit: ClassVar[str] = "s balanced"

    def __init__(self, config: BalancedConfig, seed: int) -> None:
        del seed
        self._config = config
        self._balanced_ns = 0

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `PoleBalance`; False when the task has failed."""
        if abs(truth[2]) > self._config.max_tilt_rad or abs(truth[0]) > self._config.rail_half_m:
            return False
        self._balanced_ns = now_ns
        return True

    @property
    def value(self) -> float:
        """Seconds balanced so far."""
        return self._balanced_ns * 1e-9
