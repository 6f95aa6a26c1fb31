"""Checkpoints: what a network has learnt, whole on the disk or not at all.

A file is a magic word, the length of a JSON header, the header (schema version, digest of the
network, name, dtype and shape of every array), the arrays' bytes, and the SHA-256 of all of it.
The arrays are those of `NetworkPolicy.state`; schema 1 had the network's alone, without `network/`.
Nothing in it is code, and no more is allocated than the file holds. A `Shelf` is the folder where
the newest few of each network stand.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from reflexarc.runtime.batch import Array
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import CheckpointError, ConfigError
from reflexarc.runtime.files import sync_folder

MAGIC = b"RFXCKPT1"
#: Version of the header and of what the arrays mean.
SCHEMA = 2
#: An older one that is read too: its arrays are all of the network.
NETWORK_ALONE = 1
#: A longer header is none of ours.
MAX_HEADER_BYTES = 16 << 20
_LENGTH = struct.Struct("<Q")
_DIGEST_BYTES = 32
_NAME = re.compile(r"([0-9a-f]{12})-(\d{10})\.ckpt")


#: A number or a boolean, as NumPy writes it.
Number = Annotated[str, Field(pattern=r"^[<|][biuf][1248]$")]


class FieldSpec(Strict):
    """One field of a record; fields lie side by side."""

    name: str = Field(min_length=1)
    dtype: Number | Record
    title: str | None = None


Record = Annotated[list[FieldSpec], Field(min_length=1)]


class ArraySpec(Strict):
    """One array of a checkpoint."""

    name: str
    dtype: Number | Record
    shape: list[int]

    @property
    def made(self) -> np.dtype[Any]:
        """The dtype. Raises ValueError: fields that share a name."""
        return _dtype_of(self.dtype)


def _dtype_of(said: str | list[FieldSpec]) -> np.dtype[Any]:
    if isinstance(said, str):
        return np.dtype(said)
    return np.dtype([((f.title, f.name) if f.title else f.name, _dtype_of(f.dtype)) for f in said])


def _said_of(dtype: np.dtype[Any]) -> str | list[FieldSpec]:
    if dtype.fields is None:
        return dtype.str
    return [
        FieldSpec(name=name, dtype=_said_of(kind), title=title[0] if title else None)
        for name in dtype.names or ()
        for kind, _, *title in [dtype.fields[name]]
    ]


class Header(Strict):
    """What a checkpoint says of itself.

    Attributes:
        version: of the schema.
        network: digest of the network whose state it is.
        program_ns: how far the network has come, in its own time.
        created: ISO 8601, UTC.
        arrays: in the order in which they stand.
    """

    version: int
    network: str
    program_ns: int
    created: str
    arrays: list[ArraySpec]


@dataclass(frozen=True)
class Checkpoint:
    """A header and its arrays by name."""

    header: Header
    arrays: Mapping[str, Array]


def describe(arrays: Mapping[str, Array], network: str, program_ns: int, created: str) -> Header:
    """The header of a checkpoint of `arrays`.

    Raises ValueError: one is not of numbers, booleans or packed records of them.
    """
    said = [
        ArraySpec(name=name, dtype=_said_of(array.dtype), shape=list(array.shape))
        for name, array in arrays.items()
    ]
    for spec in said:
        if spec.made != arrays[spec.name].dtype:
            raise ValueError(f"array '{spec.name}': the fields of its records lie apart")
    return Header(
        version=SCHEMA, network=network, program_ns=program_ns, created=created, arrays=said
    )


def beginning(header: Header) -> bytes:
    """The bytes before the arrays."""
    text = header.model_dump_json().encode()
    return MAGIC + _LENGTH.pack(len(text)) + text


def decode(data: bytes, source: str) -> Checkpoint:
    """The checkpoint in `data`. Raises CheckpointError: one line with `source`."""
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + _LENGTH.size + _DIGEST_BYTES:
        raise CheckpointError(f"{source}: not a checkpoint, or cut short")
    body, digest = memoryview(data)[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{source}: damaged: its checksum does not match")
    at = len(MAGIC) + _LENGTH.size
    length = _LENGTH.unpack(body[len(MAGIC) : at])[0]
    if length > min(MAX_HEADER_BYTES, len(body) - at):
        raise CheckpointError(f"{source}: damaged: a header of {length} bytes")
    try:
        header = Header.model_validate_json(bytes(body[at : at + length]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"]
        raise CheckpointError(f"{source}: not a header: {first}") from None
    if header.version not in (SCHEMA, NETWORK_ALONE):
        raise CheckpointError(f"{source}: schema {header.version}; this version reads {SCHEMA}")
    arrays = _arrays(header, body[at + length :], source)
    if header.version == NETWORK_ALONE:
        arrays = {f"network/{name}": array for name, array in arrays.items()}
    return Checkpoint(header, arrays)


def reread(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """`arrays` as they come back from a checkpoint. Raises ValueError as `describe`."""
    parts = [beginning(describe(arrays, "", 0, "")), *(part.tobytes() for part in arrays.values())]
    body = b"".join(parts)
    return dict(decode(body + hashlib.sha256(body).digest(), "").arrays)


def _arrays(header: Header, content: memoryview, source: str) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for spec in header.arrays:
        try:
            dtype = spec.made
        except ValueError as error:
            raise CheckpointError(f"{source}: array '{spec.name}': {error}") from None
        if any(n < 0 for n in spec.shape) or spec.name in arrays:
            raise CheckpointError(f"{source}: array '{spec.name}': twice, or an impossible shape")
        size = math.prod(spec.shape) * dtype.itemsize
        if size > len(content):
            raise CheckpointError(f"{source}: array '{spec.name}' runs past the end")
        flat = np.frombuffer(content[:size], dtype)
        arrays[spec.name] = flat.reshape(spec.shape).copy()
        content = content[size:]
    if len(content):
        raise CheckpointError(f"{source}: {len(content)} bytes that no array claims")
    return arrays


class Shelf:
    """A folder of checkpoints: the newest `keep` of each network.

    Attributes:
        folder: made where it is missing, mode 0700.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        """Raises ConfigError: the folder cannot be made."""
        self.folder, self._keep = folder, keep
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from None

    def files(self, network: str) -> list[Path]:
        """The checkpoints of the network with digest `network`, oldest first."""
        return sorted(
            path
            for path in self.folder.glob(f"{network}-*.ckpt")
            if _NAME.fullmatch(path.name) and path.is_file()
        )

    def newest(self, network: str) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint of the network, and why newer ones were passed over."""
        notes: list[str] = []
        for path in reversed(self.files(network)):
            try:
                found = decode(path.read_bytes(), str(path))
            except OSError as error:
                notes.append(f"{path}: {error.strerror}")
            except CheckpointError as error:
                notes.append(str(error))
            else:
                if found.header.network == network:
                    return found, notes
                notes.append(f"{path}: of another network")
        return None, notes

    def write(self, network: str, parts: Iterable[bytes | memoryview]) -> Path:
        """Put `parts`, which `beginning` opens, on the shelf as one file, and prune.

        Raises:
            OSError: it could not be written whole; the shelf is as before.
        """
        path = self._next(network)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(part, flags, 0o600)
        try:
            try:
                _write_all(handle, parts)
                os.fsync(handle)
            finally:
                os.close(handle)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)
        for old in self.files(network)[: -self._keep]:
            with suppress(OSError):
                old.unlink()
        return path

    def sweep(self) -> None:
        """Remove what writers that were killed have left. Only for who owns the shelf alone."""
        for part in self.folder.glob(".*.part"):
            with suppress(OSError):
                part.unlink()

    def _next(self, network: str) -> Path:
        files = self.files(network)
        last = int(files[-1].stem.partition("-")[2]) if files else 0
        return self.folder / f"{network}-{last + 1:010}.ckpt"


def _write_all(handle: int, parts: Iterable[bytes | memoryview]) -> None:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        _write(handle, memoryview(part).cast("B"))
    _write(handle, memoryview(digest.digest()))


def _write(handle: int, data: memoryview) -> None:
    """All of `data`: the system may take a part only."""
    while len(data):
        data = data[os.write(handle, data) :]


def digest_of(files: Iterable[Path], period_ns: int) -> str:
    """What tells a network from others: 12 hexadecimal digits of its files and its step."""
    digest = hashlib.sha256(json.dumps(period_ns).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]
