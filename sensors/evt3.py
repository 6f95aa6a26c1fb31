"""EVT 3 files that begin in the last 8 ms before their 24 bits of time start anew.

A word of 12 bits says the upper half of the time (TIME_HIGH). faery begins at 0 and takes a first
one of 4094 or 4095 for a small step back, which it passes over, and with it that the time starts
anew. Behind a time that is far from both it reads these words as they are meant: so the beginning
of such a file is read from a copy with one more word, up to a time that it reads well in any case.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reflexarc.runtime.batch import Array

TIME_HIGH = 8
#: Microseconds after which 24 bits start anew.
TURN_US = 1 << 24
#: Values of TIME_HIGH that faery takes for steps back from 0, and the one that is put before them.
LATE, FAR = 0xFFE, 0x800
#: Words that are looked through at a time.
CHUNK = 1 << 20

Read = Callable[[Path], Iterator[Array]]


def first_high(path: Path, header: bytes) -> int | None:
    """Which word is the first TIME_HIGH, if the file begins that late."""
    words = np.memmap(path, "<u2", "r", len(header)) if _has_words(path, header) else np.empty(0)
    found = _find(words, 0, 0, 0xFFF)
    return found if found is not None and words[found] & 0xFFF >= LATE else None


def read_late(path: Path, header: bytes, high: int, read: Read) -> Iterator[Array]:
    """The events of a file whose word number `high` says that late a time; `read` is faery."""
    words = np.memmap(path, "<u2", "r", len(header))
    end = _find(words, high, 2, LATE - 1)
    skip = 0
    with tempfile.TemporaryDirectory() as folder:
        beginning = Path(folder) / "beginning.raw"
        with beginning.open("wb") as file:
            file.write(header + words[:high].tobytes())
            file.write(np.uint16(TIME_HIGH << 12 | FAR).astype("<u2").tobytes())
            file.write(words[high:end].tobytes())
        for events in read(beginning):
            skip += len(events)
            yield events
    for events in read(path) if end is not None else ():
        rest = events[skip:]
        skip -= len(events) - len(rest)
        rest["t"] += np.uint64(TURN_US)
        yield rest


def _has_words(path: Path, header: bytes) -> bool:
    return path.stat().st_size > len(header)


def _find(words: Array, begin: int, least: int, most: int) -> int | None:
    """Which word from `begin` on is the first TIME_HIGH from `least` to `most`."""
    low, high = TIME_HIGH << 12 | least, TIME_HIGH << 12 | most
    for start in range(begin, len(words), CHUNK):
        part = words[start : start + CHUNK]
        found = np.flatnonzero((low <= part) & (part <= high))
        if len(found):
            return start + int(found[0])
    return None
