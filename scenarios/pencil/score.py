"""The score: how long the rod stands near the middle of the stage."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score


class StandingConfig(Strict):
    """The rod has fallen when it leans further than `most_lean_rad`.

    Time counts while its foot is within `within_m` of the middle along both axes.
    """

    most_lean_rad: float = Field(default=0.5, gt=0)
    within_m: float = Field(default=0.02, gt=0)


class Standing(Score):
    """Seconds that the rod stood with its foot near the middle; the run ends when it falls.

    Attributes:
        stood_s: how long it stood, wherever.
    """

    Config: ClassVar[type[Strict]] = StandingConfig
    unit: ClassVar[str] = "s in the middle"

    def __init__(self, config: StandingConfig, seed: int) -> None:
        del seed
        self._config = config
        self._last_ns = self._middle_ns = 0

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `Pencil`; False when the rod has fallen."""
        if np.abs(truth[4:6]).max() > self._config.most_lean_rad:
            return False
        if np.abs(truth[:2]).max() <= self._config.within_m:
            self._middle_ns += now_ns - self._last_ns
        self._last_ns = now_ns
        return True

    @property
    def stood_s(self) -> float:
        """Seconds until it fell, or so far."""
        return self._last_ns * 1e-9

    @property
    def value(self) -> float:
        """Seconds in the middle so far."""
        return self._middle_ns * 1e-9
