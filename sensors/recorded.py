"""A stream that was recorded in one run, seen again in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reflexarc.runtime.batch import Array, Batch, Schema
from reflexarc.sensors.base import Sensor


class RecordedSensor(Sensor):
    """Gives the recorded `batches` of a stream again, each at its own time.

    Batches that fall into one call are joined; what had been lost then is lost again.
    """

    def __init__(self, stream: str, schema: Schema, batches: Sequence[Batch]) -> None:
        super().__init__(stream, schema)
        self._batches = batches
        self._next = self._now_ns = self._seq = 0

    def read(self, now_ns: int) -> Batch:
        """What the recorded run had seen by `now_ns`."""
        first = self._next
        while self._next < len(self._batches) and self._batches[self._next].t_last_ns <= now_ns:
            self._next += 1
        due = self._batches[first : self._next]
        parts: list[Array] = [batch.values for batch in due]
        values = np.concatenate([np.zeros(0, self.schema.dtype), *parts])
        dropped = sum(batch.dropped for batch in due)
        batch = Batch(
            self.stream, self.schema, values, self._now_ns, now_ns, self._seq, dropped=dropped
        )
        self._now_ns, self._seq = now_ns, self._seq + 1
        return batch
