"""The scribe: the companion process that writes a recording.

It drains the ring that `Recorder` fills. The file has its name only once it is whole and on the
disk. When the recording process dies, the scribe writes what it was given, marks the recording
incomplete, and ends.

    python -m reflexarc.runtime.scribe RING_FD PART_FD PARENT_FD PATH

The descriptors are inherited: the ring's memory, the file's part, the parent's process (pidfd).
"""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from mcap.writer import CompressionType, Writer

from reflexarc.ext.ring import FrameRing
from reflexarc.runtime.files import sync_folder
from reflexarc.runtime.recordformat import END, LAYOUTS, PROFILE, Entry, Kind, spelt, unpack

#: How long the scribe rests when there is nothing to write.
REST_S = 0.002


def drain(ring: FrameRing, parent_fd: int) -> Iterator[Entry]:
    """Every entry of the ring, up to FINISH or to the last one of a parent that died."""
    while True:
        orphaned = _ended(parent_fd, 0)
        packed = ring.pop()
        if packed is not None:
            for entry in unpack(packed):
                if entry.kind is Kind.FINISH:
                    return
                yield entry
        elif orphaned:
            return
        else:
            _ended(parent_fd, REST_S)


def _ended(process_fd: int, wait_s: float) -> bool:
    """Whether the process has ended, or does so within `wait_s`."""
    return bool(select.select([process_fd], [], [], wait_s)[0])


class McapFile:
    """Writes entries into an MCAP file.

    Attributes:
        messages: how many messages it holds.
        ticks: how many of them close a tick.
        ended: whether the end metadata has been written.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.messages = 0
        self.ticks = 0
        self.ended = False
        self._channels: dict[str, int] = {}
        self._schemas: dict[Kind, int] = {}
        self._writer = Writer(stream, compression=CompressionType.ZSTD, enable_data_crcs=True)
        self._writer.start(profile=PROFILE)

    def add(self, entry: Entry) -> None:
        """Write one entry."""
        if entry.kind is Kind.METADATA:
            self.ended |= entry.name == END
            self._writer.add_metadata(entry.name, json.loads(entry.data))
        elif entry.kind is Kind.ATTACHMENT:
            self._writer.add_attachment(
                0, entry.time_ns, entry.name, "application/octet-stream", entry.data
            )
        else:
            self._add_message(entry)

    def finish(self) -> None:
        """Write the index."""
        self._writer.finish()  # type: ignore[no-untyped-call]

    def _add_message(self, entry: Entry) -> None:
        if entry.name not in self._channels:
            self._channels[entry.name] = self._register(entry)
        time_ns = max(entry.time_ns, 0)
        channel = self._channels[entry.name]
        self._writer.add_message(channel, time_ns, entry.data, time_ns, self.ticks % 2**32)
        self.messages += 1
        self.ticks += entry.kind is Kind.TICK

    def _register(self, entry: Entry) -> int:
        layout = LAYOUTS[entry.kind]
        if entry.kind not in self._schemas:
            self._schemas[entry.kind] = self._writer.register_schema(
                layout.schema_name, layout.schema_encoding, layout.schema.encode()
            )
        return self._writer.register_channel(
            entry.name, layout.message_encoding, self._schemas[entry.kind]
        )


def write(ring: FrameRing, part: IO[bytes], parent_fd: int, path: Path) -> dict[str, int]:
    """Write the whole recording and give it its name; what was written, in numbers."""
    file = McapFile(part)
    for entry in drain(ring, parent_fd):
        file.add(spelt(entry))
    if not file.ended:
        end = {"complete": "false", "lost": str(ring.lost), "failure": "the recording process died"}
        file.add(Entry(Kind.METADATA, END, 0, json.dumps(end).encode()))
    file.finish()
    size = part.tell()
    part.flush()
    os.fsync(part.fileno())
    part_path(path).rename(path)
    sync_folder(path.parent)
    return {"ticks": file.ticks, "messages": file.messages, "bytes": size}


def part_path(path: Path) -> Path:
    """Where the recording stands until it is whole."""
    return path.with_name(path.name + ".part")


def main(arguments: list[str]) -> int:
    """Run as the companion; prints one JSON object, with `error` if writing failed."""
    # The loop's process decides when the recording ends; a signal to the whole group must not
    # cut it short. When that process is gone, so is the scribe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ring_fd, part_fd, parent_fd = (int(argument) for argument in arguments[:3])
    path = Path(arguments[3])
    ring = FrameRing(mmap.mmap(ring_fd, 0))
    try:
        with open(part_fd, "wb") as part:  # noqa: PTH123
            _say(write(ring, part, parent_fd, path))
    except (OSError, ValueError) as error:
        part_path(path).unlink(missing_ok=True)
        _say({"error": getattr(error, "strerror", None) or str(error)})
        return 1
    return 0


def _say(answer: dict[str, int] | dict[str, str]) -> None:
    """Answer the recording process, if it still lives."""
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
