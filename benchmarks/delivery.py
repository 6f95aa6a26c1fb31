"""Synaptic events a second of the clocked engine, beside a plain C loop through the same rows.

    python benchmarks/delivery.py --n 10000

N sources with 1,000 synapses each onto N neurons that are updated too; each source fires at 10 Hz,
steps of 1 ms. One JSON line; medians of --repeat runs, taken alternately.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.network import Input, Network, Neurons, Projection

SYNAPSES, DT_NS, RATE_HZ = 1000, 1_000_000, 10


def scatter() -> Any:
    """The C loop, compiled for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "scatter.so"
        source = Path(__file__).with_name("scatter.c")
        options = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["cc", *options, "-o", str(library), str(source)], check=True)
        return ctypes.CDLL(str(library)).scatter


def projection(n: int, rng: np.random.Generator) -> Projection:
    """Every source onto SYNAPSES neurons at random."""
    targets = rng.integers(0, n, (n, SYNAPSES), dtype=np.int32)
    targets.sort(axis=1)
    return Projection(
        name="synapses",
        shape=(n,),
        sources=n,
        rows=np.arange(n + 1) * SYNAPSES,
        targets=targets.reshape(-1),
        weight=rng.random(n * SYNAPSES, np.float32),
        delay_s=1e-3,
        receptor="jump",
    )


def network(synapses: Projection) -> Network:
    """Sources, synapses and neurons that never fire."""
    values = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1e30, "v_reset": 0.0}
    values |= {"refractory": 0.0, "i_offset": 0.0}
    parameters = {name: np.full(synapses.size, value) for name, value in values.items()}
    nodes = [
        Input(name="sources", shape=(synapses.sources,)),
        synapses,
        Neurons(name="neurons", shape=synapses.shape, kind="DeltaLIF", parameters=parameters),
    ]
    edges = (("sources", "synapses"), ("synapses", "neurons"))
    return Network(nodes={node.name: node for node in nodes}, edges=edges, dt_s=DT_NS * 1e-9)


def measure(n: int, steps: int, repeat: int) -> dict[str, float]:
    """Events a second of both, in millions, and the share of ours."""
    rng = np.random.default_rng(1)
    synapses, loop = projection(n, rng), scatter()
    program = ClockedBackend().compile(network(synapses))
    per_step = n * RATE_HZ // 1000
    sums, ours, plain = np.zeros(n, np.float32), [], []
    for _ in range(repeat + 1):
        spikes = rng.integers(0, n, (steps, per_step), dtype=np.int32)
        spikes.sort(axis=1)
        batch = np.zeros(spikes.size, SPIKE)
        batch["i"] = spikes.reshape(-1)
        batch["t_ns"] = program.now_ns + np.repeat(np.arange(steps), per_step) * DT_NS
        began_ns = perf_ns()
        program.step(program.now_ns + steps * DT_NS, {"sources": batch})
        ours.append(perf_ns() - began_ns)
        began_ns = perf_ns()
        loop(
            *map(_pointer, (sums, synapses.rows, synapses.targets, synapses.weight, spikes)),
            ctypes.c_int64(spikes.size),
        )
        plain.append(perf_ns() - began_ns)
    events = steps * per_step * SYNAPSES * 1e3
    engine, reference = (events / statistics.median(took[1:]) for took in (ours, plain))
    return {"engine_mev_s": engine, "scatter_mev_s": reference, "share": engine / reference}


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(json.dumps(measure(args.n, args.steps, args.repeat)))


if __name__ == "__main__":
    main()
