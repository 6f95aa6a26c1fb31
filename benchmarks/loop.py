"""What one tick of pole-balance costs, call by call; one JSON object, times in microseconds.

    python benchmarks/loop.py [--ticks 5000] [--repeat 5] [--rounds 5000]

`lockstep` has the simulated seconds a second, physics and loop at 1 kHz (the scenario's network,
made for steps of 1 ms), and the share of the time that is the runtime's. Both are of the median
ticks with a frame of the camera and without one: what else the machine does is in no median.
`reflex` is a network of 1,000 neurons behind ZeroMQ, beside a bare echo, and its share of a core in
a loop of 500 Hz: see reflex.py.

Lockstep, one pinned core, no garbage collector, the launcher's listeners. `runtime` is a tick
without its world: everything but physics and rendering. `reference` is taken after every tick, so
that caches are as cold: six empty calls, and a plain NumPy step of a dense controller with as many
neurons as the network.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import reflex

from reflexarc.actuators.gate import Gate
from reflexarc.runtime.clock import LockstepClock, perf_ns
from reflexarc.runtime.launch import ScoreKeeper
from reflexarc.runtime.loop import CALLS, Loop
from reflexarc.runtime.nirfile import write
from reflexarc.runtime.progress import Lines
from reflexarc.runtime.realtime import no_collector
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant, Plant
from reflexarc.scenarios.pole_balance import build_network

#: Lines into the network, dimensions of its state, neurons of its two layers.
INPUTS, STATE, ENSEMBLE, MUSCLES = 406, 4, 300, 100
PERIOD_NS = 1_000_000
Row = dict[str, float]
Nanoseconds = npt.NDArray[np.int64]


class Timed:
    """A function that notes how long its last call took, in `ns`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.ns = 0

    def __call__(self, *arguments: Any) -> Any:
        """Call it, with a watch."""
        begin = perf_ns()
        result = self._function(*arguments)
        self.ns = perf_ns() - begin
        return result


class EmptyTick:
    """A tick whose six calls do nothing."""

    def call(self, value: object) -> object:
        """Hand on `value`."""
        return value

    def __call__(self) -> object:
        """Call six times."""
        value: object = None
        for _ in CALLS:
            value = self.call(value)
        return value


def numpy_controller() -> Callable[[], Any]:
    """One step of a dense controller of the network's size, as plain NumPy has it."""
    generator = np.random.default_rng(0)
    shapes = ((STATE, INPUTS), (ENSEMBLE, STATE), (1, ENSEMBLE), (MUSCLES, 1))
    w_in, w_state, w_out, w_muscles = (generator.random(shape) / shape[1] for shape in shapes)
    x, v, v_muscles = generator.random(INPUTS), np.zeros(ENSEMBLE), np.zeros(MUSCLES)
    state, command = np.zeros(STATE), np.zeros(1)

    def step() -> Any:
        nonlocal state, v, command, v_muscles
        state = 0.9 * state + w_in @ x
        v = 0.9 * v + w_state @ state
        spikes = v > 1.0
        v[spikes] = 0.0
        command = 0.7 * command + w_out @ spikes
        v_muscles = 0.9 * v_muscles + w_muscles @ command
        fired = v_muscles > 1.0
        v_muscles[fired] = 0.0
        return fired

    return step


