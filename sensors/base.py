"""The sensor contract: where values come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from reflexarc.runtime.batch import Batch, Schema


class Sensor(ABC):
    """A source of one stream.

    `read(now_ns)` is the contract: it returns one batch with every value whose sensor time lies in
    (previous `now_ns`, `now_ns`], in order of time, and never blocks. The batch may be empty; its
    `seq` counts up by one a call; what was lost since the call before is in `dropped`, what waits
    in `backlog`. Use it as a context manager, or call `close`.
    """

    def __init__(self, stream: str, schema: Schema) -> None:
        self.stream = stream
        self.schema = schema

    @abstractmethod
    def read(self, now_ns: int) -> Batch:
        """Everything since the last call, up to and including `now_ns` (sensor time)."""

    def close(self) -> None:
        """Give back what the sensor holds. May be called twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
