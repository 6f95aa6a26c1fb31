"""One line a second for each cause: a log that a fault cannot flood.

complaints = Complaints(print)
complaints.add("peer", "a peer without a key was turned away")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from reflexarc.runtime.clock import monotonic_ns

#: The least time between two lines of one cause.
EVERY_NS = 1_000_000_000


@dataclass(slots=True)
class _Cause:
    """When it was last told, and what has happened since."""

    told_ns: int
    message: str = ""
    untold: int = 0


class Complaints:
    """Tells the first complaint of a cause at once, and those that follow once a second, counted.

    Any thread may call it. Attributes:
        counts: complaints so far, by cause.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        every_ns: int = EVERY_NS,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.counts: dict[str, int] = {}
        self._tell, self._every_ns, self._now_ns = tell, every_ns, now_ns
        self._causes: dict[str, _Cause] = {}
        self._lock = Lock()

    def add(self, cause: str, message: str, count: int = 1) -> None:
        """`count` things of one `cause`, which `message` describes in one line."""
        now_ns = self._now_ns()
        with self._lock:
            self.counts[cause] = self.counts.get(cause, 0) + count
            known = self._causes.setdefault(cause, _Cause(now_ns - self._every_ns))
            known.message, known.untold = message, known.untold + count
            self._flush(known, now_ns)

    def flush(self, *, now: bool = False) -> None:
        """Tell what has waited for a second, or everything `now`; call it often, or at the end."""
        now_ns = self._now_ns()
        with self._lock:
            for known in self._causes.values():
                self._flush(known, now_ns + (self._every_ns if now else 0))

    def _flush(self, known: _Cause, now_ns: int) -> None:
        if known.untold and now_ns - known.told_ns >= self._every_ns:
            times = f" ({known.untold} times)" if known.untold > 1 else ""
            self._tell(known.message + times)
            known.told_ns, known.untold = now_ns, 0
