"""Spike times and voltages against 50-digit closed forms (see ../shared/nir/README.md)."""

import json
from pathlib import Path

import numpy as np
import pytest

import reflexarc
from reflexarc import Spikes, StepCurrent

CASES = Path(__file__).resolve().parents[3] / "shared/nir/analytic/cases.json"
TOLERANCE = 1e-9  # seconds and volts


def read(section):
    """The entries of a section, or one that skips when the material is absent."""
    if not CASES.exists():
        reason = pytest.mark.skip(reason=f"{CASES} is absent")
        return [pytest.param(None, marks=reason, id="absent")]
    entries = json.loads(CASES.read_text())[section]
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def drives(entries):
    steps = [StepCurrent(e["t0"], e["t1"], 0, e["amp"]) for e in entries if e["type"] == "step"]
    diracs = [e for e in entries if e["type"] == "dirac"]
    areas = [e["area"] for e in diracs]
    return [*steps, Spikes([e["t"] for e in diracs], [0] * len(diracs), areas)]


def assert_spikes(found, expected_s):
    assert len(found.t_s) == len(expected_s)
    assert np.abs(found.t_s - expected_s).max(initial=0.0) <= TOLERANCE


def layers(network):
    return [name for name, node in network.nodes.items() if hasattr(node, "parameters")]


def ports(network):
    return [port.name for port in network.inputs()]


@pytest.mark.parametrize("case", read("cases"))
def test_one_neuron(case):
    network = reflexarc.load(CASES.with_name(case["nir_file"]))
    (port,), (name,) = ports(network), layers(network)
    run = reflexarc.simulate(
        network,
        {port: drives(case["inputs"])},
        case["t_end"],
        mode="exact",
        probes={name: [probe["t"] for probe in case["probes"]]},
    )
    if network.nodes[name].spiking:
        assert_spikes(run.spikes["output"], case["expected_spike_times"])
    expected_v = np.array([probe["v"] for probe in case["probes"]])
    assert np.abs(run.probes[name][:, 0] - expected_v).max(initial=0.0) <= TOLERANCE


@pytest.mark.parametrize("net", read("nets"))
def test_net(net):
    network = reflexarc.load(
        CASES.with_name(net["nir_file"]), spike_area=net["connections"][0]["spike_area"]
    )
    port_of = {after: before for before, after in network.edges if before in ports(network)}
    given = {port_of[name]: drives(entries) for name, entries in net["external_inputs"].items()}
    run = reflexarc.simulate(
        network,
        given,
        net["t_end"],
        mode="exact",
        record=layers(network),
    )
    for name, expected_s in net["expected_spike_times"].items():
        assert_spikes(run.spikes[name], expected_s)
