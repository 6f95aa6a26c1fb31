"""Kinds of files of camera events, told by how they begin, else by the ending of the name.

`.aedat4`, `.raw` (EVT2, EVT3), `.dat` (cd) and `.es` are read by faery, what it refuses here:

- `.dat` of type 2d, and version 1 of it: Prophesee's older layout (N-CARS);
- `.aedat`, AEDAT 2: big-endian pairs of address and microseconds, of the DVS128 or of a DAVIS
  (iniVation, "AEDAT file formats"; an address with bit 31 set is not an event). Addresses count
  from the lower right: they are turned into those of an image;
- `.bin`: the 5-byte ATIS format of N-MNIST (Orchard et al. 2015, Front. Neurosci. 9:437).

EVT2.1 is in `evt21.py`, the beginning of some EVT3 files in `evt3.py`, text in `textevents.py`,
HDF5 in `hdf5events.py`, bags of ROS in `rosbag.py`.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import faery
import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.errors import ConfigError
from reflexarc.sensors.evt3 import first_high, read_late
from reflexarc.sensors.evt21 import read_evt21, size_of
from reflexarc.sensors.hdf5events import open_hdf5
from reflexarc.sensors.rosbag import open_bag
from reflexarc.sensors.textevents import open_text

#: Assumed where neither the file nor the caller says how large the sensor is.
DEFAULT_SIZE = (1280, 720)
#: No description of streams is as long.
MOST_HEADER_BYTES = 1 << 24
#: Events that a reader of ours takes at a time.
CHUNK = 1 << 14
#: Sides of the sensors that `.bin` files come from; the smallest that fits is taken.
_ATIS_SIDES = (34, 128, 256)
_ATIS_OVERFLOW = 240
#: Sizes of the DAVIS; the smallest that fits is taken.
_DAVIS_SIZES = ((240, 180), (346, 260), (640, 480))
_EVT_WORD_BYTES = {"2": 4, "2.0": 4, "2.1": 8, "21": 8, "3": 2, "3.0": 2}
_EVT_VERSION = re.compile(rb"^% (?:evt |format EVT)([\d.]+)", re.MULTILINE)
_HEADER_END = re.compile(rb"% end\s*$|# ?End Of ASCII Header", re.IGNORECASE)
#: Of sensors of Prophesee, as plugins are named; others are as large as is assumed anyway.
_GENERATIONS = {b"genx320": (320, 320), b"gen3": (640, 480)}
_DAT_TYPES = {0x00: "2d", 0x0C: "cd"}


class Opened(NamedTuple):
    """A file that can be read: its format, (width, height), and its events, anew at each call."""

    format: str
    size: tuple[int, int]
    chunks: Callable[[], Iterator[Array]]


Size = tuple[int, int] | None


def open_events(path: Path, size: Size, topic: str | None = None) -> Opened:
    """Open a file of events; `size` is (width, height) where it does not say, `topic` of a bag.

    Raises:
        ConfigError: no known kind, or damaged where it begins.
    """
    begin = b"" if path.is_dir() else _begin(path)
    if path.is_dir() or begin.startswith(b"#ROSBAG") or path.suffix.lower() == ".bag":
        return Opened(*open_bag(path, topic))
    if topic is not None:
        raise ConfigError(f"{path}: only a bag of ROS has topics; leave out --topic")
    for magic, opener in _MAGIC.items():
        if begin.startswith(magic):
            return opener(path, size)
    kind = path.suffix.lower()
    if kind not in ENDINGS:
        known = " ".join(ENDINGS)
        raise ConfigError(f"{path}: unknown kind of recording '{kind}'; known: {known}")
    return ENDINGS[kind](path, size)


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _open_faery(path: Path, size: Size, name: str) -> Opened:
    kind = _FAERY_TYPES[name.split()[0]]
    with _no_panic():
        stream = faery.events_stream_from_file(
            path, dimensions_fallback=size or DEFAULT_SIZE, file_type=kind
        )

    def chunks() -> Iterator[Array]:
        rest = iter(stream)
        while True:
            with _no_panic():
                chunk = next(rest, None)
            if chunk is None:
                return
            yield chunk

    return Opened(name, stream.dimensions(), chunks)


@contextmanager
def _no_panic() -> Iterator[None]:
    """Turns a panic of faery's compiled part into a RuntimeError, without its text on stderr.

    It writes that to the file descriptor, which is therefore elsewhere for so long.
    """
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    except BaseException as error:
        # it has no name to import, and is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from None
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _open_aedat4(path: Path, size: Size) -> Opened:
    """Faery ends the process where the description of the streams is no text: look first."""
    try:
        _description(path).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: damaged: its description of the streams is no text") from None
    return _open_faery(path, size, "AEDAT4")


def _description(path: Path) -> bytes:
    """The XML in the header of an AEDAT4 file, b"" where it is not to be found.

    The header is a FlatBuffer behind a line and its length, the XML the third field of its table
    (https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html).
    """
    with path.open("rb") as file:
        file.seek(len(b"#!AER-DAT4.0\r\n"))
        header = file.read(min(int.from_bytes(file.read(4), "little"), MOST_HEADER_BYTES))

    def at(kind: str, place: int) -> int:
        if place < 0:
            raise struct.error
        return int(struct.unpack_from(kind, header, place)[0])

    try:
        table = at("<I", 0)
        entry = table - at("<i", table) + 8
        text = table + at("<H", entry)
        text += at("<I", text)
        return header[text + 4 : text + 4 + at("<I", text)]
    except struct.error:
        return b""


def _open_es(path: Path, size: Size) -> Opened:
    return _open_faery(path, size, "ES")


def _open_percent(path: Path, size: Size) -> Opened:
    """EVT and DAT both begin with lines after a `%`."""
    header = _header(path, b"%")
    return _open_evt(path, size) if _EVT_VERSION.search(header) else _by_ending(path, size)


def _by_ending(path: Path, size: Size) -> Opened:
    return _open_dat(path, size) if path.suffix.lower() == ".dat" else _open_evt(path, size)


def _header(path: Path, mark: bytes) -> bytes:
    """The lines at the beginning of a file that begin with `mark`, up to one that ends them."""
    header, line = bytearray(), b""
    with path.open("rb") as file:
        while file.peek(1)[:1] == mark and not _HEADER_END.match(line):
            line = file.readline(4096)
            header += line
    return bytes(header)


def _open_evt(path: Path, size: Size) -> Opened:
    """EVT has no end mark and faery takes what comes: check version and length first."""
    header = _header(path, b"%")
    found = _EVT_VERSION.search(header)
    version = found[1].decode() if found else ""
    if version not in _EVT_WORD_BYTES:
        raise ConfigError(f"{path}: not an EVT2 or EVT3 recording: its header names no version")
    _check_whole(path, len(header), _EVT_WORD_BYTES[version])
    size = size or size_of(header) or _size_of_sensor(header)
    if version in ("2.1", "21"):
        return Opened("EVT2.1", size or DEFAULT_SIZE, lambda: read_evt21(path, header, CHUNK))
    name = f"EVT{version.removesuffix('.0')}"
    opened = _open_faery(path, size, f"EVT {version}")._replace(format=name)
    late = first_high(path, header) if name == "EVT3" else None
    if late is None:
        return opened

    def read(part: Path) -> Iterator[Array]:
        return _open_faery(part, opened.size, f"EVT {version}").chunks()

    return opened._replace(chunks=lambda: read_late(path, header, late, read))


def _size_of_sensor(header: bytes) -> Size:
    """What an older header tells by naming the sensor's generation alone."""
    return next((size for name, size in _GENERATIONS.items() if name in header.lower()), None)


