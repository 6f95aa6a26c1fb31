"""The porter: a daemon's companion process, which talks so that the loop need not.

It owns the control socket, answers what it can from what the loop last said, hands requests on,
writes the log to standard error and checkpoints to the disk, and ends with the loop.

    python -m reflexarc.runtime.porter OUT_FD IN_FD WAKE_FD PARENT_FD SOCKET SHELF KEEP EVERY_S

The protocol is JSON lines over a Unix socket in a private directory: `{"verb": "status"}` is
answered by one object with `ok`, and `error` where that is false; `tail` by objects without end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any

import numpy as np

from reflexarc.runtime.checkpoint import Header, Shelf, beginning
from reflexarc.runtime.clock import date_utc, monotonic_ns
from reflexarc.runtime.hatch import PIECE, TEXT, TICK_RECORD, HatchEnd

#: A longer request is none; so many clients are served at once.
MAX_REQUEST_BYTES, MAX_CLIENTS = 64 << 10, 64
#: How long the loop may take to answer, and a client to take its answer.
ANSWER_S, CLIENT_S = 5.0, 5.0
#: How often the loop's ticks are looked at; lines that may wait for standard error or a client.
LOOK_S, MAX_LINES = 0.05, 1000
#: Ticks whose durations are remembered.
MEMORY = 10_000
#: No stream's name is longer.
MAX_NAME = 40
#: A loop that has not ticked for so long is said to hang.
HUNG_NS = 500_000_000
#: What the loop is asked for; everything else the porter knows.
ASKED = frozenset(
    {"arm", "disarm", "stop", "learning", "checkpoint", "weights", "reload", "detach"}
)

Answer = dict[str, Any]


class Ticks:
    """What the records of the last ticks say."""

    def __init__(self) -> None:
        self._rows = np.zeros((MEMORY, 6), np.int64)
        self._count = 0

    def add(self, record: bytes) -> None:
        """Take in one record."""
        self._rows[self._count % MEMORY] = TICK_RECORD.unpack(record)
        self._count += 1

    def facts(self, last: int = MEMORY) -> Answer:
        """The newest tick, percentiles of the `last` ones, and whether the loop hangs."""
        if not self._count:
            return {"ticks": 0, "hung": False}
        number, begun_ns, *_, overruns = self._rows[(self._count - 1) % MEMORY].tolist()
        looked_at = np.arange(self._count - min(self._count, last), self._count)
        rows = self._rows[looked_at % MEMORY]
        aged = rows[rows[:, 4] >= 0, 4]
        return {
            "ticks": number + 1,
            "overruns": overruns,
            "hung": monotonic_ns() - begun_ns > HUNG_NS,
            "busy_us": _percentiles(rows[:, 2]),
            "late_us": _percentiles(rows[:, 3]),
            "event_to_command_us": _percentiles(aged),
        }


def _percentiles(values_ns: np.ndarray[Any, np.dtype[np.int64]]) -> Answer | None:
    if not len(values_ns):
        return None
    found = np.percentile(values_ns, [50, 99, 99.9])
    p50, p99, p999 = (round(float(q) * 1e-3, 1) for q in found)
    return {"p50": p50, "p99": p99, "p999": p999, "max": round(float(values_ns.max()) * 1e-3, 1)}


class Log:
    """Lines for standard error, written by a thread: who reads them may stall."""

    def __init__(self) -> None:
        self._lines: Queue[str | None] = Queue(MAX_LINES)
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Write `line`, or lose it when a thousand wait."""
        with suppress(Full):
            self._lines.put_nowait(line)

    def close(self) -> None:
        """Write what waits, if it is taken soon."""
        with suppress(Full):
            self._lines.put_nowait(None)
        self._thread.join(0.3)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError):
                os.write(2, f"{line}\n".encode(errors="replace"))


