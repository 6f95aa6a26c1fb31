"""Recording a run.

    with Recorder(path, scenario) as recorder:
        loop = Loop(clock, plant, policy, gate, listeners=[recorder])
        loop.run(scenario.ticks)
        summary = recorder.close(policy)

The loop's process only packs a tick and puts it into a ring in shared memory; the companion
process `reflexarc.runtime.scribe` writes the file. `reflexarc.runtime.recordformat` says what
stands in it.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import platform
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from reflexarc import __version__
from reflexarc.ext.ring import FrameRing
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.clock import date_utc, monotonic_ns
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.loop import Tick
from reflexarc.runtime.network import FloatArray, Network, Neurons
from reflexarc.runtime.policy import NetworkPolicy, Policy
from reflexarc.runtime.recordformat import (
    COMMANDS,
    END,
    FORMAT,
    NETWORK_FILES,
    OUTPUTS,
    SCENARIO,
    SCORE,
    SCORE_VALUE,
    START,
    STREAMS,
    TICK,
    WEIGHTS,
    Entry,
    Kind,
    pack,
    packed,
    tick_data,
)
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.scribe import part_path
from reflexarc.runtime.wire import encode
from reflexarc.runtime.world import Score

#: Room between the loop and the companion: seconds of a busy camera. Untouched pages cost nothing.
RING_BYTES = 64 << 20
#: How long a loop in lockstep waits for room, and a closing recorder for the disk.
PATIENCE_NS = 60_000_000_000
#: The name of the network's policy; a baseline's recording carries the baseline's name.
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What a recording holds.

    Attributes:
        path: the file.
        ticks, messages: how many it holds.
        lost: ticks that found no room in the ring and are not in the file.
        bytes: size of the file.
    """

    path: Path
    ticks: int
    messages: int
    lost: int
    bytes: int


