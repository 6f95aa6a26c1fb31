"""Seconds the pole stays up, for the network and the conventional controllers; one JSON object.

    python benchmarks/pole_balance.py [--seeds 10] [--seconds 20]

Every policy meets the same seeds (start, pushes) twice: with the nominal pole of 0.5 kg all along,
and with one that weighs 4 kg from second 5 on. Lockstep: the figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant

PLANTS = {"nominal": ["world.config.changes=[]"], "changed": []}
POLICIES = {
    "network_learning": ["learning=true"],
    "network_frozen": ["learning=false"],
    # LQR sees the true state: no frames are rendered for it.
    "lqr": ["world.config.camera=null"],
    "pd-events": [],
}


def seconds_balanced(name: str, settings: list[str], seed: int) -> float:
    """The score of one run of the policy `name`."""
    scenario = Scenario.load("pole-balance", settings)
    network = name.startswith("network")
    policy = scenario.make_policy() if network else scenario.make_baseline(name, seed)
    score, gate = scenario.make_score(seed), scenario.make_gate()
    assert score is not None
    plant = LocalPlant(scenario.make_world(seed), gate.rest)

    def go_on(tick: Tick) -> bool:
        truth = next(batch for batch in tick.batches if batch.stream == "truth")
        return score.update(truth.values, tick.now_ns)

    try:
        loop = Loop(LockstepClock(scenario.spec.period_ns), plant, policy, gate)
        loop.run(scenario.ticks, go_on)
    finally:
        plant.close()
    return round(score.value, 3)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    result = {
        f"{plant}/{name}": [
            seconds_balanced(name, [f"seconds={arguments.seconds}", *changes, *settings], seed)
            for seed in range(arguments.seeds)
        ]
        for plant, changes in PLANTS.items()
        for name, settings in POLICIES.items()
    }
    means = {key: round(statistics.fmean(values), 2) for key, values in result.items()}
    print(json.dumps({"unit": "s balanced", "mean": means, "by_seed": result}, indent=1))


if __name__ == "__main__":
    main()
