"""Shapes that run along the edges, and the parameters of windows."""

import warnings
from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.nirgraph import build

CONV = {
    "type": "Conv2d",
    "weight": np.ones((3, 2, 3, 3)),
    "bias": np.zeros(3),
    "stride": 1,
    "padding": 1,
    "dilation": 1,
    "groups": 1,
}
POOL = {"type": "SumPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}
FLAT = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
LIF = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
SCALARS = pytest.mark.filterwarnings("ignore:.*spread over")


def chain(*nodes, shape=(2, 8, 8), out=None):
    """In -> n0 -> n1 -> ... -> out."""
    named = {"in": {"type": "Input", "shape": list(shape)}}
    named |= {f"n{k}": node for k, node in enumerate(nodes)}
    if out is not None:
        named["out"] = {"type": "Output", "shape": list(out)}
    names = list(named)
    return build(named, list(pairwise(names)), "g")


@SCALARS
def test_a_shape_runs_through_everything():
    network = chain(
        CONV,
        {"type": "LIF", **LIF},
        POOL,
        {"type": "Scale", "scale": 2.0},
        FLAT,
        {"type": "Threshold", "threshold": 1.0},
        {"type": "Linear", "weight": np.ones((5, 48))},
    )
    shapes = [node.shape for node in network.nodes.values()]
    assert shapes == [(2, 8, 8), (3, 8, 8), (3, 8, 8), (3, 4, 4), (3, 4, 4), (48,), (48,), (5,)]


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        ({"padding": "same"}, (3, 8, 8)),
        ({"padding": b"same", "dilation": [3, 2]}, (3, 8, 8)),
        ({"padding": "valid"}, (3, 6, 6)),
        ({"padding": "valid", "stride": [2, 3]}, (3, 3, 2)),
        ({"padding": [0, 2], "stride": np.array([1])}, (3, 6, 10)),
        ({"padding": [[0], [2]]}, (3, 6, 10)),
        ({"groups": 2, "weight": np.ones((4, 1, 1, 5)), "bias": np.ones(4)}, (4, 10, 6)),
        ({"input_shape": [8, 8], "padding": 0}, (3, 6, 6)),
        ({"input_shape": None}, (3, 8, 8)),
    ],
)
def test_windows(change, shape):
    assert chain({**CONV, **change}).nodes["n0"].shape == shape


def test_same_puts_the_odd_zero_behind():
    node = chain({**CONV, "weight": np.ones((3, 2, 4, 3)), "padding": "same"}).nodes["n0"]
    assert node.padding == ((1, 2), (1, 1))


@pytest.mark.parametrize(
    ("lengths", "shape"), [(16, (2, 16)), ([16], (2, 16)), (None, (2, 16)), (None, (1, 2, 16))]
)
def test_one_axis(lengths, shape):
    row = {**CONV, "type": "Conv1d", "weight": np.ones((3, 2, 3)), "padding": np.array([1])}
    node = chain({**row, "input_shape": lengths}, shape=shape).nodes["n0"]
    assert (node.shape_in, node.shape) == ((2, 16), (3, 16))


@pytest.mark.parametrize(
    ("first", "last", "shape"),
    [
        (0, -1, (24,)),
        (1, -1, (2, 12)),
        (1, 2, (2, 12)),
        (0, 1, (6, 4)),
        (-2, -1, (2, 12)),
        (1, 1, (2, 3, 4)),
        (0, -2, (6, 4)),
    ],
)
def test_flatten(first, last, shape):
    node = {"type": "Flatten", "start_dim": first, "end_dim": last}
    assert chain(node, shape=(2, 3, 4)).nodes["n0"].shape == shape
    by_nir = nir.Flatten({"input": np.array([2, 3, 4])}, first % 3, last).output_type["output"]
    assert tuple(by_nir) == shape


def test_flatten_that_counts_a_batch_axis():
    with pytest.warns(UserWarning, match="node 'n0': start_dim 1 counts a batch axis"):
        network = chain({"type": "Flatten", "start_dim": 1, "end_dim": -1}, shape=(7,))
    assert network.nodes["n0"].shape == (7,)


def test_flatten_of_an_old_file_whose_input_type_is_zero():
    with pytest.warns(UserWarning, match="node 'n0': its input_type is no shape"):
        network = chain({**FLAT, "input_type": [0, 0, 0, 0]})
    assert network.nodes["n0"].shape == (128,)


