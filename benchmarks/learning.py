"""Learning in the loop: random plants under a learning network, a frozen one and a tuned PID.

    python benchmarks/learning.py --picture docs/learning.png
    python benchmarks/learning.py --sizes 1 --seeds 4 --trials 3    # a quick look

docs/learning.md says what is run and how to read it. Prints one JSON object; every figure is
[estimate, low, high]: a geometric mean over seeds and its 95 % interval (bootstrap over seeds,
percentiles of 10,000 draws). Errors are root mean squares of true angles, in rad.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any, TypeAlias

import numpy as np
from adaptive import (
    MOST_ERROR_RAD,
    Gains,
    Pid,
    Team,
    best_in_hindsight,
    choose_speed,
    track,
    tune_pid,
    without_integral,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from randomplant import Array, Path, RandomPlants, draw_forces, draw_path

from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.interval import interval
from reflexarc.runtime.plots import BLUE, GREY, ORANGE, PURPLE, WIDTH_IN

Result: TypeAlias = dict[str, Any]
#: Plants to tune on; the seeds of the results begin at 0.
FIRST_TRAINING_SEED = 1_000_000
CONTROLLERS = ("adaptive", "frozen", "pid")
COLOURS = {"adaptive": BLUE, "taught_then_frozen": PURPLE, "frozen": GREY, "pid": ORANGE}
NAMES = {
    "adaptive": "network, learning",
    "taught_then_frozen": "network, taught, then frozen",
    "frozen": "network, frozen",
    "pid": "tuned PID",
}
#: A plant with an error of more than this is lost.
LOST_RAD = MOST_ERROR_RAD / 2
#: The last trials of the first stretch, whose error the recovery is measured by.
LEVEL_TRIALS = 3


def ratio(above: Array, below: Array | float = 1.0) -> list[float]:
    """Geometric mean over seeds of above / below, and its interval."""
    return [round(float(np.exp(each)), 5) for each in interval(np.log(above / below))]


class Contest:
    """A learning network, the same frozen, and the PID, on the same plants with the same noise."""

    def __init__(self, path: Path, seeds: Sequence[int], gains: Gains, speed_hz: float) -> None:
        joints = path.q.shape[2]
        self._path = path
        self.plants = RandomPlants(draw_forces(path, seeds), seeds, len(CONTROLLERS))
        inner = without_integral(gains)
        self._pid = Pid([inner, inner, gains], self.plants)
        self.learner = Team(joints, seeds, speed_hz, learning=True)
        self._teams = {0: self.learner, 1: Team(joints, seeds, speed_hz, learning=False)}

    def run(self, periods: int, before: Any) -> Array:
        """Errors, shape (controllers, periods, seeds)."""
        errors = track(self._path, self.plants, self._pid, periods, self._teams, before)
        return np.moveaxis(errors, 2, 0)


class Tuned:
    """What was found on the training plants of one size, and how."""

    def __init__(self, joints: int, plants: int, periods: int) -> None:
        seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + plants)
        begin_ns = perf_ns()
        self.gains, self.search = tune_pid(joints, seeds)
        self.pid_ns = perf_ns() - begin_ns
        self.speed_hz, self.tried = choose_speed(joints, seeds, self.gains, periods)

    def told(self) -> Result:
        """For the record."""
        return {
            "pid": {key: round(value, 5) for key, value in vars(self.gains).items()},
            "pid_best_error_by_round": [round(each, 5) for each in self.search],
            "speed_hz": self.speed_hz,
            "error_by_speed": {f"{key:g}": round(value, 5) for key, value in self.tried.items()},
        }


def one_size(joints: int, seeds: Sequence[int], tuned: Tuned, periods: int) -> Result:
    """Errors of the last of `periods`; then one period more, the learner frozen."""
    contest = Contest(draw_path(joints, seeds), seeds, tuned.gains, tuned.speed_hz)

    def before(period: int) -> None:
        if period == periods:
            contest.learner.learn(False)

    errors = contest.run(periods + 1, before)
    last = dict(zip(CONTROLLERS, errors[:, periods - 1], strict=True))
    last["taught_then_frozen"] = errors[0, periods]
    last["pid_in_hindsight"] = best_in_hindsight(joints, seeds, tuned.gains)
    return {
        "error_rad": {key: ratio(value) for key, value in last.items()},
        "over_frozen": {key: ratio(value, last["frozen"]) for key, value in last.items()},
        "over_pid": {key: ratio(value, last["pid"]) for key, value in last.items()},
        "plants_below_pid": int(np.sum(last["adaptive"] < last["pid"])),
        "worst_over_pid": round(float(np.max(last["adaptive"] / last["pid"])), 3),
        "lost": {key: int(np.sum(value > LOST_RAD)) for key, value in last.items()},
        "redrawn": contest.plants.forces.redrawn,
        "tuned": tuned.told(),
    }


def continual(joints: int, seeds: Sequence[int], tuned: Tuned, trials: int) -> Result:
    """Plant A, B, and A again, `trials` periods each, without a stop."""
    path = draw_path(joints, seeds)
    contest = Contest(path, seeds, tuned.gains, tuned.speed_hz)
    stretches = [contest.plants.forces, draw_forces(path, seeds, draw=1), contest.plants.forces]

    def before(period: int) -> None:
        contest.plants.forces = stretches[period // trials]

    errors = contest.run(3 * trials, before)
    return {
        "joints": joints,
        "trials": trials,
        "error_by_trial_rad": {
            key: [ratio(trial) for trial in each]
            for key, each in zip(CONTROLLERS, errors, strict=True)
        },
        **{
            key: recovery(each, trials)
            for key, each in zip(CONTROLLERS, errors, strict=True)
            if key != "frozen"
        },
        "tuned": tuned.told(),
    }


def recovery(errors: Array, trials: int) -> Result:
    """Forgetting and recovery of one controller from its errors, shape (3 trials, seeds).

    The level is the mean error of the last trials on the first A. Forgetting is the error of the
    first trial on the second A over it. Half-time: how many trials later the error above the level
    has fallen to half of what it was in that first trial. Recovered: how many later it is within
    10 % of the level. A seed that never gets there counts with all the trials there are.
    """
    level = errors[max(trials - LEVEL_TRIALS, 0) : trials].mean(axis=0)
    again = errors[2 * trials :]
    half = _trials_until(again - level <= (again[0] - level) / 2)
    recovered = _trials_until(again <= 1.1 * level)
    return {
        "level_rad": ratio(level),
        "forgetting": ratio(again[0], level),
        "first_ever_over_level": ratio(errors[0], level),
        "half_time_trials": interval(half),
        "recovered_trials": interval(recovered),
        "most_trials_to_recover": int(recovered.max()),
        "never_recovered": int(np.sum(recovered == trials)),
    }


def _trials_until(there: Array) -> Array:
    """By seed, the first trial that is true in `there`, shape (trials, seeds); or their number."""
    return np.where(there.any(axis=0), there.argmax(axis=0), len(there)).astype(float)


def draw(result: Result) -> Figure:
    """Errors by size, over the frozen network's and over the PID's; and errors by trial."""
    figure = Figure((WIDTH_IN, 7.2), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    frozen, pid = (figure.add_subplot(grid[0, k]) for k in (0, 1))
    _draw_sizes(frozen, result["sizes"], "over_frozen", ["adaptive", "frozen", "pid"])
    frozen.set(yscale="log", ylabel="error over the frozen network's")
    _plain(frozen)
    _draw_sizes(pid, result["sizes"], "over_pid", ["adaptive", "taught_then_frozen", "pid"])
    pid.set(ylim=(0, 1.2), ylabel="error over the tuned PID's")
    _draw_trials(figure.add_subplot(grid[1, :]), result["continual"])
    lines = [line for axes in (frozen, pid) for line in axes.get_lines()]
    named = {str(line.get_label()): line for line in lines}
    figure.legend(
        list(named.values()), list(named), loc="outside upper center", ncols=4, frameon=False
    )
    return figure


def _draw_sizes(axes: Axes, sizes: Result, over: str, keys: list[str]) -> None:
    joints = np.array([int(each) for each in sizes])
    for key in keys:
        _band(axes, joints, np.array([size[over][key] for size in sizes.values()]), key)
    axes.set(xlabel="joints", xlim=(joints[0] - 0.5, joints[-1] + 0.5))
    axes.locator_params(axis="x", integer=True)


def _plain(axes: Axes) -> None:
    """Plain numbers along a logarithmic axis."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")


