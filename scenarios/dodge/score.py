"""The score: the share of balls that the quadrotor did right by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score


class HandledConfig(Strict):
    """`still_m`: further to a side than this is a dodge."""

    still_m: float = Field(default=0.15, gt=0)


class Handled(Score):
    """The share of balls handled, in per cent.

    A ball that would have met the quadrotor is handled if it did not touch it. One that would have
    passed is handled if it did not touch it either, and it stayed where it was: it did not go
    further than `still_m` to a side while the ball flew.

    Attributes:
        met: for each trial whether the ball would have met the quadrotor.
        ended_s: for each trial when it was over.
    """

    Config: ClassVar[type[Strict]] = HandledConfig
    unit: ClassVar[str] = "% handled"

    def __init__(self, config: HandledConfig, seed: int) -> None:
        del seed
        self._config = config
        self._number, self._meets = 0, False
        self._touched = self._dodged = False
        self._trials: list[float] = []
        self.met: list[bool] = []
        self.ended_s: list[float] = []

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `Dodge`; always True."""
        number = int(truth[4])
        if number != self._number:
            if self._number:
                self._end(now_ns * 1e-9)
            self._number, self._meets = number, bool(truth[5])
            self._touched = self._dodged = False
        self._touched |= bool(truth[6])
        self._dodged |= abs(float(truth[0])) > self._config.still_m
        return True

    @property
    def value(self) -> float:
        """Per cent of the balls that are over; 0 before there was any."""
        return 100 * sum(self._trials) / len(self._trials) if self._trials else 0.0

    @property
    def trials(self) -> Sequence[float]:
        """1 for each ball that was handled, 0 for the others."""
        return self._trials

    def _end(self, now_s: float) -> None:
        needless = self._dodged and not self._meets
        self._trials.append(0.0 if self._touched or needless else 1.0)
        self.met.append(self._meets)
        self.ended_s.append(now_s)
