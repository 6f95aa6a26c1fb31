"""What one tick of pole-balance costs, call by call; one JSON object, times in microseconds.

    python benchmarks/loop.py [--ticks 5000] [--repeat 5]

Lockstep, one pinned core, no garbage collector, the launcher's listeners. `runtime` is a tick
without its world: everything but physics and rendering. `reference` is taken in the same run: six
empty calls, and a plain NumPy step of a dense controller with as many neurons as the network.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import gc
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.clock import LockstepClock, perf_ns
from reflexarc.runtime.launch import ScoreKeeper
from reflexarc.runtime.loop import CALLS, Listener, Loop, Tick
from reflexarc.runtime.progress import Lines
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant

#: Lines into the network, dimensions of its state, neurons of its two layers.
INPUTS, STATE, ENSEMBLE, MUSCLES = 406, 4, 300, 100
Row = dict[str, float]


class TimedPlant(LocalPlant):
    """A plant that notes how long its world took."""

    world_ns = 0

    def observe(self, now_ns: int) -> list[Batch]:
        """Advance the world, with a watch."""
        begin = perf_ns()
        batches = super().observe(now_ns)
        self.world_ns = perf_ns() - begin
        return batches


class TimedListener:
    """A listener that notes how long it took."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.took_ns = 0

    def __call__(self, tick: Tick) -> None:
        """Hand on the tick, with a watch."""
        begin = perf_ns()
        self._listener(tick)
        self.took_ns = perf_ns() - begin


@contextmanager
def quiet() -> Iterator[None]:
    """One core, no garbage collector."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        os.sched_setaffinity(0, cores)


def run_ticks(ticks: int, folder: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Nanoseconds of every tick by part, and in which ticks a camera frame was taken."""
    scenario = Scenario.load("pole-balance", [f"seconds={ticks * 0.002}"])
    gate, score = scenario.make_gate(), scenario.make_score(0)
    plant = TimedPlant(scenario.make_world(0), gate.rest)
    frame_ns = scenario.resolved()["world"]["config"]["camera"]["period_ns"]
    with (
        (folder / "progress").open("w") as text,
        Recorder(folder / "loop.mcap", scenario, score=score) as recorder,
    ):
        keeper = ScoreKeeper(score, Lines(text))
        listeners = {"score": TimedListener(keeper), "recorder": TimedListener(recorder)}
        loop = Loop(
            LockstepClock(scenario.spec.period_ns),
            plant,
            scenario.make_policy(),
            gate,
            listeners=list(listeners.values()),
        )
        rows = []
        with quiet():
            while loop.ticks < ticks:
                begin = perf_ns()
                tick = loop.tick()
                took_ns = perf_ns() - begin
                others_ns = [listener.took_ns for listener in listeners.values()]
                frame = tick.now_ns % frame_ns == 0
                rows.append((*tick.calls_ns, *others_ns, plant.world_ns, took_ns, frame))
                loop.clock.wait()
    plant.close()
    names = [*CALLS, *listeners, "world", "tick"]
    *columns, frame = np.array(rows).T
    return dict(zip(names, columns, strict=True)), frame.astype(bool)


def figures(took_ns: Mapping[str, np.ndarray], frame: np.ndarray) -> dict[str, Row]:
    """p50 and p99 of whole ticks; p50 and share of the summed time of their parts."""
    tick, world = took_ns["tick"], took_ns["world"]
    wholes = {"tick": tick, "tick_without_frame": tick[~frame], "runtime": tick - world}
    wholes["runtime_without_frame"] = (tick - world)[~frame]
    found: dict[str, Row] = {}
    for name, ns in wholes.items():
        found[name] = {"p50": float(np.median(ns)) / 1e3, "p99": float(np.percentile(ns, 99)) / 1e3}
    for name, ns in took_ns.items():
        if name != "tick":
            found[name] = {"p50": float(np.median(ns)) / 1e3, "share": ns.sum() / tick.sum()}
    found["world"]["share_of_observe"] = world.sum() / took_ns["observe"].sum()
    return found


class EmptyTick:
    """A tick whose six calls do nothing."""

    def call(self, value: object) -> object:
        """Nothing."""
        return value

    def tick(self) -> object:
        """Call six times."""
        value: object = None
        for _ in CALLS:
            value = self.call(value)
        return value


def numpy_controller() -> Callable[[], Any]:
    """One step of a dense controller of the network's size, as plain NumPy has it."""
    generator = np.random.default_rng(0)
    x = generator.random(INPUTS)
    w_in, w_state, w_out, w_muscles = (
        generator.standard_normal(shape) / shape[1]
        for shape in ((STATE, INPUTS), (ENSEMBLE, STATE), (1, ENSEMBLE), (MUSCLES, 1))
    )
    state, v, command, v_muscles = (
        np.zeros(STATE),
        np.zeros(ENSEMBLE),
        np.zeros(1),
        np.zeros(MUSCLES),
    )

    def step() -> Any:
        nonlocal state, v, command, v_muscles
        state = 0.9 * state + w_in @ x
        v = 0.9 * v + w_state @ state + 0.1
        spikes = v > 1.0
        v[spikes] = 0.0
        command = 0.7 * command + w_out @ spikes
        v_muscles = 0.9 * v_muscles + w_muscles @ command + 0.2
        fired = v_muscles > 1.0
        v_muscles[fired] = 0.0
        return fired

    return step


def call_us(call: Callable[[], Any], times: int) -> float:
    """p50 of `call` in a loop of its own."""
    took_ns = []
    with quiet():
        for _ in range(times):
            begin = perf_ns()
            call()
            took_ns.append(perf_ns() - begin)
    return statistics.median(took_ns) / 1e3


def measure(ticks: int) -> dict[str, Row]:
    """One repeat."""
    with tempfile.TemporaryDirectory() as folder:
        found = figures(*run_ticks(ticks, Path(folder)))
    found["reference"] = {
        "empty_tick": call_us(EmptyTick().tick, ticks),
        "numpy_controller": call_us(numpy_controller(), ticks),
    }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ticks", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    repeats = [measure(arguments.ticks) for _ in range(arguments.repeat)]
    medians = {
        part: {
            figure: round(statistics.median(repeat[part][figure] for repeat in repeats), 3)
            for figure in row
        }
        for part, row in repeats[0].items()
    }
    print(json.dumps({"ticks": arguments.ticks, "unit": "us", **medians}, indent=1))


if __name__ == "__main__":
    main()
