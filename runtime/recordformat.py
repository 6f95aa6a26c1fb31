"""The recording format: what stands in an MCAP file, and the entries that lead there.

A recording is an MCAP file (https://mcap.dev, profile `reflexarc`), complete in itself:

| what              | name               | content                                                |
|-------------------|--------------------|--------------------------------------------------------|
| metadata          | `reflexarc`        | configuration, seed, versions; see `Recorder`          |
| attachment        | `scenario.yaml`    | the scenario as it was written                         |
| attachment        | `network/<name>`   | the network's graph, its sidecar and arrays, if any    |
| message, per tick | `streams/<stream>` | each batch that was observed, in order                 |
| message, per tick | `outputs/<port>`   | what left each output port of the network              |
| message, per tick | `commands`         | the command that left the gate                         |
| message, per tick | `score`            | the score so far, where the scenario keeps one         |
| message, per tick | `tick`             | the time it covers and its batches; closes the tick    |
| attachment        | `weights/<edge>`   | plastic weights at the end, float64, row after row     |
| metadata          | `reflexarc-end`    | whether the recording is complete, what was lost       |

Times are loop time in nanoseconds. Messages stand in the file in the order of the loop; the
`sequence` of a message is the number of its tick (modulo 2**32).

On its way into the file all this travels as entries: a header, the name, the data. Entries that
were packed together arrive or are lost together.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

PROFILE = "reflexarc"
#: Changes when a reader of the last version could not read the files any more.
FORMAT = "1"
START, END = "reflexarc", "reflexarc-end"
SCENARIO, NETWORK_FILES, WEIGHTS = "scenario.yaml", "network/", "weights/"
STREAMS, OUTPUTS = "streams/", "outputs/"
COMMANDS, SCORE, TICK = "commands", "score", "tick"


class Kind(IntEnum):
    """What an entry is. Those below METADATA are messages, and have a schema each."""

    FRAME = 1
    SPIKES = 2
    VALUES = 3
    COMMAND = 4
    SCORE = 5
    TICK = 6
    METADATA = 32
    ATTACHMENT = 33
    FINISH = 34


class Layout(NamedTuple):
    """How the data of a kind of message is laid out, in MCAP's terms."""

    message_encoding: str
    schema_name: str
    schema_encoding: str
    schema: str


def _json_schema(title: str, properties: Mapping[str, Any]) -> str:
    required = list(properties)
    return json.dumps(
        {"type": "object", "title": title, "required": required, "properties": properties}
    )


_INTEGER = {"type": "integer"}
_NUMBER = {"type": "number"}
LAYOUTS: Mapping[Kind, Layout] = {
    Kind.FRAME: Layout(
        "reflexarc-wire",
        "reflexarc.Frame",
        "text",
        "Little-endian, 80 bytes: magic 'RFLX', u16 version 1, u16 schema, 16 bytes stream name, "
        "u64 epoch, u64 seq, i64 t_first_ns, i64 t_last_ns, u64 dropped, u64 backlog, u32 count, "
        "u32 CRC-32 of the frame with this field zero. Then `count` values. Schema 1, events: "
        "u64 t in us, u16 x, u16 y, u8 polarity (1 is brighter). 2, readings: f64. 3, spikes: "
        "i64 t_ns, u32 neuron. 4, command: f64. 5, control: JSON text.",
    ),
    Kind.SPIKES: Layout(
        "reflexarc-array",
        "reflexarc.Spikes",
        "text",
        "Spikes that left the port in this tick; each i64 t_ns, u32 neuron, little-endian, packed.",
    ),
    Kind.VALUES: Layout(
        "reflexarc-array",
        "reflexarc.Values",
        "text",
        "What a graded port showed at the end of this tick; f64 each, little-endian.",
    ),
    Kind.COMMAND: Layout(
        "json",
        "reflexarc.Command",
        "jsonschema",
        _json_schema("Command", {"values": {"type": "array", "items": _NUMBER}}),
    ),
    Kind.SCORE: Layout(
        "json", "reflexarc.Score", "jsonschema", _json_schema("Score", {"value": _NUMBER})
    ),
    Kind.TICK: Layout(
        "json",
        "reflexarc.Tick",
        "jsonschema",
        _json_schema(
            "Tick",
            {
                "number": _INTEGER,
                "now_ns": _INTEGER,
                "until_ns": _INTEGER,
                "cause_ns": {**_INTEGER, "description": "time of the newest value acted on; or -1"},
                "received_ns": {
                    "type": "array",
                    "items": _INTEGER,
                    "description": "t_received_ns of each batch of the tick, in order",
                },
                "calls_ns": {
                    "type": "array",
                    "items": _INTEGER,
                    "description": "how long observe, encode, think, decode, guard, act took",
                },
                "late_ns": {**_INTEGER, "description": "how long after now_ns the tick began"},
            },
        ),
    ),
}


class Entry(NamedTuple):
    """One thing on its way into a recording: what it is, its name, its loop time, its bytes."""

    kind: Kind
    name: str
    time_ns: int
    data: bytes


_ENTRY = struct.Struct("<BHqI")


def pack(entries: list[Entry]) -> bytes:
    """Entries as one run of bytes; `unpack` is the reverse."""
    parts = []
    for kind, name, time_ns, data in entries:
        encoded = name.encode()
        parts += [_ENTRY.pack(kind, len(encoded), time_ns, len(data)), encoded, data]
    return b"".join(parts)


def unpack(packed: bytes) -> Iterator[Entry]:
    """The entries that were packed."""
    at = 0
    while at < len(packed):
        kind, name_size, time_ns, size = _ENTRY.unpack_from(packed, at)
        at += _ENTRY.size
        name = packed[at : at + name_size].decode()
        at += name_size
        yield Entry(Kind(kind), name, time_ns, packed[at : at + size])
        at += size
