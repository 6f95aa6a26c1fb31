"""Reading and writing .nir files: old files, malformed files, what `nir` accepts."""

import warnings
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.runtime import nirfile
from reflexarc.runtime.errors import (
    ConfigError,
    GraphError,
    MissingFileError,
    ReflexarcError,
    UnsupportedError,
)
from reflexarc.runtime.network import (
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Pooling,
    Scale,
    Threshold,
)

GRAPHS = Path(__file__).resolve().parents[3] / "shared/nir/graphs"
LIF = {"tau": [0.01], "r": [1.0], "v_leak": [0.0], "v_threshold": [1.0], "v_reset": [0.0]}


def chain(**changes):
    """In -> w -> n -> out as raw nodes; a change replaces or (None) removes a parameter."""
    nodes = {
        "in": {"type": "Input", "shape": [2]},
        "w": {"type": "Linear", "weight": [[1.0, 2.0]]},
        "n": {"type": "LIF", **LIF},
        "out": {"type": "Output", "shape": [1]},
    }
    for place, value in changes.items():
        name, parameter = place.split("__")
        nodes[name][parameter] = value
    return nodes


EDGES = [("in", "w"), ("w", "n"), ("n", "out")]


def put(path, nodes, edges=EDGES):
    """Write raw nodes as a .nir file."""
    with h5py.File(path, "w") as file:
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph.create_dataset("edges", data=np.array(edges, object), dtype=h5py.string_dtype())
        group = graph.create_group("nodes")
        for name, values in nodes.items():
            node = group.create_group(name)
            for key, value in values.items():
                if value is not None:
                    node[key] = value
    return path


def read(tmp_path, nodes, edges=EDGES):
    return nirfile.read(put(tmp_path / "g.nir", nodes, edges))


def test_nodes_and_edges_keep_their_names(tmp_path):
    nodes = chain()
    nodes["n.lif"] = nodes.pop("n")
    network = read(tmp_path, nodes, [("n.lif", "out"), ("in", "w"), ("w", "n.lif")])
    assert set(network.nodes) == {"in", "w", "n.lif", "out"}
    assert ("w", "n.lif") in network.edges
    assert network.nodes["n.lif"].parameters["tau"].tolist() == [0.01]
    assert not network.nodes["w"].weight.flags.writeable


# Old files.


def test_scalars_take_the_size_of_their_neighbours(tmp_path):
    scalars = {f"n__{name}": value[0] for name, value in LIF.items()}
    nodes = chain(**scalars, w__weight=np.ones((3, 2)), out__shape=[3])
    with pytest.warns(UserWarning, match=r"node 'n': scalar parameters are spread over \(3,\)"):
        network = read(tmp_path, nodes)
    assert network.nodes["n"].size == 3
    assert network.nodes["n"].parameters["tau"].tolist() == [0.01] * 3


def test_scalars_take_a_size_through_other_scalars(tmp_path):
    scalars = {name: value[0] for name, value in LIF.items()}
    nodes = {
        "in": {"type": "Input", "shape": [4]},
        "a": {"type": "LIF", **scalars},
        "d": {"type": "Delay", "delay": 0.001},
        "out": {"type": "Output", "shape": [4]},
    }
    with pytest.warns(UserWarning, match="spread over"):
        network = read(tmp_path, nodes, [("d", "out"), ("a", "d"), ("in", "a")])
    assert network.nodes["d"].delay_s.tolist() == [0.001] * 4


def test_mixed_scalars_are_spread(tmp_path):
    nodes = chain(n__r=1.0, n__tau=[0.01, 0.02], n__v_leak=[0.0, 0.0], w__weight=np.ones((2, 2)))
    nodes["n"].update(v_threshold=[1.0, 2.0], v_reset=0.0)
    nodes["out"]["shape"] = [2]
    with pytest.warns(UserWarning, match="node 'n': parameters of mixed shapes"):
        network = read(tmp_path, nodes)
    assert network.nodes["n"].parameters["r"].tolist() == [1.0, 1.0]