@contextmanager
def quiet() -> Iterator[None]:
    """One core, no garbage collector."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        with no_collector():
            yield
    finally:
        os.sched_setaffinity(0, cores)


def pole_balance(folder: Path) -> Scenario:
    """The scenario with a loop of `PERIOD_NS`, copied to `folder`, its network made for that."""
    shutil.copytree(Path(build_network.__file__).parent, folder)
    build_network.DT_S = PERIOD_NS * 1e-9
    (folder / "network.nir").unlink()
    write(build_network.build(), folder / "network.nir")
    sidecar = folder / "network.yaml"
    said = sidecar.read_text()
    sidecar.write_text(said.replace("dt_s: 0.002", f"dt_s: {build_network.DT_S}"))
    return Scenario.load(str(folder / "scenario.yaml"), [f"period_ns={PERIOD_NS}"])


def timed_loop(
    scenario: Scenario, gate: Gate, plant: Plant, listeners: Sequence[Timed]
) -> tuple[Loop, dict[str, Timed]]:
    """The loop, with a watch on its whole tick and on its world."""
    world = Timed(plant.observe)
    plant.observe = world  # type: ignore[assignment, method-assign]
    clock, policy = LockstepClock(scenario.spec.period_ns), scenario.make_policy()
    loop = Loop(clock, plant, policy, gate, listeners=listeners)
    return loop, {"tick": Timed(loop.tick), "world": world}


def run_ticks(scenario: Scenario, ticks: int, folder: Path) -> dict[str, Nanoseconds]:
    """How long each part took, tick by tick."""
    gate, score = scenario.make_gate(), scenario.make_score(0)
    plant = LocalPlant(scenario.make_world(0), gate.rest)
    references = {"empty_tick": Timed(EmptyTick()), "numpy_controller": Timed(numpy_controller())}
    recording, progress = folder / "loop.mcap", folder / "progress"
    rows = []
    with progress.open("w") as text, Recorder(recording, scenario, score=score) as recorder:
        keeper = ScoreKeeper(score, Lines(text))
        listeners = {"score": Timed(keeper), "recorder": Timed(recorder)}
        loop, watched = timed_loop(scenario, gate, plant, list(listeners.values()))
        parts = {**watched, **listeners, **references}
        with quiet():
            while loop.ticks < ticks:
                tick = watched["tick"]()
                for reference in references.values():
                    reference()
                rows.append((*tick.calls_ns, *(part.ns for part in parts.values())))
                loop.clock.wait()
    plant.close()
    return dict(zip((*CALLS, *parts), np.array(rows).T, strict=True))


def figures(
    took_ns: dict[str, Nanoseconds], frame: npt.NDArray[np.bool_], period_ns: int
) -> dict[str, Row]:
    """p50 and p99 of whole ticks; p50 and share of the summed time of their parts."""
    tick, world = took_ns.pop("tick"), took_ns["world"]
    runtime = tick - world
    typical_ns = typical(tick, frame)
    found: dict[str, Row] = {
        "lockstep": {
            "simulated_s_per_s": period_ns / typical_ns,
            "runtime_share": typical(runtime, frame) / typical_ns,
        }
    }
    for name, ns in {"tick": tick, "runtime": runtime}.items():
        found[name] = percentiles_us(ns)
        found[f"{name}_without_frame"] = percentiles_us(ns[~frame])
    found["reference"] = {
        name: percentiles_us(took_ns.pop(name))["p50"]
        for name in ("empty_tick", "numpy_controller")
    }
    for name, ns in took_ns.items():
        found[name] = {"p50": percentiles_us(ns)["p50"], "share": ns.sum() / tick.sum()}
    found["world"]["share_of_observe"] = world.sum() / took_ns["observe"].sum()
    return found


def typical(ns: Nanoseconds, frame: npt.NDArray[np.bool_]) -> float:
    """The mean of median ticks with and without a frame, by how many there are of each."""
    share = frame.mean()
    return float(share * np.median(ns[frame]) + (1 - share) * np.median(ns[~frame]))


def percentiles_us(ns: Nanoseconds) -> Row:
    """p50 and p99 in microseconds."""
    p50, p99 = np.percentile(ns, [50, 99]) * 1e-3
    return {"p50": p50, "p99": p99}


def measure(ticks: int, rounds: int) -> dict[str, Row]:
    """One repeat."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = pole_balance(Path(folder) / "scenario")
        frame_ns = scenario.resolved()["world"]["config"]["camera"]["period_ns"]
        frame = np.arange(ticks) * scenario.spec.period_ns % frame_ns == 0
        took_ns = run_ticks(scenario, ticks, Path(folder))
    return {**figures(took_ns, frame, scenario.spec.period_ns), **reflex.measure(rounds)}


def main() -> None:
    """Measure and print the medians of the repeats."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ticks", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5000)
    arguments = parser.parse_args()
    repeats = [measure(arguments.ticks, arguments.rounds) for _ in range(arguments.repeat)]
    medians = {
        part: {
            figure: round(statistics.median(repeat[part][figure] for repeat in repeats), 3)
            for figure in row
        }
        for part, row in repeats[0].items()
    }
    print(json.dumps({"ticks": arguments.ticks, **medians}, indent=1))


if __name__ == "__main__":
    main()