def _draw_trials(axes: Axes, told: Result) -> None:
    trials = told["trials"]
    for key in ("frozen", "pid", "adaptive"):
        values = np.array(told["error_by_trial_rad"][key])
        for stretch in range(3):
            at = np.arange(stretch * trials, (stretch + 1) * trials)
            _band(axes, at + 1, values[at], key)
    for stretch, name in enumerate(("plant A", "plant B", "plant A again")):
        axes.axvline(stretch * trials + 0.5, color=GREY, linewidth=0.9, linestyle="--")
        axes.text(
            stretch * trials + 0.7, 0.98, name, transform=axes.get_xaxis_transform(), va="top"
        )
    axes.set(xlabel=f"trial, {told['joints']} joints", ylabel="error, rad", yscale="log")
    axes.set_xlim(0.5, 3 * trials + 0.5)
    axes.set_ylim(top=1.5 * axes.get_ylim()[1])
    _plain(axes)


def _band(axes: Axes, x: Array, values: Array, key: str) -> None:
    """A line with its 95 % interval, `values` of shape (points, 3)."""
    axes.plot(x, values[:, 0], "o-", color=COLOURS[key], ms=3, linewidth=1.2, label=NAMES[key])
    axes.fill_between(x, values[:, 1], values[:, 2], color=COLOURS[key], alpha=0.25, linewidth=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(range(1, 16)))
    parser.add_argument("--periods", type=int, default=6, help="of 4 s, to learn in")
    parser.add_argument("--trials", type=int, default=15, help="on A, on B and on A again")
    parser.add_argument("--joints", type=int, default=3, help="of the plants A and B")
    parser.add_argument("--training", type=int, default=16, help="plants to tune on")
    parser.add_argument("--picture", type=File)
    options = parser.parse_args()
    begin_ns, seeds = perf_ns(), range(options.seeds)
    tuned: dict[int, Tuned] = {}
    result: Result = {"seeds": options.seeds, "periods": options.periods, "sizes": {}}
    for joints in options.sizes:
        tuned[joints] = Tuned(joints, options.training, min(options.periods, 4))
        result["sizes"][joints] = one_size(joints, seeds, tuned[joints], options.periods)
    if options.joints not in tuned:
        tuned[options.joints] = Tuned(options.joints, options.training, min(options.periods, 4))
    result["continual"] = continual(options.joints, seeds, tuned[options.joints], options.trials)
    spent_ns = {
        "all": perf_ns() - begin_ns,
        "networks": Team.spent_ns,
        "tuning_the_pid": sum(each.pid_ns for each in tuned.values()),
    }
    result["seconds"] = {key: round(value * 1e-9, 1) for key, value in spent_ns.items()}
    if options.picture:
        draw(result).savefig(options.picture, dpi=150)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
