"""Prophesee's EVT 2.1: 64-bit words, each up to 32 events of a row that share time and polarity.

From the top: 4 bits of type, then of events (0 OFF, 1 ON) 6 bits of time, 11 of x, 11 of y, and a
mask of 32 pixels from x on; of a TIME_HIGH (8) 28 bits of time in units of 64 us, which start anew
after 4.8 hours. Other types are no events of the camera. In files of older boards, `legacy`, the
halves of a word are the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import EVENT, Array

WORD_BYTES = 8
TIME_HIGH = 8
#: Microseconds after which TIME_HIGH starts anew.
LOOP_US = 1 << 34
_LEGACY = re.compile(rb"endianness[ =]legacy")
_SIZE = re.compile(rb"width=(\d+)|height=(\d+)|geometry (\d+)x(\d+)")


def size_of(header: bytes) -> tuple[int, int] | None:
    """(width, height) that a header states."""
    width = height = None
    for found in _SIZE.finditer(header):
        width = found[1] or found[3] or width
        height = found[2] or found[4] or height
    return (int(width), int(height)) if width and height else None


def read_evt21(path: Path, header: bytes, chunk: int) -> Iterator[Array]:
    """The events of a file, from `chunk` words at a time; none before the first TIME_HIGH."""
    words = np.memmap(path, "<u8", "r", len(header))
    legacy = _LEGACY.search(header) is not None
    high_us = -1
    for begin in range(0, len(words), chunk):
        part = np.array(words[begin : begin + chunk])
        if legacy:
            part = part << np.uint64(32) | part >> np.uint64(32)
        events, high_us = _decode(part, high_us)
        yield events


def _decode(words: npt.NDArray[np.uint64], high_us: int) -> tuple[Array, int]:
    """Events, and the last TIME_HIGH in microseconds; `high_us` is that of the words before."""
    top = (words >> np.uint64(32)).astype(np.int64)
    kind = top >> 28
    highs = (top[kind == TIME_HIGH] & 0xFFF_FFFF) << 6
    known = np.concatenate([[high_us], highs])
    if len(highs):
        start = known[0] % LOOP_US if high_us >= 0 else highs[0]
        loops = np.cumsum(np.diff(highs, prepend=start) < -(LOOP_US // 2))
        known[1:] += (loops + max(high_us, 0) // LOOP_US) * LOOP_US
    base_us = known[np.cumsum(kind == TIME_HIGH)]
    row = np.flatnonzero((kind <= 1) & (base_us >= 0))
    mask = (words[row, None] >> np.arange(32, dtype=np.uint64)) & np.uint64(1)
    which, bit = np.nonzero(mask)
    word = top[row[which]]
    events = np.empty(len(which), EVENT)
    events["t"] = base_us[row[which]] + (word >> 22 & 0x3F)
    events["x"], events["y"] = (word >> 11 & 0x7FF) + bit, word & 0x7FF
    events["on"] = kind[row[which]]
    return events, int(known[-1])
