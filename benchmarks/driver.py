"""One measurement of one network in this process, one JSON line; benchmarks/engine.py starts it.

    python benchmarks/driver.py tput cuba --n 4000 --k 80 --ms 1000
    python benchmarks/driver.py loop loop --n 1000 --k 100 --dt 1.0 --steps 2000

The same figures in the same manner as the neutral harness's bench.py.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from networks import spec
from reflexarc_e import Engine

from reflexarc.runtime.clock import perf_ns

WARM_STEPS = 200


def resident_bytes() -> int:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def throughput(engine: Engine, values: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """A network that runs by itself: seconds a simulated second, events a second, its state."""
    before = resident_bytes()
    began_ns = perf_ns()
    engine.build(values, args.threads)
    build_s = (perf_ns() - began_ns) * 1e-9
    engine.run(args.warm)
    held = resident_bytes() - before
    spikes, began_ns = engine.spikes(), perf_ns()
    engine.run(args.ms)
    took_s = (perf_ns() - began_ns) * 1e-9
    spikes = engine.spikes() - spikes
    digest = hashlib.sha256()
    for name, array in sorted(engine.program.state().items()):
        digest.update(name.encode() + array.tobytes())
    return {
        "build_s": build_s,
        "bytes_per_synapse": held / engine.nsyn,
        "wall_per_sim": took_s * 1e3 / args.ms,
        "mev_s": spikes * engine.nsyn / values["n"] / took_s * 1e-6,
        "rate_hz": spikes / values["n"] / args.ms * 1e3,
        "state": digest.hexdigest()[:16],
    }


def control_step(
    engine: Engine, values: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    """A network stepped from Python a millisecond at a time: microseconds a step."""
    engine.build_loop(values)
    rng = np.random.default_rng(7)
    lines = [np.sort(rng.choice(values["n_in"], 100, replace=False)) for _ in range(64)]
    took_ns, spikes = np.empty(args.steps), 0
    gc.collect()
    gc.disable()
    for step in range(-WARM_STEPS, args.steps):
        began_ns = perf_ns()
        out = engine.step(lines[step & 63])
        if step >= 0:
            took_ns[step] = perf_ns() - began_ns
            spikes += len(out)
    p50, p99 = np.percentile(took_ns, [50, 99]) * 1e-3
    return {"p50": p50, "p99": p99, "rate_hz": spikes / values["n"] / args.steps * 1e3}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["tput", "loop"])
    parser.add_argument("net")
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--dt", type=float, default=0.1)
    parser.add_argument("--ms", type=float, default=500)
    parser.add_argument("--warm", type=float, default=100)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drive", type=float, help="constant current instead of the network's")
    args = parser.parse_args()
    values = spec(args.net, args.n, args.k, args.dt)
    if args.drive is not None:
        values["I_e"] = args.drive
    measure = throughput if args.what == "tput" else control_step
    print(json.dumps(measure(Engine(""), values, args)))


if __name__ == "__main__":
    main()
