"""The networks of the engine benchmark: numbers that every engine is given, and ours from them.

The same as in the neutral peer harness (its netspec.py), in mV, ms, pA, pF and nS. All synapses
have a weight of their own and all sources are drawn with replacement, as the peers have it.

Sources: Vogels & Abbott, J. Neurosci. 25 (2005) 10786, as in Brette et al., J. Comput. Neurosci. 23
(2007) 349, benchmarks 1 and 2; Brunel, J. Comput. Neurosci. 8 (2000) 183, model A.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.network import Input, Network, Neurons, Node, Output, Projection
from reflexarc.runtime.plasticity import PairStdp, Rule

Spec: TypeAlias = dict[str, Any]
MS = 1e-3

_CUBA: Spec = {
    "model": "exp_cur",
    "tau_m": 20.0,
    "C": 20.0,
    "E_L": -49.0,
    "V_th": -50.0,
    "V_reset": -60.0,
    "t_ref": 5.0,
    "tau_e": 5.0,
    "tau_i": 10.0,
    "w_e": 1.62,
    "w_i": -9.0,
    "I_e": 0.0,
    "V_init": (-60.0, -50.0),
}
_COBA: Spec = {
    "model": "exp_cond",
    "tau_m": 20.0,
    "C": 200.0,
    "E_L": -60.0,
    "V_th": -50.0,
    "V_reset": -60.0,
    "t_ref": 5.0,
    "g_L": 10.0,
    "E_e": 0.0,
    "E_i": -80.0,
    "tau_e": 5.0,
    "tau_i": 10.0,
    "w_e": 6.0,
    "w_i": 67.0,
    "I_e": 200.0,
    "V_init": (-60.0, -50.0),
}
_BRUNEL: Spec = {
    "model": "delta",
    "tau_m": 20.0,
    "C": 1.0,
    "E_L": 0.0,
    "V_th": 20.0,
    "V_reset": 0.0,
    "t_ref": 2.0,
    "J": 0.1,
    "g": 5.0,
    "eta": 2.0,
    "V_init": (0.0, 20.0),
}
_LOOP: Spec = {
    "model": "exp_cur",
    "tau_m": 20.0,
    "C": 20.0,
    "E_L": -60.0,
    "V_th": -50.0,
    "V_reset": -60.0,
    "t_ref": 2.0,
    "tau_e": 5.0,
    "tau_i": 10.0,
    "w_e": 0.3,
    "w_i": -1.5,
    "V_init": (-60.0, -50.0),
    "w_in": 0.5,
    "n_in": 1000,
    "k_in": 10,
}


def spec(net: str, n: int, k: int, dt_ms: float, seed: int = 1) -> Spec:
    """The numbers of `net`: cuba, coba, brunel, brunel_stdp or loop."""
    if net in ("cuba", "coba"):
        values = {**(_CUBA if net == "cuba" else _COBA), "delay": 0.1}
    elif net == "loop":
        values = {**_LOOP, "delay": 1.0, "I_e": 7.2 if n <= 2000 else 10.0}
    else:
        values = {**_BRUNEL, "delay": 1.5}
        values["w_e"] = _BRUNEL["J"] * 1000.0 / k
        values["w_i"] = -_BRUNEL["g"] * values["w_e"]
        values["I_e"] = _BRUNEL["eta"] * _BRUNEL["V_th"] * _BRUNEL["C"] / _BRUNEL["tau_m"]
    ne, ke = n * 4 // 5, k * 4 // 5
    values |= {"n": n, "k": k, "ne": ne, "ke": ke, "ki": k - ke, "dt": dt_ms, "seed": seed}
    return {**values, "stdp": net.endswith("stdp")}


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
    rng: np.random.Generator, name: str, n: int, among: range, onto: range, k: int, **options: Any
) -> Projection:
    """`k` synapses onto each neuron of `onto` from any `among` the `n`, repeats allowed."""
    source = rng.integers(among.start, among.stop, len(onto) * k, dtype=np.int32)
    target = np.repeat(np.arange(onto.start, onto.stop, dtype=np.int32), k)
    return by_source(name, n, source, target, n, **options)


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
    """Excitation and inhibition of all by all; what is plastic has a projection of its own."""
    n, ne = spec["n"], spec["ne"]
    parts = [("excitatory", range(ne), range(n)), ("inhibitory", range(ne, n), range(n))]
    if spec["stdp"]:
        parts[:1] = [("plastic", range(ne), range(ne)), ("excitatory", range(ne), range(ne, n))]
    projections = []
    for name, among, onto in parts:
        letter, receptor = ("i", name) if name == "inhibitory" else ("e", "excitatory")
        weight = spec[f"w_{letter}"]
        projections.append(
            fixed_indegree(
                rng,
                name,
                n,
                among,
                onto,
                spec[f"k{letter}"],
                weight=abs(weight) if spec["model"] == "exp_cond" else weight,
                delay_ms=spec["delay"],
                receptor="jump" if spec["model"] == "delta" else receptor,
            )
        )
    return projections


def stdp(spec: Spec) -> dict[str, Rule]:
    """The rule of the plastic projection, that of the peers."""
    step = 1e-4 * spec["w_e"]
    rule = PairStdp(a_plus=step, a_minus=step, w_max=3 * spec["w_e"])
    return {"plastic": rule} if spec["stdp"] else {}


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
        plasticity=stdp(spec),
    )
