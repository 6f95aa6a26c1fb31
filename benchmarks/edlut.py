"""A cerebellum of the size that EDLUT holds in real time: CPU time of a step; one JSON line.

    python benchmarks/edlut.py [--steps 1000]

62,040 neurons and 36.4 million synapses, 36 million of them plastic, after Abadía et al., Science
Robotics 6 (2021): 240 mossy fibres, 60,000 granule cells with 4 of them each, 600 climbing
fibres, 600 Purkinje cells that hear all granule cells, 600 neurons of the nuclei. A step is 2 ms,
two of the clock; all fire at about 2 Hz on average. The plastic synapses obey pair STDP.
"""

from __future__ import annotations

import argparse
import gc
import json
import time

import numpy as np

from reflexarc import (
    AllToAll,
    Builder,
    CondLIF,
    FixedIndegree,
    Network,
    Normal,
    OneToOne,
    PairStdp,
    Poisson,
    Uniform,
)
from reflexarc.runtime.backends.clocked import ClockedBackend

STEP_NS, WARM_STEPS = 2_000_000, 250


def cerebellum() -> Network:
    """The network."""
    net = Builder(seed=1)
    cell = CondLIF(v_leak=-70.0, v_reset=-70.0, refractory_s=1e-3)
    mossy = net.population("mossy", 240, Poisson(rate_hz=60.0))
    climbing = net.population("climbing", 600, Poisson(rate_hz=1.0))
    granule = net.population("granule", 60_000, cell, initial_v=Uniform(-70.0, -60.0))
    purkinje = net.population("purkinje", 600, cell, initial_v=Uniform(-70.0, -60.0))
    nuclei = net.population("nuclei", 600, cell, initial_v=Uniform(-70.0, -60.0))
    net.project(mossy, granule, FixedIndegree(4), weight=1.9)
    rule = PairStdp(a_plus=1e-6, a_minus=1e-6, w_max=0.05)
    parallel = Normal(0.005, 0.0005)
    net.project(granule, purkinje, AllToAll(), weight=parallel, delay_s=1e-3, plasticity=rule)
    net.project(climbing, purkinje, OneToOne(), weight=40.0, delay_s=1e-3)
    net.project(mossy, nuclei, AllToAll(), weight=0.06)
    net.project(climbing, nuclei, OneToOne(), weight=5.0, delay_s=1e-3)
    net.project(purkinje, nuclei, OneToOne(), weight=-5.0, delay_s=1e-3)
    net.output("out", nuclei)
    return net.build(mode="clocked", dt_s=1e-3)


def measure(steps: int) -> dict[str, float]:
    """CPU time and rate."""
    network = cerebellum()
    program = ClockedBackend().compile(network)
    neurons = sum(node.size for node in network.nodes.values() if hasattr(node, "kind"))
    took_ns, spikes = np.empty(steps), 0
    gc.collect()
    gc.disable()
    for step in range(-WARM_STEPS, steps):
        began_ns, fired = time.process_time_ns(), program.counters().spikes
        program.step(program.now_ns + STEP_NS, {})
        if step >= 0:
            took_ns[step] = time.process_time_ns() - began_ns
            spikes += program.counters().spikes - fired
    p50, p99 = np.percentile(took_ns, [50, 99]) * 1e-6
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "rate_hz": spikes / neurons / (steps * STEP_NS) * 1e9,
        "neurons": neurons,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    print(json.dumps(measure(parser.parse_args().steps)))


if __name__ == "__main__":
    main()