def test_missing_defaults_are_filled_in_with_a_warning(tmp_path):
    cuba = {"tau_syn": [0.01], "tau_mem": [0.01], "r": [1.0], "v_leak": [0.0], "v_threshold": [1.0]}
    nodes = {**chain(), "n": {"type": "CubaLIF", **cuba}}
    with pytest.warns(UserWarning, match=r"node 'n': no (v_reset|w_in)") as caught:
        network = read(tmp_path, nodes)
    assert len(caught) == 2
    assert network.nodes["n"].parameters["v_reset"].tolist() == [0.0]
    assert network.nodes["n"].parameters["w_in"].tolist() == [1.0]


def test_an_output_may_have_axes_of_one(tmp_path):
    assert read(tmp_path, chain(out__shape=[1, 1, 1])).nodes["out"].size == 1


def test_a_repeated_edge_counts_once(tmp_path):
    with pytest.warns(UserWarning, match="edge in -> w is given twice"):
        network = read(tmp_path, chain(), [*EDGES, ("in", "w")])
    assert len(network.edges) == 3


def test_real_files_load():
    if not GRAPHS.exists():
        pytest.skip(f"{GRAPHS} is absent")
    sizes = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(GRAPHS.glob("*.nir")):
            network = nirfile.read(path)
            sizes[path.stem] = [n.size for n in network.nodes.values() if isinstance(n, Neurons)]
    assert sizes["lif_norse_2023-08-25_scalar_params"] == [1000]
    assert sizes["lif_rockpool"] == [1]
    assert sizes["braille_noDelay_bias_zero"] == [38, 7]


# Malformed files.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n__type": None}, "node 'n', parameter 'type': is missing"),
        (
            {"n__type": "Magic"},
            "node 'n', parameter 'type': 'Magic' is not a NIR type",
        ),
        ({"n__tau": None}, "node 'n', parameter 'tau': is missing; LIF needs it"),
        ({"n__tau": [0.0]}, r"'n', parameter 'tau': value 0.0 at index \[0\]; must be greater"),
        ({"n__tau": [-1.0]}, "must be greater than 0"),
        ({"n__r": [np.inf]}, r"'r': value inf at index \[0\]; give a finite number"),
        ({"n__r": "fast"}, "'r': expected numbers"),
        ({"n__r": [1.0, 2.0], "n__tau": [1.0, 1.0, 1.0]}, r"'r': shape \(2,\) does not fit 'tau'"),
        ({"n__tau": np.empty((0,))}, "is empty|does not fit"),
        (
            {"w__weight": [[1.0, np.nan]]},
            r"node 'w', parameter 'weight': value nan at index \[0, 1\]",
        ),
        ({"w__weight": [1.0, 2.0]}, r"'weight': expected a matrix \(outputs, inputs\)"),
        ({"w__weight": np.ones((1, 3))}, "edge in -> w: 'in' gives 2 values, 'w' takes 3"),
        ({"w__type": "Affine"}, "node 'w', parameter 'bias': is missing"),
        ({"w__type": "Affine", "w__bias": [1.0, 2.0]}, "'bias': shape .* does not fit the weight"),
        ({"in__shape": None}, "node 'in', parameter 'shape': is missing"),
        ({"in__shape": [0]}, "'shape': expected whole numbers of at least 1"),
        ({"in__shape": [-2]}, "'shape': expected whole numbers of at least 1"),
        ({"in__shape": [2.5]}, "'shape': expected whole numbers"),
        ({"in__shape": np.empty((0,), int)}, "'shape': expected whole numbers"),
        ({"in__shape": [2**40]}, "'shape': 1099511627776 elements; at most"),
        ({"in__shape": [2**40, 2**40]}, "'shape': .* elements; at most"),
        ({"out__shape": [2]}, "edge n -> out: 'n' gives 1 values, 'out' takes 2"),
    ],
)
def test_malformed_nodes_are_named(tmp_path, change, message):
    with pytest.raises(GraphError, match=message) as error:
        read(tmp_path, chain(**change))
    assert str(error.value).startswith(str(tmp_path / "g.nir"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([*EDGES, ("n", "nowhere")], "edge n -> nowhere: there is no node 'nowhere'; nodes are"),
        ([*EDGES, ("w", "in")], "nothing may lead into an Input"),
        ([*EDGES, ("out", "w")], "or out of an Output"),
        ([("in", "w", "n")], "'node/edges' must be pairs"),
    ],
)
def test_malformed_edges_are_named(tmp_path, edges, message):
    with pytest.raises(GraphError, match=message):
        read(tmp_path, chain(), edges)


