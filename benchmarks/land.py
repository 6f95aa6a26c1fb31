"""Landing: how long it takes and how hard it is, before and after each change.

    python benchmarks/land.py --seeds 10

Prints one JSON object; figures are [mean, low, high] over seeds. `score` is that of `reflexarc run
land --compare`; `gentle` is the share of landings that touch the ground below 0.3 m/s.
"""

from __future__ import annotations

import argparse
import json
from functools import partial

import numpy as np

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.interval import interval
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.land.score import Landings, LandingsConfig

NAME = "land"
GENTLE_M_S = 0.3

#: Of each landing: what had changed by its end (0, 1, 2), how long it took (s), touchdown (m/s).
Landed = list[tuple[int, float, float]]


def fly(policy: str, seed: int, settings: list[str]) -> tuple[float, Landed]:
    """The score of one run, and its landings; `learning` and `frozen` are the network."""
    learning = "true" if policy == "learning" else "false"
    scenario = Scenario.load(NAME, [*settings, f"seed={seed}", f"learning={learning}"])
    score, landed = Landings(LandingsConfig(), seed), list[tuple[int, float, float]]()

    def keep(tick: Tick) -> None:
        truth = next(batch.values for batch in tick.batches if batch.stream == "truth")
        score.update(truth, tick.now_ns)
        if len(score.took_s) > len(landed):
            changed = sum(tick.now_ns * 1e-9 >= at_s for at_s in scenario.changes_s)
            landed.append((changed, score.took_s[-1], score.touched_m_s[-1]))

    network = policy in ("learning", "frozen")
    made = scenario.make_policy() if network else scenario.make_baseline(policy, seed)
    gate = scenario.make_gate()
    plant = LocalPlant(scenario.make_world(seed), gate.rest)
    clock = LockstepClock(scenario.spec.period_ns)
    Loop(clock, plant, made, gate, listeners=[keep]).run(scenario.ticks)
    plant.close()
    return score.value, landed


def fly_all(seed: int, policies: list[str], settings: list[str]) -> list[tuple[float, Landed]]:
    """`fly` with each of the policies."""
    return [fly(policy, seed, settings) for policy in policies]


def told(runs: list[tuple[float, Landed]], changes: int) -> dict[str, object]:
    """The figures of one policy, from its runs over the seeds."""
    every = [landing for _, landed in runs for landing in landed]
    figures: dict[str, object] = {
        "score": rounded([score for score, _ in runs]),
        "gentle": round(float(np.mean([touched < GENTLE_M_S for _, _, touched in every])), 3),
        "landings": len(every),
    }
    for changed in range(changes + 1):
        of_seed = [[each for each in landed if each[0] == changed] for _, landed in runs]
        means = np.array([np.mean(each, axis=0) for each in of_seed if each])
        worst = max((touched for each in of_seed for _, _, touched in each), default=None)
        figures[f"after_change_{changed}"] = {
            "took_s": rounded(means[:, 1].tolist()),
            "touched_m_s": rounded(means[:, 2].tolist()),
            "hardest_m_s": worst and round(worst, 3),
        }
    return figures


def rounded(values: list[float]) -> list[float]:
    """Mean and 95 % interval."""
    return [round(each, 3) for each in interval(values)]


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--policy", dest="policies", action="append")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    scenario = Scenario.load(NAME, options.settings)
    policies = options.policies or ["learning", "frozen", *scenario.spec.baselines]
    with workers(options.seeds) as pool:
        job = partial(fly_all, policies=policies, settings=options.settings)
        found = pool.map(job, range(options.seeds), 1)
    changes = len(scenario.changes_s)
    figures = {
        policy: told([runs[k] for runs in found], changes) for k, policy in enumerate(policies)
    }
    print(json.dumps({"seeds": options.seeds, "policies": figures}, indent=1))


if __name__ == "__main__":
    main()
