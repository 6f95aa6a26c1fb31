"""A cluster tracker on the same events, as a roboticist would use, and one who knows the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.goalie.view import to_place

BALL_HEIGHT_M, MARK_HEIGHT_M = 0.03, 0.09
#: Where a ball meets the paddle, and how far beside the middle a ball is no danger.
MEETS_Y_M, BESIDE_M = 0.03, 0.35
#: Rows of the picture: balls are watched above the first, the paddle's mark from the second on.
FIELD_ROWS, MARK_ROWS = 112, (114, 122)


class TruthConfig(Strict):
    """Nothing to say."""


class Truth(Controller):
    """Goes to where the next ball will arrive, from the stream "truth", which no robot has."""

    Config: ClassVar[type[Strict]] = TruthConfig

    def __init__(self, config: TruthConfig, seed: int) -> None:
        del config, seed
        self._wanted_m = 0.0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Place and trim in m, shape (2,)."""
        del now_ns
        for batch in batches:
            if batch.stream == "truth":
                balls = [ball[1:] for ball in batch.values[2:].reshape(-1, 5) if ball[0] > 0]
                arrival = next_arrival(balls)
                self._wanted_m = 0.0 if arrival is None else arrival
        return np.array([self._wanted_m, 0.0])


class TrackerConfig(Strict):
    """A tracker in the manner of Delbruck & Lang 2013 and Litzenberger et al. 2006.

    Attributes:
        radius_px: an event this near to a cluster belongs to it. It grows with the ball: this is
            its value at the goal.
        mixing: how far one event draws a cluster towards itself.
        memory_s: how long the fit of a straight line through a cluster's way remembers.
        support: events before a cluster counts.
        lifetime_s: a cluster without events for so long is gone.
        hold_s: how long the paddle stays after the last ball, before it goes back to the middle.
        calibration: how far one event of the mark draws the trim; 0 switches calibration off.
    """

    radius_px: float = Field(default=9.0, gt=0)
    mixing: float = Field(default=0.1, gt=0, lt=1)
    memory_s: float = Field(default=0.05, gt=0)
    support: float = Field(default=20.0, ge=1)
    lifetime_s: float = Field(default=0.03, gt=0)
    hold_s: float = Field(default=0.05, ge=0)
    calibration: float = Field(default=0.002, ge=0, lt=1)