def test_a_negative_delay_is_refused(tmp_path):
    nodes = {**chain(), "n": {"type": "Delay", "delay": [-0.001]}}
    with pytest.raises(GraphError, match="'delay': a delay cannot be negative"):
        read(tmp_path, nodes)


def test_a_size_that_nobody_tells_is_refused(tmp_path):
    nodes = {"n": {"type": "I", "r": 1.0}, "m": {"type": "I", "r": 1.0}}
    with pytest.raises(GraphError, match="node 'm': all parameters are scalars"):
        read(tmp_path, nodes, [("n", "m")])


@pytest.mark.parametrize("missing", ["node", "node/nodes", "node/edges"])
def test_a_missing_part_is_named(tmp_path, missing):
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file[missing]
    with pytest.raises(GraphError, match=f"'{missing}' is missing; this is not a NIR graph"):
        nirfile.read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        nirfile.read(tmp_path / "g.nir")


def test_a_file_that_is_not_hdf5(tmp_path):
    (tmp_path / "g.nir").write_text("graph")
    with pytest.raises(GraphError, match="not an HDF5 file"):
        nirfile.read(tmp_path / "g.nir")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_one_line_and_never_a_traceback(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "g.nir"
    whole = put(path, chain()).read_bytes()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    path.write_bytes(damaged)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nirfile.read(path)
    except ReflexarcError as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1))
def test_many_damaged_bytes_are_one_line_and_never_a_traceback(tmp_path_factory, flips):
    path = tmp_path_factory.mktemp("damaged") / "g.nir"
    damaged = bytearray(put(path, chain()).read_bytes())
    for at, value in flips:
        damaged[at % len(damaged)] = value
    path.write_bytes(damaged)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nirfile.read(path)
    except ReflexarcError as error:
        assert "\n" not in str(error)


def whole_images(path):
    """A graph within a graph, a convolution, a pool: what `nir` writes, compressed."""
    inner = nir.NIRGraph(
        {
            "i": nir.Input(np.array([1, 4, 4])),
            "c": nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, "same", 1, 1, np.ones(2)),
            "o": nir.Output(np.array([2, 4, 4])),
        },
        [("i", "c"), ("c", "o")],
        type_check=False,
    )
    two = np.array([2, 2])
    nodes = {
        "in": nir.Input(np.array([1, 4, 4])),
        "g": inner,
        "p": nir.AvgPool2d(two, two, 0 * two),
        "f": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "out": nir.Output(np.array([8])),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return path


@settings(max_examples=100, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=20),
    kept=st.floats(0.1, 1.0),
)
def test_damaged_images_are_one_line_and_never_a_traceback(tmp_path_factory, flips, kept):
    path = tmp_path_factory.mktemp("damaged") / "g.nir"
    damaged = bytearray(whole_images(path).read_bytes())
    for at, value in flips:
        damaged[at % len(damaged)] = value
    path.write_bytes(damaged[: int(kept * len(damaged))])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nirfile.read(path)
    except ReflexarcError as error:
        assert "\n" not in str(error)


LINKS = {
    "external": h5py.ExternalLink("other.nir", "/node/nodes/w"),
    "missing external": h5py.ExternalLink("nowhere.nir", "/x"),
    "soft": h5py.SoftLink("/node/nodes/n"),
    "dangling": h5py.SoftLink("/nowhere"),
    "round": h5py.SoftLink("/node/nodes/w"),
}


