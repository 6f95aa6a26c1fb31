"""A log that cannot flood: one line a second for each cause, the others counted."""

from __future__ import annotations

#: The least time between two lines of one cause.
EVERY_NS = 1_000_000_000


class Logbook:
    """Decides which lines are written.

    Attributes:
        held_back: lines that were not written so far.
    """

    def __init__(self) -> None:
        self.held_back = 0
        self._last_ns: dict[str, int] = {}
        self._missed: dict[str, int] = {}

    def line(self, cause: str, text: str, now_ns: int) -> str | None:
        """The line to write for an event at `now_ns`, or None: `cause` has just had one."""
        last_ns = self._last_ns.get(cause)
        if last_ns is not None and now_ns - last_ns < EVERY_NS:
            self._missed[cause] = self._missed.get(cause, 0) + 1
            self.held_back += 1
            return None
        self._last_ns[cause] = now_ns
        missed = self._missed.pop(cause, 0)
        return f"{text} ({missed} more like it before)" if missed else text
