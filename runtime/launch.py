"""The scenario launcher: network and baselines on the same world, then a report.

summary = launch(Scenario.load("pole-balance"), Path("runs/first"), progress)
"""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import parent_process
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Literal

from pydantic import Field

from reflexarc.runtime.batch import Schema
from reflexarc.runtime.clock import Clock, LockstepClock, WallClock, date_utc
from reflexarc.runtime.config import Strict
from reflexarc.runtime.faultcheck import log_path
from reflexarc.runtime.faults import FaultyPlant
from reflexarc.runtime.files import made, write_atomic
from reflexarc.runtime.latency import EventToCommand, Latency, event_to_command, latency
from reflexarc.runtime.loop import Listener, Loop, Tick
from reflexarc.runtime.pictures import Pictures, pictures_of
from reflexarc.runtime.plants import make_plant
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.progress import RunProgress
from reflexarc.runtime.realtime import no_collector
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.report import write_report
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import Score
from reflexarc.sensors.base import Sensor
from reflexarc.sensors.recorded import RecordedSensor

#: How long an interrupted run waits for the tick it is in.
TICK_PATIENCE_S = 0.5
#: "time": the whole duration; "task": the task ended (the pole fell); "gate": a safety stop.
Ending = Literal["time", "task", "gate", "interrupted"]


class RunResult(Strict):
    """How one policy did.

    Attributes:
        policy: "network" or the name of a baseline.
        ended: why the run ended; `stop_reason` says more where the gate stopped it.
        score: higher is better; None where the scenario has none. `unit` says what it counts.
        trials: the score of each trial, where the task is one of several.
        seconds: loop time that passed.
        spikes, synaptic_events, neuron_updates, weight_updates: work of the network; 0 for a
            baseline.
        pictures: what adaptive cameras did, by their stream.
        recording: its path, or "".
        lost: messages missing from the recording (never in lockstep).
    """

    policy: str
    ended: Ending
    stop_reason: str | None
    score: float | None
    unit: str
    trials: list[float] = Field(default_factory=list)
    seconds: float
    ticks: int
    overruns: int
    spikes: int = 0
    synaptic_events: int = 0
    neuron_updates: int = 0
    weight_updates: int = 0
    pictures: dict[str, Pictures] = Field(default_factory=dict)
    latency: Latency | None
    event_to_command: EventToCommand | None
    recording: str
    lost: int


class Summary(Strict):
    """What `reflexarc run` leaves as summary.json and prints with --json.

    The figures at the top are the network's; `runs` has those of every policy.
    """

    scenario: str
    date: str
    seed: int
    mode: Literal["lockstep", "wall"]
    learning: bool
    ended: Ending
    score: float | None
    unit: str
    baseline_score: dict[str, float | None]
    ticks: int
    overruns: int
    spikes: int
    synaptic_events: int
    latency: Latency | None
    event_to_command: EventToCommand | None
    runs: list[RunResult]
    files: dict[str, str]

    @property
    def exit_code(self) -> int:
        """What the command line returns: 0, 5 after a safety stop, 130 when interrupted."""
        if any(run.ended == "interrupted" for run in self.runs):
            return 130
        return 5 if self.ended == "gate" else 0

    def lines(self) -> list[str]:
        """For people: the scores, then where to look."""
        scores = [
            f"  {run.policy:<12} {'-' if run.score is None else f'{run.score:.2f}'} {run.unit}"
            for run in self.runs
        ]
        pictures = [
            f"  {stream:<12} {counts.text()}" for stream, counts in self.runs[0].pictures.items()
        ]
        files = [f"  {what:<12} {path}" for what, path in self.files.items()]
        return [f"{self.scenario}, seed {self.seed}", *scores, *self._lineage(), *pictures, *files]

    def _lineage(self) -> list[str]:
        found = self.event_to_command
        if found is None:
            return []
        simulated = " (simulated time + measured tick)" if self.mode == "lockstep" else ""
        return [
            f"  event to command, us: p50 {found.p50_us:.1f}, p99 {found.p99_us:.1f}, "
            f"p99.9 {found.p999_us:.1f}{simulated}"
        ]


