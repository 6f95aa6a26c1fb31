"""The wire format: one frame a message, a fixed header and the raw bytes of an array.

Little-endian, no padding, `HEADER_BYTES` = 80; the payload follows at once.

| offset | bytes | field      | meaning                                                     |
|-------:|------:|------------|-------------------------------------------------------------|
|      0 |     4 | magic      | `RFLX`                                                      |
|      4 |     2 | version    | of this layout, 1                                           |
|      6 |     2 | schema     | `Schema`: what one value is                                 |
|      8 |    16 | stream     | name, ASCII [a-z0-9_-], 1 to 15 bytes, filled up with zeros |
|     24 |     8 | epoch      | changes when the sender restarts                            |
|     32 |     8 | seq        | number of the batch in its stream, from 0                   |
|     40 |     8 | t_first_ns | signed; begin of the loop time that the batch covers        |
|     48 |     8 | t_last_ns  | signed; end of it, not before t_first_ns                    |
|     56 |     8 | dropped    | values lost since the batch before                          |
|     64 |     8 | backlog    | values that wait behind this batch                          |
|     72 |     4 | count      | values in the payload                                       |
|     76 |     4 | crc        | CRC-32 (zlib) of the frame with this field as zeros         |

A frame is at most `MAX_FRAME_BYTES` long: ZeroMQ cuts a peer off that sends more than its limit,
so the sender refuses first.
"""

from __future__ import annotations

import re
import struct
import zlib
from functools import lru_cache
from typing import NoReturn

import numpy as np

from reflexarc.ext.ring import have_polarities
from reflexarc.runtime.batch import Array, Batch, Schema
from reflexarc.runtime.errors import WireError

MAGIC = b"RFLX"
VERSION = 1
MAX_FRAME_BYTES = 16 << 20

_HEADER = struct.Struct("<4sHH16sQQqqQQII")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
_CRC_OFFSET = HEADER_BYTES - _CRC.size
_NO_CRC = bytes(_CRC.size)
_STREAM = re.compile(r"[a-z0-9_-]{1,15}")
_SCHEMAS = {int(schema): schema for schema in Schema}
#: Names of streams that are remembered: a process hears of a few, and strangers are not believed.
_NAMES = 256


def check_stream(name: str) -> str:
    """`name` if it can be the name of a stream. Raises WireError."""
    if not _STREAM.fullmatch(name):
        raise WireError(f"stream {name!r}: a name is 1 to 15 of a-z 0-9 _ -")
    return name


def max_count(schema: Schema) -> int:
    """How many values of `schema` fit into one frame."""
    return (MAX_FRAME_BYTES - HEADER_BYTES) // schema.dtype.itemsize


def encode(batch: Batch) -> bytes:
    """The frame of `batch`; its values are copied once.

    Raises WireError for what no frame can hold: a name that is not a stream's, a number out of
    range, time that runs backwards, more than `max_count` values.
    """
    count = len(batch.values)
    if count > max_count(batch.schema):
        raise WireError(
            f"stream '{batch.stream}': {count} values do not fit into a frame of "
            f"{MAX_FRAME_BYTES} bytes; send at most {max_count(batch.schema)} at a time"
        )
    if batch.t_first_ns > batch.t_last_ns:
        raise WireError(f"stream '{batch.stream}': the batch ends before it begins")
    try:
        header = _HEADER.pack(
            MAGIC,
            VERSION,
            batch.schema,
            _encoded(batch.stream),
            batch.epoch,
            batch.seq,
            batch.t_first_ns,
            batch.t_last_ns,
            batch.dropped,
            batch.backlog,
            count,
            0,
        )
    except struct.error as error:
        raise WireError(f"stream '{batch.stream}': {error}") from None
    payload = np.ascontiguousarray(batch.values).data
    crc = _CRC.pack(zlib.crc32(payload, zlib.crc32(header)))
    return b"".join((header[:_CRC_OFFSET], crc, payload))


def decode(frame: bytes | memoryview, t_received_ns: int = -1) -> Batch:
    """The batch in `frame`; its values are a read-only view of the frame's bytes.

    Raises WireError, and nothing else, for every violation of the format.
    """
    view = memoryview(frame).cast("B")
    size = len(view)
    if not HEADER_BYTES <= size <= MAX_FRAME_BYTES:
        _refuse(f"{size} bytes long, not {HEADER_BYTES} to {MAX_FRAME_BYTES}")
    magic, version, code, name, epoch, seq, t_first_ns, t_last_ns, dropped, backlog, count, crc = (
        _HEADER.unpack_from(view)
    )
    if magic != MAGIC:
        _refuse(f"it begins with {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        _refuse(f"version {version}; this side speaks {VERSION}")
    if crc != _checksum(view):
        _refuse("its checksum is wrong")
    schema = _SCHEMAS.get(code)
    if schema is None:
        _refuse(f"unknown schema {code}")
    if size != HEADER_BYTES + count * schema.dtype.itemsize:
        _refuse(f"{size - HEADER_BYTES} payload bytes are not {count} values of {schema.name}")
    if t_first_ns > t_last_ns:
        _refuse("it ends before it begins")
    return Batch(
        _stream(name),
        schema,
        _values(view, schema, count),
        t_first_ns,
        t_last_ns,
        seq,
        epoch,
        dropped,
        backlog,
        t_received_ns,
    )


def _refuse(reason: str) -> NoReturn:
    raise WireError(f"malformed frame: {reason}")


def _checksum(view: memoryview) -> int:
    header = zlib.crc32(_NO_CRC, zlib.crc32(view[:_CRC_OFFSET]))
    return zlib.crc32(view[HEADER_BYTES:], header)


@lru_cache(_NAMES)
def _encoded(name: str) -> bytes:
    return check_stream(name).encode("ascii")


@lru_cache(_NAMES)
def _stream(name: bytes) -> str:
    text, _, rest = name.partition(b"\0")
    decoded = text.decode("ascii", errors="replace")
    if rest.strip(b"\0") or not _STREAM.fullmatch(decoded):
        _refuse(f"{name!r} is not the name of a stream")
    return decoded


def _values(view: memoryview, schema: Schema, count: int) -> Array:
    values: Array = np.frombuffer(view, schema.dtype, count, HEADER_BYTES)
    if schema is Schema.EVENTS and not have_polarities(values):
        _refuse("a polarity is neither 0 nor 1")
    return values
