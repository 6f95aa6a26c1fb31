"""Graphs within graphs: inner names, ports that vanish, and what is ambiguous."""

from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime import nirfile
from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.nirgraph import build
from reflexarc.runtime.nirnest import MAX_DEPTH


def port(kind, size=2):
    return {"type": kind, "shape": [size]}


def scale(*by):
    return {"type": "Scale", "scale": list(by)}


def graph(nodes, edges):
    return {"type": "NIRGraph", "nodes": nodes, "edges": [tuple(e.split()) for e in edges]}


def inner(node):
    return graph(
        {"input": port("Input"), "n": node, "output": port("Output")}, ["input n", "n output"]
    )


def made(nodes, edges):
    return build(nodes, [tuple(edge.split()) for edge in edges], "g")


def outer(node, edges=("in g", "g out"), **more):
    return made({"in": port("Input"), "g": node, "out": port("Output"), **more}, edges)


def test_inner_nodes_take_the_graphs_name_and_ports_vanish():
    network = outer(inner(scale(2, 3)))
    assert list(network.nodes) == ["in", "g.n", "out"]
    assert set(network.edges) == {("in", "g.n"), ("g.n", "out")}


def test_depth_after_depth():
    network = outer(inner(inner(inner(scale(2, 3)))))
    assert list(network.nodes) == ["in", "g.n.n.n", "out"]
    assert set(network.edges) == {("in", "g.n.n.n"), ("g.n.n.n", "out")}


def test_a_graph_of_ports_alone_is_an_edge():
    passing = graph({"a": port("Input"), "b": port("Output")}, ["a b"])
    assert outer(passing).edges == (("in", "out"),)


def test_a_port_that_parts_and_one_that_gathers():
    twins = graph(
        {"a": port("Input"), "x": scale(1, 1), "y": scale(2, 2), "b": port("Output")},
        ["a x", "a y", "x b", "y b"],
    )
    edges = {("in", "g.x"), ("in", "g.y"), ("g.x", "out"), ("g.y", "out")}
    assert set(outer(twins).edges) == edges


def test_an_edge_may_name_the_port_of_several():
    two = graph(
        {
            "a": port("Input"),
            "b": port("Input"),
            "x": scale(1, 2),
            "y": scale(3, 4),
            "p": port("Output"),
            "q": port("Output"),
        },
        ["a x", "b y", "x p", "y q"],
    )
    network = outer(two, ["in g.a", "in g.b", "g.q out"])
    assert set(network.edges) == {("in", "g.x"), ("in", "g.y"), ("g.y", "out")}


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ({"a": "Input", "b": "Input", "c": "Output"}, "in -> g: graph 'g' has 2 nodes of type "
         r"Input \(a, b\); name one, as 'g.a'"),
        ({"a": "Input", "b": "Output", "c": "Output"}, r"g -> out: graph 'g' has 2 nodes of type "
         r"Output \(b, c\)"),
        ({"c": "Output"}, r"graph 'g' has 0 nodes of type Input \(none\); give it an Input"),
    ],
)  # fmt: skip
def test_what_does_not_tell_its_port_is_refused(ports, message):
    nodes = {name: port(kind) for name, kind in ports.items()}
    with pytest.raises(GraphError, match=message) as error:
        outer(graph(nodes, []))
    assert "\n" not in str(error.value)


def test_two_ways_that_would_become_one_edge_are_refused():
    passing = graph({"a": port("Input"), "b": port("Output")}, ["a b"])
    with pytest.raises(GraphError, match="two ways lead from 'in' to 'out' through ports alone"):
        outer(passing, ["in g", "g out", "in out"])


def test_ports_in_a_circle_are_refused():
    passing = graph({"a": port("Input"), "b": port("Output")}, ["a b"])
    with pytest.raises(GraphError, match=r"g\.a -> g\.b lead in a circle"):
        outer(passing, ["in g", "g g", "g out"])


def test_a_name_that_two_nodes_would_have():
    with pytest.raises(GraphError, match=r"two nodes are named 'g\.n'"):
        outer(inner(scale(1, 2)), **{"g.n": scale(1, 2)})


@pytest.mark.parametrize("edge", ["n input", "output n"])
def test_inner_ports_are_one_way(edge):
    node = inner(scale(1, 2))
    node["edges"].append(tuple(edge.split()))
    with pytest.raises(GraphError, match="nothing may lead into an Input or out of an Output"):
        outer(node)


