"""Exact mode: events per second beside NEST's precise neurons, and what silent neurons cost.

    python benchmarks/exact.py                               # one JSON object; the engine alone
    python benchmarks/exact.py --harness ../shared/peers --nest ENV/bin/python

`exact_events`: the current-based network of Vogels and Abbott (4,000 neurons of fixed in-degree 80,
spikes in continuous time) against the same network of `iaf_psc_exp_ps`, which solves the same
equations at a resolution of 0.1 ms.

`learning_cost`: the same network with pair STDP, triplet STDP or short-term plasticity on its
excitatory synapses (64 % of all events), as events a second over those of the static one. Changes
are so small that all have the same activity.

`silent_cost`: 1,000 driven neurons among themselves and among 9,000 that nothing reaches.

Wall and processor time per simulated second; medians, in turns, one core. A comparison with NEST is
void (null) where the rates differ by more than 5 %.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from reflexarc.runtime.backends.exact import ExactBackend, ExactProgram
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.drive import Spikes
from reflexarc.runtime.network import Input, Network, Neurons, Node, Output, Projection
from reflexarc.runtime.plasticity import PairStdp, Rule, ShortTerm, TripletStdp

#: Volts and amperes as in the peers' definition: mV, and pA into a resistance of tau / C = 1.
CUBA = {
    "tau_mem": 20e-3,
    "r": 1.0,
    "v_leak": -49.0,
    "v_threshold": -50.0,
    "v_reset": -60.0,
    "refractory": 5e-3,
    "tau_excitatory": 5e-3,
    "tau_inhibitory": 10e-3,
    "i_offset": 0.0,
}
#: What the excitatory synapses learn by.
RULES: dict[str, tuple[Rule, ...]] = {
    "static": (),
    "pair_stdp": (PairStdp(a_plus=1e-9, a_minus=1e-9, w_max=10.0),),
    "triplet_stdp": (
        TripletStdp(
            a2_plus=1e-9, a3_plus=1e-9, a2_minus=1e-9, a3_minus=1e-9, tau_x_s=0.1, tau_y_s=0.1
        ),
    ),
    "short_term": (ShortTerm(u=1.0, tau_recovery_s=1e-6),),
}
DELAY_S, EXCITATORY, INHIBITORY = 1e-4, 1.62, -9.0
SETTLE_S = 0.2


def layer(name: str, size: int, **changes: float) -> Neurons:
    """Neurons of the CUBA kind, all alike."""
    values = {name: np.full(size, value) for name, value in (CUBA | changes).items()}
    return Neurons(name=name, shape=(size,), kind="ExpLIF", parameters=values)


def fixed_in_degree(
    name: str,
    sources: np.ndarray,
    into: int,
    degree: int,
    weight: float,
    receptor: str,
    seed: int,
) -> Projection:
    """`degree` synapses onto each of `into` neurons, from the `sources` (flags) that are on."""
    rng = np.random.default_rng(seed)
    pre = rng.choice(np.flatnonzero(sources), (into, degree))
    post = np.repeat(np.arange(into, dtype=np.int32), degree)
    order = np.argsort(pre.ravel(), kind="stable")
    return Projection(
        name=name,
        shape=(into,),
        sources=sources.size,
        rows=np.searchsorted(pre.ravel()[order], np.arange(sources.size + 1)),
        targets=post[order],
        weight=np.array([weight], np.float32),
        delay_s=DELAY_S,
        receptor=receptor,
    )


def network_of(
    nodes: list[Node],
    edges: list[tuple[str, str]],
    first_v: np.ndarray,
    rules: tuple[Rule, ...] = (),
) -> Network:
    """A network of nodes whose layer `n` begins at `first_v`, with `rules` for its edge `e`."""
    return Network(
        nodes={node.name: node for node in nodes},
        edges=tuple(edges),
        initial_v={"n": first_v},
        plasticity={"e": rules} if rules else {},
    )


def cuba(size: int, degree: int, rules: tuple[Rule, ...] = (), seed: int = 1) -> Network:
    """Vogels and Abbott (2005), J. Neurosci. 25, as Brette et al. (2007) benchmark it."""
    inhibits = np.arange(size) >= size * 4 // 5
    nodes: list[Node] = [
        layer("n", size),
        fixed_in_degree("e", ~inhibits, size, degree * 4 // 5, EXCITATORY, "excitatory", seed),
        fixed_in_degree("i", inhibits, size, degree // 5, INHIBITORY, "inhibitory", seed + 1),
    ]
    first_v = np.random.default_rng(seed + 2).uniform(-60.0, -50.0, size)
    return network_of(nodes, [("n", "e"), ("e", "n"), ("n", "i"), ("i", "n")], first_v, rules)


def cuba_run(
    size: int, degree: int, seconds: float, rules: tuple[Rule, ...] = ()
) -> dict[str, float]:
    """One run: times per simulated second, rate, synaptic events per second of the processor."""
    program = ExactBackend().compile(cuba(size, degree, rules))
    program.run({}, SETTLE_S)
    before = program.counters()
    took = timed_run(program, {}, seconds)
    after = program.counters()
    return took | {
        "rate_hz": (after.spikes - before.spikes) / size / seconds,
        "events_per_s": (after.synaptic_events - before.synaptic_events) / took["cpu_s"] / seconds,
    }


def timed_run(
    program: ExactProgram, drives: dict[str, list[Spikes]], seconds: float
) -> dict[str, float]:
    """Wall and processor time that a simulated second takes."""
    begin, used_s = perf_ns(), time.process_time()
    program.run(drives, seconds)
    wall_s, cpu_s = (perf_ns() - begin) / 1e9, time.process_time() - used_s
    return {"wall_s": wall_s / seconds, "cpu_s": cpu_s / seconds}


def nest_run(
    python: str, harness: Path, size: int, degree: int, seconds: float
) -> dict[str, float]:
    """The same of `iaf_psc_exp_ps`, in a process of its own."""
    command = [python, str(Path(__file__).with_name("exact_nest.py")), str(harness)]
    command += [str(size), str(degree), str(SETTLE_S), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"nest: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def silent_run(driven: int, silent: int, seconds: float, seed: int = 1) -> dict[str, float]:
    """`driven` neurons strewn among `silent` ones."""
    rng = np.random.default_rng(seed)
    size, lines = driven + silent, 1000
    place = np.sort(np.random.default_rng(seed + 1).choice(size, driven, replace=False))
    pre = np.sort(rng.integers(0, lines, driven * 80))
    post = place[rng.integers(0, driven, driven * 80)].astype(np.int32)
    synapses = Projection(
        name="w",
        shape=(size,),
        sources=lines,
        rows=np.searchsorted(pre, np.arange(lines + 1)),
        targets=post[np.lexsort((post, pre))],
        weight=np.array([EXCITATORY], np.float32),
    )
    nodes = [
        Input(name="input", shape=(lines,)),
        synapses,
        layer("n", size, v_leak=-60.0),
        Output(name="output", shape=(size,)),
    ]
    edges = [("input", "w"), ("w", "n"), ("n", "output")]
    program = ExactBackend().compile(network_of(nodes, edges, np.full(size, -60.0)))
    count = int(20 * lines * seconds)
    drive = Spikes(np.sort(rng.uniform(0, seconds, count)), rng.integers(0, lines, count))
    took = timed_run(program, {"input": [drive]}, seconds)
    return took | {"synaptic_events": program.counters().synaptic_events}


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    """The medians of runs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def ratios(slow: dict[str, float], fast: dict[str, float]) -> dict[str, float]:
    """How many times as long the one takes."""
    return {f"ratio_{kind}": slow[f"{kind}_s"] / fast[f"{kind}_s"] for kind in ("wall", "cpu")}


