"""Reading recordings.

    recording = Recording.open("run.mcap")
    for tick in recording.ticks(): ...

`reflexarc.runtime.recordformat` says what stands in the file. A file is checked as a whole when
it is opened (its checksums, then what the metadata says), and read tick by tick.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import yaml
from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Message
from mcap.records import Schema as McapSchema
from mcap.stream_reader import StreamReader
from mcap.writer import MCAP0_MAGIC
from pydantic import BaseModel, Json, ValidationError
from zstandard import ZstdError

from reflexarc.runtime.batch import EVENT, READING, SPIKE, Array, Batch, Schema
from reflexarc.runtime.config import explain, parse_yaml
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.runtime.loop import CALLS, Tick, age_ns
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.recordformat import (
    COMMANDS,
    END,
    FORMAT,
    LAYOUTS,
    NETWORK_FILES,
    OUTPUTS,
    PROFILE,
    SCENARIO,
    SCORE,
    START,
    STREAMS,
    TICK,
    WEIGHTS,
    Entry,
    Kind,
)
from reflexarc.runtime.wire import decode


class Start(BaseModel, frozen=True):
    """The metadata `reflexarc`: what was run, and by which versions.

    `config` is the resolved scenario and `settings` what was changed on the command line; `truth`
    names the elements of the stream "truth"; `streams` are those kept, None for all.
    """

    format: str
    scenario: str
    config: Json[dict[str, Any]]
    seed: int
    mode: str
    learning: bool
    policy: str
    settings: Json[list[str]]
    truth: Json[list[str]]
    streams: Json[list[str] | None]
    created: str
    reflexarc_version: str
    python_version: str
    numpy_version: str
    platform: str


class End(BaseModel, frozen=True):
    """The metadata `reflexarc-end`: whether all was recorded, ticks lost, what cut it short."""

    complete: bool
    lost: int
    failure: str


class Series(NamedTuple):
    """A vector over time: `t_ns`, shape (n,), int64, and `values`, shape (n, size), float64."""

    t_ns: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    values: FloatArray


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Recording:
    """A recording that has been opened and found whole.

    Attributes:
        path: the file.
        start: what was run.
        end: how the recording ended.
        network_files: the network's graph, its sidecar and arrays where it has them, by name.
        weights: plastic weights at the end by edge: float64 bytes, row after row.
        streams, ports: what was recorded.
        last_ns: loop time of the last message.
    """

    path: Path
    start: Start
    end: End
    network_files: dict[str, bytes]
    weights: dict[str, bytes]
    streams: frozenset[str]
    ports: frozenset[str]
    last_ns: int

    @classmethod
    def open(cls, path: str | Path) -> Recording:
        """Check the whole file and read all but its messages.

        Raises:
            MissingFileError: there is no such file.
            ConfigError: it is no recording, not a whole one, or of a version this one cannot read.
        """
        path = Path(path)
        with _opened(path) as file:
            check_whole(path, file)
            reader = SeekingReader(file, record_size_limit=path.stat().st_size)
            if reader.get_header().profile != PROFILE:
                raise ConfigError(f"{path}: an MCAP file, but not a recording of Reflexarc")
            metadata = {record.name: record.metadata for record in reader.iter_metadata()}
            attached = {record.name: record.data for record in reader.iter_attachments()}
            topics, last_ns = _extent(reader)
        return cls(
            path,
            _start(path, metadata),
            _validate(path, End, metadata, END),
            _within(NETWORK_FILES, attached),
            _within(WEIGHTS, attached),
            frozenset(_within(STREAMS, topics)),
            frozenset(_within(OUTPUTS, topics)),
            last_ns,
        )

    def ticks(self) -> Iterator[Tick]:
        """Every tick as the loop's listeners saw it, but without what entered the network.

        Raises ConfigError.
        """
        batches: list[Batch] = []
        outputs: dict[str, Array] = {}
        command = np.zeros(0)
        with _reading(self.path):
            for entry in self.messages():
                if entry.kind is Kind.FRAME:
                    batches.append(decode(entry.data))
                elif entry.kind in (Kind.SPIKES, Kind.VALUES):
                    outputs[entry.name.removeprefix(OUTPUTS)] = _port_values(entry)
                elif entry.kind is Kind.COMMAND:
                    command = np.array(json.loads(entry.data)["values"], dtype=np.float64)
                elif entry.kind is Kind.TICK:
                    yield _tick(json.loads(entry.data), batches, outputs, command)
                    batches, outputs = [], {}

    def batches(self, stream: str) -> list[Batch]:
        """Every batch of a stream, in order; none if it was not recorded. Raises ConfigError."""
        with _reading(self.path):
            return [decode(entry.data) for entry in self.messages(STREAMS + stream)]

    def schema(self, stream: str) -> Schema | None:
        """What the values of a stream are; None if it was not recorded. Raises ConfigError."""
        with _reading(self.path):
            first = next(self.messages(STREAMS + stream), None)
            return decode(first.data).schema if first else None

    def events(self, stream: str) -> Array:
        """Every camera event of a stream, shape (n,), dtype EVENT. Raises ConfigError."""
        return _joined([batch.values for batch in self.batches(stream)], EVENT)

    def series(self, stream: str) -> Series:
        """The readings of a stream at their sensor times. Raises ConfigError."""
        batches = [batch for batch in self.batches(stream) if len(batch.values)]
        with _reading(self.path):
            return _series([(batch.t_last_ns, batch.values) for batch in batches])

    def spikes(self, port: str) -> Array:
        """Every spike that left an output port, shape (n,), dtype SPIKE. Raises ConfigError."""
        with _reading(self.path):
            entries = [e for e in self.messages(OUTPUTS + port) if e.kind is Kind.SPIKES]
            return _joined([_port_values(entry) for entry in entries], SPIKE)

    def commands(self) -> Series:
        """The commands that left the gate, from when each of them held. Raises ConfigError."""
        return self._numbers(COMMANDS, "values")

    def score(self) -> Series:
        """The score so far, one element, at each tick; empty without one. Raises ConfigError."""
        return self._numbers(SCORE, "value")

    def calls_ns(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """How long the calls of each tick took, shape (ticks, 6). Raises ConfigError."""
        with _reading(self.path):
            rows = [json.loads(entry.data)["calls_ns"] for entry in self.messages(TICK)]
            return np.array(rows, dtype=np.int64).reshape(-1, len(CALLS))

    def ages_ns(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """From event to command in each tick (`loop.age_ns`), shape (ticks,); -1 without a cause.

        Raises ConfigError.
        """
        with _reading(self.path):
            told = [json.loads(entry.data) for entry in self.messages(TICK)]
            ages = [
                age_ns(t["now_ns"], t.get("late_ns", 0), t["cause_ns"], t["calls_ns"]) for t in told
            ]
            return np.array(ages, dtype=np.int64)

    def extract(self, folder: Path) -> Path:
        """Write the scenario as it was run into `folder`; returns its scenario.yaml.

        The code that the scenario names is not part of a recording: from what is written a policy
        and a gate can be made (`Scenario.load_policy`), a world cannot.

        Raises:
            ConfigError: the network's files are missing or damaged.
        """
        network = Path(str(self.start.config.get("network"))).name
        files = {Path(name).name: data for name, data in self.network_files.items()}
        if network not in files:
            raise ConfigError(f"{self.path}: the network file '{network}' is missing; record again")
        if Path(network).suffix in (".yaml", ".yml"):
            sidecar = parse_yaml(files[network].decode(), f"{self.path}: {network}").data
            for key in ("graph", "arrays"):
                if key in sidecar:
                    sidecar[key] = Path(str(sidecar[key])).name
            files[network] = _yaml(sidecar)
        (folder / NETWORK_FILES).mkdir()
        for name, data in files.items():
            (folder / NETWORK_FILES / name).write_bytes(data)
        scenario = folder / SCENARIO
        scenario.write_bytes(_yaml({**self.start.config, "network": NETWORK_FILES + network}))
        return scenario

    def _numbers(self, channel: str, key: str) -> Series:
        with _reading(self.path):
            return _series([(e.time_ns, json.loads(e.data)[key]) for e in self.messages(channel)])

    def messages(self, channel: str | None = None) -> Iterator[Entry]:
        """The messages of one channel, or of all, in the order of the file."""
        schemas: dict[int, Kind] = {}
        channels: dict[int, Channel] = {}
        with self.path.open("rb") as file:
            for record in StreamReader(file, record_size_limit=self.path.stat().st_size).records:
                if isinstance(record, McapSchema):
                    schemas[record.id] = _KINDS[record.name]
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    known = channels[record.channel_id]
                    if channel in (None, known.topic):
                        kind = schemas[known.schema_id]
                        yield Entry(kind, known.topic, record.log_time, record.data)


_KINDS = {layout.schema_name: kind for kind, layout in LAYOUTS.items()}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes of its readers, as one line."""
    try:
        yield
    except MemoryError:
        raise ConfigError(f"{path}: damaged: it claims more data than there is") from None
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (McapError, ZstdError, struct.error, LookupError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{path}: damaged ({reason}); record again") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with _reading(path), path.open("rb") as file:
        yield file


_FOOTER = struct.Struct("<BQQQI8s")
_DATA_END = struct.Struct("<BQI")
_BLOCK_BYTES = 1 << 20


def check_whole(path: Path, file: IO[bytes]) -> None:
    """Make sure that `file` is an MCAP file, from its first byte to its last, and undamaged.

    Its two checksums cover every byte but those of the footer itself.
    (https://mcap.dev/spec#footer-op0x02)

    Raises:
        ConfigError: it is empty, something else, cut off or damaged.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    begin = file.read(len(MCAP0_MAGIC))
    if size == 0:
        raise ConfigError(f"{path}: empty; nothing was recorded, run again")
    if begin != MCAP0_MAGIC[: len(begin)]:
        raise ConfigError(f"{path}: not a recording (MCAP file); give what --record wrote")
    file.seek(max(0, size - _FOOTER.size))
    footer = file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size or not footer.endswith(MCAP0_MAGIC):
        raise ConfigError(f"{path}: cut off: its end is missing; take a whole copy or record again")
    _, _, summary_at, _, summary_sum, _ = _FOOTER.unpack(footer)
    data_end_at = summary_at - _DATA_END.size
    if not 0 < data_end_at < summary_at < size:
        raise ConfigError(f"{path}: damaged: its index is not where it says; record again")
    file.seek(data_end_at)
    _, _, data_sum = _DATA_END.unpack(file.read(_DATA_END.size))
    sums = _checksum(file, 0, data_end_at), _checksum(file, summary_at, size - 12)
    if sums != (data_sum, summary_sum):
        raise ConfigError(f"{path}: damaged: a checksum is wrong; take a new copy or record again")
    file.seek(0)


def _checksum(file: IO[bytes], begin: int, end: int) -> int:
    """CRC-32 of the bytes from `begin` to before `end`."""
    file.seek(begin)
    result = 0
    while (left := end - file.tell()) > 0:
        result = zlib.crc32(file.read(min(left, _BLOCK_BYTES)), result)
    return result


def _yaml(data: dict[str, Any]) -> bytes:
    return yaml.safe_dump(data, sort_keys=False).encode()


def _extent(reader: SeekingReader) -> tuple[dict[str, bytes], int]:
    """The names of the channels (as keys), and the time of the last message."""
    summary = reader.get_summary()
    if summary is None or summary.statistics is None:
        raise ValueError("its statistics are missing")
    topics = {channel.topic: b"" for channel in summary.channels.values()}
    return topics, summary.statistics.message_end_time


def _start(path: Path, metadata: dict[str, dict[str, str]]) -> Start:
    version = metadata.get(START, {}).get("format", FORMAT)
    if version != FORMAT:
        raise ConfigError(f"{path}: recording format {version}; this release reads {FORMAT}")
    return _validate(path, Start, metadata, START)


def _validate(
    path: Path, model: type[Model], metadata: dict[str, dict[str, str]], name: str
) -> Model:
    """The metadata `name`. Raises ConfigError."""
    if name not in metadata:
        raise ConfigError(f"{path}: the metadata '{name}' is missing; record again")
    try:
        return model.model_validate(metadata[name])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: metadata '{name}': {key}: {explain(first)}") from None


def _within(prefix: str, things: dict[str, bytes]) -> dict[str, bytes]:
    """Those whose name begins with `prefix`, by the rest of the name."""
    return {
        name.removeprefix(prefix): data for name, data in things.items() if name.startswith(prefix)
    }


def _tick(
    about: dict[str, Any], batches: list[Batch], outputs: dict[str, Array], command: FloatArray
) -> Tick:
    received = zip(batches, about["received_ns"], strict=True)
    return Tick(
        number=about["number"],
        now_ns=about["now_ns"],
        until_ns=about["until_ns"],
        batches=[replace(batch, t_received_ns=t_ns) for batch, t_ns in received],
        inputs={},
        outputs=outputs,
        command=command,
        cause_ns=about["cause_ns"],
        calls_ns=tuple(about["calls_ns"]),
        late_ns=about.get("late_ns", 0),
    )


def _port_values(entry: Entry) -> Array:
    return np.frombuffer(entry.data, SPIKE if entry.kind is Kind.SPIKES else READING)


def _joined(parts: list[Array], dtype: np.dtype[Any]) -> Array:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _series(rows: list[tuple[int, Any]]) -> Series:
    t_ns = np.array([t_ns for t_ns, _ in rows], dtype=np.int64)
    values = np.array([row for _, row in rows], dtype=np.float64)
    return Series(t_ns, values.reshape(len(rows), -1) if rows else np.zeros((0, 0)))
