"""The score: how far the car is from the middle of its lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score

#: A trial is so long: about a lap.
TRIAL_NS = 10_000_000_000


class Offset(Score):
    """Minus the mean distance from the middle of the lane, in per cent of its half width.

    Attributes:
        laps: where the car was at each update, counted in laps.
        offsets: how far off the middle it was there, as a share of the half width.
        times_off: how often it had left the lane by then.
    """

    unit: ClassVar[str] = "-% of half width"

    def __init__(self, config: Strict, seed: int) -> None:
        del config, seed
        self.laps: list[float] = []
        self.offsets: list[float] = []
        self.times_off: list[int] = []
        self._trials: list[float] = []
        self._trial_begins = 0

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `LaneKeep`; the task never ends."""
        self.offsets.append(abs(float(truth[0])))
        self.laps.append(float(truth[2]))
        self.times_off.append(int(truth[3]))
        if now_ns >= (len(self._trials) + 1) * TRIAL_NS:
            self._trials.append(_per_cent(self.offsets[self._trial_begins :]))
            self._trial_begins = len(self.offsets)
        return True

    @property
    def value(self) -> float:
        """Mean over all updates; 0 before there was any."""
        return _per_cent(self.offsets) if self.offsets else 0.0

    @property
    def trials(self) -> Sequence[float]:
        """Of each 10 s that are over."""
        return self._trials


def _per_cent(offsets: Sequence[float]) -> float:
    return -100.0 * sum(offsets) / len(offsets)
