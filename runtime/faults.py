"""Faults that a scenario orders, and the plant that suffers them.

    faults:
      seed: 1
      schedule:
        - {kind: drop, stream: camera, probability: 0.1, from_s: 1.0, until_s: 2.0}
        - {kind: kill, at_s: 5.0}

What a plant's sensors send goes through the wire format and, frame by frame, through the faults
of its stream; what arrives is checked and counted as a receiver on the bus does. Every draw comes
from the schedule's seed: the same schedule on the same run is the same fault.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import Continuity
from reflexarc.runtime.clock import pause
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import WireError
from reflexarc.runtime.files import write_atomic
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.wire import decode, encode
from reflexarc.runtime.world import Plant

#: What a frame can suffer on its way; `reorder` lets the next one overtake it.
ON_THE_WAY = ("drop", "duplicate", "corrupt", "reorder")
Seconds = Annotated[float, Field(ge=0, le=1e7)]


class FrameFault(Strict):
    """Frames of a stream are lost, come twice, are damaged, or are overtaken by the next."""

    kind: Literal["drop", "duplicate", "corrupt", "reorder"]
    stream: str
    probability: float = Field(gt=0, le=1)
    from_s: Seconds = 0.0
    until_s: Seconds = 1e7


class DelayFault(Strict):
    """Frames of a stream, and those behind them, arrive `ticks` later."""

    kind: Literal["delay"]
    stream: str
    ticks: int = Field(ge=1, le=10_000)
    probability: float = Field(default=1.0, gt=0, le=1)
    from_s: Seconds = 0.0
    until_s: Seconds = 1e7


class ClockStepFault(Strict):
    """From `at_s` on the clock of a stream's sensor is off by `step_s` (more)."""

    kind: Literal["clock_step"]
    stream: str
    at_s: Seconds
    step_s: float = Field(ge=-1e6, le=1e6)


class StallFault(Strict):
    """The tick at `at_s` takes `for_s` longer; in wall time only, as no other time can be lost."""

    kind: Literal["stall"]
    at_s: Seconds
    for_s: float = Field(gt=0, le=60)


class KillFault(Strict):
    """The world is gone at `at_s`: its process is killed, where it has one."""

    kind: Literal["kill"]
    at_s: Seconds


Fault: TypeAlias = FrameFault | DelayFault | ClockStepFault | StallFault | KillFault


