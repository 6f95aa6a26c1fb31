"""The score: how far the hand is from where it should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score

#: A lost arm counts as this far away.
MOST_M = 1.0


class HandError(Score):
    """Minus the root mean square distance of the hand from the wanted one, mean over trials."""

    unit: ClassVar[str] = "-mm off, rms"

    def __init__(self, config: Strict, seed: int) -> None:
        del config, seed
        self._trials: list[float] = []
        self._squares, self._count = 0.0, 0
        self._last_ns = 0

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `Reach`; the task never ends."""
        away_m = float(np.nan_to_num(np.linalg.norm(truth[:3] - truth[3:6]), nan=MOST_M))
        self._squares += min(away_m, MOST_M) ** 2
        self._count += 1
        step_s, self._last_ns = (now_ns - self._last_ns) * 1e-9, now_ns
        if truth[6] - step_s < 1e-9:
            self._trials.append(self._value())
            self._squares, self._count = 0.0, 0
        return True

    @property
    def value(self) -> float:
        """Mean over the trials that are over; while there is none, the first so far."""
        return float(np.mean(self._trials)) if self._trials else self._value()

    @property
    def trials(self) -> Sequence[float]:
        """Of each trial that is over."""
        return self._trials

    def _value(self) -> float:
        return -1e3 * float(np.sqrt(self._squares / max(self._count, 1)))
