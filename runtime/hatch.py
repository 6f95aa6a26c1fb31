"""The hatch between a daemon's loop and its companion: the loop hands things through, never waits.

Two rings in shared memory. Towards the companion go frames of one kind byte and content: a packed
record of every tick, JSON objects (facts, log lines, answers), and the bytes of a snapshot in
pieces. Towards the loop go requests, one JSON object each. What finds no room is lost and counted
(ticks), or waits (everything else).
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from reflexarc.ext.ring import FrameRing
from reflexarc.runtime.batch import Array

#: Room towards the companion and towards the loop.
OUT_BYTES, IN_BYTES = 16 << 20, 256 << 10
#: A snapshot goes through in pieces, at most so much of it in a tick.
PIECE_BYTES, TICK_BYTES = 256 << 10, 1 << 20

TICK, TEXT, PIECE = b"T", b"J", b"P"
#: Of every tick: number, when it began (monotonic clock), how long it was busy, how late it began,
#: from event to command (`loop.age_ns`; -1: no cause, or the tick failed), overruns so far; in ns.
TICK_RECORD = struct.Struct("<6q")


class Hatch:
    """The loop's end. The other end inherits the descriptors.

    Attributes:
        descriptors: of the ring out, the ring in, and what wakes the companion.
    """

    def __init__(self) -> None:
        out, self._out = _made("reflexarc-out", OUT_BYTES)
        into, self._in = _made("reflexarc-in", IN_BYTES)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.descriptors = (out, into, self._wake)
        self._waiting: deque[bytes | memoryview] = deque()

    @property
    def lost(self) -> int:
        """Tick records that found no room so far."""
        return self._out.lost

    @property
    def busy(self) -> bool:
        """Whether something still waits to go through, or to be taken on the other side."""
        return bool(self._waiting) or self._out.pending > 0

    def record(self, *numbers: int) -> None:
        """Hand over the record of a tick, or lose it."""
        self._out.push(TICK + TICK_RECORD.pack(*numbers))

    def tell(self, **content: Any) -> None:
        """Hand over a JSON object, after what already waits."""
        self._waiting.append(TEXT + json.dumps(content).encode())

    def hand(self, arrays: Iterable[Array]) -> None:
        """Hand over the bytes of `arrays`, which must not change any more."""
        for array in arrays:
            if array.size:
                data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
                for begin in range(0, len(data), PIECE_BYTES):
                    self._waiting.append(data[begin : begin + PIECE_BYTES])

    def flush(self, limit: int = TICK_BYTES) -> None:
        """Let through what waits, up to about `limit` bytes and while there is room."""
        if not self._waiting:
            return
        while self._waiting and limit > 0:
            frame = self._waiting[0]
            if self._out.capacity - self._out.pending < len(frame) + 16:
                break
            # Pieces are views: their kind is put before them here, not for all of them at once.
            self._out.push(frame if isinstance(frame, bytes) else PIECE + bytes(frame))
            self._waiting.popleft()
            limit -= len(frame)
        os.eventfd_write(self._wake, 1)

    def request(self) -> dict[str, Any] | None:
        """The oldest request, or None."""
        frame = self._in.pop()
        if frame is None:
            return None
        content: dict[str, Any] = json.loads(frame)
        return content

    def close(self) -> None:
        """Let go of the rings. May be called twice."""
        self._out.close()
        self._in.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()  # type: ignore[assignment]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _made(name: str, size: int) -> tuple[int, FrameRing]:
    descriptor = os.memfd_create(name)
    os.ftruncate(descriptor, size)
    return descriptor, FrameRing(_mapped(descriptor, size), create=True)


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    """The ring's memory, all of it there at once: no page is fetched in a tick, none creeps in."""
    return mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)


class HatchEnd:
    """The companion's end."""

    def __init__(self, out: int, into: int, wake: int) -> None:
        self._out = FrameRing(_mapped(out, 0))
        self._in = FrameRing(_mapped(into, 0))
        self.wake = wake

    def take(self) -> bytes | None:
        """The oldest frame of the loop, or None."""
        return self._out.pop()

    def ask(self, **content: Any) -> bool:
        """Hand a request to the loop; False if it takes none."""
        return self._in.push(json.dumps(content).encode())

    def sleep_again(self) -> None:
        """Forget that the loop has woken this side."""
        try:
            os.eventfd_read(self.wake)
        except BlockingIOError:
            return
