"""Pictures: how many an adaptive camera has drawn, shown again, and put off for want of time."""

from __future__ import annotations

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.config import Strict

#: The stream of a camera's counts; a world with several cameras adds to the name (`pictures-left`).
STREAM = "pictures"


class Pictures(Strict):
    """The counts of one camera since its start: see AdaptiveCamera.

    Attributes:
        rendered: drawn because something had moved.
        repeated: shown again because nothing had.
        yielded: due, but put off because the tick had no time left.
    """

    rendered: int
    repeated: int
    yielded: int

    def text(self) -> str:
        """For people."""
        put_off = f", {self.yielded:,} put off for want of time" if self.yielded else ""
        return f"{self.rendered:,} drawn, {self.repeated:,} shown again{put_off}"


def pictures_of(batch: Batch) -> Pictures | None:
    """The counts in a batch; None where it has none."""
    counts = batch.schema == Schema.READINGS and len(batch.values) == 3
    if not (counts and batch.stream.startswith(STREAM)):
        return None
    rendered, repeated, yielded = (int(value) for value in batch.values)
    return Pictures(rendered=rendered, repeated=repeated, yielded=yielded)
