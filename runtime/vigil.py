"""The vigil: whether the streams of a loop are alive and sound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.errors import ReflexarcError


class StreamError(ReflexarcError):
    """A stream fell silent, or what it says cannot be."""


@dataclass(slots=True)
class Watch:
    """One stream that is watched.

    A batch is news when its sensor time has moved on (a frozen clock is silence), and, of a stream
    that another process feeds, when it holds something: the loop's end stamps empty batches too.

    Attributes:
        stream: its name.
        limit_ns: silence above this is a failure; None: it may be silent for ever.
        essential: whether the robot stops without it; if not, the loop is degraded.
        fed: whether another process feeds it.
        heard_ns: loop time of the last news; None before any: the stream is awaited.
        dropped: values that the stream lost on its way.
    """

    stream: str
    limit_ns: int | None
    essential: bool = True
    fed: bool = False
    heard_ns: int | None = None
    dropped: int = 0
    size: int = -1
    epoch: int = -1
    t_last_ns: int = -1

    def take(self, batch: Batch, now_ns: int) -> None:
        """Take in a batch of the stream. Raises StreamError for readings that cannot be."""
        self.dropped += batch.dropped
        if batch.schema is Schema.READINGS:
            self._check(batch)
        moved = batch.epoch != self.epoch or batch.t_last_ns > self.t_last_ns
        if moved and (len(batch.values) or not self.fed):
            self.heard_ns = now_ns
            self.epoch, self.t_last_ns = batch.epoch, batch.t_last_ns

    def _check(self, batch: Batch) -> None:
        values = batch.values.tolist()
        if self.size < 0:
            self.size = len(values)
        if len(values) != self.size:
            raise StreamError(
                f"stream '{self.stream}': {len(values)} readings, before it had {self.size}"
            )
        for n, value in enumerate(values):
            if not math.isfinite(value):
                raise StreamError(f"stream '{self.stream}': reading {n} is not finite")

    def silent(self, now_ns: int) -> bool:
        """Whether it was heard once and has been silent for too long."""
        if self.heard_ns is None or self.limit_ns is None:
            return False
        return now_ns - self.heard_ns > self.limit_ns

    def awaited(self) -> bool:
        """Whether it has not been heard yet, and has to be."""
        return self.heard_ns is None and self.limit_ns is not None


class Vigil:
    """All streams that are watched, by name."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        self.watches = {watch.stream: watch for watch in watches}
        self._essential = [watch for watch in self.watches.values() if watch.essential]
        self._others = [watch for watch in self.watches.values() if not watch.essential]

    def take(self, batches: Sequence[Batch], now_ns: int) -> None:
        """Take in what a tick observed. Raises StreamError for readings that cannot be."""
        for batch in batches:
            watch = self.watches.get(batch.stream)
            if watch is not None:
                watch.take(batch, now_ns)

    def is_essential(self, stream: str) -> bool:
        """Whether the robot stops without the stream; one that nobody watches is not."""
        watch = self.watches.get(stream)
        return watch is not None and watch.essential

    def silent(self, now_ns: int) -> Watch | None:
        """The first essential stream that has been silent for too long."""
        return next((watch for watch in self._essential if watch.silent(now_ns)), None)

    def awaited(self) -> Watch | None:
        """The first essential stream that has not been heard yet."""
        return next((watch for watch in self._essential if watch.awaited()), None)

    def impaired(self, now_ns: int) -> Watch | None:
        """The first stream that is not essential and not alive."""
        return next(
            (watch for watch in self._others if watch.awaited() or watch.silent(now_ns)), None
        )