class ScoreKeeper:
    """A loop listener: keeps the score from the stream "truth" and shows progress.

    Attributes:
        alive: False once the task has ended.
        pictures: the last counts of every adaptive camera, by their stream.
        seconds: loop time that has passed.
    """

    def __init__(self, score: Score | None, progress: RunProgress) -> None:
        self.score = score
        self.alive = True
        self.pictures: dict[str, Pictures] = {}
        self.seconds = 0.0
        self._progress = progress

    def text(self) -> str:
        """The score for people."""
        return f"{self.score.value:.2f} {self.score.unit}" if self.score else ""

    def __call__(self, tick: Tick) -> None:
        """Take in the truth of this tick, and what its cameras counted."""
        for batch in tick.batches:
            if batch.schema != Schema.READINGS:
                continue
            if self.score is not None and batch.stream == "truth":
                self.alive = self.score.update(batch.values, batch.t_last_ns) and self.alive
            elif counts := pictures_of(batch):
                self.pictures[batch.stream] = counts
        self.seconds = tick.until_ns * 1e-9
        self._progress.update(self.seconds, self.text)


def launch(
    scenario: Scenario, out: Path, progress: RunProgress, record: Path | None = None
) -> Summary:
    """Run the network and every baseline on the same seed; leave report and summary in `out`.

    `record` is where the network's recording goes (default: network.mcap in `out`).

    Raises:
        ConfigError: something named does not exist or does not fit.
        LinkError: the world's process or the recorder's went away.
    """
    recordings = {"network": record or out / "network.mcap"}
    recordings |= {name: out / f"{name}.mcap" for name in scenario.spec.baselines}
    results: list[RunResult] = []
    with made(out), made(recordings["network"].parent):
        for name, path in recordings.items():
            results.append(run_policy(scenario, name, path, progress, recordings["network"]))
            if results[-1].ended == "interrupted":
                break
    summary = _summarise(scenario, results, out)
    opened = {result.policy: Recording.open(result.recording) for result in results}
    write_report(out, opened, summary)
    write_atomic(out / "summary.json", summary.model_dump_json(indent=2).encode() + b"\n")
    return summary


def run_policy(
    scenario: Scenario,
    name: str,
    recording: Path | None,
    progress: RunProgress,
    seen: Path | None = None,
) -> RunResult:
    """Run one policy, "network" or the name of a baseline, on a fresh world of the same seed.

    A baseline sees the attached streams again that the network saw, from its recording `seen`;
    without a `recording` nothing is recorded.
    """
    spec = scenario.spec
    gate = scenario.make_gate()
    live = name == "network"
    with ExitStack() as stack:
        policy = scenario.make_policy() if live else scenario.make_baseline(name, spec.seed)
        plant = make_plant(scenario, gate.rest)
        if spec.faults is not None:
            log = None if recording is None else log_path(recording)
            plant = FaultyPlant(plant, spec.faults, spec.period_ns, log)
        stack.callback(plant.close)
        sensors = scenario.make_attached() if live else _recorded(scenario, seen)
        for sensor in sensors:
            stack.enter_context(sensor)
        score = scenario.make_score(spec.seed)
        keeper = ScoreKeeper(score, progress)
        listeners: list[Listener] = [keeper]
        recorder = None
        if recording is not None:
            recorder = Recorder(recording, scenario, name, score=score)
            listeners.append(stack.enter_context(recorder))
        loop = Loop(
            _make_clock(scenario, live),
            plant,
            policy,
            gate,
            sensors=sensors,
            listeners=listeners,
        )
        with _interruption() as interrupted:
            progress.start(name, scenario.ticks * spec.period_ns * 1e-9)
            ended = _drive(loop, scenario.ticks, keeper, interrupted)
        lost = recorder.close(policy).lost if recorder is not None else 0
    result = _result(name, loop, keeper, ended, recording, lost)
    progress.finish(_ending_text(result, keeper.text()))
    return result


def _recorded(scenario: Scenario, seen: Path | None) -> Sequence[Sensor]:
    """The attached streams as the recording `seen` has them."""
    if not scenario.spec.attach or seen is None:
        return []
    recording = Recording.open(seen)
    return [
        RecordedSensor(attach.stream, Schema.EVENTS, recording.batches(attach.stream))
        for attach in scenario.spec.attach
    ]


def _make_clock(scenario: Scenario, live: bool) -> Clock:
    """Wall time only where something else runs in it: a recorded stream has no reason to wait."""
    spec = scenario.spec
    again = bool(spec.attach) and not live
    make = WallClock if spec.mode == "wall" and not again else LockstepClock
    return make(spec.period_ns)


