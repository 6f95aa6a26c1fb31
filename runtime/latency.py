"""Latency figures of a run: of its ticks and their six calls, and from event to command."""

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


class EventToCommand(Strict):
    """How old the newest sensor value behind a command was when the command left, in microseconds.

    From when the event happened to the begin of the tick, on the loop's time, and the measured
    time of the tick's six calls (`loop.age_ns`). In lockstep the first part is simulated time.
    """

    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


def event_to_command(ages_ns: npt.NDArray[Any]) -> EventToCommand | None:
    """The figures of `ages_ns`, shape (ticks,); -1 (no cause) is left out; None if none is left."""
    ages_us = ages_ns[ages_ns >= 0] * 1e-3
    if len(ages_us) == 0:
        return None
    p50, p99, p999 = (round(float(q), 1) for q in np.percentile(ages_us, [50, 99, 99.9]))
    largest = round(float(ages_us.max()), 1)
    return EventToCommand(p50_us=p50, p99_us=p99, p999_us=p999, max_us=largest)


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
