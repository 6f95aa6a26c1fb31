"""Clopath's rule as NEST 3.10 runs it, for benchmarks/rulegoldens.py.

The protocols are those of NEST's test_clopath_synapse.py: pairs 10 ms apart at 10, 30 and 50 Hz,
postsynaptic first, then presynaptic first, on aeif_psc_delta_clopath. What NEST does in the step
that ends at t:

1. The neuron's equations move v and the filters u_plus, u_minus (of v) together, by an adaptive
   solver; while a spike lasts (t_clamp) v is V_clamp, and so is what the filters see.
2. Both filters are read as they were `delay_u_bars` before. (The ring that holds them starts at
   0 mV, far above theta_minus: no entry has a spike in that time.)
3. Where v > theta_plus and u_plus > theta_minus the step potentiates by
   A_LTP (v - theta_plus) (u_plus - theta_minus) dt x. A presynaptic spike at t adds 1 / tau_x to x
   after that. Bounded above after each step.
4. A presynaptic spike at t depresses by A_LTD (u_minus - theta_minus) if that is positive. Bounded
   below. (With A_LTD_const false times u_bar_bar^2 / u_ref_squared, where u_bar_bar is an absolute
   voltage, not one above rest.)

Presynaptic spikes at t meet the voltage of t - d. Times in the synapse are NEST's, in ms: x dt has
no unit, so A_LTP is per mV^2 and A_LTD per mV with tau_x in seconds too.

`potentiating_steps` are those of 3, n for the step that ends at n dt, with v and the delayed u_plus
there; `u_minus` is the delayed one that each presynaptic spike meets. One entry has `v` of all
steps from the first, as base64 of little-endian float64.
"""

from __future__ import annotations

import base64
from typing import Any

import nest
import numpy as np
from rulegoldens_nest import STEP_MS, parrot, reset, seconds

NEURON = {
    "V_m": -70.6,
    "E_L": -70.6,
    "V_peak": 33.0,
    "C_m": 281.0,
    "theta_minus": -70.6,
    "theta_plus": -45.3,
    "A_LTD": 14.0e-5,
    "A_LTP": 8.0e-5,
    "tau_u_bar_minus": 10.0,
    "tau_u_bar_plus": 7.0,
    "delay_u_bars": 4.0,
    "a": 4.0,
    "b": 0.0805,
    "V_reset": -70.6 + 21.0,
    "V_clamp": 33.0,
    "t_clamp": 2.0,
    "t_ref": 0.0,
}
PROTOCOLS = {
    "post-first-10-hz": ([29.0, 129.0, 229.0, 329.0, 429.0], [19.0, 119.0, 219.0, 319.0, 419.0]),
    "post-first-30-hz": ([29.0, 62.3, 95.7, 129.0, 162.3], [19.0, 52.3, 85.7, 119.0, 152.3]),
    "post-first-50-hz": ([29.0, 49.0, 69.0, 89.0, 109.0], [19.0, 39.0, 59.0, 79.0, 99.0]),
    "pre-first-10-hz": (
        [129.0, 229.0, 329.0, 429.0, 529.0, 629.0],
        [139.0, 239.0, 339.0, 439.0, 539.0, 639.0],
    ),
    "pre-first-30-hz": (
        [62.3, 95.6, 129.0, 162.3, 195.6, 229.0],
        [72.3, 105.6, 139.0, 172.3, 205.6, 239.0],
    ),
    "pre-first-50-hz": (
        [49.0, 69.0, 89.0, 109.0, 129.0, 149.0],
        [59.0, 79.0, 99.0, 119.0, 139.0, 159.0],
    ),
}


def simulate(pre_ms: list[float], post_ms: list[float]) -> tuple[list[float], dict[str, Any]]:
    """The weight that each presynaptic spike carries, and the neuron's voltages of all steps."""
    reset()
    recorder = nest.Create("weight_recorder")
    nest.CopyModel("clopath_synapse", "probed", {"weight_recorder": recorder})
    neuron = nest.Create("aeif_psc_delta_clopath", params=NEURON)
    kicks = nest.Create("spike_generator", params={"spike_times": post_ms})
    nest.Connect(kicks, neuron, syn_spec={"delay": STEP_MS, "weight": 80.0})
    spec = {"synapse_model": "probed", "weight": 0.5, "delay": STEP_MS}
    nest.Connect(parrot(pre_ms), neuron, syn_spec=spec)
    recorded = ["V_m", "u_bar_plus", "u_bar_minus"]
    meter = nest.Create("multimeter", params={"record_from": recorded, "interval": STEP_MS})
    nest.Connect(meter, neuron)
    nest.Simulate(max(pre_ms[-1], post_ms[-1]) + 10.0)
    return [float(w) for w in recorder.get("events", "weights")], meter.events


def clopath(name: str, spikes: tuple[list[float], list[float]], whole: bool) -> dict[str, Any]:
    """One protocol; the test's presynaptic spikes pass a parrot, which takes a step."""
    pre_ms = [round(t + STEP_MS, 1) for t in spikes[0]]
    weights, voltages = simulate(pre_ms, spikes[1])
    v = np.array(voltages["V_m"])
    late = round(NEURON["delay_u_bars"] / STEP_MS)
    u_plus, u_minus = (
        np.concatenate([np.full(late, NEURON["E_L"]), voltages[f"u_bar_{sign}"][:-late]])
        for sign in ("plus", "minus")
    )
    met = np.rint(np.array(pre_ms) / STEP_MS).astype(int) - 1  # a dendritic delay before
    strong = np.flatnonzero((v > NEURON["theta_plus"]) & (u_plus > NEURON["theta_minus"]))
    strong = strong[strong < met[-1]]
    entry = {
        "name": f"clopath-{name}",
        "rule": "clopath",
        "parameters": {
            "a_ltp": NEURON["A_LTP"],
            "a_ltd": NEURON["A_LTD"],
            "theta_plus": NEURON["theta_plus"],
            "theta_minus": NEURON["theta_minus"],
            "tau_x_s": 0.015,
            "w_min": 0.0,
            "w_max": 100.0,
        },
        "filters": {"tau_plus_s": 0.007, "tau_minus_s": 0.01, "delay_s": 0.004, "rest": -70.6},
        "dt_s": 1e-4,
        "pre_s": seconds(pre_ms),
        "delay_s": 1e-4,
        "dendritic_delay_s": 1e-4,
        "weight": 0.5,
        "potentiating_steps": (strong + 1).tolist(),
        "v": v[strong].tolist(),
        "u_plus": u_plus[strong].tolist(),
        "u_minus": u_minus[met - 1].tolist(),
        "weights": weights,
    }
    return {**entry, "trace": base64.b64encode(v[: met[-1]].tobytes()).decode()} if whole else entry


def clopaths() -> list[dict[str, Any]]:
    """All protocols."""
    return [clopath(name, spikes, name == "pre-first-50-hz") for name, spikes in PROTOCOLS.items()]
