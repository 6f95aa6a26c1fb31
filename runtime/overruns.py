"""A loop listener that reports the ticks which were missed."""

from __future__ import annotations

from reflexarc.runtime.complaints import Complaints
from reflexarc.runtime.loop import Tick


class Overruns:
    """Counts missed ticks from the gaps between those that came, and complains of them.

    Attributes:
        missed: ticks that never began, since the start.
    """

    def __init__(self, period_ns: int, complaints: Complaints) -> None:
        self.missed = 0
        self._period_ns, self._complaints = period_ns, complaints
        self._due_ns = 0

    def __call__(self, tick: Tick) -> None:
        """Compare the tick's time with when it was due."""
        missed = (tick.now_ns - self._due_ns) // self._period_ns
        self._due_ns = tick.until_ns
        if missed:
            self.missed += missed
            late_s = missed * self._period_ns * 1e-9
            self._complaints.add("overrun", f"ticks overran: the last by {late_s:.3g} s", missed)
        else:
            self._complaints.flush()
