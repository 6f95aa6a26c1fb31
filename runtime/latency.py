"""Latency figures of a run: percentiles of the tick and the share of each of its six calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.config import Strict
from reflexarc.runtime.loop import CALLS


class Latency(Strict):
    """How long ticks took, in microseconds, and where the time went.

    Attributes:
        p50_us, p99_us, p999_us, max_us: of a whole tick, waiting left out.
        share: fraction of the summed time of all ticks, by call.
    """

    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    share: dict[str, float]


def latency(durations_ns: npt.NDArray[Any]) -> Latency | None:
    """The figures of ticks whose six calls took `durations_ns`, shape (ticks, 6); None if none."""
    if len(durations_ns) == 0:
        return None
    tick_us = durations_ns.sum(axis=1) * 1e-3
    p50, p99, p999 = (float(q) for q in np.percentile(tick_us, [50, 99, 99.9]))
    share = durations_ns.sum(axis=0) / max(1, durations_ns.sum())
    return Latency(
        p50_us=round(p50, 1),
        p99_us=round(p99, 1),
        p999_us=round(p999, 1),
        max_us=round(float(tick_us.max()), 1),
        share={call: round(float(part), 4) for call, part in zip(CALLS, share, strict=True)},
    )
