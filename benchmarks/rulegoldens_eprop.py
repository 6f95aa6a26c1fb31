"""E-prop as the event-driven eprop_iaf and eprop_iaf_adapt of NEST 3.10 run it.

For benchmarks/rulegoldens.py; steps of 1 ms, all delays 1 ms. What NEST does in step t, from t to
t + 1, where t = 0, 1, ...; a presynaptic spike stamped s enters the voltage in step s:

1. v = e^(-dt / tau_m) v + sum of weights of spikes; the adaptation takes the spike of step t - 1:
   a = e^(-dt / adapt_tau) a + z[t - 1], threshold = V_th + adapt_beta a.
2. psi[t] = height max(0, 1 - |v - threshold| / width) from v before the reset; 0 while refractory.
3. A spike where v >= threshold: v -= V_th (the bare threshold). It is refractory for t_ref, in
   which v goes on moving and only firing and psi are off.
4. Traces of each synapse: z_bar = e^(-dt / tau_m) z_bar + z[t] with z the presynaptic spike;
   e = psi (z_bar - adapt_beta epsilon); then epsilon = e^(-dt / adapt_tau) epsilon + e;
   e_bar = kappa e_bar + e (not times 1 - kappa); e_reg = kappa_reg e_reg + (1 - kappa_reg) e.
5. Firing rate: f = kappa_reg f + (1 - kappa_reg) z_post[t] / dt, the regularisation
   c_reg (f - f_target dt); f_target is given in Hz, but f is per ms here, and f_target dt per step,
   which is the same only at 1 ms.
6. w -= eta (L[t] e_bar + regularisation[t] e_reg), bounded, each step (`optimize_each_step`), but
   worked out when the next presynaptic spike is sent: one stamped s carries the weight after step
   s - 2, whose traces do not know of the spike yet. The first spike starts everything: before it a
   synapse has no traces, so that none is missed.

L[t] is what the readout's error of the spikes of step t gives, written back to that step: NEST
takes the two delays there and back off again, which a network that runs in real time cannot: L[t]
is the weight back times the readout's error of step t + 1. (The neuron's own recordable
`learning_signal` shows 0 where the history of that step is just erased.) The entries have L and psi
as they were used, so that a kernel may be driven by both. `learning_signal`, `psi`, `v` (after the
reset) and `threshold` begin with step 0; `post_steps` are the t of the spikes, `pre_steps` the
stamps s of each synapse, `weights[i][k]` what the k-th spike of synapse i carries.
"""

from __future__ import annotations

from typing import Any

import nest
import numpy as np
from rulegoldens_nest import reset

STEPS = 240
NEURON = {
    "C_m": 1.0,
    "E_L": 0.0,
    "I_e": 0.0,
    "V_m": 0.0,
    "V_th": 0.6,
    "tau_m": 20.0,
    "t_ref": 3.0,
    "kappa": 0.95,
    "kappa_reg": 0.9,
    "f_target": 20.0,
    "surrogate_gradient_function": "piecewise_linear",
    "surrogate_gradient_height": 0.3,
    "surrogate_gradient_width": 0.7,
}
ADAPTIVE = {"adapt_beta": 0.3, "adapt_tau": 60.0}
WEIGHTS = [0.25, 0.35, 0.15]
BACK = 0.8


def trains() -> list[list[float]]:
    """Spikes of three neurons, some in neighbouring steps."""
    rng = np.random.default_rng(12)
    drawn = [rng.choice(np.arange(5, STEPS - 10), 24, replace=False) for _ in WEIGHTS]
    return [[float(t) for t in [*sorted(spikes), STEPS]] for spikes in drawn]


def teach(neuron: Any) -> Any:
    """A readout whose target is a slow wave, and the way of its error back; what records it."""
    readout = nest.Create("eprop_readout", params={"C_m": 1.0, "E_L": 0.0, "tau_m": 30.0})
    times = [float(t) for t in range(1, STEPS + 1)]
    wave = [float(np.sin(t / 25.0)) for t in times]
    for values, receptor in (([1.0] * STEPS, 1), (wave, 2)):
        source = nest.Create("step_rate_generator")
        source.set({"amplitude_times": times, "amplitude_values": values})
        spec = {"synapse_model": "rate_connection_delayed", "delay": 1.0}
        nest.Connect(source, readout, syn_spec={**spec, "receptor_type": receptor})
    nest.CopyModel("eprop_synapse", "fixed", {"optimizer": {"eta": 0.0}})
    nest.Connect(neuron, readout, syn_spec={"synapse_model": "fixed", "weight": 0.5, "delay": 1.0})
    back = {"synapse_model": "eprop_learning_signal_connection", "weight": BACK, "delay": 1.0}
    nest.Connect(readout, neuron, syn_spec=back)
    meter = nest.Create("multimeter", params={"record_from": ["error_signal"], "interval": 1.0})
    nest.Connect(meter, readout)
    return meter