@pytest.mark.parametrize("link", LINKS.values(), ids=list(LINKS))
@pytest.mark.parametrize("place", ["node", "node/nodes", "node/edges", "node/nodes/w"])
def test_links_are_not_followed(tmp_path, link, place):
    put(tmp_path / "other.nir", chain())
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = link
    with pytest.raises(GraphError, match=f"g.nir: '{place}' is a link, which is not followed"):
        nirfile.read(path)


def test_a_linked_parameter_is_not_followed(tmp_path):
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w/weight"] = h5py.ExternalLink("other.nir", "/node/nodes/w/weight")
    with pytest.raises(GraphError, match="'node/nodes/w/weight' is a link"):
        nirfile.read(path)


def test_a_group_that_holds_itself_is_read_once(tmp_path):
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        file["node/nodes/n/again"] = file["node"]
    assert set(nirfile.read(path).nodes) == {"in", "w", "n", "out"}


def test_values_in_another_file_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(np.ones(2).tobytes())
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        where = [(str(tmp_path / "secret"), 0, 16)]
        file["node/nodes/w"].create_dataset("weight", (1, 2), "f8", external=where)
    with pytest.raises(GraphError, match="parameter 'weight': its values are in another file"):
        nirfile.read(path)


def test_values_gathered_from_other_files_are_not_read(tmp_path):
    put(tmp_path / "other.nir", chain())
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        layout = h5py.VirtualLayout((1, 2), "f8")
        layout[:] = h5py.VirtualSource("other.nir", "node/nodes/w/weight", (1, 2))
        file["node/nodes/w"].create_virtual_dataset("weight", layout)
    with pytest.raises(GraphError, match="parameter 'weight': its values are in another file"):
        nirfile.read(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((30_000, 30_000), "hardly any are there"), ((2**20, 2**20), "at most 1073741824")],
)
def test_values_that_are_declared_and_not_there(tmp_path, shape, message):
    path = put(tmp_path / "g.nir", chain())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w"].create_dataset("weight", shape, "f8", chunks=(64, 64))
    with pytest.raises(GraphError, match=f"'weight': {shape[0] * shape[1]} values.*{message}"):
        nirfile.read(path)


@pytest.mark.filterwarnings("ignore:.*spread over")
def test_a_few_bytes_cannot_ask_for_all_memory(tmp_path):
    scalars = {"n__" + key: value[0] for key, value in LIF.items()}
    changes = {"in__shape": [2**24], "out__shape": [2**24], **scalars}
    edges = [("in", "n"), ("n", "out")]
    with pytest.raises(GraphError, match="50331649 elements in all nodes together"):
        read(tmp_path, chain(**changes), edges)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32, np.uint8])
@pytest.mark.parametrize("shape", [(1,), (24,), (2, 3, 4)])
def test_what_nir_writes_is_read(tmp_path, dtype, shape):
    one, zero = np.ones(shape, dtype), np.zeros(shape, dtype)
    spiking = {"r": one, "v_leak": zero, "v_threshold": one, "v_reset": zero}
    current = {"tau_syn": one, "tau_mem": one, "w_in": one}
    nodes = {
        "input": nir.Input(np.array(shape)),
        "a.lif": nir.LIF(tau=one, **spiking, metadata={"by": "me", "number": 3, "list": [1, 2]}),
        "cuba": nir.CubaLIF(**current, **spiking),
        "if": nir.IF(r=one, v_threshold=one, v_reset=zero),
        "wait": nir.Delay(one),
        "i": nir.I(one),
        "li": nir.LI(tau=one, r=one, v_leak=zero),
        "cubali": nir.CubaLI(**current, r=one, v_leak=zero),
        "output": nir.Output(np.array(shape)),
    }
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False, metadata={"any": "thing"})
    nir.write(tmp_path / "g.nir", graph)
    network = nirfile.read(tmp_path / "g.nir")
    assert {node.shape for node in network.nodes.values()} == {shape}
    for name, node in network.nodes.items():
        for key, value in getattr(node, "parameters", {}).items():
            assert np.array_equal(value, getattr(nodes[name], key).reshape(-1))


