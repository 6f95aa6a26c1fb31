"""Divergence from events: what an expanding picture says of the time to contact.

Elementary motion detectors (`ext/flow.pyx`) measure how fast edges cross pixels along rows and
columns. Over a flat floor seen from straight above, that speed is a constant and a part that grows
with the distance from the middle, whose slope is the divergence (here: of each axis, speed over
height; Ho, de Croon, van Kampen, Chu & Mulder 2017 use the same quantity). A least-squares fit with
a memory finds both.
"""

from __future__ import annotations

from math import exp

import numpy as np
from pydantic import Field

from reflexarc.ext.flow import MotionDetectors
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray


class DivergenceSpec(Strict):
    """How divergence is measured.

    Attributes:
        slowest_px_s, fastest_px_s, speeds: the detectors' range, and how many steps it has.
        memory_s: how long the fit remembers.
        doubt: spikes at the picture's border that would have to speak for 0.
        gain: what the fit is multiplied with; detectors that pair edges which are not the same make
            it too small.
        rate_tau_s: of the filter of its rate of change.
    """

    slowest_px_s: float = Field(default=4.0, gt=0)
    fastest_px_s: float = Field(default=800.0, gt=0)
    speeds: int = Field(default=24, ge=1, le=63)
    baseline_px: int = Field(default=1, ge=1, le=16)
    refractory_us: int = Field(default=1000, ge=0)
    memory_s: float = Field(default=0.05, gt=0)
    doubt: float = Field(default=1.0, ge=0)
    gain: float = Field(default=1.0, gt=0)
    rate_tau_s: float = Field(default=0.1, gt=0)


class Divergence:
    """Divergence of the events of a square camera, and its rate; see the module.

    Attributes:
        value: in 1/s, positive where the picture expands.
        rate: its change, in 1/s^2.
    """

    def __init__(self, spec: DivergenceSpec, size_px: int) -> None:
        edges = np.geomspace(spec.slowest_px_s, spec.fastest_px_s, spec.speeds + 1)
        self._spec, self._size_px = spec, size_px
        travel_us = (spec.baseline_px * 1e6 / edges).astype(np.int64)
        self._detectors = MotionDetectors(
            size_px,
            size_px,
            tile_px=1,
            baseline_px=spec.baseline_px,
            travel_us=travel_us,
            refractory_us=spec.refractory_us,
        )
        self._speeds_px_s = np.sqrt(edges[1:] * edges[:-1])
        self._last_ns = 0
        self.forget()

    def forget(self) -> None:
        """Start again: nothing has been seen."""
        self._sums = np.zeros((2, 5))
        self.value = self.rate = 0.0

    def update(self, events: Array, now_ns: int) -> None:
        """Take in the EVENT records up to `now_ns`, in order of time."""
        passed_s, self._last_ns = (now_ns - self._last_ns) * 1e-9, now_ns
        self._sums *= exp(-passed_s / self._spec.memory_s)
        spikes = self._detectors.detect(events, SPIKE, 0, 0, now_ns)
        self._sums += self._moments(spikes["i"].astype(np.int64))
        before, self.value = self.value, self._spec.gain * self._slope()
        if passed_s > 0:
            share = 1.0 - exp(-passed_s / self._spec.rate_tau_s)
            self.rate += share * ((self.value - before) / passed_s - self.rate)

    def _moments(self, lines: Array) -> FloatArray:
        """For each axis: how many spikes, and the sums of r, r^2, v and r v (px, px/s)."""
        block, tile = np.divmod(lines, self._size_px**2)
        direction, speed = np.divmod(block, len(self._speeds_px_s))
        row, column = np.divmod(tile, self._size_px)
        axis = direction // 2
        velocity = self._speeds_px_s[speed] * np.where(direction % 2, -1.0, 1.0)
        r = np.where(axis, row, column) - (self._size_px - 1) / 2
        terms = (np.ones(len(r)), r, r * r, velocity, r * velocity)
        return np.stack([np.bincount(axis, term, 2) for term in terms], axis=1)

    def _slope(self) -> float:
        """Of speed over distance from the middle, the same for both axes; 1/s."""
        count, r, rr, v, rv = self._sums.T
        known = np.maximum(count, 1e-12)
        doubt = self._spec.doubt * (self._size_px / 2) ** 2
        return float((rv - r * v / known).sum() / ((rr - r * r / known).sum() + doubt + 1e-12))