class Porter:
    """See the module."""

    def __init__(self, hatch: HatchEnd, shelf: Shelf, log: Log) -> None:
        self._hatch, self._shelf, self._log = hatch, shelf, log
        self._ticks = Ticks()
        self._facts: Answer = {}
        self._kept: Answer = {"checkpoints": 0}
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._asked = 0
        self._clients = 0
        self._tails: set[asyncio.Queue[Answer]] = set()
        self._snapshot: Answer | None = None
        self._pieces: list[bytes] = []
        self._missing = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()

    # From the loop.

    def look(self) -> None:
        """Take in everything the loop has handed through."""
        self._hatch.sleep_again()
        while (frame := self._hatch.take()) is not None:
            kind, content = frame[:1], frame[1:]
            if kind == TEXT:
                self._hear(json.loads(content))
            elif kind == PIECE:
                self._collect(content)
            else:
                self._ticks.add(content)

    def _hear(self, said: Answer) -> None:
        if "facts" in said:
            self._facts = said["facts"]
        elif "log" in said:
            self._write(said["log"])
        elif "answer" in said:
            self._answer(said["answer"], said["content"])
        elif "snapshot" in said:
            self._begin_snapshot(said)
        elif "end" in said:
            self.ended.set()

    def _write(self, line: str) -> None:
        self._log.write(f"{date_utc()} {line}")
        self._spread({"log": line, "date": date_utc()})

    def _answer(self, number: int, content: Answer) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(content)

    def _begin_snapshot(self, said: Answer) -> None:
        self._snapshot, self._pieces = said, []
        self._missing = said["bytes"]
        if not self._missing:
            self._end_snapshot()

    def _collect(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._missing -= len(piece)
        if not self._missing and self._snapshot is not None:
            self._end_snapshot()

    def _end_snapshot(self) -> None:
        assert self._snapshot is not None
        said, pieces = self._snapshot, self._pieces
        self._snapshot, self._pieces = None, []
        header = Header.model_validate(said["header"])
        if said["snapshot"] == "weights":
            self._answer(said["number"], {"ok": True, "weights": _weights(header, pieces)})
            return
        task = asyncio.get_running_loop().create_task(self._keep(header, pieces, said["number"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, header: Header, pieces: list[bytes], number: int) -> None:
        """Put a checkpoint on the shelf, in a thread: a disk may take its time."""
        parts = [beginning(header), *pieces]
        try:
            path = await asyncio.to_thread(self._shelf.write, header.network, parts)
        except OSError as error:
            reason = f"{self._shelf.folder}: no checkpoint: {error.strerror}"
            self._write(reason)
            self._answer(number, {"ok": False, "error": reason})
            self._hatch.ask(verb="kept", number=number, error=reason)
            return
        self._kept = {
            "checkpoints": self._kept["checkpoints"] + 1,
            "checkpoint": str(path),
            "checkpoint_date": date_utc(),
        }
        self._answer(number, {"ok": True, "path": str(path)})
        self._hatch.ask(verb="kept", number=number)

    # For clients.

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first line to its last."""
        self._clients += 1
        try:
            if self._clients > MAX_CLIENTS:
                await _send(writer, _refused(f"{MAX_CLIENTS} clients are served already"))
            elif not _is_ours(writer):
                await _send(writer, _refused("this daemon belongs to another user"))
            else:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # It has gone, or does not take its answer.
        finally:
            self._clients -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await _send(writer, _refused(f"a request has at most {MAX_REQUEST_BYTES} bytes"))
                return
            request = _parsed(line)
            if request.get("verb") == "tail":
                await self._tail(writer)
                return
            await _send(writer, await self._reply(request))

    async def _reply(self, request: Answer) -> Answer:
        verb = request.get("verb")
        if verb == "status":
            self.look()
            last = request.get("last")
            last = min(max(last, 1), MEMORY) if isinstance(last, int) else MEMORY
            return {"ok": True, **self._facts, **self._ticks.facts(last), **self._kept}
        if verb in ASKED:
            return await self._ask(request)
        if verb is None:
            return _refused("not a request; send one JSON object with a verb, and a line end")
        known = ", ".join(sorted({*ASKED, "status", "tail"}))
        return _refused(f"no verb {json.dumps(verb)[:40]}; there are: {known}")

    async def _ask(self, request: Answer) -> Answer:
        self._asked += 1
        number, future = self._asked, asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        on, stream = request.get("on") is True, str(request.get("stream"))[:MAX_NAME]
        if not self._hatch.ask(verb=request["verb"], number=number, on=on, stream=stream):
            del self._waiting[number]
            return _refused("the loop takes no requests; does it hang?")
        try:
            return await asyncio.wait_for(future, ANSWER_S)
        except TimeoutError:
            self._waiting.pop(number, None)
            return _refused(f"the loop did not answer within {ANSWER_S:g} s")

    async def _tail(self, writer: asyncio.StreamWriter) -> None:
        """Facts and log lines as they come, until the client goes; the oldest give way."""
        queue: asyncio.Queue[Answer] = asyncio.Queue(MAX_LINES)
        self._tails.add(queue)
        try:
            await _send(writer, await self._reply({"verb": "status"}))
            while not writer.is_closing():
                await _send(writer, await queue.get())
        finally:
            self._tails.discard(queue)

    def _spread(self, said: Answer) -> None:
        for queue in self._tails:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(said)

    # Its own rounds.

    async def look_often(self) -> None:
        """Look at the loop's ticks, and tell tails how it is once a second."""
        rounds = 0
        while True:
            self.look()
            rounds += 1
            if self._tails and rounds % round(1 / LOOK_S) == 0:
                self._spread(await self._reply({"verb": "status"}))
            await asyncio.sleep(LOOK_S)

    async def checkpoint_often(self, every_s: float) -> None:
        """Ask for a checkpoint again and again."""
        while True:
            await asyncio.sleep(every_s)
            self._hatch.ask(verb="checkpoint", number=0)

    async def finish(self) -> None:
        """Wait until what was handed over is on the disk."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


def _parsed(line: bytes) -> Answer:
    """A request; an empty one if it is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def _refused(reason: str) -> Answer:
    return {"ok": False, "error": reason}


async def _send(writer: asyncio.StreamWriter, content: Answer) -> None:
    writer.write(json.dumps(content).encode() + b"\n")
    await asyncio.wait_for(writer.drain(), CLIENT_S)


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether the client runs as the daemon's user, or as root."""
    client: socket.socket = writer.get_extra_info("socket")
    packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack("3i", packed)[1] in (os.geteuid(), 0)


def _weights(header: Header, pieces: list[bytes]) -> Answer:
    """What stands in each array of weights, in figures."""
    data, figures = b"".join(pieces), {}
    for spec in header.arrays:
        size = int(np.prod(spec.shape)) * spec.made.itemsize
        values = np.frombuffer(data[:size], spec.made).astype(np.float64)
        data = data[size:]
        found: Answer = {"shape": spec.shape}
        if len(values):
            found |= {
                "mean": float(values.mean()),
                "std": float(values.std()),
                "min": float(values.min()),
                "max": float(values.max()),
            }
        figures[spec.name] = found
    return figures


async def _run(hatch: HatchEnd, parent: int, path: Path, shelf: Shelf, every_s: float) -> None:
    log = Log()
    porter = Porter(hatch, shelf, log)
    loop = asyncio.get_running_loop()
    loop.add_reader(hatch.wake, porter.look)
    # The loop has died: whatever is half done must not outlive it beside its successor.
    loop.add_reader(parent, os._exit, 1)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(porter.serve, path, limit=MAX_REQUEST_BYTES)
    rounds = [
        loop.create_task(porter.look_often()),
        loop.create_task(porter.checkpoint_often(every_s)),
    ]
    await porter.ended.wait()
    server.close()
    for task in rounds:
        task.cancel()
    await porter.finish()
    log.close()


def main(arguments: list[str]) -> None:
    """Run as the companion."""
    # The loop decides when to end; a signal to the whole group must not cut it off.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    os.nice(5)
    out, into, wake, parent = (int(argument) for argument in arguments[:4])
    path, folder, keep, every_s = arguments[4:]
    shelf = Shelf(Path(folder), int(keep))
    asyncio.run(_run(HatchEnd(out, into, wake), parent, Path(path), shelf, float(every_s)))
    gc.freeze()  # nothing that is left needs to be searched for cycles: the end is quicker


if __name__ == "__main__":
    main(sys.argv[1:])