def _drive(loop: Loop, ticks: int, keeper: ScoreKeeper, interrupted: Event) -> Ending:
    """Run the loop for the time of `ticks`, without the garbage collector; how it ended."""
    end_ns = ticks * loop.clock.period_ns

    def go_on(tick: Tick) -> bool:
        # A tick that overran took the time of the ones it skipped.
        return keeper.alive and not interrupted.is_set() and tick.until_ns < end_ns

    with no_collector(), suppress(KeyboardInterrupt):
        loop.run(ticks, go_on)
    if interrupted.is_set():
        return "interrupted"
    if loop.gate.stopped:
        return "gate"
    return "time" if keeper.alive else "task"


@contextmanager
def _interruption() -> Iterator[Event]:
    """Whether Ctrl-C or SIGTERM has come: the run ends between two ticks, so that its recording
    replays. A tick that waits for another process is broken off after `TICK_PATIENCE_S`. What one
    of several workers runs ends with its process.
    """
    interrupted = Event()
    if parent_process() is not None:
        yield interrupted
        return

    def hear(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        signal.setitimer(signal.ITIMER_REAL, TICK_PATIENCE_S)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    alarm = signal.signal(signal.SIGALRM, signal.default_int_handler)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, hear)
    try:
        yield interrupted
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in {**before, signal.SIGALRM: alarm}.items():
            signal.signal(number, handler)


def _result(
    name: str, loop: Loop, keeper: ScoreKeeper, ended: Ending, recording: Path | None, lost: int
) -> RunResult:
    score = keeper.score
    work = loop.policy.program.counters() if isinstance(loop.policy, NetworkPolicy) else None
    return RunResult(
        policy=name,
        ended=ended,
        stop_reason=loop.gate.stopped if ended == "gate" else None,
        score=score.value if score else None,
        unit=score.unit if score else "",
        trials=list(score.trials) if score else [],
        seconds=keeper.seconds,
        ticks=loop.ticks,
        overruns=loop.clock.overruns,
        pictures=keeper.pictures,
        latency=latency(loop.durations_ns),
        event_to_command=event_to_command(loop.ages_ns),
        recording=str(recording or ""),
        lost=lost,
        **({} if work is None else dataclasses.asdict(work)),
    )


def _ending_text(result: RunResult, score: str) -> str:
    how = {
        "time": "done",
        "task": f"the task ended at {result.seconds:.2f} s",
        "gate": f"safety stop at {result.seconds:.2f} s: {result.stop_reason}",
        "interrupted": f"interrupted at {result.seconds:.2f} s",
    }[result.ended]
    return f"{how}, {score}" if score else how


def _summarise(scenario: Scenario, results: list[RunResult], out: Path) -> Summary:
    network, *baselines = results
    return Summary(
        scenario=scenario.spec.name,
        date=date_utc(),
        seed=scenario.spec.seed,
        mode=scenario.spec.mode,
        learning=scenario.spec.learning,
        ended=network.ended,
        score=network.score,
        unit=network.unit,
        baseline_score={result.policy: result.score for result in baselines},
        ticks=network.ticks,
        overruns=network.overruns,
        spikes=network.spikes,
        synaptic_events=network.synaptic_events,
        latency=network.latency,
        event_to_command=network.event_to_command,
        runs=results,
        files={
            "report": str(out / "report.html"),
            "summary": str(out / "summary.json"),
            "recording": network.recording,
        },
    )


def default_out(name: str) -> Path:
    """A folder under runs/ that does not exist yet, named for the scenario and the time."""
    stamp = date_utc().replace(":", "").replace("-", "").replace("T", "-").rstrip("Z")
    first = Path("runs") / f"{name}-{stamp}"
    taken = 0
    folder = first
    while folder.exists():
        taken += 1
        folder = first.with_name(f"{first.name}-{taken}")
    return folder


def window_settings(scenario: Scenario) -> list[str]:
    """The setting that opens a window on the world, where it has one and there is a display."""
    world = scenario.spec.world
    served = world is not None and world.process == "served"
    if served or not os.environ.get("DISPLAY") or not scenario.has_window:
        return []
    return ["world.config.window=true"]
