"""A million neurons, a hundred million synapses: built, run, saved, restored; one JSON line.

    python benchmarks/million.py [--neurons 1000000] [--threads 1]

Brunel's network with 100 synapses onto each neuron, dt 0.1 ms. `same_again` says that what ran
after the checkpoint came out the same when it was restored.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from driver import resident_bytes
from networks import network_of, spec

from reflexarc.runtime.backends.base import State
from reflexarc.runtime.backends.clocked import ClockedBackend

IN_DEGREE, RUN_MS, MS_NS = 100, 50, 1_000_000


class Stopwatch:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self.at = time.perf_counter()

    def __call__(self) -> float:
        before, self.at = self.at, time.perf_counter()
        return round(self.at - before, 3)


def same(one: State, other: State) -> bool:
    """Whether two states are equal bit for bit."""
    return all(np.array_equal(one[name], other[name]) for name in one)


def measure(neurons: int, threads: int) -> dict[str, object]:
    """All figures."""
    watch, before = Stopwatch(), resident_bytes()
    network = network_of(spec("brunel", neurons, IN_DEGREE, 0.1))
    program = ClockedBackend(threads).compile(network)
    result: dict[str, object] = {"build_s": watch(), "synapses": neurons * IN_DEGREE}
    result["resident_gb"] = (resident_bytes() - before) * 1e-9
    result["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-9
    program.step(10 * MS_NS, {})
    watch()
    state = program.state()
    result["checkpoint_s"] = watch()
    spikes = program.counters().spikes
    program.step((10 + RUN_MS) * MS_NS, {})
    took_s = watch()
    spikes = program.counters().spikes - spikes
    after = program.state()
    watch()
    program.restore(state)
    result["restore_s"] = watch()
    program.step((10 + RUN_MS) * MS_NS, {})
    result |= {
        "rate_hz": spikes / neurons / RUN_MS * 1e3,
        "real_time_factor": RUN_MS * 1e-3 / took_s,
        "mev_s": spikes * IN_DEGREE / took_s * 1e-6,
        "same_again": same(after, program.state()),
    }
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    print(json.dumps(measure(args.neurons, args.threads)))


if __name__ == "__main__":
    main()
