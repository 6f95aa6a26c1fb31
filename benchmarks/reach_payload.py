"""Reaching with a hidden load: each policy's error over that of the same arm left alone.

    python benchmarks/reach_payload.py --seeds 10

The normalised error of a trial is (E - E0) / (E1 - E0): E1 is the baseline `pd` in the same world,
E0 the same without its changes; 0 is an arm that nothing happened to, 1 is no adaptation (DeWolf,
Jaworski & Eliasmith 2020). Prints one JSON object; figures are [mean, low, high] over seeds.
"""

from __future__ import annotations

import argparse
import json
from functools import partial

import numpy as np

from reflexarc.runtime.interval import interval
from reflexarc.runtime.launch import run_policy
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers

POLICIES = ("network", "pd", "pid")
NAME = "reach-payload"


def trials(seed: int, settings: list[str]) -> list[list[float]]:
    """Errors in mm: of the policies, then of `pd` in a world without changes."""
    scenario = Scenario.load(NAME, [*settings, f"seed={seed}"])
    runs = [run_policy(scenario, policy, None, Silent()).trials for policy in POLICIES]
    return [*([-each for each in run] for run in runs), alone(seed, settings)]


def alone(seed: int, settings: list[str]) -> list[float]:
    """Errors in mm of `pd` in a world without changes."""
    scenario = Scenario.load(NAME, [*settings, f"seed={seed}", "world.config.changes=[]"])
    return [-each for each in run_policy(scenario, "pd", None, Silent()).trials]


def told(errors: np.ndarray, first: int, last: int) -> dict[str, list[float]]:
    """Normalised errors of trials first to last - 1 from `errors`, shape (seeds, runs, trials)."""
    part = errors[:, :, first:last].mean(axis=2)
    loaded, alone = part[:, POLICIES.index("pd")], part[:, -1]
    return {
        name: [round(each, 4) for each in interval((part[:, k] - alone) / (loaded - alone))]
        for k, name in enumerate(POLICIES)
    }


def changed_trials(settings: list[str]) -> list[int]:
    """The trials that begin with a change of the world."""
    config = Scenario.load(NAME, settings).resolved()["world"]["config"]
    return [round(change["at_s"] / config["trial_s"]) for change in config["changes"]]


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    with workers(options.seeds) as pool:
        run = partial(trials, settings=options.settings)
        errors = np.array(pool.map(run, range(options.seeds), 1))
    changes = changed_trials(options.settings)
    ends = [*changes[1:], errors.shape[2]]
    result = {
        "seeds": options.seeds,
        "changes_at_trial": [first + 1 for first in changes],
        "normalised_after_each_change": [
            told(errors, *span) for span in zip(changes, ends, strict=True)
        ],
        "normalised_of_trial_10_after_the_load": told(errors, changes[0] + 9, changes[0] + 10),
        "error_mm_of_trials": {
            name: [[round(each, 3) for each in interval(column)] for column in errors[:, k].T]
            for k, name in enumerate((*POLICIES, "pd_unchanged"))
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
