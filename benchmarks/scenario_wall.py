"""A scenario with a camera in real time: from an event to its command, and what that costs.

    python benchmarks/scenario_wall.py NAME [--seconds 20]

One JSON object. The world runs in a process of its own. An event's latency is from when it happened
to when the command of the tick that took it in has gone out; the policy's share of a core is the
time of encode, think and decode over all time.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from reflexarc.runtime.clock import WallClock
from reflexarc.runtime.loop import CALLS, Loop, Tick
from reflexarc.runtime.plants import make_plant
from reflexarc.runtime.scenario import Scenario


def main() -> None:
    """Run the network and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    settings = ["mode=wall", "world.process=own", f"seconds={arguments.seconds}"]
    scenario = Scenario.load(arguments.name, settings)
    score, gate = scenario.make_score(0), scenario.make_gate()
    assert score is not None
    late_ns: list[int] = []

    def listen(tick: Tick) -> None:
        for batch in tick.batches:
            if batch.stream == "truth":
                score.update(batch.values, batch.t_last_ns)
            elif batch.stream == "camera":
                sent_ns = tick.now_ns + sum(tick.calls_ns)
                late_ns.extend((sent_ns - batch.values["t"].astype(np.int64) * 1000).tolist())

    clock, plant = WallClock(scenario.spec.period_ns), make_plant(scenario, gate.rest)
    loop = Loop(clock, plant, scenario.make_policy(), gate, listeners=[listen])
    end_ns = round(arguments.seconds * 1e9)
    try:
        loop.run(scenario.ticks, lambda tick: tick.until_ns < end_ns)
    finally:
        plant.close()
    policy_us = loop.durations_ns[:, CALLS.index("encode") : CALLS.index("guard")].sum(axis=1) / 1e3
    print(
        json.dumps(
            {
                "event_to_command_ms": dict(
                    zip(
                        ("p50", "p90", "p99"),
                        np.percentile(late_ns, [50, 90, 99]) / 1e6,
                        strict=True,
                    )
                ),
                "updates_hz": loop.ticks / arguments.seconds,
                "overruns": clock.overruns,
                "policy_p50_us": float(np.median(policy_us)),
                "policy_share_of_a_core": float(policy_us.sum()) / (arguments.seconds * 1e6),
                "score": score.value,
                "unit": score.unit,
                "trials": len(score.trials),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