def _check_whole(path: Path, header_bytes: int, event_bytes: int) -> None:
    if (path.stat().st_size - header_bytes) % event_bytes:
        raise ConfigError(f"{path}: truncated: it ends inside an event; copy it again")


def _open_dat(path: Path, size: Size) -> Opened:
    header = _header(path, b"%")
    with path.open("rb") as file:
        file.seek(len(header))
        kind, event_bytes = (*file.read(2), 0, 0)[:2]
    if not header or kind not in _DAT_TYPES or event_bytes != 8:
        raise ConfigError(f"{path}: not a DAT recording of camera events (types 2d and cd)")
    _check_whole(path, len(header) + 2, event_bytes)
    if _DAT_TYPES[kind] == "cd":
        return _open_faery(path, size, "DAT cd")
    version = re.search(rb"^% Version (\d)", header, re.MULTILINE)
    old = version is None or version[1] == b"1"
    raw = np.memmap(path, "<u4", "r", len(header) + 2).reshape(-1, 2)

    def decode(part: npt.NDArray[np.uint32]) -> Array:
        x_bits, y_bits = (9, 8) if old else (14, 14)
        address = part[:, 1]
        x = address & ((1 << x_bits) - 1)
        y = address >> x_bits & ((1 << y_bits) - 1)
        return _events(part[:, 0], x, y, address >> (x_bits + y_bits) & 1)

    return Opened("DAT 2d", size or _largest(raw, decode), _in_chunks(raw, decode))


