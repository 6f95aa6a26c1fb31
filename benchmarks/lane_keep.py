"""What the lane-keeping network has learnt, and when: laps, phases, and learning that stops.

    python benchmarks/lane_keep.py [--seeds 10] [--compared FOLDER] [--draw FILE.png]

`learning` learns all the time, `learnt` until the first change of the world and never after. A
network has learnt once ten laps in a row are clean (the car stays in the lane) and their mean
offset is at most 15 % of the half width; the time is when the last of the ten ends. With
`--compared`, the folder of `reflexarc run lane-keep --compare`, the phases of all its policies are
told too. Lockstep: the figures do not depend on the machine, but those of time (cpu_s, policy_us)
do. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from played import played

from reflexarc.runtime.compare import Comparison
from reflexarc.runtime.interval import interval
from reflexarc.runtime.loop import CALLS, Tick
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers
from reflexarc.scenarios.lane_keep.build_network import COLUMNS, ROWS
from reflexarc.scenarios.lane_keep.score import TRIAL_NS, Lap, Offset

NAME = "lane-keep"
POLICIES = ("learning", "learnt")
LAPS, MOST_OFFSET = 10, 0.15
SIDES = ("left", "right")


class Run(NamedTuple):
    """One run: its laps, its trials, the weights at its first change, and what it cost."""

    laps: list[Lap]
    trials: list[float]
    weights: FloatArray
    spikes_hz: float
    synaptic_events_hz: float
    cpu_s: float
    policy_us: float


def drive(policy_name: str, seed: int) -> Run:
    """A run of the network, which stops learning at the first change if it is `learnt`."""
    scenario = Scenario.load(NAME, [f"seed={seed}"])
    policy = scenario.make_policy()
    first_ns = round(scenario.changes_s[0] * 1e9)
    kept: list[FloatArray] = []

    def keep(tick: Tick) -> None:
        if tick.now_ns == first_ns:
            kept.append(np.stack([policy.program.weights(f"sees_{side}") for side in SIDES]))
            policy.program.learning = policy_name == "learning"

    begun_s = process_time()
    score, loop = played(scenario, policy, seed, [keep])
    assert isinstance(score, Offset)
    cpu_s, counters = process_time() - begun_s, policy.program.counters()
    ticks_ns = loop.durations_ns[:, CALLS.index("encode") : CALLS.index("guard")].sum(axis=1)
    return Run(
        score.laps,
        list(score.trials),
        kept[0].reshape(2, ROWS, COLUMNS),
        counters.spikes / scenario.spec.seconds,
        counters.synaptic_events / scenario.spec.seconds,
        cpu_s,
        float(np.median(ticks_ns)) / 1e3,
    )


def learnt_at_s(laps: list[Lap]) -> float | None:
    """When the network has learnt; None if it has not."""
    for end in range(LAPS, len(laps) + 1):
        row = laps[end - LAPS : end]
        if all(lap.clean for lap in row) and np.mean([lap.offset for lap in row]) <= MOST_OFFSET:
            return row[-1].ended_s
    return None


def phases(trials: list[list[float]], ends_s: list[float]) -> list[dict[str, str]]:
    """Offset in % of the half width in each phase, and in its last 30 s."""
    table = -np.array([each[: round(ends_s[-1] * 1e9) // TRIAL_NS] for each in trials])
    ends = [round(end * 1e9) // TRIAL_NS for end in ends_s]
    return [
        {
            "all": str(interval(table[:, begin:end].mean(axis=1))),
            "last_30_s": str(interval(table[:, end - 3 : end].mean(axis=1))),
        }
        for begin, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def figures(runs: list[Run], ends_s: list[float]) -> dict[str, Any]:
    """Everything about the runs of one policy."""
    times = [learnt_at_s(run.laps) for run in runs]
    found = [time for time in times if time is not None]
    offsets = [[lap.offset for lap in run.laps if lap.ended_s <= ends_s[0]][-LAPS:] for run in runs]
    clean = [[lap.clean for lap in run.laps if lap.ended_s <= ends_s[0]][-LAPS:] for run in runs]
    return {
        "seeds_that_learnt": len(found),
        "learnt_at_s": [round(time, 1) for time in found],
        "learnt_at_s_mean": str(interval(found)) if found else None,
        "last_10_laps_before_the_first_change_percent": str(
            interval([100 * float(np.mean(each)) for each in offsets])
        ),
        "clean_of_these_10": [sum(each) for each in clean],
        "phases_percent": phases([run.trials for run in runs], ends_s),
        "spikes_hz": round(float(np.mean([run.spikes_hz for run in runs]))),
        "synaptic_events_hz": round(float(np.mean([run.synaptic_events_hz for run in runs]))),
        "cpu_s_of_a_run": round(float(np.median([run.cpu_s for run in runs])), 1),
        "policy_us_of_a_tick": round(float(np.median([run.policy_us for run in runs])), 1),
    }


def draw(weights: FloatArray, file: Path) -> None:
    """What was learnt: the weights, by where in the picture their events come from."""
    figure = Figure(figsize=(9.0, 2.4), layout="constrained")
    panels = figure.subplots(1, 3)
    shown = [*zip(weights, ("left motor neuron", "right motor neuron"), strict=True)]
    shown.append((weights[0] - weights[1], "left minus right: what steers"))
    for panel, (values, title) in zip(panels, shown, strict=True):
        most = float(np.abs(weights).max()) * (1 if values is not shown[2][0] else 1.5)
        image = panel.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
        panel.set_title(title, fontsize=9)
        panel.set_xticks([0, 8, 15], ["0", "32", "60 px"])
        panel.set_yticks([0, 4, 7], ["0", "16", "28"])
        figure.colorbar(image, ax=panel, shrink=0.7)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--compared", type=Path)
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    scenario = Scenario.load(NAME)
    ends_s = [*scenario.changes_s, scenario.spec.seconds]
    result: dict[str, Any] = {"seeds": arguments.seeds, "phases_end_at_s": ends_s}
    with workers(arguments.seeds) as pool:
        for name in POLICIES:
            runs = pool.map(partial(drive, name), range(arguments.seeds), 1)
            result[name] = figures(runs, ends_s)
    if arguments.draw:
        draw(runs[0].weights, arguments.draw)
    if arguments.compared:
        said = (arguments.compared / "compare.json").read_text()
        result["compared_phases_percent"] = {
            each.policy: phases(each.trials, ends_s)
            for each in Comparison.model_validate_json(said).policies
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
