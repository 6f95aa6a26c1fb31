"""The engine's figures beside the peers' in the same run; one JSON object.

    python benchmarks/engine.py                                  # the engine alone
    python benchmarks/engine.py --harness ../shared/peers --peer genn=ENV/bin/python ...
    python benchmarks/engine.py --only cuba_4000 coba_4000 ...

Each figure is the median of --repeat runs on one core, taken in turn with the peers'; a run that
other processes disturbed is repeated. `ratio` is to the fastest peer whose firing rate agrees with
ours within 5 %; those that do not are listed as void.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from functools import cache
from pathlib import Path

from peers import Bench, Result

#: Neurons and synapses onto each.
SMALL, MIDDLE, BRUNEL, LARGE = (1000, 100), (10_000, 100), (10_000, 1000), (40_000, 1000)
CUBA = (4000, 80)


def control_step(size: tuple[int, int]) -> Callable[[Bench], Result]:
    """One millisecond called from Python, by step of the clock."""
    return lambda bench: {f"dt_{dt:g}_ms": bench.steps(*size, dt) for dt in (1.0, 0.1)}


def by_itself(net: str, key: str, size: tuple[int, int], ms: float) -> Callable[[Bench], Result]:
    """A network without ports."""
    return lambda bench: bench.runs(net, key, *size, ms)


def delivery_share(bench: Bench) -> Result:
    """Synaptic events over those of a plain C loop through the same rows."""
    return {
        "10k": bench.ours("delivery.py", "--n", 10_000, "--steps", 500),
        "100k": bench.ours("delivery.py", "--n", 100_000, "--steps", 50),
    }


@cache
def exact_mode(bench: Bench) -> Result:
    """Both figures of the exact engine."""
    nest = bench.pythons.get("nest")
    options = ["--nest", nest, "--harness", bench.harness] if nest else []
    return bench.ours("exact.py", "--repeat", bench.repeat, *options)


def bytes_per_synapse(bench: Bench) -> Result:
    """Resident memory of a running network, over its synapses."""
    size = ["--n", LARGE[0], "--k", LARGE[1], "--ms", 20, "--warm", 20]
    return {
        kind: bench.ours("driver.py", "tput", net, *size)["bytes_per_synapse"]
        for kind, net in (("static", "brunel"), ("plastic", "brunel_stdp"))
    }


def two_cores(bench: Bench) -> Result:
    """The large networks with two threads, over one; and whether every bit is the same."""
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        return {net: _two_threads(bench, net) for net in ("brunel", "brunel_stdp")}
    finally:
        os.sched_setaffinity(0, pinned)


def _two_threads(bench: Bench, net: str) -> Result:
    size = ["--n", LARGE[0], "--k", LARGE[1], "--ms", 100, "--warm", 50]
    runs = {1: [], 2: []}
    for _ in range(bench.repeat):
        for threads, taken in runs.items():
            taken.append(bench.ours("driver.py", "tput", net, *size, "--threads", threads))
    one, two = (statistics.median(run["wall_per_sim"] for run in taken) for taken in runs.values())
    states = {run["state"] for taken in runs.values() for run in taken}
    return {"ratio": one / two, "same_state": len(states) == 1}


FIGURES: dict[str, Callable[[Bench], Result]] = {
    "step_1k_us_p50": control_step(SMALL),
    "step_10k_us_p50": control_step(MIDDLE),
    "delivery_share": delivery_share,
    "cuba_4000": by_itself("cuba", "wall_per_sim", CUBA, 1000),
    "coba_4000": by_itself("coba", "wall_per_sim", CUBA, 500),
    "brunel_10k": by_itself("brunel", "mev_s", BRUNEL, 200),
    "brunel_40k": by_itself("brunel", "mev_s", LARGE, 100),
    "brunel_10k_stdp": by_itself("brunel_stdp", "mev_s", BRUNEL, 100),
    "brunel_40k_stdp": by_itself("brunel_stdp", "mev_s", LARGE, 50),
    "silent_cost": lambda bench: exact_mode(bench)["silent_cost"],
    "exact_events": lambda bench: exact_mode(bench)["exact_events"],
    "bytes_per_synapse": bytes_per_synapse,
    "edlut_size": lambda bench: bench.ours("edlut.py"),
    "million": lambda bench: bench.ours("million.py"),
    "two_cores": two_cores,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--harness", type=Path, default=Path("../shared/peers"))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    args = parser.parse_args()
    pythons = dict(peer.split("=", 1) for peer in args.peer)
    bench = Bench(args.harness.resolve(), pythons, args.repeat)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(json.dumps({name: FIGURES[name](bench) for name in args.only}, indent=2))


if __name__ == "__main__":
    main()
