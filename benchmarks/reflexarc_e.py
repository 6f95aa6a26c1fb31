"""Reflexarc behind the interface of the neutral peer harness, so that its driver runs us too.

    PYTHONPATH=benchmarks python ../shared/peers/bench.py tput reflexarc_e cuba --ms 1000
    PYTHONPATH=benchmarks python ../shared/peers/bench.py loop reflexarc_e --n 1000 --dt 1.0

The networks are the harness's own plain numbers in mV, ms, pA, pF and nS; every synapse has a
weight of its own, as in the other adapters.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc import __version__
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.network import Input, Network, Neurons, Node, Output, Projection

Spec: TypeAlias = dict[str, Any]
MS, MS_NS = 1e-3, 1_000_000


def neurons(spec: Spec) -> Neurons:
    """All neurons of `spec` as one layer, the excitatory first."""
    leaky = {
        "v_leak": spec["E_L"],
        "v_threshold": spec["V_th"],
        "v_reset": spec["V_reset"],
        "refractory": spec["t_ref"] * MS,
        "i_offset": spec["I_e"],
    }
    if spec["model"] != "delta":
        leaky |= {"tau_excitatory": spec["tau_e"] * MS, "tau_inhibitory": spec["tau_i"] * MS}
    tau, r = spec["tau_m"] * MS, spec["tau_m"] / spec["C"]
    if spec["model"] == "exp_cur":
        kind, values = "ExpLIF", {"tau_mem": tau, "r": r, **leaky}
    elif spec["model"] == "delta":
        kind, values = "DeltaLIF", {"tau": tau, "r": r, **leaky}
    else:
        reversal = {"e_excitatory": spec["E_e"], "e_inhibitory": spec["E_i"]}
        kind, values = (
            "CondLIF",
            {"c": spec["C"] * 1e-3, "g_leak": spec["g_L"], **leaky, **reversal},
        )
    n = spec["n"]
    parameters = {name: np.full(n, value, float) for name, value in values.items()}
    return Neurons(name="neurons", shape=(n,), kind=kind, parameters=parameters)


def fixed_indegree(
    rng: np.random.Generator, name: str, sources: int, among: range, n: int, k: int, **options: Any
) -> Projection:
    """`k` synapses onto each of `n` neurons from any `among` the sources, repeats allowed."""
    source = rng.integers(among.start, among.stop, n * k, dtype=np.int32)
    return by_source(
        name, sources, source, np.repeat(np.arange(n, dtype=np.int32), k), n, **options
    )


def by_source(
    name: str,
    sources: int,
    source: npt.NDArray[np.int32],
    target: npt.NDArray[np.int32],
    n: int,
    *,
    weight: float,
    delay_ms: float,
    receptor: str,
) -> Projection:
    """A projection from pairs of source and target, whose targets ascend."""
    return Projection(
        name=name,
        shape=(n,),
        sources=sources,
        rows=np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))]),
        targets=target[np.argsort(source, kind="stable")],
        weight=np.full(len(target), weight, np.float32),
        delay_s=delay_ms * MS,
        receptor=receptor,
    )


def recurrence(rng: np.random.Generator, spec: Spec) -> list[Projection]:
    """Excitation and inhibition of all neurons by all."""
    jump = spec["model"] == "delta"
    projections = []
    for letter, receptor, among in (
        ("e", "excitatory", range(spec["ne"])),
        ("i", "inhibitory", range(spec["ne"], spec["n"])),
    ):
        weight = spec[f"w_{letter}"]
        projections.append(
            fixed_indegree(
                rng,
                receptor,
                spec["n"],
                among,
                spec["n"],
                spec[f"k{letter}"],
                weight=abs(weight) if spec["model"] == "exp_cond" else weight,
                delay_ms=spec["delay"],
                receptor="jump" if jump else receptor,
            )
        )
    return projections


def network_of(spec: Spec, *, loop: bool) -> Network:
    """The network of `spec`; with a port in and a port out if it is to be stepped in a loop."""
    rng = np.random.default_rng(spec["seed"])
    layer = neurons(spec)
    nodes: list[Node] = [layer, *recurrence(rng, spec)]
    edges = [
        pair for node in nodes[1:] for pair in (("neurons", node.name), (node.name, "neurons"))
    ]
    if loop:
        lines, fan_out = spec["n_in"], spec["k_in"]
        target = rng.integers(0, spec["n"], (lines, fan_out), dtype=np.int32)
        target.sort(axis=1)
        source = np.repeat(np.arange(lines, dtype=np.int32), fan_out)
        drive = {"weight": spec["w_in"], "delay_ms": 0.0, "receptor": "excitatory"}
        nodes += [
            Input(name="lines", shape=(lines,)),
            by_source("drive", lines, source, target.ravel(), spec["n"], **drive),
            Output(name="out", shape=(spec["n"],)),
        ]
        edges += [("lines", "drive"), ("drive", "neurons"), ("neurons", "out")]
    return Network(
        nodes={node.name: node for node in nodes},
        edges=tuple(edges),
        mode="clocked",
        dt_s=spec["dt"] * MS,
        initial_v={"neurons": rng.uniform(*spec["V_init"], spec["n"])},
    )


class Engine:
    """See the harness's bench.py."""

    def __init__(self, opt: str) -> None:
        self.version = f"Reflexarc {__version__}"
        self.nsyn = 0

    def build(self, spec: Spec, threads: int) -> None:
        """Build and compile a network that runs by itself."""
        self.program = self._compile(spec, threads, loop=False)

    def _compile(self, spec: Spec, threads: int, *, loop: bool) -> ClockedProgram:
        self.nsyn = spec["n"] * spec["k"]
        return ClockedBackend(threads).compile(network_of(spec, loop=loop))

    def run(self, ms: float) -> None:
        """Advance."""
        self.program.step(self.program.now_ns + round(ms * MS_NS), {})

    def spikes(self) -> int:
        """Spikes since the network was built."""
        return self.program.counters().spikes

    def build_loop(self, spec: Spec) -> None:
        """Build and compile a network with ports."""
        self.program = self._compile(spec, 1, loop=True)
        self.batch = np.zeros(0, SPIKE)

    def step(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """One millisecond with spikes on the lines `ids` at its beginning."""
        now_ns = self.program.now_ns
        if len(self.batch) != len(ids):
            self.batch = np.zeros(len(ids), SPIKE)
        self.batch["i"] = ids
        self.batch["t_ns"] = now_ns
        return self.program.step(now_ns + MS_NS, {"lines": self.batch})["out"]["i"]
