"""A time-to-contact threshold on the same events, and one that knows where the balls are."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller

#: Half the quadrotor and a ball together, to the side.
TOUCHES_M = 0.25


class Dodge:
    """A way aside that is held for a time: `aside_m` to a side for `hold_s`, then back."""

    def __init__(self, aside_m: float, hold_s: float) -> None:
        self._aside_m, self._hold_s = aside_m, hold_s
        self._to_m, self._until_s = 0.0, 0.0

    def begin(self, ball_side: float, now_s: float) -> None:
        """A ball will pass on this side (its sign: y); one way aside at a time."""
        if now_s >= self._until_s:
            self._to_m = -self._aside_m if ball_side > 0 else self._aside_m
            self._until_s = now_s + self._hold_s

    def command(self, now_s: float) -> FloatArray:
        """Where to be, m, shape (1,)."""
        return np.array([self._to_m if now_s < self._until_s else 0.0])


class TruthConfig(Strict):
    """When to go out of the way of a ball, and how far.

    Attributes:
        contact_s: only balls that arrive within this count.
        margin_m: a ball that comes nearer than this to touching counts.
        aside_m: how far to go.
    """

    contact_s: float = Field(default=0.4, gt=0)
    margin_m: float = Field(default=0.1, ge=0)
    aside_m: float = Field(default=0.5, gt=0)


class Truth(Controller):
    """Gets out of the way of balls that it knows from the stream "truth", which no robot has."""

    Config: ClassVar[type[Strict]] = TruthConfig

    def __init__(self, config: TruthConfig, seed: int) -> None:
        del seed
        self._config, self._dodge = config, Dodge(config.aside_m, config.contact_s)

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Place to the side in m, shape (1,)."""
        now_s = now_ns * 1e-9
        for batch in batches:
            if batch.stream == "truth" and batch.values[4]:
                x, y, _, speed_x, speed_y, _ = batch.values[7:]
                arrives_s = x / -speed_x if speed_x < 0 else np.inf
                passes_m = y + speed_y * arrives_s if arrives_s < np.inf else np.inf
                near = abs(passes_m) < TOUCHES_M + self._config.margin_m
                if near and 0 < arrives_s < self._config.contact_s:
                    self._dodge.begin(float(passes_m), now_s)
        return self._dodge.command(now_s)


class ContactConfig(Strict):
    """A threshold on the time to contact, as seen in the events.

    Attributes:
        radius_px: an event this near to a blob belongs to it.
        memory_s: how long an event counts.
        support: events that must count.
        contact_s: a shorter time to contact than this is a danger.
        aside: what drifts aside by more than this many times its growth will pass.
        rest_s: after a dodge nothing counts for so long.
        hold_s: how long to stay aside.
        aside_m: how far to go.
    """

    radius_px: float = Field(default=8.0, gt=0)
    memory_s: float = Field(default=0.04, gt=0)
    support: float = Field(default=20.0, ge=1)
    contact_s: float = Field(default=0.35, gt=0)
    aside: float = Field(default=4.0, gt=0)
    rest_s: float = Field(default=0.5, ge=0)
    hold_s: float = Field(default=0.35, gt=0)
    aside_m: float = Field(default=0.5, gt=0)


class Contact(Controller):
    """Dodges what will be here soon (Lee 1976: time to contact is size over growth of size).

    Events are given to blobs by where they are; see `Blob` for their motion.
    """

    Config: ClassVar[type[Strict]] = ContactConfig

    def __init__(self, config: ContactConfig, seed: int) -> None:
        del seed
        self._config = config
        self._blobs: list[Blob] = []
        self._dodge = Dodge(config.aside_m, config.hold_s)
        self._blind_until_s = 0.0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Place to the side in m, shape (1,)."""
        now_s = now_ns * 1e-9
        for batch in batches:
            if batch.stream == "camera" and len(batch.values) and now_s >= self._blind_until_s:
                places = np.column_stack((batch.values["x"], batch.values["y"]))
                self._follow(places.astype(np.float64), now_s)
                self._judge(now_s)
        return self._dodge.command(now_s)

    def _follow(self, left: FloatArray, now_s: float) -> None:
        """Give each event to the first blob that is near enough, else to a new one."""
        for blob in self._blobs:
            near = np.hypot(*(left - blob.middle_px).T) < self._config.radius_px
            blob.take(left[near], now_s)
            left = left[~near]
        while len(left):
            blob = Blob(left[0], self._config.memory_s, now_s)
            near = np.hypot(*(left - left[0]).T) < self._config.radius_px
            blob.take(left[near], now_s)
            left = left[~near]
            self._blobs.append(blob)
        self._blobs = [blob for blob in self._blobs if blob.weight > 0.5]
        self._blobs.sort(key=lambda blob: -blob.weight)

    def _judge(self, now_s: float) -> None:
        """Begin a dodge if one of the blobs is a danger."""
        for blob in self._blobs:
            if blob.weight < self._config.support:
                return
            size_px, growth, drift = blob.motion()
            near = growth * self._config.contact_s > size_px
            if near and abs(drift) < self._config.aside * growth:
                self._dodge.begin(-drift, now_s)  # to the right in the picture is to -y
                self._blind_until_s = now_s + self._config.hold_s + self._config.rest_s
                self._blobs.clear()
                return


class Blob:
    """Events near each other: their middle, their size, and how fast both change.

    The size is the spread of the events that count about their middle; straight lines through size
    and middle over time, older events counting less, give the changes.

    Attributes:
        middle_px: column and row, shape (2,).
        weight: how many events count.
    """

    def __init__(self, at_px: FloatArray, memory_s: float, now_s: float) -> None:
        self.middle_px = at_px.copy()
        self.weight = 0.0
        self._memory_s, self._last_s = memory_s, now_s
        self._spread = 0.0  # mean square distance
        self._times = np.zeros(3)  # sums of 1, t, t t
        self._values = np.zeros((2, 2))  # sums of (size, column), and of t times them

    def take(self, events: FloatArray, now_s: float) -> None:
        """Take in the places (px) of events, shape (n, 2); none lets the others age."""
        keep = exp(-(now_s - self._last_s) / self._memory_s)
        self._age(keep, now_s - self._last_s)
        self.weight *= keep
        self._last_s = now_s
        if len(events) == 0:
            return
        self.weight += len(events)
        share = len(events) / self.weight
        self.middle_px += share * (events.mean(axis=0) - self.middle_px)
        square = float(((events - self.middle_px) ** 2).sum(axis=1).mean())
        self._spread += share * (square - self._spread)
        self._times[0] += len(events)
        self._values[0] += len(events) * np.array([self._spread**0.5, self.middle_px[0]])

    def motion(self) -> tuple[float, float, float]:
        """Size in px, its growth and the middle's drift to the right in px/s."""
        weight, late, later = self._times
        spread = weight * later - late * late
        if spread < 1e-9 * weight * weight:  # seen at one time only
            return self._spread**0.5, 0.0, 0.0
        growth, drift = (weight * self._values[1] - late * self._values[0]) / spread
        return self._spread**0.5, float(growth), float(drift)

    def _age(self, keep: float, passed_s: float) -> None:
        """Forget a share of all, and count time from now."""
        one, t, tt = self._times
        moved = [one, t - passed_s * one, tt - 2 * passed_s * t + passed_s**2 * one]
        self._times = keep * np.array(moved)
        self._values[1] -= passed_s * self._values[0]
        self._values *= keep