def test_an_affine_of_nir_is_read(tmp_path):
    weight, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, -1])
    nodes = {
        "input": nir.Input(np.array([3])),
        "w": nir.Affine(weight, bias),
        "output": nir.Output(np.array([1, 1, 2])),
    }
    nir.write(tmp_path / "g.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    read_back = nirfile.read(tmp_path / "g.nir").nodes["w"]
    assert np.array_equal(read_back.weight, weight)
    assert np.array_equal(read_back.bias, bias)


# In memory, and back.


def every_node():
    n = np.full(2, 0.5)
    kinds = {
        "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
        "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
        "LI": ("tau", "r", "v_leak"),
        "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
        "IF": ("r", "v_threshold", "v_reset"),
        "I": ("r",),
    }
    nodes = [
        Input(name="in", shape=(2,)),
        Linear(name="w.0", shape=(2,), weight=np.arange(4.0).reshape(2, 2)),
        Linear(name="a", shape=(2,), weight=np.eye(2), bias=n),
        Delay(name="d", shape=(2,), delay_s=np.array([0.0, 1e-3])),
        Scale(name="s", shape=(2,), scale=np.array([0.5, -1.0])),
        Threshold(name="t", shape=(2,), threshold=np.array([0.5, -1.0])),
        *(
            Neurons(name=kind, shape=(2,), kind=kind, parameters=dict.fromkeys(names, n))
            for kind, names in kinds.items()
        ),
        Output(name="out", shape=(2,)),
    ]
    names = [node.name for node in nodes]
    edges = tuple(pairwise(names))
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


def every_image_node():
    """A chain whose sizes `nir` counts right: it takes kernels and padding for square."""
    rng = np.random.default_rng(0)
    same = {"stride": (1, 1), "dilation": (2, 1), "groups": 1, "bias": np.arange(3.0)}
    strided = {"stride": (2, 1), "padding": ((1, 1), (0, 0)), "dilation": (1, 2)}
    row = {"stride": (3,), "padding": ((2, 2),), "dilation": (1,), "bias": np.ones(2)}
    weights = [rng.standard_normal(s) for s in ((3, 2, 3, 2), (6, 3, 3, 3), (2, 6, 4))]
    square = {"kernel": (2, 2), "stride": (2, 1), "padding": (0, 1)}
    nodes = [
        Input(name="in", shape=(2, 12, 9)),
        Conv(
            name="same",
            shape=(3, 12, 9),
            shape_in=(2, 12, 9),
            weight=weights[0],
            padding=((2, 2), (0, 1)),
            **same,
        ),
        Conv(name="c", shape=(6, 6, 5), shape_in=(3, 12, 9), weight=weights[1], **strided),
        Pooling(name="sum", shape=(6, 3, 6), shape_in=(6, 6, 5), kind="sum", **square),
        Pooling(name="mean", shape=(6, 1, 7), shape_in=(6, 3, 6), kind="average", **square),
        Flatten(name="f", shape=(6, 7), shape_in=(6, 1, 7), start_dim=1, end_dim=2),
        Conv(name="row", shape=(2, 3), shape_in=(6, 7), weight=weights[2], **row),
        Flatten(name="all", shape=(6,), shape_in=(2, 3)),
        Output(name="out", shape=(6,)),
    ]
    names = [node.name for node in nodes]
    edges = tuple(pairwise(names))
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


def assert_same(first, second):
    assert set(first.nodes) == set(second.nodes)
    assert set(first.edges) == set(second.edges)
    for name, node in first.nodes.items():
        other = second.nodes[name]
        assert type(node) is type(other)
        for field in fields(node):
            value, found = getattr(node, field.name), getattr(other, field.name)
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, found)
            elif field.name == "parameters":
                assert value.keys() == found.keys()
                assert all(np.array_equal(v, found[key]) for key, v in value.items())
            else:
                assert value == found