def _open_aer(path: Path, size: Size) -> Opened:
    """Files of jAER and cAER say their version in the first line."""
    header = _header(path, b"#")
    if not header.startswith(b"#!AER-DAT"):
        raise ConfigError(f"{path}: not an AEDAT recording: it does not begin with #!AER-DAT")
    if not header.startswith(b"#!AER-DAT2"):
        version = header[9:12].decode("ascii", "replace")
        raise ConfigError(f"{path}: AEDAT {version} is not read; convert it to AEDAT 4")
    _check_whole(path, len(header), 8)
    raw = np.memmap(path, ">u4", "r", len(header)).reshape(-1, 2)
    if b"dvs128" in header.lower() or size == (128, 128):
        return _open_dvs128(raw)
    width, height = size or _davis_size(raw)

    def decode(part: npt.NDArray[np.uint32]) -> Array:
        # bit 31: a sample of an image or of the IMU; bit 10: an external event
        part = part[(part[:, 0] & 0x8000_0400) == 0]
        x, y = part[:, 0] >> 12 & 0x3FF, part[:, 0] >> 22 & 0x1FF
        return _events(part[:, 1], width - 1 - x, height - 1 - y, part[:, 0] >> 11 & 1)

    return Opened("AEDAT2", (width, height), _in_chunks(raw, decode))


def _davis_size(raw: npt.NDArray[np.uint32]) -> tuple[int, int]:
    def decode(part: npt.NDArray[np.uint32]) -> Array:
        part = part[(part[:, 0] & 0x8000_0400) == 0]
        return _events(part[:, 1], part[:, 0] >> 12 & 0x3FF, part[:, 0] >> 22 & 0x1FF, 0)

    width, height = _largest(raw, decode)
    return next((s for s in _DAVIS_SIZES if width <= s[0] and height <= s[1]), (width, height))


def _open_dvs128(raw: npt.NDArray[np.uint32]) -> Opened:
    def decode(part: npt.NDArray[np.uint32]) -> Array:
        part = part[(part[:, 0] & 0x8000_8000) == 0]
        x, y = part[:, 0] >> 1 & 0x7F, part[:, 0] >> 8 & 0x7F
        return _events(part[:, 1], 127 - x, 127 - y, 1 - (part[:, 0] & 1))

    return Opened("AEDAT2", (128, 128), _in_chunks(raw, decode))


