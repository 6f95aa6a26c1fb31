"""Recordings of event cameras: read from files, and played as if live.

Readers by the ending of the file name: `.aedat4`, `.raw` (EVT2, EVT3), `.dat`, `.es` and `.csv`
(t,x,y,on with a header line) are read by faery; `.bin` is the 5-byte ATIS format of N-MNIST
(Orchard et al. 2015, Front. Neurosci. 9:437) and `.txt` the text of the event-camera data set
(Mueggler et al. 2017, IJRR 36:142): a line an event, `t[s] x y p`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import faery
import numpy as np

from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.sensors.base import Sensor

#: Assumed where neither the file nor the caller says how large the sensor is.
DEFAULT_SIZE = (1280, 720)
#: Events that a reader of ours takes at a time.
CHUNK = 1 << 14
#: Widths and heights of the sensors that `.bin` files come from; the smallest that fits is taken.
_ATIS_SIDES = (34, 128, 256)
_EVT_WORD_BYTES = {b"2": 4, b"2.0": 4, b"2.1": 8, b"3": 2, b"3.0": 2}
_EVT_VERSION = re.compile(rb"^% (?:evt |format EVT)([\d.]+)", re.MULTILINE)


class RecordingReader:
    """A file of camera events.

    Iterating gives chunks, arrays of EVENT with times in microseconds as recorded, made
    non-decreasing where the sensor's clock stepped back. Each iteration reads the file anew, and
    raises ConfigError where the file is damaged, ends inside an event, holds none, or has one
    outside the sensor.

    Attributes:
        path: the file.
        width, height: of the sensor, in pixels.
    """

    def __init__(self, path: Path | str, *, size: tuple[int, int] | None = None) -> None:
        """`size` is (width, height) for files that do not say.

        Raises MissingFileError, and ConfigError for a file that is empty or of an unknown kind.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingFileError(f"{path}: no such file; check the name")
        if self.path.stat().st_size == 0:
            raise ConfigError(f"{path}: the file is empty")
        kind = self.path.suffix.lower()
        if kind not in _OPENERS:
            known = " ".join(_OPENERS)
            raise ConfigError(f"{path}: unknown kind of recording '{kind}'; known: {known}")
        with _Complaints(self.path):
            (self.width, self.height), self._chunks = _OPENERS[kind](self.path, size)

    def __iter__(self) -> Iterator[Array]:
        """Read the file from its beginning."""
        newest, empty = np.uint64(0), True
        with _Complaints(self.path):
            for chunk in self._chunks():
                if len(chunk) == 0:
                    continue
                self._check_inside(chunk)
                chunk["t"][0] = max(chunk["t"][0], newest)
                chunk["t"] = np.maximum.accumulate(chunk["t"])
                newest, empty = chunk["t"][-1], False
                yield chunk
        if empty:
            raise ConfigError(f"{self.path}: it holds no events")

    def _check_inside(self, chunk: Array) -> None:
        outside = (chunk["x"] >= self.width) | (chunk["y"] >= self.height)
        if outside.any():
            x, y = chunk[["x", "y"]][np.argmax(outside)]
            raise ConfigError(
                f"{self.path}: an event at ({x}, {y}) lies outside {self.width}x{self.height}; "
                "give the size of the sensor"
            )


