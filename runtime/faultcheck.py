"""Whether a run with ordered faults kept what the runtime promises.

    violations = check_run("runs/x/network.mcap")

It reads the recording and the log of the faults beside it, and knows nothing of how either came
about: every fault must be accounted for, and nothing else may be missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reflexarc.actuators.gate import GateSpec
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.runtime.loop import Tick
from reflexarc.runtime.recording import Recording

#: A frame that suffered one of these does not reach the loop.
FATAL = ("drop", "corrupt", "reorder")
Entry = dict[str, Any]


def log_path(recording: Path) -> Path:
    """Where the log of the faults of a run lies: beside its recording."""
    return recording.with_suffix(".faults.jsonl")


def read_log(path: Path) -> list[Entry]:
    """The entries of a log. Raises ConfigError."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file; was the run ordered faults?") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: not a log of faults: {error}") from None


def check_run(path: str | Path) -> list[str]:
    """What a recorded run did not keep, one line each. Raises ConfigError."""
    recording = Recording.open(path)
    log = read_log(log_path(recording.path))
    gate = GateSpec.model_validate(recording.start.config["gate"])
    period_ns = int(recording.start.config["period_ns"])
    killed = [entry for entry in log if entry["kind"] == "kill"]
    found = check(recording.ticks(), log, gate, period_ns)
    if killed and not recording.end.failure:
        found.append("the world was killed, but the recording says nothing of a failure")
    return found


def check(ticks: Iterable[Tick], log: Sequence[Entry], gate: GateSpec, period_ns: int) -> list[str]:
    """What a run did not keep, one line each."""
    ticks = list(ticks)
    return [
        *_commands(ticks, gate, period_ns),
        *_times(ticks, log, period_ns),
        *_streams(ticks, log),
    ]


def _commands(ticks: Sequence[Tick], gate: GateSpec, period_ns: int) -> Iterator[str]:
    """Every command is finite, in range and no faster than the slew limit."""
    before = np.array(gate.rest)
    reach = None if gate.slew_per_s is None else np.array(gate.slew_per_s) * period_ns * 1e-9
    for tick in ticks:
        command = tick.command
        inside = np.isfinite(command) & (command >= gate.low) & (command <= gate.high)
        if not inside.all():
            yield f"tick {tick.number}: command {command.tolist()} is out of range"
        rounding = 4 * np.spacing(np.maximum(np.abs(command), np.abs(before)))
        if reach is not None and (np.abs(command - before) > reach + rounding).any():
            yield f"tick {tick.number}: the command changed faster than the slew limit"
        before = command


def _times(ticks: Sequence[Tick], log: Sequence[Entry], period_ns: int) -> Iterator[str]:
    """Ticks lie on the grid and go on; stalls show as missed ones; nothing follows a kill."""
    missed, last_ns, cause_ns = 0, -period_ns, -1
    for tick in ticks:
        if tick.now_ns <= last_ns or tick.now_ns % period_ns:
            yield f"tick {tick.number}: {tick.now_ns} ns is off the grid after {last_ns} ns"
        if not cause_ns <= tick.cause_ns <= tick.now_ns:
            yield f"tick {tick.number}: its cause at {tick.cause_ns} ns was not known then"
        missed += (tick.now_ns - last_ns) // period_ns - 1
        last_ns, cause_ns = tick.now_ns, tick.cause_ns
    # The last stall may end the run.
    stalls = [entry["for_ns"] // period_ns for entry in log if entry["kind"] == "stall"]
    if missed < sum(stalls[:-1]):
        yield f"stalls took {sum(stalls)} ticks, but only {missed} are missing"
    for entry in log:
        if entry["kind"] == "kill" and last_ns >= entry["t_ns"]:
            yield f"the world was killed at {entry['t_ns']} ns, and a tick followed at {last_ns} ns"


def _streams(ticks: Sequence[Tick], log: Sequence[Entry]) -> Iterator[str]:
    """Each frame arrives once and in order, or its loss is reported and has a cause."""
    arrived: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for tick in ticks:
        for batch in tick.batches:
            arrived[batch.stream].append((batch.seq, batch.dropped))
    struck: dict[str, set[int]] = defaultdict(set)
    for entry in log:
        if entry["kind"] in FATAL:
            struck[entry["stream"]].add(entry["seq"])
    for total in (entry for entry in log if entry["kind"] == "total"):
        yield from _stream(total, arrived[total["stream"]], struck[total["stream"]])


def _stream(total: Entry, arrived: list[tuple[int, int]], struck: set[int]) -> Iterator[str]:
    stream, numbers = total["stream"], [seq for seq, _ in arrived]
    if numbers != sorted(set(numbers)):
        yield f"stream '{stream}': a frame came twice or after its successor"
    expected = 0 if not numbers else numbers[0]
    for seq, dropped in arrived:
        gap = range(expected, seq)
        if dropped < len(gap):
            yield f"stream '{stream}': {len(gap)} frames lost before {seq}, {dropped} reported"
        if unexplained := [lost for lost in gap if lost not in struck]:
            yield f"stream '{stream}': frame {unexplained[0]} is missing without a fault"
        expected = seq + 1
    known = total["received"] + total["lost"]
    if numbers and known != numbers[-1] - numbers[0] + 1:
        yield f"stream '{stream}': {known} frames accounted for of {numbers[-1] - numbers[0] + 1}"
