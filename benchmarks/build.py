"""How long a large network takes to build by hand, and what a synapse costs; one JSON object.

    python benchmarks/build.py [--quick]

Each size is built in a process of its own: fixed in-degree 100, one weight and one delay for all.
`peak_bytes_per_synapse` is the growth of the process's resident memory at its highest, `bytes_per_
synapse` what the finished network holds. `--quick` leaves out the largest.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

DEGREE = 100
SIZES = {"synapses_10m": 100_000, "synapses_100m": 1_000_000}


def measure(neurons: int) -> dict[str, float]:
    """Build once; seconds of the clock and of the processor, bytes."""
    import reflexarc
    from reflexarc.runtime.network import Projection

    before = peak_bytes()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    net = reflexarc.Builder(seed=1)
    cells = net.population("cells", neurons, reflexarc.ExpLIF())
    net.project(cells, cells, reflexarc.FixedIndegree(DEGREE), weight=0.1, delay_s=1e-3)
    net.output("out", cells)
    network = net.build(mode="clocked", dt_s=1e-3)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    held = sum(
        node.rows.nbytes + node.targets.nbytes + node.weight.nbytes
        for node in network.nodes.values()
        if isinstance(node, Projection)
    )
    synapses = neurons * DEGREE
    return {
        "neurons": neurons,
        "synapses": synapses,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "bytes_per_synapse": round(held / synapses, 3),
        "peak_bytes_per_synapse": round((peak_bytes() - before) / synapses, 3),
    }


def peak_bytes() -> int:
    """Resident memory at its highest so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure each size in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the largest")
    parser.add_argument("--neurons", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.neurons:
        print(json.dumps(measure(args.neurons)))
        return
    figures = {}
    for name, neurons in SIZES.items():
        if not (args.quick and neurons == max(SIZES.values())):
            command = [sys.executable, __file__, "--neurons", str(neurons)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures[name] = json.loads(done.stdout)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