def test_an_inner_node_cannot_be_reached_past_its_port():
    with pytest.raises(GraphError, match=r"edge in -> g\.n: there is no node 'g\.n'"):
        outer(inner(scale(1, 2)), ["in g.n", "g out"])


def test_an_inner_edge_to_nowhere():
    node = inner(scale(1, 2))
    node["edges"].append(("n", "x"))
    with pytest.raises(GraphError, match=r"edge g\.n -> g\.x: there is no node 'g\.x'; nodes"):
        outer(node)


def test_a_port_of_a_wrong_shape_is_warned_of():
    """As in a file of the NIR paper, whose inner Input has the size of the outer one."""
    node = inner(scale(1, 2))
    node["nodes"]["input"] = port("Input", 5)
    with pytest.warns(UserWarning, match=r"node 'g\.input': its shape is not used") as seen:
        network = outer(node)
    assert len(seen) == 2
    assert ("in", "g.n") in network.edges


def test_graphs_without_end():
    node = inner(scale(1, 2))
    for _ in range(MAX_DEPTH + 1):
        node = inner(node)
    with pytest.raises(GraphError, match=f"nested deeper than {MAX_DEPTH}"):
        outer(node)


def test_a_graph_that_nothing_leads_into_is_warned_of():
    loaded = nir.NIRGraph(
        {
            "in": nir.Input(np.array([2])),
            "g": nir.NIRGraph(
                {
                    "input": nir.Input(np.array([2])),
                    "n": nir.Scale(np.ones(2)),
                    "output": nir.Output(np.array([2])),
                },
                [("input", "n"), ("n", "output")],
            ),
            "out": nir.Output(np.array([2])),
        },
        [("in", "out")],
        type_check=False,
    )
    with pytest.warns(UserWarning, match="node 'g.n': no edge leads into it or out of it"):
        network = reflexarc.load(loaded)
    assert set(network.nodes) == {"in", "g.n", "out"}


@st.composite
def nested(draw, depth=0):
    """A chain of Scales, some of them within graphs, and the factor of the whole."""
    nodes, total = {"input": nir.Input(np.array([2]))}, np.ones(2)
    for k in range(draw(st.integers(1, 3))):
        if depth < 3 and draw(st.booleans()):
            nodes[f"g{k}"], factor = draw(nested(depth + 1))
        else:
            factor = np.array(draw(st.tuples(*[st.sampled_from([0.5, -2.0, 3.0])] * 2)))
            nodes[f"n{k}"] = nir.Scale(factor)
        total = total * factor
    nodes["output"] = nir.Output(np.array([2]))
    return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False), total


@settings(deadline=None, max_examples=40)
@given(nested())
def test_a_nested_graph_computes_what_it_says(tmp_path_factory, drawn):
    written, total = drawn
    path = tmp_path_factory.mktemp("nested") / "g.nir"
    nir.write(path, written)
    for source in (path, written):
        run = reflexarc.simulate(reflexarc.load(source), {"input": [[1.0, 3.0]]})
        assert run.outputs["output"][0].tolist() == (total * [1.0, 3.0]).tolist()


def nested_file(path):
    part = nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "n": nir.Scale(np.ones(2)), "o": nir.Output(np.array([2]))},
        [("i", "n"), ("n", "o")],
    )
    nodes = {"in": nir.Input(np.array([2])), "g": part, "out": nir.Output(np.array([2]))}
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return path


def test_a_graph_that_holds_itself_in_a_file(tmp_path):
    path = nested_file(tmp_path / "g.nir")
    with h5py.File(path, "a") as file:
        file["node/nodes/g/nodes/again"] = file["node/nodes/g"]
    with pytest.raises(GraphError, match="is in the file more than once"):
        nirfile.read(path)


def test_a_graph_that_is_in_a_file_twice(tmp_path):
    """Thirty levels of two links each would be a thousand million nodes."""
    path = nested_file(tmp_path / "g.nir")
    with h5py.File(path, "a") as file:
        file["node/nodes/h"] = file["node/nodes/g"]
    with pytest.raises(GraphError, match="'node/nodes/h/nodes' is in the file more than once"):
        nirfile.read(path)


@pytest.mark.parametrize("part", ["nodes", "edges"])
def test_an_inner_part_that_is_missing(tmp_path, part):
    path = nested_file(tmp_path / "g.nir")
    with h5py.File(path, "a") as file:
        del file[f"node/nodes/g/{part}"]
    with pytest.raises(GraphError, match=f"'node/nodes/g/{part}' is missing"):
        nirfile.read(path)
