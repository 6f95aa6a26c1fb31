"""Balls struck by and dodges for nothing, by phase and policy; one JSON object.

    python benchmarks/dodge.py [--seeds 10] [--first 0] [--policy NAME ...] [--set KEY=VALUE ...]

Every policy meets the same throws. Phases are the times between the scenario's changes. Lockstep:
the figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

import numpy as np
from played import NETWORK, made, played

from reflexarc.runtime.interval import interval
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers
from reflexarc.scenarios.dodge.score import Handled


def balls(name: str, settings: tuple[str, ...], seed: int) -> list[tuple[float, float, bool]]:
    """Of each ball when it was over, whether it was handled and whether it would have met."""
    scenario, policy = made(name, "dodge", settings, seed)
    score, _ = played(scenario, policy, seed)
    assert isinstance(score, Handled)
    return list(zip(score.ended_s, score.trials, score.met, strict=True))


def figures(by_seed: list[list[tuple[float, float, bool]]], changes_s: list[float]) -> Any:
    """Per cent handled: of all, of those that would meet and those that would pass, by phase."""
    table = [np.array(each, np.float64).reshape(-1, 3) for each in by_seed]
    flat = np.concatenate(table)
    phase = np.searchsorted(changes_s, flat[:, 0], side="right")
    return {
        "all": str(interval([100 * each[:, 1].mean() for each in table])),
        "would_meet": str(interval([100 * each[each[:, 2] > 0, 1].mean() for each in table])),
        "balls": len(flat),
        "struck": int(((flat[:, 2] > 0) & (flat[:, 1] == 0)).sum()),
        "needless": int(((flat[:, 2] == 0) & (flat[:, 1] == 0)).sum()),
        "by_phase": [_phase(flat[phase == n]) for n in np.unique(phase)],
    }


def _phase(flat: Any) -> Any:
    meets = flat[:, 2] > 0
    return {
        "all": round(100 * float(flat[:, 1].mean()), 1),
        "would_meet": round(100 * float(flat[meets, 1].mean()), 1),
        "would_pass": round(100 * float(flat[~meets, 1].mean()), 1),
    }


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--policy", action="append")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    scenario = Scenario.load("dodge", arguments.settings)
    names = arguments.policy or [*NETWORK, *scenario.spec.baselines]
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    result = {}
    with workers(len(seeds)) as pool:
        for name in names:
            run = partial(balls, name, tuple(arguments.settings))
            result[name] = figures(pool.map(run, seeds, chunksize=1), scenario.changes_s)
    print(json.dumps({"unit": "% handled", "changes_s": scenario.changes_s, **result}, indent=1))


if __name__ == "__main__":
    main()