def test_flat_parameters_of_an_image():
    """Some exporters write the parameters of a layer after a convolution as one row."""
    row = {key: np.full(192, value) for key, value in LIF.items()}
    row["tau"] = np.linspace(0.01, 0.02, 192)
    network = chain(CONV, {"type": "LIF", **row}, POOL)
    assert network.nodes["n1"].shape == (3, 8, 8)
    assert network.nodes["n1"].parameters["tau"].tolist() == row["tau"].tolist()


def test_parameters_by_channel():
    by_channel = {**LIF, "tau": np.reshape([0.01, 0.02, 0.03], (3, 1, 1))}
    with pytest.warns(UserWarning, match=r"node 'n1': parameters of (shape \(3, 1, 1\)|mixed)"):
        node = chain(CONV, {"type": "LIF", **by_channel}).nodes["n1"]
    assert node.parameters["tau"].reshape(3, 64)[:, 0].tolist() == [0.01, 0.02, 0.03]
    assert np.ptp(node.parameters["tau"].reshape(3, 64), axis=1).max() == 0


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1, 1)])
def test_one_value_serves_an_image(shape):
    ones = {key: np.full(shape, value) for key, value in LIF.items()}
    with pytest.warns(UserWarning, match=r"n1': parameters of shape \(1,.*\) are spread over"):
        assert chain(CONV, {"type": "LIF", **ones}).nodes["n1"].shape == (3, 8, 8)


def test_a_stack_of_matrices():
    """NIR allows it: each matrix sees its own row of the input."""
    rng = np.random.default_rng(0)
    weight, bias = rng.integers(-3, 4, (2, 3, 4)), rng.integers(-3, 4, (2, 3))
    nodes = {
        "in": nir.Input(np.array([2, 4])),
        "w": nir.Affine(weight, bias),
        "out": nir.Output(np.array([2, 3])),
    }
    network = reflexarc.load(nir.NIRGraph(nodes, list(pairwise(nodes))))
    x = rng.integers(-3, 4, (5, 2, 4))
    run = reflexarc.simulate(network, {"in": x}, mode="clocked")
    expected = np.einsum("koi,tki->tko", weight, x) + bias
    assert np.array_equal(run.outputs["out"], expected.reshape(5, 6))
    assert network.nodes["w"].shape == (2, 3)


