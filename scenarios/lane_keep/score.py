"""The score: how far the car is from the middle of its lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score

#: A trial is so long: about a lap.
TRIAL_NS = 10_000_000_000


class Lap(NamedTuple):
    """A whole lap: when it began and ended, the mean distance from the middle of the lane as a
    share of its half width, and whether the car stayed in the lane.
    """

    begun_s: float
    ended_s: float
    offset: float
    clean: bool


class Mean:
    """A running mean; 0 of nothing."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        """One more."""
        self._sum += value
        self._count += 1

    @property
    def value(self) -> float:
        """Of all so far."""
        return self._sum / self._count if self._count else 0.0


class Offset(Score):
    """Minus the mean distance from the middle of the lane, in per cent of its half width.

    Attributes:
        laps: that are over, counted from where the car started.
    """

    unit: ClassVar[str] = "-% of half width"

    def __init__(self, config: Strict, seed: int) -> None:
        del config, seed
        self.laps: list[Lap] = []
        self._trials: list[float] = []
        self._run, self._trial, self._lap = Mean(), Mean(), Mean()
        self._lap_begun_s, self._times_off_before = 0.0, 0

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `LaneKeep`; the task never ends."""
        away, way_laps, times_off = abs(float(truth[0])), float(truth[2]), int(truth[3])
        for mean in (self._run, self._trial, self._lap):
            mean.add(away)
        if now_ns >= (len(self._trials) + 1) * TRIAL_NS:
            self._trials.append(-100 * self._trial.value)
            self._trial = Mean()
        if way_laps >= len(self.laps) + 1:
            now_s, clean = now_ns * 1e-9, times_off == self._times_off_before
            self.laps.append(Lap(self._lap_begun_s, now_s, self._lap.value, clean))
            self._lap, self._lap_begun_s, self._times_off_before = Mean(), now_s, times_off
        return True

    @property
    def value(self) -> float:
        """Of the run so far; 0 before there was any."""
        return -100 * self._run.value

    @property
    def trials(self) -> Sequence[float]:
        """Of each 10 s that are over."""
        return self._trials
