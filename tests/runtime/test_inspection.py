"""What `inspect` counts, and what it doubts."""

from dataclasses import replace

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.inspection import doubts, feedback_edges, inspect, scaled
from reflexarc.runtime.network import Input, Network, Neurons, Output


def recurrent():
    """10 lines -> 20 neurons <-> 5, with a readout of values."""
    net = reflexarc.Builder(1)
    lines = net.input("lines", 10)
    exc = net.population("exc", 20, reflexarc.ExpLIF())
    inh = net.population("inh", 5, reflexarc.ExpLIF())
    graded = net.population("graded", 2, reflexarc.LI())
    net.project(lines, exc, reflexarc.FixedIndegree(3), name="in")
    net.project(exc, inh, reflexarc.AllToAll(), delay_s=1e-3, name="up")
    net.project(inh, exc, reflexarc.FixedOutdegree(4), weight=-1.0, delay_s=1e-3, name="down")
    net.linear(exc, graded, np.eye(2, 20), name="read")
    net.linear(graded, net.output("out", 1), [[1.0, -1.0]], name="mix")
    return net.build(mode="clocked", dt_s=1e-3)


def test_counts():
    found = inspect(recurrent(), rate_hz=10.0)
    assert (found.neurons, found.synapses) == (27, 60 + 100 + 20 + 2 + 2)
    assert {node.name: node.synapses for node in found.nodes if node.synapses} == {
        "in": 60,
        "up": 100,
        "down": 20,
        "read": 2,
        "mix": 2,
    }
    assert found.work.synaptic_events_per_s == 10.0 * (60 + 100 + 20 + 2)
    assert found.work.graded_products_per_step == 2
    assert found.work.neuron_updates_per_step == 27
    assert found.work.neuron_updates_per_s == pytest.approx(27_000)
    sizes = {node.name: node.bytes for node in found.nodes}
    assert sizes["exc"] == 9 * 8  # nine numbers that all share
    assert sizes["up"] == 21 * 8 + 100 * 2 + 4
    assert sizes["read"] == 40 * 8


def test_cycles():
    network = recurrent()
    assert feedback_edges(network) == [("down", "exc")]
    assert inspect(network).cycles == [["exc", "up", "inh", "down"]]
    alone = Network(
        nodes={"n": Neurons(name="n", shape=(1,), kind="I", parameters={"r": np.ones(1)})},
        edges=(("n", "n"),),
    )
    assert inspect(alone).cycles == [["n"]]


def test_a_healthy_network_is_not_doubted():
    assert list(doubts(recurrent(), 1e-3)) == []


def lif(mode="clocked", spike_area=1.0, **values):
    net = reflexarc.Builder()
    lines = net.input("in", 1)
    cells = net.population("n", 1, reflexarc.LIF(**values))
    net.linear(lines, cells, [[1.0]], name="w")
    net.output("out", cells)
    return net.build(mode=mode, spike_area=spike_area)


@pytest.mark.parametrize(
    ("network", "dt_s", "doubt"),
    [
        (lif(tau_s=20.0), None, "node 'n': tau is up to 20 s; if the graph counts in"),
        (lif(tau_s=1e-3), 2e-3, "node 'n': tau 0.001 s is below the step of 0.002 s"),
        (lif(v_reset=1.0), None, "node 'n': v_threshold is not above v_reset"),
        (lif("exact", tau_s=1e-2), None, "spike_area 1 moves v by 100 thresholds"),
        (lif("clocked", 1e-4), 1e-3, "spike_area 0.0001 is neither 1 nor the step of 0.001 s"),
    ],
)
def test_a_doubt_names_the_node(network, dt_s, doubt):
    found = list(doubts(network, dt_s))
    assert len(found) == 1
    assert doubt in found[0]


@pytest.mark.parametrize(
    ("network", "dt_s"),
    [
        (lif(tau_s=1.0), None),
        (lif(tau_s=1e-3), 1e-3),
        (lif(tau_s=1e-3), None),
        (lif("exact", 1e-4, tau_s=1e-2), 1e-4),
        (lif("exact", tau_s=0.1, r=0.1), None),
    ],
)
def test_what_is_at_the_edge_is_not_doubted(network, dt_s):
    assert list(doubts(network, dt_s)) == []


def test_delays_that_fit_no_step():
    network = recurrent()
    odd = replace(network.nodes["up"], delay_s=1.5e-3)
    network = replace(network, nodes={**network.nodes, "up": odd})
    assert list(doubts(network, 1e-3)) == [
        "node 'up': a delay of 0.0015 s is no whole number of steps of 0.001 s"
    ]
    assert list(doubts(network, 0.5e-3)) == []


def test_dangling_nodes():
    net = reflexarc.Builder()
    net.input("in", 1)
    net.population("n", 1, reflexarc.LIF())
    net.population("noise", 1, reflexarc.Poisson())
    net.output("out", 1)
    found = list(doubts(net.build(mode="clocked"), None))
    assert found == [
        "node 'in': no edge leads out of it",
        "node 'n': no edge leads into it or out of it",
        "node 'noise': no edge leads out of it",
        "node 'out': no edge leads into it",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (20, "20"), (999, "999"), (1000, "1 k"), (1_234_567, "1.23 M"), (999_600, "1 M")],
)
def test_numbers_with_prefixes(number, text):
    assert scaled(number) == text
    assert scaled(number, "B").endswith("B")


def test_an_empty_graph():
    nodes = [Input(name="in", shape=(1,)), Output(name="out", shape=(1,))]
    found = inspect(Network(nodes={n.name: n for n in nodes}, edges=(("in", "out"),)))
    assert (found.neurons, found.synapses, found.bytes, found.warnings) == (0, 0, 0, [])