@SCALARS
def test_a_shape_runs_against_the_edges_and_round_a_loop():
    nodes = {
        "a": {"type": "LIF", **LIF},
        "d": {"type": "Delay", "delay": 0.001},
        "w": {"type": "Linear", "weight": np.ones((4, 4))},
    }
    network = build(nodes, [("w", "a"), ("a", "d"), ("d", "w")], "g")
    assert network.nodes["d"].delay_s.tolist() == [0.001] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.ones((3, 2, 3))}, "'weight': expected 4 axes"),
        ({"weight": np.ones((3, 0, 3, 3))}, "'weight': expected 4 axes"),
        ({"groups": 2}, "'groups': 3 channels out do not fall into 2 groups"),
        ({"groups": 0}, "'groups': expected whole numbers of at least 1"),
        ({"stride": 0}, "'stride': expected whole numbers of at least 1"),
        ({"stride": [1, 1, 1]}, "'stride': expected 2 numbers, not 3"),
        ({"dilation": 1.5}, "'dilation': expected whole numbers"),
        ({"padding": -1}, "'padding': expected whole numbers of at least 0"),
        ({"padding": "reflect"}, "'padding': 'reflect' is not known; give 'same', 'valid'"),
        ({"padding": "same", "stride": 2}, r"'padding': 'same' needs a stride of 1, not \(2, 2\)"),
        ({"padding": 0, "dilation": 4}, r"window \(3, 3\) does not fit into the input \(2, 8, 8\)"),
        ({"bias": [1.0, 2.0]}, "'bias': shape .* does not fit the weight"),
        (
            {"weight": np.ones((3, 5, 3, 3))},
            r"shape \(2, 8, 8\) arrives, 5 channels and 2 axes",
        ),
        ({"input_shape": [8]}, "'input_shape': expected 2 numbers"),
        ({"input_shape": [9, 8]}, "edge in -> n0: 'in' gives 128 values, 'n0' takes 144"),
        ({"input_shape": [4, 16]}, r"'in' gives shape \(2, 8, 8\), 'n0' takes \(2, 4, 16\)"),
        ({"padding": 2**30}, "elements in all nodes together; at most"),
        ({"padding": 2**40}, "'padding': expected whole numbers"),
    ],
)
def test_wrong_windows_are_named(change, message):
    with pytest.raises(GraphError, match=message) as error:
        chain({**CONV, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("node", "shape", "message"),
    [
        ({**POOL, "kernel_size": None}, (2, 8, 8), "'kernel_size': is missing; SumPool2d needs it"),
        ({**POOL, "kernel_size": [9, 1]}, (2, 8, 8), "node 'n0': its window .* does not fit"),
        (POOL, (8, 8), "node 'n0': shape .8, 8. arrives, 8 channels and 2 axes are needed"),
        ({**FLAT, "end_dim": 3}, (2, 8, 8), r"'start_dim': axes \(0, 3\) are not among"),
        ({**FLAT, "start_dim": 2, "end_dim": 1}, (2, 8, 8), "are not among those of"),
        ({**FLAT, "input_type": [5]}, (2, 8, 8), "'in' gives 128 values, 'n0' takes 5"),
        ({"type": "Scale"}, (2,), "'scale': is missing; Scale needs it"),
        ({"type": "Threshold", "threshold": [1.0, np.nan]}, (2,), "'threshold': value nan"),
    ],
)
def test_wrong_nodes_are_named(node, shape, message):
    with pytest.raises(GraphError, match=message):
        chain(node, shape=shape)


def test_an_image_that_nothing_tells():
    with pytest.raises(GraphError, match="node 'c': nothing tells the shape of its input"):
        build({"c": CONV, "f": FLAT}, [("c", "f")], "g")


def test_what_is_unconnected_and_has_no_size_is_left_out():
    nodes = {"in": {"type": "Input", "shape": [1]}, "c": CONV, "n": {"type": "I", "r": 1.0}}
    with pytest.warns(UserWarning, match="is connected to nothing and has no size") as caught:
        network = build(nodes, [], "g")
    assert list(network.nodes) == ["in"]
    assert len(caught) == 2


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("in", "a"), ("a", "out")], "node 'b': no edge leads into it or out of it"),
        ([("in", "a"), ("a", "b"), ("a", "out")], "node 'b': no edge leads out of it"),
        ([("in", "a"), ("a", "out"), ("b", "out")], "node 'b': no edge leads into it"),
        ([("in", "a"), ("a", "b"), ("b", "a")], "node 'out': no edge leads into it"),
        ([("b", "a"), ("a", "b"), ("b", "out")], "node 'in': no edge leads out of it"),
    ],
)
def test_loose_ends_are_warned_of(edges, message):
    nodes = {
        "in": nir.Input(np.array([1])),
        "a": nir.I(np.ones(1)),
        "b": nir.I(np.ones(1)),
        "out": nir.Output(np.array([1])),
    }
    with pytest.warns(UserWarning, match=f"{message}$"):
        network = reflexarc.load(nir.NIRGraph(nodes, edges, type_check=False))
    assert list(network.nodes) == list(nodes)


@pytest.mark.parametrize("absent", ["stride", "padding", "dilation", "groups", "bias"])
def test_what_a_convolution_leaves_out(absent):
    node = {key: value for key, value in CONV.items() if key != absent}
    with pytest.warns(UserWarning, match=f"node 'n0': no {absent}"):
        chain(node)


def test_edges_of_numbers(tmp_path):
    """The first versions of NIR numbered the nodes."""
    with h5py.File(tmp_path / "g.nir", "w") as file:
        graph = file.create_group("node")
        graph["edges"] = np.array([[0, 1]])
        for name, kind in (("0", "Input"), ("1", "Output")):
            node = graph.create_group(f"nodes/{name}")
            node["type"], node["shape"] = kind, [2]
    assert reflexarc.load(tmp_path / "g.nir").edges == (("0", "1"),)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 3),
    st.integers(1, 2),
    st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(1, 3)] * 2),
    st.one_of(st.sampled_from(["same", "valid"]), st.tuples(*[st.integers(0, 2)] * 2)),
)
def test_what_nir_holds_is_read(groups, channels, taps, stride, padding):
    """In memory nir keeps any convolution, with or without input_shape."""
    if padding == "same":
        stride = (1, 1)
    weight = np.ones((2 * groups, channels, *taps))
    nodes = {"in": nir.Input(np.array([groups * channels, 7, 9]))}
    nodes["c"] = nir.Conv2d(None, weight, stride, padding, (1, 1), groups, np.ones(2 * groups))
    nodes["out"] = nir.Output(np.array([1]))
    graph = nir.NIRGraph(nodes, [("in", "c")], type_check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = reflexarc.load(graph).nodes["c"]
    zeros = {"same": [t - 1 for t in taps], "valid": [0, 0]}
    total = zeros[padding] if isinstance(padding, str) else [2 * p for p in padding]
    lengths = [(n + z - t) // s + 1 for n, z, t, s in zip((7, 9), total, taps, stride, strict=True)]
    assert node.shape == (2 * groups, *lengths)
