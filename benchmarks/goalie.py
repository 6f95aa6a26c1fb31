"""Shots blocked of all and of those within reach, by phase and policy; one JSON object.

    python benchmarks/goalie.py [--seeds 10] [--first 0] [--policy NAME ...] [--set KEY=VALUE ...]

Every policy meets the same shots. Phases are the times between the scenario's changes. Lockstep:
the figures do not depend on the machine. What "within reach" means stands in
`scenarios/goalie/score.py`.
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
from reflexarc.scenarios.goalie.score import Blocked


def shots(name: str, settings: tuple[str, ...], seed: int) -> list[tuple[float, float, bool]]:
    """Of each shot when it was over, whether it was blocked and whether it was within reach."""
    scenario, policy = made(name, "goalie", settings, seed)
    score, _ = played(scenario, policy, seed)
    assert isinstance(score, Blocked)
    return list(zip(score.ended_s, score.trials, score.reachable, strict=True))


def figures(by_seed: list[list[tuple[float, float, bool]]], changes_s: list[float]) -> Any:
    """Per cent blocked: of all and of those within reach, and of each phase."""
    table = [np.array(each, np.float64).reshape(-1, 3) for each in by_seed]
    flat = np.concatenate(table)
    phase = np.searchsorted(changes_s, flat[:, 0], side="right")
    within = flat[:, 2] > 0
    return {
        "all": str(interval([100 * each[:, 1].mean() for each in table])),
        "within_reach": str(interval([100 * each[each[:, 2] > 0, 1].mean() for each in table])),
        "shots": len(flat),
        "beyond_reach": int((~within).sum()),
        "missed_within_reach": int((within & (flat[:, 1] == 0)).sum()),
        "by_phase": [
            {
                "all": round(100 * float(flat[phase == n, 1].mean()), 1),
                "within_reach": round(100 * float(flat[(phase == n) & within, 1].mean()), 1),
            }
            for n in np.unique(phase)
        ],
    }


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--policy", action="append")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    scenario = Scenario.load("goalie", arguments.settings)
    names = arguments.policy or [*NETWORK, *scenario.spec.baselines]
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    result = {}
    with workers(len(seeds)) as pool:
        for name in names:
            run = partial(shots, name, tuple(arguments.settings))
            result[name] = figures(pool.map(run, seeds, chunksize=1), scenario.changes_s)
    print(json.dumps({"unit": "% blocked", "changes_s": scenario.changes_s, **result}, indent=1))


if __name__ == "__main__":
    main()