def simulate(model: str, neuron_parameters: dict[str, Any], eta: float) -> tuple[Any, ...]:
    """The carried weights of each synapse, spikes, learning signal, and what is recorded."""
    reset()
    nest.resolution = 1.0
    recorder, spikes = nest.Create("weight_recorder"), nest.Create("spike_recorder")
    neuron = nest.Create(model, params=neuron_parameters)
    optimizer = {"optimizer": {"eta": eta, "Wmin": 0.0, "Wmax": 0.6}}
    defaults = {"weight": WEIGHTS[0], "weight_recorder": recorder, **optimizer}
    nest.CopyModel("eprop_synapse", "probed", defaults)
    sources = nest.Create("parrot_neuron", len(WEIGHTS))
    for source, weight, times in zip(sources, WEIGHTS, trains(), strict=True):
        sent = nest.Create("spike_generator", params={"spike_times": [t - 1.0 for t in times]})
        nest.Connect(sent, source, syn_spec={"delay": 1.0})
        spec = {"synapse_model": "probed", "weight": weight, "delay": 1.0}
        nest.Connect(source, neuron, syn_spec=spec)
    errors = teach(neuron)
    recorded = ["surrogate_gradient", "V_m"]
    recorded += ["V_th_adapt"] if model == "eprop_iaf_adapt" else []
    meter = nest.Create("multimeter", params={"record_from": recorded, "interval": 1.0})
    nest.Connect(meter, neuron)
    nest.Connect(neuron, spikes)
    nest.Simulate(STEPS + 10.0)
    senders, found = (np.array(recorder.get("events", key)) for key in ("senders", "weights"))
    carried = [found[senders == source.global_id].tolist() for source in sources]
    taught = BACK * np.array(errors.get("events", "error_signal"))
    return carried, spikes.get("events", "times"), taught[1 : STEPS + 1], meter.events


def eprop(name: str, model: str, extra: dict[str, float], eta: float = 0.01) -> dict[str, Any]:
    """One neuron with three plastic synapses."""
    values = {**NEURON, **extra}
    weights, fired, learning_signal, events = simulate(model, values, eta)
    threshold = events.get("V_th_adapt", np.full(STEPS, values["V_th"]))
    return {
        "name": f"eprop-{name}",
        "rule": "eprop",
        "parameters": {
            "learning_rate": eta,
            "tau_s": values["tau_m"] * 1e-3,
            "kappa": values["kappa"],
            "kappa_reg": values["kappa_reg"],
            "c_reg": values.get("c_reg", 0.0),
            "rate_target_hz": values["f_target"],
            "beta": values.get("adapt_beta", 0.0),
            "tau_threshold_s": values.get("adapt_tau", 10.0) * 1e-3,
            "w_min": 0.0,
            "w_max": 0.6,
        },
        "surrogate": {"height": 0.3, "width": 0.7},
        "neuron": {"v_threshold": values["V_th"], "refractory_steps": 3},
        "dt_s": 1e-3,
        "steps": STEPS,
        "weight": WEIGHTS,
        "pre_steps": [[int(t) for t in times] for times in trains()],
        "post_steps": [int(t) - 1 for t in fired if t <= STEPS],
        "learning_signal": learning_signal.tolist(),
        "psi": np.array(events["surrogate_gradient"])[:STEPS].tolist(),
        "v": np.array(events["V_m"])[:STEPS].tolist(),
        "threshold": np.array(threshold)[:STEPS].tolist(),
        "weights": weights,
    }


def eprops() -> list[dict[str, Any]]:
    """The leaky and the adaptive neuron, without and with regularisation of the rate."""
    return [
        eprop("lif", "eprop_iaf", {}),
        eprop("lif-regularised", "eprop_iaf", {"c_reg": 0.5}),
        eprop("alif", "eprop_iaf_adapt", {**ADAPTIVE, "c_reg": 0.5}, eta=0.03),
    ]
