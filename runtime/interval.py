"""Means and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent `values`, at least one, and its percentile bootstrap interval.

    Efron & Tibshirani 1993, ch. 13; the resamples are the same at every call. One value has no
    interval but itself.
    """
    given = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(given), size=(RESAMPLES, len(given)))
    low, high = np.quantile(given[draws].mean(axis=1), [0.025, 0.975])
    return Interval(float(given.mean()), float(low), float(high))
