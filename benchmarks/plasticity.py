"""What learning costs: events a second of each rule over those of the same network without.

    python benchmarks/plasticity.py                          # one JSON object; the engine alone
    python benchmarks/plasticity.py --nest ENV/bin/python    # beside NEST with the same rule
    python benchmarks/plasticity.py --only r_stdp --repeat 5

Brunel's network of 10,000 neurons and 10 million synapses at 36 Hz, of which the 64 % among the
excitatory neurons learn (see rulerun.py); one core, processor time, medians of processes in turn.
`of_static` is the rule's events a second over the static figure of the same run, `over_nest` that
over NEST's with the same rule; weights are float32 (`double`: float64). `silent_modulator` is the
time of a step of the network without any spike while a modulator fires at 1 kHz over that while it
is silent too, for 0.64 and 6.4 million synapses that learn by it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from peers import quietly
from rulerun import RULES

HERE = Path(__file__).parent
#: NEST's simulated time in ms, where 300 take it minutes.
SHORT_MS = {"r_stdp": 20}


class Bench:
    """Runs measurements in turn, each in a process of its own on one core."""

    def __init__(self, nest: str | None, repeat: int) -> None:
        self.nest, self.repeat = nest, repeat

    def ours(self, *options: object) -> dict[str, Any]:
        """One run of ours."""
        return self._run(sys.executable, "rulerun.py", *options)

    def theirs(self, *options: object) -> dict[str, Any]:
        """One run of NEST's."""
        return self._run(str(self.nest), "rulerun_nest.py", *options)

    @staticmethod
    def _run(python: str, script: str, *options: object) -> dict[str, Any]:
        pinned = ["taskset", "-c", "1", python, str(HERE / script), *map(str, options)]
        return quietly(pinned)

    def rule(self, rule: str) -> dict[str, Any]:
        """Medians of a rule, the static network and NEST, in turns."""
        taken: dict[str, list[dict[str, Any]]] = {"static": [], "single": [], "double": []}
        for _ in range(self.repeat):
            taken["static"].append(self.ours("static"))
            for precision in ("single", "double"):
                taken[precision].append(self.ours(rule, "--precision", precision))
            if self.nest:
                ms = SHORT_MS.get(rule, 300)
                taken.setdefault("nest", []).append(self.theirs(rule, "--ms", ms))
        speed = {
            name: statistics.median(run["mev_s"] for run in runs) for name, runs in taken.items()
        }
        found = {f"{name}_mev_s": round(value, 1) for name, value in speed.items()}
        found["of_static"] = round(speed["single"] / speed["static"], 3)
        found["of_static_double"] = round(speed["double"] / speed["static"], 3)
        if "nest" in speed:
            found["over_nest"] = round(speed["single"] / speed["nest"], 1)
        found["rate_hz"] = {name: round(runs[0]["rate_hz"], 2) for name, runs in taken.items()}
        found["disturbed_runs"] = sum(run["disturbed"] for runs in taken.values() for run in runs)
        return found

    def silent_modulator(self) -> dict[str, float]:
        """Time of a step with a modulator at 1 kHz over that without, by synapses onto a neuron."""
        ratios = {}
        for k in (100, 1000):
            quiet = ["r_stdp", "--silent", "--k", k, "--ms", 2000]
            runs = [
                self.ours(*quiet, "--modulator-hz", 1000)["us_step"] / self.ours(*quiet)["us_step"]
                for _ in range(self.repeat)
            ]
            ratios[f"{6400 * k:,} synapses"] = round(statistics.median(runs), 3)
        return ratios


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nest", help="an interpreter with NEST")
    parser.add_argument("--only", choices=[*RULES, "silent_modulator"])
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    bench = Bench(args.nest, args.repeat)
    names = [args.only] if args.only else [*RULES, "silent_modulator"]
    found = {
        name: bench.silent_modulator() if name == "silent_modulator" else bench.rule(name)
        for name in names
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
