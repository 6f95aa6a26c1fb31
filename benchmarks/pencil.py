"""How long the rod stands from events alone, and how late its commands may come; one JSON object.

    python benchmarks/pencil.py [--seconds 300] [--latency] [--seeds 3] [--policy NAME ...]

Without `--latency`: one long run of each policy under taps, without noise or turned cameras. With
it: the largest latency (world.config.latency_ns, in steps of 2 ms) with which the rod stands for
6 s under taps in every one of the worlds, by bisection up to 62 ms: what holds is taken to hold
with less. Lockstep: the figures do not depend on the machine, but for `cpu_s`.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import Any

from played import played

from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers
from reflexarc.scenarios.pencil.score import Standing

TAPPED = "world.config.changes=[{at_s: 2.0, set: {tap_n_s: 0.001}}]"
POLICIES = ("network", "pd-truth", "pd-line", "pid-line")
STEP_NS, STEPS, LATENCY_S = 2_000_000, 32, 6.0


def stands(policy: str, seed: int, seconds: float, latency_ns: int = 0) -> Standing:
    """The score of one run under taps."""
    settings = [f"seconds={seconds}", TAPPED, f"world.config.latency_ns={latency_ns}"]
    if policy == "pd-truth":
        settings.append("world.config.pixels=null")  # it does not look
    scenario = Scenario.load("pencil", settings)
    made = scenario.make_policy() if policy == "network" else scenario.make_baseline(policy, seed)
    score, _ = played(scenario, made, seed)
    assert isinstance(score, Standing)
    return score


def largest_latency_ms(policy: str, seeds: int) -> float:
    """The largest with which every world's rod stands; -2 if none does."""
    holds, falls = -1, STEPS
    while falls - holds > 1:
        steps = (holds + falls) // 2
        # the first world that falls settles it
        held = all(
            stands(policy, seed, LATENCY_S, steps * STEP_NS).stood_s > LATENCY_S - 0.01
            for seed in range(seeds)
        )
        holds, falls = (steps, falls) if held else (holds, steps)
    return holds * STEP_NS * 1e-6


def endurance(policy: str, seconds: float) -> dict[str, float]:
    """Of one long run in world 0."""
    begun_s = time.process_time()
    score = stands(policy, 0, seconds)
    return {
        "stood_s": round(score.stood_s, 3),
        "in_the_middle_s": round(score.value, 3),
        "cpu_s": round(time.process_time() - begun_s, 1),
    }


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--policy", action="append", choices=POLICIES)
    options = parser.parse_args()
    policies = options.policy or POLICIES
    measure: Any = partial(endurance, seconds=options.seconds)
    if options.latency:
        measure = partial(largest_latency_ms, seeds=options.seeds)
    with workers(len(policies)) as pool:
        found = dict(zip(policies, pool.map(measure, policies, chunksize=1), strict=True))
    print(json.dumps({"largest_latency_ms" if options.latency else "tapped": found}, indent=1))


if __name__ == "__main__":
    main()