def _open_atis(path: Path, size: Size) -> Opened:
    """`.bin`: x, y, then big-endian 24 bits, polarity on top of 23 bits of microseconds.

    A row of 240 is no pixel: all times from there on are 2^13 us later.
    """
    _check_whole(path, 0, 5)
    raw = np.memmap(path, np.uint8, "r").reshape(-1, 5)
    seen = raw[raw[:, 1] != _ATIS_OVERFLOW, :2]
    side = next(side for side in _ATIS_SIDES if int(seen.max(initial=0)) < side)

    def chunks() -> Iterator[Array]:
        overflows = 0
        for begin in range(0, len(raw), CHUNK):
            wide = raw[begin : begin + CHUNK].astype(np.uint64)
            is_event = wide[:, 1] != _ATIS_OVERFLOW
            turns = overflows + np.cumsum(~is_event).astype(np.uint64)
            overflows = turns[-1]
            t_us = (wide[:, 2] & 0x7F) << 16 | wide[:, 3] << 8 | wide[:, 4]
            events = _events(t_us + (turns << 13), wide[:, 0], wide[:, 1], wide[:, 2] >> 7)
            yield events[is_event]

    return Opened("ATIS bin", size or (side, side), lambda: _unwrapped(chunks(), 23))


def _events(t_us: Array, x: Array, y: Array, on: Array | int) -> Array:
    events = np.empty(len(t_us), EVENT)
    events["t"], events["x"], events["y"], events["on"] = t_us, x, y, on
    return events


Decode = Callable[[Array], Array]


def _in_chunks(raw: Array, decode: Decode) -> Callable[[], Iterator[Array]]:
    return lambda: _unwrapped(
        (decode(np.array(raw[k : k + CHUNK])) for k in range(0, len(raw), CHUNK)), 32
    )


def _unwrapped(chunks: Iterator[Array], bits: int) -> Iterator[Array]:
    """Times of so many bits, which start anew: a fall by more than half of that is such a start."""
    newest, turns = 0, 0
    for events in chunks:
        if len(events):
            t_us = events["t"].astype(np.int64)
            starts = np.diff(t_us, prepend=newest) < -(1 << bits - 1)
            newest = int(t_us[-1])
            t_us += (turns + np.cumsum(starts)) << bits
            turns += int(starts.sum())
            events["t"] = t_us
        yield events


def _largest(raw: Array, decode: Decode) -> tuple[int, int]:
    """The smallest sensor that has all events."""
    size = np.ones(2, int)
    for events in _in_chunks(raw, decode)():
        if len(events):
            size = np.maximum(size, (events["x"].max() + 1, events["y"].max() + 1))
    return int(size[0]), int(size[1])


def _open_text(path: Path, size: Size) -> Opened:
    found, chunks = open_text(path, CHUNK)
    name = "CSV" if path.suffix.lower() == ".csv" else "text"
    return Opened(name, size or found or DEFAULT_SIZE, chunks)


def _refuse_packed(path: Path, size: Size) -> Opened:
    raise ConfigError(f"{path}: a compressed file; unpack it first")


_FAERY_TYPES = {"AEDAT4": "aedat", "ES": "es", "EVT": "evt", "DAT": "dat"}

Opener = Callable[[Path, Size], Opened]
#: How files begin that say what they are.
_MAGIC: dict[bytes, Opener] = {
    b"#!AER-DAT4": _open_aedat4,
    b"#!AER-DAT": _open_aer,
    b"Event Stream": _open_es,
    b"\x89HDF\r\n": lambda path, size: Opened(*open_hdf5(path, size or DEFAULT_SIZE, CHUNK)),
    b"\x1f\x8b": _refuse_packed,  # gzip
    b"PK\x03\x04": _refuse_packed,  # zip
    b"\x28\xb5\x2f\xfd": _refuse_packed,  # zstd
    b"\xfd7zXZ": _refuse_packed,
    b"BZh": _refuse_packed,
    b"%": _open_percent,
}
ENDINGS: dict[str, Opener] = {
    ".aedat4": _open_aedat4,
    ".aedat": _open_aer,
    ".raw": _open_evt,
    ".dat": _open_dat,
    ".es": _open_es,
    ".csv": _open_text,
    ".bin": _open_atis,
    ".txt": _open_text,
    ".bag": lambda path, size: Opened(*open_bag(path, None)),
    ".h5": _MAGIC[b"\x89HDF\r\n"],
    ".hdf5": _MAGIC[b"\x89HDF\r\n"],
}