class _Complaints:
    """Turns what a reader says about a bad file into one line that names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        # faery raises RuntimeError, ValueError and bare Exception; ours pass through.
        if kind in (RuntimeError, ValueError, OSError, Exception):
            lines = str(error).splitlines() or [str(kind)]
            raise ConfigError(f"{self._path}: cannot be read: {lines[0]}") from None


Opened = tuple[tuple[int, int], Callable[[], Iterator[Array]]]


def _open_faery(path: Path, size: tuple[int, int] | None) -> Opened:
    stream = faery.events_stream_from_file(path, dimensions_fallback=size or DEFAULT_SIZE)
    return stream.dimensions(), lambda: iter(stream)


def _open_evt(path: Path, size: tuple[int, int] | None) -> Opened:
    """EVT has no end mark and faery takes what comes: check version and length first."""
    header = bytearray()
    with path.open("rb") as file:
        while file.peek(1)[:1] == b"%":
            header += file.readline(4096)
    version = _EVT_VERSION.search(header)
    word_bytes = _EVT_WORD_BYTES.get(version[1]) if version else None
    if word_bytes is None:
        raise ConfigError(f"{path}: not an EVT2 or EVT3 recording: its header names no version")
    if (path.stat().st_size - len(header)) % word_bytes:
        raise ConfigError(f"{path}: truncated: it ends inside an event; copy it again")
    return _open_faery(path, size)


def _open_atis(path: Path, size: tuple[int, int] | None) -> Opened:
    """`.bin`: x, y, then big-endian 24 bits, polarity on top of 23 bits of microseconds."""
    if path.stat().st_size % 5:
        raise ConfigError(f"{path}: truncated: it ends inside an event; copy it again")
    raw = np.memmap(path, np.uint8, "r").reshape(-1, 5)
    largest = int(raw[:, :2].max())
    side = next(side for side in _ATIS_SIDES if largest < side)

    def chunks() -> Iterator[Array]:
        for begin in range(0, len(raw), CHUNK):
            part = raw[begin : begin + CHUNK].astype(np.uint32)
            events = np.empty(len(part), EVENT)
            events["x"], events["y"] = part[:, 0], part[:, 1]
            events["t"] = (part[:, 2] & 0x7F) << 16 | part[:, 3] << 8 | part[:, 4]
            events["on"] = part[:, 2] >> 7
            yield events

    return size or (side, side), chunks


def _open_text(path: Path, size: tuple[int, int] | None) -> Opened:
    def chunks() -> Iterator[Array]:
        with path.open(encoding="ascii", errors="replace") as file:
            done = 0
            while lines := list(islice(file, CHUNK)):
                yield _parse_text(lines, path, done)
                done += len(lines)

    return size or DEFAULT_SIZE, chunks


def _parse_text(lines: list[str], path: Path, done: int) -> Array:
    events = np.empty(len(lines), EVENT)
    for n, line in enumerate(lines):
        try:
            t_s, x, y, p = line.split()
            events[n] = round(float(t_s) * 1e6), int(x), int(y), ("0", "1").index(p)
        except (ValueError, OverflowError):
            raise ConfigError(
                f"{path}:{done + n + 1}: expected 't[s] x y p', got {line.strip()[:40]!r}"
            ) from None
    return events


_OPENERS: dict[str, Callable[[Path, tuple[int, int] | None], Opened]] = {
    ".aedat4": _open_faery,
    ".raw": _open_evt,
    ".dat": _open_faery,
    ".es": _open_faery,
    ".csv": _open_faery,
    ".bin": _open_atis,
    ".txt": _open_text,
}


def play(reader: RecordingReader, *, speed: float = 1.0, repeat: bool = False) -> Iterator[Array]:
    """The chunks of `reader` in stream time: the first event at 0, times divided by `speed`.

    With `repeat` the recording starts again, one microsecond after its end, for ever. Raises
    ConfigError for a speed that is not positive and finite, and as the reader does.
    """
    if not 0 < speed < float("inf"):
        raise ConfigError(f"speed {speed:g}: must be positive and finite")
    offset_us = 0
    while True:
        begin, end = None, 0
        for chunk in reader:
            begin = chunk["t"][0] if begin is None else begin
            elapsed = chunk["t"] - begin
            end = int(elapsed[-1])
            chunk["t"] = np.floor((elapsed + np.uint64(offset_us)) / speed)
            yield chunk
        if not repeat:
            return
        offset_us += end + 1


class RecordingSensor(Sensor):
    """Plays a recording as if it were a camera: the first event is at loop time 0.

    Attributes:
        width, height: of the sensor, in pixels.
        ended: whether every event has been read.
    """

    def __init__(
        self,
        reader: RecordingReader,
        *,
        stream: str = "camera",
        speed: float = 1.0,
        repeat: bool = False,
    ) -> None:
        """Raises ConfigError as `play`."""
        super().__init__(stream, Schema.EVENTS)
        self.width, self.height = reader.width, reader.height
        self.ended = False
        self._chunks = play(reader, speed=speed, repeat=repeat)
        self._next = np.empty(0, EVENT)
        self._now_ns = self._seq = 0
        self._refill()

    def read(self, now_ns: int) -> Batch:
        """The events up to `now_ns`. Raises ConfigError where the recording is damaged."""
        due: list[Array] = []
        while not self.ended:
            count = int(np.searchsorted(self._next["t"], now_ns // 1000, side="right"))
            due.append(self._next[:count])
            self._next = self._next[count:]
            if len(self._next):
                break
            self._refill()
        values = np.concatenate(due) if due else np.empty(0, EVENT)
        batch = Batch(self.stream, self.schema, values, self._now_ns, now_ns, self._seq)
        self._now_ns, self._seq = now_ns, self._seq + 1
        return batch

    def _refill(self) -> None:
        self._next = next(self._chunks, self._next[:0])
        self.ended = len(self._next) == 0
