"""Single neurons of every kind against NEST's: goldens.json, written by benchmarks/goldens.py.

NEST stamps a spike with the end of its step and a step of ours begins at n dt, so that spike n
there is that of step n - 1 here, in and out.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.network import Input, Network, Neurons, Output, Projection

ENTRIES = json.loads((Path(__file__).parent / "goldens.json").read_text())["entries"]
CLOCKED = [entry for entry in ENTRIES if not entry["exact"]]
EXACT = [entry for entry in ENTRIES if entry["exact"]]

#: Largest error of a voltage, mV. The linear kinds are integrated exactly, and Izhikevich's by the
#: same formula: rounding is left, of float64 (1e-9), or of the float32 synaptic variables, which
#: errs by 6e-8 of what moves v by some 10 mV in each step. A Runge-Kutta step h of CondLIF errs by
#: (h / tau)^5 of some 10 mV.
SYNAPTIC = {"ExpLIF", "AlphaLIF", "CondLIF", "AdEx"}


def allowed_mv(entry):
    """The largest error allowed of a voltage of `entry`."""
    if entry["kind"] == "CondLIF" and entry["dt_ms"] == 1.0:
        return 1e-4
    return 1e-5 if entry["kind"] in SYNAPTIC and entry["trains"] else 1e-9


def network_of(entry):
    """The neuron, a port and a projection for each train, and a port for its current."""
    neuron = Neurons(
        name="neuron",
        shape=(1,),
        kind=entry["kind"],
        parameters={name: np.array([value], float) for name, value in entry["ours"].items()},
    )
    nodes, edges = [neuron, Output(name="out", shape=(1,))], [("neuron", "out")]
    if entry["current"]:
        nodes.append(Input(name="current", shape=(1,)))
        edges.append(("current", "neuron"))
    for k, train in enumerate(entry["trains"]):
        synapse = Projection(
            name=f"synapse {k}",
            shape=(1,),
            sources=1,
            rows=np.array([0, 1]),
            targets=np.zeros(1, np.int32),
            weight=np.array([train["weight"]], np.float32),
            delay_s=train["delay_ms"] * 1e-3,
            receptor=train["receptor"],
        )
        nodes += [Input(name=f"train {k}", shape=(1,)), synapse]
        edges += [(f"train {k}", synapse.name), (synapse.name, "neuron")]
    return Network(
        nodes={node.name: node for node in nodes},
        edges=tuple(edges),
        initial_v={"neuron": np.array([float(entry["initial_v"])])},
    )


def run(entry, mode):
    """Spike times in seconds, and the voltages at `probe_steps` where there are any."""
    dt_s, late = entry["dt_ms"] * 1e-3, 0 if mode == "exact" else entry["dt_ms"]
    inputs = {
        f"train {k}": reflexarc.Spikes((np.array(train["t_ms"]) - late) * 1e-3, 0)
        for k, train in enumerate(entry["trains"])
    }
    if entry["current"]:
        inputs["current"] = reflexarc.StepCurrent(0.0, np.inf, 0, entry["current"])
    probes = {"neuron": np.array(entry.get("probe_steps", []), float) * dt_s}
    done = reflexarc.simulate(
        network_of(entry),
        inputs,
        until_s=entry["run_ms"] * 1e-3,
        mode=mode,
        dt_s=dt_s,
        probes=probes,
    )
    return done.spikes["out"].t_s, done.probes["neuron"][:, 0]


@pytest.mark.parametrize("entry", CLOCKED, ids=lambda entry: entry["name"])
def test_spike_steps(entry):
    times_s, _ = run(entry, "clocked")
    steps = np.rint(times_s / (entry["dt_ms"] * 1e-3)).astype(int) + 1
    assert len(steps) == len(entry["spike_steps"])
    assert len(steps) == len(entry["spike_steps"])
    # AdEx rises to infinity within a step; where in a substep of 25 us is known to second order,
    # and the errors of all spikes before add up.
    late = 1 if entry["kind"] == "AdEx" else 0
    assert np.abs(steps - entry["spike_steps"]).max(initial=0) <= late


@pytest.mark.parametrize("entry", CLOCKED, ids=lambda entry: entry["name"])
def test_voltages(entry):
    _, v = run(entry, "clocked")
    steps, expected = np.array(entry["probe_steps"]), np.array(entry["probe_v"])
    if entry["kind"] == "AdEx":  # until it rises for the first time
        smooth = steps < entry["spike_steps"][0] - 2
        v, expected = v[smooth], expected[smooth]
    assert v == pytest.approx(expected, rel=0, abs=allowed_mv(entry))


@pytest.mark.parametrize("entry", EXACT, ids=lambda entry: entry["name"])
def test_spike_times_in_continuous_time(entry):
    times_s, _ = run(entry, "exact")
    assert times_s == pytest.approx(entry["spikes_s"], rel=0, abs=1e-12)
