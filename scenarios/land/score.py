"""The score: how fast it is down, and how gently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score

LANDING, ALOFT, TOUCHED = 3, 4, 5


class LandingsConfig(Strict):
    """What a landing costs beside its time.

    Attributes:
        gentle_m_s: the ground may be touched with this speed.
        hard_s_per_m_s: for each m/s beyond that.
        lost_s: for one that does not end.
    """

    gentle_m_s: float = Field(default=0.3, gt=0)
    hard_s_per_m_s: float = Field(default=20.0, ge=0)
    lost_s: float = Field(default=20.0, gt=0)


class Landings(Score):
    """Minus the seconds that a landing takes, and a penalty for touching the ground hard.

    Attributes:
        took_s, touched_m_s: of each landing that has ended on the ground.
    """

    Config: ClassVar[type[Strict]] = LandingsConfig
    unit: ClassVar[str] = "minus s a landing"

    def __init__(self, config: LandingsConfig, seed: int) -> None:
        del seed
        self._config = config
        self._landing, self._is_over = 0, False
        self._trials: list[float] = []
        self.took_s: list[float] = []
        self.touched_m_s: list[float] = []

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `Land`; always True."""
        del now_ns
        landing, took_s, touched_m_s = int(truth[LANDING]), truth[ALOFT], truth[TOUCHED]
        if landing != self._landing:
            if self._landing and not self._is_over:
                self._trials.append(-self._config.lost_s)
            self._landing, self._is_over = landing, False
        if touched_m_s >= 0 and not self._is_over:
            self._is_over = True
            self.took_s.append(float(took_s))
            self.touched_m_s.append(float(touched_m_s))
            hard_m_s = max(0.0, float(touched_m_s) - self._config.gentle_m_s)
            self._trials.append(-float(took_s) - self._config.hard_s_per_m_s * hard_m_s)
        return True

    @property
    def value(self) -> float:
        """Mean over the landings; as one that is lost where none has ended."""
        if not self._trials:
            return -self._config.lost_s
        return sum(self._trials) / len(self._trials)

    @property
    def trials(self) -> Sequence[float]:
        """Of each landing."""
        return self._trials
