"""Time. The only module that reads the wall clock.

`LockstepClock` counts simulated time; `WallClock` waits for absolute deadlines on the monotonic
clock, so that the error of one wait is not carried into the next.
"""

from __future__ import annotations

import datetime
import time
from abc import ABC, abstractmethod


def monotonic_ns() -> int:
    """Nanoseconds of the machine's monotonic clock (shared by all processes of one boot)."""
    return time.monotonic_ns()


def pause(seconds: float) -> None:
    """Give the processor away for about `seconds`; for looking again later, never for control."""
    time.sleep(seconds)


def perf_ns() -> int:
    """Nanoseconds of the highest-resolution counter, for durations inside one process."""
    return time.perf_counter_ns()


def date_utc() -> str:
    """Now, as ISO 8601 in UTC, to the second; for names and reports, never for control."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock(ABC):
    """What the loop asks for the time. Tick k begins at `k * period_ns` of loop time.

    Attributes:
        period_ns: length of a tick.
        overruns: deadlines that had passed when the loop came to wait for them, each counted once.
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.overruns = 0
        self._tick = 0

    @property
    def now_ns(self) -> int:
        """Loop time of the current tick, in nanoseconds since the start."""
        return self._tick * self.period_ns

    @property
    def late_ns(self) -> int:
        """How long ago the current tick should have begun; 0 in simulated time."""
        return 0

    @abstractmethod
    def start(self) -> None:
        """Begin at loop time 0."""

    @abstractmethod
    def wait(self) -> None:
        """Return when the next tick begins."""


class LockstepClock(Clock):
    """Simulated time: every tick begins as soon as the last one ended."""

    def start(self) -> None:
        """Begin at loop time 0."""
        self._tick, self.overruns = 0, 0

    def wait(self) -> None:
        """Go on to the next tick at once."""
        self._tick += 1


class WallClock(Clock):
    """Real time from absolute deadlines.

    A tick that comes late skips the deadlines it missed (each counted as one overrun) and waits
    for the next one on the grid: no burst of catch-up, and phase is kept.
    """

    def __init__(self, period_ns: int, *, spin_ns: int = 0) -> None:
        """`spin_ns`: how long before a deadline to look at the clock in place of sleeping."""
        super().__init__(period_ns)
        self._start_ns = 0
        self._spin_ns = spin_ns

    def start(self, at_ns: int | None = None) -> None:
        """Take the present moment, or `at_ns` of `monotonic_ns`, as loop time 0."""
        self._tick, self.overruns = 0, 0
        self._start_ns = monotonic_ns() if at_ns is None else at_ns

    @property
    def late_ns(self) -> int:
        """How long ago the current tick should have begun."""
        return monotonic_ns() - self._start_ns - self.now_ns

    def wait(self) -> None:
        """Sleep until the next deadline that has not passed."""
        elapsed_ns = monotonic_ns() - self._start_ns
        following = self._tick + 1
        if elapsed_ns > following * self.period_ns:
            reachable = -(-elapsed_ns // self.period_ns)
            self.overruns += reachable - following
            following = reachable
        self._tick = following
        deadline_ns = self._start_ns + following * self.period_ns
        remaining_ns = deadline_ns - monotonic_ns()
        while remaining_ns > 0:
            if remaining_ns > self._spin_ns:
                time.sleep((remaining_ns - self._spin_ns) * 1e-9)
            remaining_ns = deadline_ns - monotonic_ns()