@pytest.mark.parametrize("make", [every_node, every_image_node])
def test_what_is_written_is_read_back(tmp_path, make):
    network = make()
    nirfile.write(network, tmp_path / "g.nir")
    assert_same(network, nirfile.read(tmp_path / "g.nir"))
    assert [path.name for path in tmp_path.iterdir()] == ["g.nir"]


@pytest.mark.parametrize("make", [every_node, every_image_node])
def test_nir_accepts_what_is_written(tmp_path, make):
    network = make()
    nirfile.write(network, tmp_path / "g.nir")
    graph = nir.read(tmp_path / "g.nir")
    assert set(graph.nodes) == set(network.nodes)
    assert_same(network, nirfile.from_graph(graph))


def test_a_graph_in_memory_is_checked_too():
    graph = nir.NIRGraph(
        nodes={"in": nir.Input(np.array([1])), "w": nir.Linear(np.array([[np.nan]]))},
        edges=[("in", "w")],
        type_check=False,
    )
    with pytest.raises(GraphError, match="<NIRGraph>: node 'w', parameter 'weight': value nan"):
        nirfile.from_graph(graph)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        nirfile.write(every_node(), tmp_path / "nowhere/g.nir")


def test_large_weights_are_compressed_and_nir_reads_them(tmp_path):
    weight = np.zeros((200, 300))
    weight[::7, ::11] = np.pi
    nodes = {
        "in": Input(name="in", shape=(300,)),
        "w": Linear(name="w", shape=(200,), weight=weight),
        "out": Output(name="out", shape=(200,)),
    }
    network = Network(nodes=nodes, edges=tuple(pairwise(nodes)))
    nirfile.write(network, tmp_path / "g.nir")
    assert (tmp_path / "g.nir").stat().st_size < weight.nbytes / 10
    assert np.array_equal(nir.read(tmp_path / "g.nir").nodes["w"].weight, weight)
    assert_same(network, nirfile.read(tmp_path / "g.nir"))


def test_groups_are_written(tmp_path):
    """`nir` 1.0.8 counts the channels of a grouped convolution wrong, and takes it unchecked."""
    sizes = {"stride": (1, 2), "padding": ((0, 0), (1, 1)), "dilation": (1, 1), "groups": 2}
    weight = np.arange(12.0).reshape(4, 1, 1, 3)
    nodes = [
        Input(name="in", shape=(2, 4, 5)),
        Conv(name="c", shape=(4, 4, 3), shape_in=(2, 4, 5), weight=weight, **sizes),
        Output(name="out", shape=(4, 4, 3)),
    ]
    network = Network(nodes={node.name: node for node in nodes}, edges=(("in", "c"), ("c", "out")))
    nirfile.write(network, tmp_path / "g.nir")
    assert_same(network, nirfile.read(tmp_path / "g.nir"))
    lax = nir.read(tmp_path / "g.nir", type_check=False)
    assert int(lax.nodes["c"].groups) == 2
    assert_same(network, nirfile.from_graph(lax))


def test_padding_that_nir_cannot_say(tmp_path):
    lopsided = {"stride": (1,), "padding": ((3, 0),), "dilation": (1,)}
    node = Conv(name="c", shape=(1, 5), shape_in=(1, 4), weight=np.ones((1, 1, 3)), **lopsided)
    with pytest.raises(UnsupportedError, match="node 'c': NIR has no padding that differs"):
        nirfile.write(Network(nodes={"c": node}, edges=()), tmp_path / "g.nir")


def test_a_name_that_hdf5_cannot_hold(tmp_path):
    node = Input(name="a/b", shape=(1,))
    with pytest.raises(GraphError, match="node 'a/b': HDF5 cannot hold this name"):
        nirfile.write(Network(nodes={"a/b": node}, edges=()), tmp_path / "g.nir")
    assert not list(tmp_path.iterdir())
