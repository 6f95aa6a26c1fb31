"""A scenario's network in real time: from event to command, and what it costs of a core.

    python benchmarks/walltime.py NAME [--seconds 10] [--set KEY=VALUE ...]

One JSON object. The world runs in a process of its own. An event's latency is from when it happened
to when the command of the tick that took it in has gone out; of a scenario without event streams it
is the age of the newest reading behind each command. The policy's share of a core is the time of
encode, think and decode over all time.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from reflexarc.runtime.clock import WallClock
from reflexarc.runtime.loop import CALLS, Loop, Tick
from reflexarc.runtime.plants import make_plant
from reflexarc.runtime.scenario import Scenario

Figures = dict[str, Any]


class Ages:
    """How old what a tick took in was when its command had gone out, in ns.

    Attributes:
        events: of each event.
        newest: of the newest sensor value behind each command that had one.
    """

    def __init__(self) -> None:
        self.events: list[int] = []
        self.newest: list[int] = []

    def listen(self, tick: Tick) -> None:
        """Take in one tick, as a listener of the loop."""
        sent_ns = tick.now_ns + tick.late_ns + sum(tick.calls_ns)
        for batch in tick.batches:
            if "t" in (batch.values.dtype.names or ()):
                self.events.extend((sent_ns - batch.values["t"].astype(np.int64) * 1000).tolist())
        if tick.age_ns >= 0:
            self.newest.append(tick.age_ns)

    def figures_ms(self) -> dict[str, float]:
        """Percentiles, in ms; empty where nothing came."""
        ages = self.events or self.newest
        if not ages:
            return {}
        found = np.percentile(ages, [50, 90, 99]) / 1e6
        return {
            name: round(float(q), 3) for name, q in zip(("p50", "p90", "p99"), found, strict=True)
        }


def wall_run(name: str, seconds: float, settings: list[str]) -> Figures:
    """Run the network of the scenario `name` in wall mode, the world in its own process."""
    said = [*settings, "mode=wall", "world.process=own", f"seconds={seconds}"]
    scenario = Scenario.load(name, said)
    gate, ages = scenario.make_gate(), Ages()
    clock, plant = WallClock(scenario.spec.period_ns), make_plant(scenario, gate.rest)
    loop = Loop(clock, plant, scenario.make_policy(), gate, listeners=[ages.listen])
    end_ns = round(seconds * 1e9)
    try:
        loop.run(scenario.ticks, lambda tick: tick.until_ns < end_ns)
    finally:
        plant.close()
    policy_us = loop.durations_ns[:, CALLS.index("encode") : CALLS.index("guard")].sum(axis=1) / 1e3
    return {
        "event_to_command_ms": ages.figures_ms(),
        "of": "events" if ages.events else "newest reading",
        "updates_hz": round(loop.ticks / seconds, 1),
        "wanted_hz": 1e9 / scenario.spec.period_ns,
        "overruns": clock.overruns,
        "policy_p50_us": round(float(np.median(policy_us)), 1),
        "policy_share_of_a_core": round(float(policy_us.sum()) / (seconds * 1e6), 4),
    }


def main() -> None:
    """Run the network and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    print(json.dumps(wall_run(arguments.name, arguments.seconds, arguments.settings), indent=1))


if __name__ == "__main__":
    main()
