"""The score: the share of shots that did not get into the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Score

#: Where a ball meets the paddle, where it is in the goal, and half the paddle's width.
MEETS_Y_M, IN_Y_M, HALF_M = 0.03, -0.06, 0.06


class BlockedConfig(Strict):
    """Limits of the paddle's drive, which decide what it could have reached."""

    top_speed_m_s: float = Field(default=1.5, gt=0)
    acceleration_m_s2: float = Field(default=15.0, gt=0)

    def reach_m(self, seconds: float) -> float:
        """How far the paddle gets from rest at full acceleration."""
        seconds = max(seconds, 0.0)
        speeding_s = min(seconds, self.top_speed_m_s / self.acceleration_m_s2)
        gained_m = self.acceleration_m_s2 * speeding_s**2 / 2
        return gained_m + self.top_speed_m_s * (seconds - speeding_s)


@dataclass
class Flight:
    """A ball on its way: when and where it will meet the paddle's line, and from when on and from
    where the paddle could care for it.
    """

    arrives_s: float
    arrives_m: float
    free_s: float
    paddle_m: float


class Blocked(Score):
    """The share of shots blocked, in per cent.

    A shot is over when the ball is in the goal, or turns back or aside before it. It was reachable
    if the paddle, at rest where it was when the ball came in sight, could have been before the ball
    in time at full acceleration; where another ball was on its way, it starts when and where that
    one was over.

    Attributes:
        reachable: for each trial whether it was reachable.
        ended_s: for each trial when it was over.
    """

    Config: ClassVar[type[Strict]] = BlockedConfig
    unit: ClassVar[str] = "% blocked"

    def __init__(self, config: BlockedConfig, seed: int) -> None:
        del seed
        self._config = config
        self._flights: dict[int, Flight] = {}
        self._over = 0
        self._trials: list[float] = []
        self.reachable: list[bool] = []
        self.ended_s: list[float] = []

    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the stream "truth" of `Goalie`; always True."""
        now_s, paddle_m = now_ns * 1e-9, float(truth[0])
        seen = set()
        for ball in truth[2:].reshape(-1, 5):
            number, x, y, speed_x, speed_y = map(float, ball)
            seen.add(int(number))
            if number > self._over and int(number) not in self._flights and speed_y < 0:
                takes_s = (y - MEETS_Y_M) / -speed_y
                self._flights[int(number)] = Flight(
                    now_s + takes_s, x + speed_x * takes_s, now_s, paddle_m
                )
                self._over = int(number)
            if int(number) in self._flights and (y < IN_Y_M or speed_y >= 0):
                in_goal = y < IN_Y_M and abs(x) < 0.25
                self._end(int(number), 0.0 if in_goal else 1.0, now_s, paddle_m)
        for lost in set(self._flights) - seen:
            self._end(lost, 1.0, now_s, paddle_m)
        return True

    @property
    def value(self) -> float:
        """Per cent of the shots that are over; 0 before there was any."""
        return 100 * sum(self._trials) / len(self._trials) if self._trials else 0.0

    @property
    def trials(self) -> Sequence[float]:
        """1 for each shot that was blocked, 0 for each goal."""
        return self._trials

    def _end(self, number: int, blocked: float, now_s: float, paddle_m: float) -> None:
        flight = self._flights.pop(number)
        far_m = abs(flight.arrives_m - flight.paddle_m) - HALF_M
        in_time = far_m <= self._config.reach_m(flight.arrives_s - flight.free_s)
        self._trials.append(blocked)
        self.reachable.append(in_time)
        self.ended_s.append(now_s)
        for other in self._flights.values():
            other.free_s, other.paddle_m = now_s, paddle_m
