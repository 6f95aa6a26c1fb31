"""Spike times and voltages against 50-digit closed forms (see ../shared/nir/README.md)."""

import json
from pathlib import Path

import numpy as np
import pytest

from reflexarc.runtime.backends.exact import ExactBackend
from reflexarc.runtime.drive import Spikes, StepCurrent
from reflexarc.runtime.network import Delay, Input, Linear, Network, Neurons, Output

CASES = Path(__file__).resolve().parents[3] / "shared/nir/analytic/cases.json"
TOLERANCE = 1e-9  # seconds and volts


def read(section):
    """The entries of a section, or one that skips when the material is absent."""
    if not CASES.exists():
        reason = pytest.mark.skip(reason=f"{CASES} is absent")
        return [pytest.param(None, marks=reason, id="absent")]
    entries = json.loads(CASES.read_text())[section]
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def layer(name, kind, params):
    parameters = {key: np.array([value]) for key, value in params.items()}
    return Neurons(name=name, shape=(1,), kind=kind, parameters=parameters)


def drives(entries):
    steps = [StepCurrent(e["t0"], e["t1"], 0, e["amp"]) for e in entries if e["type"] == "step"]
    diracs = [e for e in entries if e["type"] == "dirac"]
    areas = [e["area"] for e in diracs]
    return [*steps, Spikes([e["t"] for e in diracs], [0] * len(diracs), areas)]


def assert_spikes(found, expected_s):
    assert len(found.t_s) == len(expected_s)
    assert np.abs(found.t_s - expected_s).max(initial=0.0) <= TOLERANCE


@pytest.mark.parametrize("case", read("cases"))
def test_one_neuron(case):
    neuron = layer("neuron", case["node"], case["params"])
    nodes = {
        "input": Input(name="input", shape=(1,)),
        "neuron": neuron,
        "output": Output(name="output", shape=(1,)),
    }
    network = Network(nodes=nodes, edges=(("input", "neuron"), ("neuron", "output")))
    probes = sorted(case["probes"], key=lambda probe: probe["t"])
    run = (
        ExactBackend()
        .compile(network)
        .run(
            {"input": drives(case["inputs"])},
            case["t_end"],
            probes={"neuron": [probe["t"] for probe in probes]},
        )
    )
    if neuron.spiking:
        assert_spikes(run.spikes["output"], case["expected_spike_times"])
    expected_v = np.array([probe["v"] for probe in probes])
    assert np.abs(run.probes["neuron"][:, 0] - expected_v).max(initial=0.0) <= TOLERANCE


@pytest.mark.parametrize("net", read("nets"))
def test_net(net):
    nodes, edges, inputs = {}, [], {}
    for name, neuron in net["neurons"].items():
        port = f"input_{name}"
        nodes[port] = Input(name=port, shape=(1,))
        nodes[name] = layer(name, neuron["node"], neuron["params"])
        edges.append((port, name))
        inputs[port] = drives(net["external_inputs"].get(name, []))
    for number, link in enumerate(net["connections"]):
        delay, weight = f"delay_{number}", f"weight_{number}"
        nodes[delay] = Delay(name=delay, shape=(1,), delay_s=np.array([link["delay"]]))
        nodes[weight] = Linear(name=weight, shape=(1,), weight=np.array([[link["weight"]]]))
        edges += [(link["pre"], delay), (delay, weight), (weight, link["post"])]
    network = Network(
        nodes=nodes, edges=tuple(edges), spike_area=net["connections"][0]["spike_area"]
    )
    run = ExactBackend().compile(network).run(inputs, net["t_end"], record=list(net["neurons"]))
    for name, expected_s in net["expected_spike_times"].items():
        assert_spikes(run.spikes[name], expected_s)