class Recorder:
    """Listens to a loop and records every tick.

    In lockstep it waits for room, so that nothing is lost. In wall mode it never waits: a tick
    that finds no room is lost as a whole and counted.

    Args:
        path: the file; it appears when the recording is closed.
        scenario: what is run; it goes into the file with its network.
        policy: "network", or the name of the baseline that is run in its place.
        score: the score of the run, if there is one; its value is recorded once a tick.
        streams: names of the streams to record; all of them by default.
        ring_bytes: room between the loop and the companion.

    Raises:
        ConfigError: the file cannot be written there, or this process may not have the memory.
        LinkError: the companion ended before the recording did (the disk is full, it was killed).
    """

    def __init__(
        self,
        path: str | Path,
        scenario: Scenario,
        policy: str = NETWORK,
        *,
        score: Score | None = None,
        streams: Collection[str] | None = None,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        self.path = Path(path).absolute()
        self._network = scenario.network
        self._streams = streams
        self._score = score
        self._patient = scenario.spec.mode == "lockstep"
        start = pack([_metadata(START, _start(scenario, policy, streams)), *_files(scenario)])
        self._open(max(ring_bytes, 2 * len(start)))
        self._send(start, patient=True)

    @property
    def companion_pid(self) -> int:
        """The process that writes the file."""
        return self._companion.pid

    def __call__(self, tick: Tick) -> None:
        """Record one tick."""
        if self._companion.poll() is not None:
            self._finish()
        batches = tick.batches
        if self._streams is not None:
            batches = [batch for batch in batches if batch.stream in self._streams]
        now_ns = tick.now_ns
        parts = [
            packed(Kind.FRAME, STREAMS + batch.stream, batch.t_last_ns, encode(batch))
            for batch in batches
        ]
        for port, values in tick.outputs.items():
            kind = Kind.SPIKES if values.dtype == SPIKE else Kind.VALUES
            parts.append(packed(kind, OUTPUTS + port, now_ns, values.tobytes()))
        parts.append(packed(Kind.COMMAND, COMMANDS, now_ns, tick.command.tobytes()))
        if self._score is not None:
            parts.append(packed(Kind.SCORE, SCORE, now_ns, SCORE_VALUE.pack(self._score.value)))
        parts.append(packed(Kind.TICK, TICK, now_ns, tick_data(tick, batches)))
        self._send(b"".join(parts), patient=self._patient)

    def close(self, policy: Policy | None = None, failure: str = "") -> RecordSummary:
        """End the recording and wait until it is on the disk.

        Args:
            policy: what ran; a network's plastic weights are recorded as they are now.
            failure: what cut the run short, if something did.
        """
        learnt = plastic_weights(self._network, policy)
        entries = [
            Entry(Kind.ATTACHMENT, WEIGHTS + edge, 0, weights.tobytes())
            for edge, weights in learnt.items()
        ]
        lost = self._ring.lost
        end = {"complete": "true", "lost": str(lost), "failure": failure}
        entries += [_metadata(END, end), Entry(Kind.FINISH, "", 0, b"")]
        self._send(pack(entries), patient=True)
        written = self._finish()
        return RecordSummary(
            self.path, written["ticks"], written["messages"], lost, written["bytes"]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, if that has not been done; what ended the run otherwise is the reason."""
        if self._companion.returncode is None:
            self.close(failure="" if error is None else f"{type(error).__name__}: {error}")

    def _open(self, ring_bytes: int) -> None:
        part = _reserve(self.path)
        ring = os.memfd_create("reflexarc-recording")
        parent = os.pidfd_open(os.getpid())
        try:
            os.ftruncate(ring, ring_bytes)
            self._ring = FrameRing(mmap.mmap(ring, ring_bytes), create=True)
            arguments = [str(ring), str(part), str(parent), str(self.path)]
            self._companion = subprocess.Popen(
                [sys.executable, "-P", "-m", "reflexarc.runtime.scribe", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=(ring, part, parent),
                start_new_session=True,
            )
        except OSError as error:
            part_path(self.path).unlink(missing_ok=True)
            raise ConfigError(
                f"{self.path}: no ring of {ring_bytes} bytes for the recording: {error.strerror}; "
                "check the limits of this process (ulimit -a)"
            ) from None
        finally:
            os.close(ring)
            os.close(part)
            os.close(parent)

    def _send(self, packed: bytes, *, patient: bool) -> None:
        if patient:
            self._wait_for_room(len(packed))
        self._ring.push(packed)

    def _wait_for_room(self, size: int) -> None:
        needed = size + 8
        if self._ring.capacity - self._ring.pending >= needed:
            return
        if needed > self._ring.capacity:
            raise ConfigError(
                f"{self.path}: one tick has {size} bytes, more than the {self._ring.capacity} of "
                f"the recording's ring; leave out a stream, or give more ring_bytes"
            )
        deadline_ns = monotonic_ns() + PATIENCE_NS
        while self._ring.capacity - self._ring.pending < needed:
            if monotonic_ns() > deadline_ns:
                raise LinkError(f"{self.path}: the disk has taken nothing for a minute; check it")
            with suppress(subprocess.TimeoutExpired):
                self._companion.wait(0.0005)
                self._finish()

    def _finish(self) -> dict[str, int]:
        """Wait for the companion's end; what it wrote. Raises LinkError."""
        try:
            said, _ = self._companion.communicate(timeout=PATIENCE_NS * 1e-9)
        except subprocess.TimeoutExpired:
            raise LinkError(f"{self.path}: not on the disk after a minute; check it") from None
        answer: dict[str, Any] = json.loads(said) if said else {"error": "its process was killed"}
        if "error" in answer:
            part_path(self.path).unlink(missing_ok=True)
            raise LinkError(f"{self.path}: not recorded: {answer['error']}; then run again")
        return answer


def _reserve(path: Path) -> int:
    """A descriptor of the file's part, empty and locked. Raises ConfigError."""
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; give the name of a file")
    try:
        part = os.open(part_path(path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(part)
        raise ConfigError(f"{path}: another run is recording to it; give another name") from None
    os.ftruncate(part, 0)
    return part


def _start(scenario: Scenario, policy: str, streams: Collection[str] | None) -> dict[str, str]:
    """What stands at the beginning of a recording."""
    spec = scenario.spec
    return {
        "format": FORMAT,
        "scenario": spec.name,
        "config": json.dumps(scenario.resolved()),
        "seed": str(spec.seed),
        "mode": spec.mode,
        "learning": json.dumps(spec.learning),
        "policy": policy,
        "settings": json.dumps(scenario.settings),
        "truth": json.dumps(scenario.truth),
        "streams": json.dumps(None if streams is None else sorted(streams)),
        "created": date_utc(),
        **versions(),
    }


def _files(scenario: Scenario) -> list[Entry]:
    """The scenario as written and the files of its network, the one it names first."""
    files = [(SCENARIO, Path(scenario.document.source))]
    files += [(NETWORK_FILES + path.name, path) for path in scenario.network_files]
    return [Entry(Kind.ATTACHMENT, name, 0, path.read_bytes()) for name, path in files]


def _metadata(name: str, content: dict[str, str]) -> Entry:
    return Entry(Kind.METADATA, name, 0, json.dumps(content).encode())


def plastic_weights(network: Network, policy: Policy | None) -> dict[str, FloatArray]:
    """The weights that learning can change, by edge, shape (outputs, inputs); or thresholds."""
    if not isinstance(policy, NetworkPolicy):
        return {}
    program = policy.program
    return {
        name: program.thresholds(name)
        if isinstance(network.nodes[name], Neurons)
        else program.weights(name)
        for name in sorted(network.plasticity)
    }


def versions() -> dict[str, str]:
    """What can make a replay differ: the version of each part that computes."""
    return {
        "reflexarc_version": __version__,
        "python_version": platform.python_version(),
        "numpy_version": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
