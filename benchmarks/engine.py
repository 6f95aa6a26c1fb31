"""One control step of a 1,000-neuron network, beside a peer's in the same run; one JSON object.

    python benchmarks/engine.py                       # the engine alone
    python benchmarks/engine.py --harness ../shared/peers --peer brian2=ENV/bin/python ...

The network: N CubaLIF neurons at about 5 Hz, 100 recurrent synapses each, 100 input spikes a
millisecond onto 10 neurons each, output spikes read back in Python every step. They have one
synaptic time constant of 5 ms; where the peers give inhibition 10 ms, its weight is doubled here to
keep the charge. Brian2, Nengo and NEST join through the neutral harness when
environments that have them are named.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
from pathlib import Path

import numpy as np

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.network import Input, Linear, Network, Neurons, Output

STEP_NS = 1_000_000
#: Peers the harness knows, and how each is driven fastest there.
PEERS = {"brian2": "netop", "nengo": "sparse", "nest": ""}
LINES, FAN_OUT, INDEGREE, SPIKES = 1000, 10, 100, 100


def loop_network(n: int, seed: int = 1) -> Network:
    """The network of the control-step benchmark, in millivolts, after the peers' `loop`."""
    rng = np.random.default_rng(seed)
    w_in, w_rec = np.zeros((n, LINES)), np.zeros((n, n))
    for line in range(LINES):
        w_in[rng.choice(n, FAN_OUT, replace=False), line] = 0.5
    for post in range(n):
        pre = rng.choice(n, INDEGREE, replace=False)
        w_rec[post, pre] = np.where(pre < 0.8 * n, 0.3, -3.0)
    values = {
        "tau_syn": 5e-3,
        "tau_mem": 20e-3,
        "r": 1.0,
        "v_leak": -60.0 + (6.93 if n <= 2000 else 9.8),  # a drive that gives the peers' rate
        "v_threshold": -50.0,
        "v_reset": -60.0,
        "w_in": 1 / (1 - np.exp(-1 / 5)),  # a spike of weight w raises the current by w
    }
    parameters = {name: np.full(n, value) for name, value in values.items()}
    nodes = [
        Input(name="input", shape=(LINES,)),
        Linear(name="w_in", shape=(n,), weight=w_in),
        Neurons(name="lif", shape=(n,), kind="CubaLIF", parameters=parameters),
        Linear(name="w_rec", shape=(n,), weight=w_rec),
        Output(name="output", shape=(n,)),
    ]
    edges = (
        ("input", "w_in"),
        ("w_in", "lif"),
        ("lif", "w_rec"),
        ("w_rec", "lif"),
        ("lif", "output"),
    )
    return Network(nodes={node.name: node for node in nodes}, edges=edges, mode="clocked")


def inputs_of(seed: int = 7) -> list[np.ndarray]:
    """64 different millisecond's worth of input lines, as the peers get them."""
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(LINES, SPIKES, replace=False)) for _ in range(64)]


def step_us(n: int, steps: int) -> dict[str, float]:
    """p50 and p99 of one `Program.step` from Python, in microseconds."""
    program = ClockedBackend().compile(loop_network(n), dt_s=1e-3)
    lines, took_ns, spikes = inputs_of(), np.empty(steps), 0
    for step in range(-200, steps):
        batch = np.zeros(SPIKES, dtype=SPIKE)
        batch["i"] = lines[step & 63]
        batch["t_ns"] = (step + 200) * STEP_NS
        begin = perf_ns()
        out = program.step((step + 201) * STEP_NS, {"input": batch})["output"]
        if step >= 0:
            took_ns[step] = perf_ns() - begin
            spikes += len(out)
    p50, p99 = np.percentile(took_ns, [50, 99]) * 1e-3
    return {"p50": p50, "p99": p99, "rate_hz": spikes / n / steps * 1000}


def peer_us(harness: Path, peers: dict[str, str], n: int) -> dict[str, dict[str, float]]:
    """p50 and rate of each peer's step of the same size, through the neutral harness."""
    found = {}
    for name, python in peers.items():
        command = [python, "bench.py", "loop", f"{name}_e", "--n", str(n), "--dt", "1.0"]
        command += ["--steps", "2000", "--opt", PEERS[name]]
        done = subprocess.run(command, cwd=harness, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr.splitlines()[-1]}")
        result = json.loads(done.stdout.splitlines()[-1])
        found[result["version"]] = {"p50": result["p50"], "rate_hz": result["rate_hz"]}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--harness", type=Path, help="folder of the neutral peer harness")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()
    result: dict[str, object] = {}
    for n in (1000, 10_000):
        ours = [step_us(n, args.steps) for _ in range(args.repeat)]
        p50 = statistics.median(run["p50"] for run in ours)
        peers = peer_us(args.harness, dict(peer.split("=", 1) for peer in args.peer), n)
        name = f"step_{n // 1000}k_us"
        result[name] = {
            "p50": round(p50, 2),
            "p99": round(statistics.median(run["p99"] for run in ours), 2),
            "rate_hz": round(ours[0]["rate_hz"], 2),
            "peers": peers,
            "ratio_to_fastest_peer": (
                round(min(peer["p50"] for peer in peers.values()) / p50, 2) if peers else None
            ),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