def exact_events(args: argparse.Namespace) -> dict[str, object]:
    """Ours and NEST's, in turns."""
    ours, nest = [], []
    for _ in range(args.repeat):
        ours.append(cuba_run(args.size, args.degree, args.seconds))
        if args.nest:
            nest.append(nest_run(args.nest, args.harness, args.size, args.degree, args.seconds))
    if not nest:
        return {"reflexarc": middle(ours)}
    mine, peer = middle(ours), middle(nest)
    agree = abs(peer["rate_hz"] / mine["rate_hz"] - 1) <= 0.05
    found = ratios(peer, mine) if agree else {"ratio_wall": None, "ratio_cpu": None}
    return {"reflexarc": mine, "nest": peer, **found}


def learning_cost(args: argparse.Namespace) -> dict[str, object]:
    """In turns: the network without a rule and with each."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in RULES}
    for _ in range(args.repeat):
        for name, rules in RULES.items():
            runs[name].append(cuba_run(args.size, args.degree, args.seconds, rules))
    found = {name: middle(taken) for name, taken in runs.items()}
    for each in found.values():
        each["of_static"] = each["events_per_s"] / found["static"]["events_per_s"]
    return dict(found)


def silent_cost(args: argparse.Namespace) -> dict[str, object]:
    """In turns: 1,000 neurons alone, and among 9,000 silent ones."""
    alone, among = [], []
    for _ in range(args.repeat):
        alone.append(silent_run(1000, 0, args.seconds))
        among.append(silent_run(1000, 9000, args.seconds))
    return {
        "alone": middle(alone),
        "among": middle(among),
        **ratios(middle(among), middle(alone)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="simulated, after settling")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--degree", type=int, default=80)
    parser.add_argument("--harness", type=Path, default=Path("../shared/peers"))
    parser.add_argument("--only", help="one part")
    parser.add_argument("--nest", help="a python that has NEST")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()
    parts = {
        "exact_events": exact_events,
        "learning_cost": learning_cost,
        "silent_cost": silent_cost,
    }
    result = {name: parts[name](args) for name in parts if args.only in (None, name)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
