"""Recordings of event cameras: read from files, and played as if live; kinds: `formats.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.errors import ConfigError, MissingFileError, ReflexarcError
from reflexarc.sensors.base import Sensor
from reflexarc.sensors.formats import open_events


class EventSource(Protocol):
    """What can be played: chunks of EVENT in order of time, anew at each iteration."""

    @property
    def width(self) -> int:
        """Pixels in a row."""

    @property
    def height(self) -> int:
        """Pixels in a column."""

    def __iter__(self) -> Iterator[Array]:
        """The chunks; they may be written to."""


class RecordingReader:
    """A file of camera events, or the folder of a bag of ROS 2.

    Iterating gives chunks, arrays of EVENT with times in microseconds as recorded, made
    non-decreasing where the sensor's clock stepped back. Each iteration reads the file anew, and
    raises ConfigError where the file is damaged, ends inside an event, holds none, or has one
    outside the sensor.

    Attributes:
        path: the file.
        format: its kind, as `EVT3` or `AEDAT4`.
        width, height: of the sensor, in pixels.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        size: tuple[int, int] | None = None,
        topic: str | None = None,
    ) -> None:
        """`size` is (width, height) for files that do not say; `topic` is for bags with several.

        Raises MissingFileError, and ConfigError for a file that is empty or of an unknown kind.
        """
        self.path = Path(path)
        with _Complaints(self.path):
            _check_there(self.path)
            opened = open_events(self.path, size, topic)
        self.format, (self.width, self.height), self._chunks = opened

    def __iter__(self) -> Iterator[Array]:
        """Read the file from its beginning."""
        newest, empty = np.uint64(0), True
        with _Complaints(self.path):
            for chunk in self._chunks():
                if len(chunk) == 0:
                    continue
                self._check_inside(chunk)
                t_us = chunk["t"].copy()  # side by side, which is quicker to go through
                if t_us[0] < newest or (t_us[1:] < t_us[:-1]).any():
                    t_us[0] = max(t_us[0], newest)
                    chunk["t"] = t_us = np.maximum.accumulate(t_us)
                newest, empty = t_us[-1], False
                yield chunk
        if empty:
            raise ConfigError(f"{self.path}: it holds no events")

    def _check_inside(self, chunk: Array) -> None:
        if chunk["x"].max() >= self.width or chunk["y"].max() >= self.height:
            outside = (chunk["x"] >= self.width) | (chunk["y"] >= self.height)
            x, y = chunk[["x", "y"]][np.argmax(outside)]
            raise ConfigError(
                f"{self.path}: an event at ({x}, {y}) lies outside {self.width}x{self.height}; "
                "give the size of the sensor"
            )


def _check_there(path: Path) -> None:
    if path.is_dir():
        if not (path / "metadata.yaml").is_file():
            raise ConfigError(f"{path}: a folder without metadata.yaml is not a bag of ROS 2")
    elif not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the name")
    elif path.stat().st_size == 0:
        raise ConfigError(f"{path}: the file is empty")


class _Complaints:
    """Turns what a reader says about a bad file into one line that names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        # The libraries raise whatever damage leads them to; ours pass through.
        if isinstance(error, Exception) and not isinstance(error, ReflexarcError):
            # a KeyError puts its text in quotes
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
            lines = text.splitlines() or [type(error).__name__]
            raise ConfigError(f"{self._path}: cannot be read: {lines[0]}") from None


def play(reader: EventSource, *, speed: float = 1.0, repeat: bool = False) -> Iterator[Array]:
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
            end = int(chunk["t"][-1] - begin)
            if speed == 1.0:
                chunk["t"] += np.uint64((offset_us - int(begin)) % (1 << 64))  # adding wraps
            else:
                chunk["t"] = np.floor((chunk["t"] - begin + np.uint64(offset_us)) / speed)
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
        reader: EventSource,
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