class Tracker(Controller):
    """Follows clusters of events and goes to where the first of them will cross the goal line."""

    Config: ClassVar[type[Strict]] = TrackerConfig

    def __init__(self, config: TrackerConfig, seed: int) -> None:
        del seed
        self._config = config
        self._clusters: list[Cluster] = []
        self._wanted_m, self._trim_m, self._felt_m = 0.0, 0.0, 0.0
        self._threat_s = 0.0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Place and trim in m, shape (2,)."""
        for batch in batches:
            if batch.stream == "paddle":
                self._felt_m = float(batch.values[0])
        now_s = now_ns * 1e-9
        for batch in batches:
            if batch.stream == "camera" and len(batch.values):
                self._calibrate(batch.values)
                self._follow(batch.values, now_s)
        self._forget(now_s)
        counts = [each.state() for each in self._clusters if each.events >= self._config.support]
        arrival = next_arrival(counts)
        if arrival is not None:
            self._wanted_m, self._threat_s = arrival, now_s
        elif now_s > self._threat_s + self._config.hold_s:
            self._wanted_m = 0.0
        return np.array([self._wanted_m, self._trim_m])

    def _follow(self, events: npt.NDArray[Any], now_s: float) -> None:
        """Give each event to the nearest cluster that is near enough, else to a new one."""
        field = events[events["y"] < FIELD_ROWS]
        left = np.column_stack((field["x"], field["y"])).astype(np.float64)
        for cluster in self._clusters:
            near = np.hypot(*(left - cluster.at_px).T) < self._radius_px(cluster.at_px[1])
            cluster.take(left[near], now_s)
            left = left[~near]
        while len(left):
            cluster = Cluster(self._config, left[0])
            near = np.hypot(*(left - left[0]).T) < self._radius_px(left[0, 1])
            cluster.take(left[near], now_s)
            left = left[~near]
            self._clusters.append(cluster)
        self._merge()

    def _radius_px(self, row: float) -> float:
        """The picture of a ball shrinks evenly with the row, by half to the upper border."""
        return float(self._config.radius_px * (0.5 + 0.5 * row / FIELD_ROWS))

    def _merge(self) -> None:
        """Of clusters that have met, the one with more events stays."""
        kept: list[Cluster] = []
        for cluster in sorted(self._clusters, key=lambda each: -each.events):
            radius_px = self._radius_px(cluster.at_px[1])
            if all(np.hypot(*(cluster.at_px - other.at_px)) > radius_px for other in kept):
                kept.append(cluster)
        self._clusters = kept

    def _forget(self, now_s: float) -> None:
        patience_s = self._config.lifetime_s
        self._clusters = [each for each in self._clusters if each.last_s >= now_s - patience_s]

    def _calibrate(self, events: npt.NDArray[Any]) -> None:
        """Draw the trim towards the difference of where the paddle is felt and seen."""
        mark = events[(events["y"] >= MARK_ROWS[0]) & (events["y"] < MARK_ROWS[1])]
        if len(mark):
            seen_m, _ = to_place(mark["x"], np.mean(MARK_ROWS) - 0.5, MARK_HEIGHT_M)
            # a ball that comes by is elsewhere
            near_m = seen_m[np.abs(seen_m + self._trim_m - self._felt_m) < 0.15]
            share = 1 - (1 - self._config.calibration) ** len(near_m)
            if len(near_m):
                self._trim_m += share * (self._felt_m - float(near_m.mean()) - self._trim_m)


class Cluster:
    """A group of events that moves; its way on the ground is fitted by a straight line in time.

    Attributes:
        at_px: column and row, shape (2,).
        events: how many it has had.
        last_s: when it had its last.
    """

    def __init__(self, config: TrackerConfig, at_px: FloatArray) -> None:
        self._config = config
        self.at_px = at_px.copy()
        self.events = 0
        self.last_s = 0.0
        self._sums = np.zeros((2, 2))
        self._moments = np.zeros((2, 2))

    def take(self, events: FloatArray, now_s: float) -> None:
        """Take in the places (px) of events, shape (n, 2)."""
        if len(events) == 0:
            return
        share = 1 - (1 - self._config.mixing) ** len(events)
        self.at_px += share * (events.mean(axis=0) - self.at_px)
        place = np.array(to_place(self.at_px[0], self.at_px[1], BALL_HEIGHT_M))
        self._remember(place, now_s, len(events))
        self.events += len(events)
        self.last_s = now_s

    def state(self) -> FloatArray:
        """x, y (m) and speed along both (m/s) at its last event, shape (4,)."""
        (weight, late), (_, later) = self._sums
        spread = weight * later - late * late
        if spread < 1e-9 * weight * weight:  # seen at one time only
            return np.concatenate((self._moments[0] / max(weight, 1e-9), np.zeros(2)))
        speed = (weight * self._moments[1] - late * self._moments[0]) / spread
        return np.concatenate(((self._moments[0] - late * speed) / weight, speed))

    def _remember(self, place: FloatArray, now_s: float, weight: int) -> None:
        """Least squares of place over time, time counted from now, old events forgotten."""
        passed_s = now_s - self.last_s if self.events else 0.0
        (w, t), (_, tt) = self._sums
        keep = exp(-passed_s / self._config.memory_s)
        moved = np.array([[w, t - passed_s * w], [0.0, tt - 2 * passed_s * t + passed_s**2 * w]])
        at, lever = self._moments
        self._sums = keep * moved
        self._moments = keep * np.array([at, lever - passed_s * at])
        self._sums[0, 0] += weight
        self._moments[0] += weight * place


def next_arrival(balls: Iterable[FloatArray]) -> float | None:
    """Where (m) the first of the balls that come will meet the paddle's line; None if none does.

    A ball is x, y (m) and its speed along both (m/s), shape (4,).
    """
    first_s, first_m = np.inf, None
    for x, y, speed_x, speed_y in balls:
        if speed_y < -0.3 and y > MEETS_Y_M:
            takes_s = (y - MEETS_Y_M) / -speed_y
            arrives_m = float(x + speed_x * takes_s)
            if takes_s < first_s and abs(arrives_m) < BESIDE_M:
                first_s, first_m = takes_s, arrives_m
    return first_m
