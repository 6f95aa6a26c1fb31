"""The networks of the engine benchmark: numbers that every engine is given, and ours from them.

The same as in the neutral peer harness (its netspec.py), in mV, ms, pA, pF and nS. All synapses
have a weight of their own and all sources are drawn with replacement, as the peers have it.

Sources: Vogels & Abbott, J. Neurosci. 25 (2005) 10786, as in Brette et al., J. Comput. Neurosci. 23
(2007) 349, benchmarks 1 and 2; Brunel, J. Comput. Neurosci. 8 (2000) 183, model A.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from reflexarc import (
    Builder,
    CondLIF,
    DeltaLIF,
    ExpLIF,
    FixedIndegree,
    FixedOutdegree,
    Network,
    Normal,
    PairStdp,
    Population,
    Uniform,
)
from reflexarc.runtime.neurons import NeuronModel

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


def neurons(values: Spec) -> NeuronModel:
    """The kind of neuron that `values` describe."""
    leaky = {
        "v_leak": values["E_L"],
        "v_threshold": values["V_th"],
        "v_reset": values["V_reset"],
        "refractory_s": values["t_ref"] * MS,
        "i_offset": values["I_e"],
    }
    membrane = {"r": values["tau_m"] / values["C"], **leaky}
    if values["model"] == "delta":
        return DeltaLIF(tau_s=values["tau_m"] * MS, **membrane)
    synapses = {
        "tau_excitatory_s": values["tau_e"] * MS,
        "tau_inhibitory_s": values["tau_i"] * MS,
    }
    if values["model"] == "exp_cur":
        return ExpLIF(tau_mem_s=values["tau_m"] * MS, **membrane, **synapses)
    return CondLIF(
        c=values["C"] * 1e-3,
        g_leak=values["g_L"],
        e_excitatory=values["E_e"],
        e_inhibitory=values["E_i"],
        **leaky,
        **synapses,
    )


def network_of(values: Spec, *, loop: bool = False) -> Network:
    """The network of `values`; with a port in and a port out if it is to be stepped in a loop."""
    net = Builder(seed=values["seed"])
    everyone = net.population(
        "neurons", values["n"], neurons(values), initial_v=Uniform(*values["V_init"])
    )
    excitatory, inhibitory = everyone[: values["ne"]], everyone[values["ne"] :]
    excite, inhibit = (values["ke"], values["w_e"]), (values["ki"], -abs(values["w_i"]))
    delay_s = values["delay"] * MS
    if values["stdp"]:
        _project(net, excitatory, excitatory, *excite, delay_s=delay_s, plasticity=stdp(values))
        _project(net, excitatory, inhibitory, *excite, delay_s=delay_s)
    else:
        _project(net, excitatory, everyone, *excite, delay_s=delay_s)
    _project(net, inhibitory, everyone, *inhibit, delay_s=delay_s)
    if loop:
        lines = net.input("lines", values["n_in"])
        pattern = FixedOutdegree(values["k_in"], allow_multiple=True)
        net.project(lines, everyone, pattern, weight=values["w_in"])
        net.output("out", everyone)
    return net.build(mode="clocked", dt_s=values["dt"] * MS)


def _project(
    net: Builder, source: Population, target: Population, degree: int, weight: float, **options: Any
) -> None:
    """`degree` synapses onto every target, repeats allowed, each with a weight of its own."""
    pattern = FixedIndegree(degree, allow_self=True, allow_multiple=True)
    net.project(source, target, pattern, weight=Normal(weight, 0.0), **options)


def stdp(values: Spec) -> PairStdp:
    """The rule within the excitatory, that of the peers."""
    step = 1e-4 * values["w_e"]
    return PairStdp(a_plus=step, a_minus=step, w_max=3 * values["w_e"], precision="single")