class FaultsSpec(Strict):
    """What a scenario may say under `faults`."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    schedule: list[Annotated[Fault, Field(discriminator="kind")]] = Field(min_length=1)


class Line:
    """The way of one stream from its sensor to the loop.

    Attributes:
        stream: its name.
        sent, received, lost, refused: frames so far; those still on the way are in none but
            `sent`. `lost` is what the receiver knows of.
    """

    def __init__(self, stream: str, spec: FaultsSpec, period_ns: int) -> None:
        self.stream = stream
        self.sent = self.received = self.lost = self.refused = 0
        self._period_ns = period_ns
        self._faults = [
            (fault, np.random.default_rng([spec.seed, n]))
            for n, fault in enumerate(spec.schedule)
            if getattr(fault, "stream", None) == stream
        ]
        self._numbers = Continuity()
        self._queue: deque[tuple[int, bytes]] = deque()
        self._overtaken: list[bytes] = []

    def carry(self, batch: Batch, now_ns: int) -> Iterator[dict[str, Any]]:
        """Send `batch`; what it suffers, as entries of the log."""
        numbered = replace(_stepped(batch, self._step_ns(now_ns)), seq=self.sent, epoch=1)
        frames, due_ns, overtaken = [encode(numbered)], now_ns, False
        for fault, random in self._faults:
            if isinstance(fault, ClockStepFault) or not _strikes(fault, random, now_ns):
                continue
            yield {"t_ns": now_ns, "kind": fault.kind, "stream": self.stream, "seq": self.sent}
            if isinstance(fault, DelayFault):
                due_ns += fault.ticks * self._period_ns
            elif fault.kind == "drop":
                frames = []
            elif fault.kind == "duplicate":
                frames *= 2
            elif fault.kind == "corrupt":
                frames = [_damaged(frame, random) for frame in frames]
            else:
                overtaken = True
        self.sent += 1
        self._enqueue(frames, due_ns, overtaken)

    def arrived(self, now_ns: int) -> Iterator[Batch]:
        """What the receiver accepts by `now_ns`, and when it did."""
        while self._queue and self._queue[0][0] <= now_ns:
            _, frame = self._queue.popleft()
            try:
                batch = decode(frame)
            except WireError:
                self.refused += 1
                continue
            missing = self._numbers.missing(batch)
            if missing < 0:
                self.refused += 1
                continue
            self.received += 1
            self.lost += missing
            yield replace(batch, dropped=batch.dropped + missing, t_received_ns=now_ns)

    def _enqueue(self, frames: list[bytes], due_ns: int, overtaken: bool) -> None:
        # Nothing overtakes on its own: what is behind a late frame is late too.
        due_ns = max(due_ns, self._queue[-1][0]) if self._queue else due_ns
        if overtaken:
            self._overtaken += frames
            return
        self._queue.extend((due_ns, frame) for frame in (*frames, *self._overtaken))
        self._overtaken.clear()

    def _step_ns(self, now_ns: int) -> int:
        steps = (fault for fault, _ in self._faults if isinstance(fault, ClockStepFault))
        return sum(round(step.step_s * 1e9) for step in steps if step.at_s * 1e9 <= now_ns)


def _strikes(fault: Any, random: np.random.Generator, now_ns: int) -> bool:
    # It draws for every frame, so that a window that moves does not change what falls into it.
    hit = random.random() < fault.probability
    return bool(hit and fault.from_s * 1e9 <= now_ns < fault.until_s * 1e9)


def _damaged(frame: bytes, random: np.random.Generator) -> bytes:
    """`frame` with one to eight of its bits turned."""
    damaged = bytearray(frame)
    for bit in random.choice(8 * len(frame), random.integers(1, 9), replace=False).tolist():
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _stepped(batch: Batch, step_ns: int) -> Batch:
    """`batch` as a sensor sends it whose clock is off by `step_ns`."""
    if step_ns == 0:
        return batch
    values = batch.values
    if batch.schema is Schema.EVENTS:
        values = values.copy()
        values["t"] = np.maximum(values["t"].astype(np.int64) + step_ns // 1000, 0)
    elif batch.schema is Schema.SPIKES:
        values = values.copy()
        values["t_ns"] += step_ns
    first_ns, last_ns = batch.t_first_ns + step_ns, batch.t_last_ns + step_ns
    return replace(batch, values=values, t_first_ns=first_ns, t_last_ns=last_ns)


class FaultyPlant(Plant):
    """A plant whose streams suffer what a schedule orders; it leaves a log when it is closed.

    The stream "truth" is no sensor's and arrives as it is.
    """

    def __init__(self, plant: Plant, spec: FaultsSpec, period_ns: int, log: Path | None) -> None:
        """`log` is where the log goes, one JSON object a line; see `faultcheck`."""
        self.log: list[dict[str, Any]] = []
        self.lines: dict[str, Line] = {}
        self._plant, self._spec, self._period_ns, self._path = plant, spec, period_ns, log
        moments = [fault for fault in spec.schedule if isinstance(fault, StallFault | KillFault)]
        self._moments = deque(sorted(moments, key=lambda fault: fault.at_s))
        self._closed = False

    def observe(self, now_ns: int) -> list[Batch]:
        """What arrives of what the plant's sensors saw. Raises LinkError when it is killed."""
        self._suffer(now_ns)
        arrived: list[Batch] = []
        sent = self._plant.observe(now_ns)
        for batch in sent:
            if batch.stream == "truth":
                arrived.append(batch)
            else:
                line = self._line(batch.stream)
                self.log += line.carry(batch, now_ns)
                arrived += line.arrived(now_ns)
        for stream in sorted(self.lines.keys() - {batch.stream for batch in sent}):
            arrived += self.lines[stream].arrived(now_ns)
        return arrived

    def act(self, command: FloatArray) -> None:
        """Hand it on."""
        self._plant.act(command)

    def kill(self) -> None:
        """Hand it on."""
        self._plant.kill()

    def close(self) -> None:
        """Close the plant and write the log. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._plant.close()
        if self._path is not None:
            text = "".join(json.dumps(entry) + "\n" for entry in [*self.log, *self.totals()])
            write_atomic(self._path, text.encode())

    def totals(self) -> list[dict[str, Any]]:
        """The last entries of the log: what became of the frames of each stream."""
        names = ("stream", "sent", "received", "lost", "refused")
        return [
            {"kind": "total", **{name: getattr(line, name) for name in names}}
            for line in self.lines.values()
        ]

    def counts(self) -> Counter[str]:
        """How often each kind of fault has struck."""
        return Counter(entry["kind"] for entry in self.log)

    def _line(self, stream: str) -> Line:
        if stream not in self.lines:
            self.lines[stream] = Line(stream, self._spec, self._period_ns)
        return self.lines[stream]

    def _suffer(self, now_ns: int) -> None:
        while self._moments and self._moments[0].at_s * 1e9 <= now_ns:
            fault = self._moments.popleft()
            self.log.append({"t_ns": now_ns, "kind": fault.kind})
            if isinstance(fault, StallFault):
                self.log[-1]["for_ns"] = round(fault.for_s * 1e9)
                pause(fault.for_s)
            else:
                self.kill()
