"""`save` and `load`: the very same network comes back, and nothing is left half-written."""

import dataclasses
import zipfile
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.errors import ConfigError, GraphError, MissingFileError, UnsupportedError
from reflexarc.runtime.network import (
    GENERATORS,
    NEURON_PARAMETERS,
    SPIKING,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Projection,
)
from reflexarc.runtime.neurons import NeuronModel

#: Not every layer here is connected.
pytestmark = pytest.mark.filterwarnings("ignore:.*no edge leads")
MATERIAL = Path(__file__).resolve().parents[3] / "shared/nir"
KINDS = sorted(NeuronModel.__subclasses__(), key=lambda model: model.kind)


def assert_same(first, second):
    """Everything but the file they came from."""
    assert list(first.nodes) == list(second.nodes)
    assert first.edges == second.edges
    for key in ("spike_area", "mode", "dialect", "dt_s", "plasticity", "seed"):
        assert getattr(first, key) == getattr(second, key)
    assert_same_arrays(first.initial_v, second.initial_v)
    for name, node in first.nodes.items():
        other = second.nodes[name]
        assert type(node) is type(other)
        for field in dataclasses.fields(node):
            one, two = getattr(node, field.name), getattr(other, field.name)
            if field.name == "parameters":
                assert list(one) == list(two)
                assert_same_arrays(one, two)
            elif isinstance(one, np.ndarray):
                assert_same_arrays({"": one}, {"": two})
            else:
                assert one == two
                assert type(one) is type(two)


def assert_same_arrays(first, second):
    assert set(first) == set(second)
    for key, one in first.items():
        two = second[key]
        assert one.dtype == two.dtype
        assert np.array_equal(one, two)


NUMBERS = st.floats(0.01, 100.0)
CHARACTERS = st.characters(codec="utf-8", exclude_characters="/").filter(str.isprintable)
NAMES = st.text(CHARACTERS, min_size=1, max_size=8)


@st.composite
def models(draw, size):
    """Any kind of neuron with any allowed parameters."""
    model = draw(st.sampled_from(KINDS))
    fields = [field.name for field in dataclasses.fields(model)]
    values = st.one_of(NUMBERS, st.lists(NUMBERS, min_size=size, max_size=size))
    given = {name: draw(values) for name in draw(st.sets(st.sampled_from(fields)))}
    if model.kind in ("AdEx", "Izhikevich"):
        given["v_peak"] = 1e6  # above whatever it is reset to
    return model(**given)


@st.composite
def networks(draw):
    """Layers of any kinds, joined in any way, with all that a sidecar can say."""
    net = reflexarc.Builder(draw(st.integers(0, 99)))
    names = draw(st.lists(NAMES.filter(lambda n: n != "."), min_size=4, max_size=6, unique=True))
    size = draw(st.integers(1, 4))
    layers = [net.input(names[0], size)]
    for name in names[2:]:
        first = draw(st.none() | NUMBERS | st.lists(NUMBERS, min_size=size, max_size=size))
        layers.append(net.population(name, size, draw(models(size)), initial_v=first))
    net.output(names[1], layers[-1])
    kinds = {name: getattr(node, "kind", "") for name, node in net.build().nodes.items()}
    for source in layers:
        for target in layers[1:]:
            if kinds[target.name] in GENERATORS or not draw(st.booleans()):
                continue
            delay_s = draw(st.sampled_from([0.0, 1e-3]))
            if (kinds[source.name] or "IF") in SPIKING and draw(st.booleans()):
                weight = draw(st.sampled_from([0.5, reflexarc.Uniform(0, 1)]))
                pattern = reflexarc.Probability(draw(st.floats(0, 1)), allow_self=True)
                net.project(source, target, pattern, weight=weight, delay_s=delay_s)
            else:
                bias = draw(st.none() | st.just(np.arange(float(size))))
                net.linear(source, target, np.eye(size), bias, delay_s=delay_s)
    network = net.build(
        mode=draw(st.sampled_from(["exact", "clocked"])),
        dt_s=draw(st.none() | NUMBERS),
        dialect=draw(st.sampled_from(["reflexarc", "norse"])),
        spike_area=draw(NUMBERS),
    )
    matrices = [name for name, node in network.nodes.items() if isinstance(node, Linear)]
    if matrices and draw(st.booleans()):
        rule = reflexarc.Pes(modulator=names[0], learning_rate=draw(NUMBERS))
        return dataclasses.replace(network, plasticity={matrices[0]: rule})
    return network


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_a_sidecar_gives_the_very_same_network_back(tmp_path, network):
    reflexarc.save(network, tmp_path / "x.yaml")
    assert_same(network, reflexarc.load(tmp_path / "x.yaml"))
    part = nir.read(tmp_path / "x.nir", type_check=False)
    inside = {name for name, node in network.nodes.items() if not is_own(node)}
    assert set(part.nodes) == inside


def is_own(node):
    own = isinstance(node, Neurons) and node.kind in {model.kind for model in KINDS[:]}
    nirs = ("LIF", "CubaLIF", "LI", "CubaLI", "IF", "I")
    return isinstance(node, Projection) or (own and node.kind not in nirs)


def every_kind():
    net = reflexarc.Builder(1)
    for model in KINDS:
        cells = net.population(model.kind, (2, 3), model(), initial_v=np.arange(6.0))
        if model.kind not in GENERATORS:
            source = net.input(f"to {model.kind}", 6)
            rule = reflexarc.PairStdp(a_plus=0.1, a_minus=0.1)
            pattern = reflexarc.FixedIndegree(2)
            net.project(source, cells, pattern, weight=np.float32(0.3), plasticity=rule)
    return net.build()


def test_every_kind_is_saved(tmp_path):
    network = every_kind()
    assert {n.kind for n in network.nodes.values() if isinstance(n, Neurons)} == set(
        NEURON_PARAMETERS
    )
    reflexarc.save(network, tmp_path / "x.yaml")
    assert_same(network, reflexarc.load(tmp_path / "x.yaml"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_graphs_come_back(tmp_path):
    if not MATERIAL.exists():
        pytest.skip(f"{MATERIAL} is absent")
    paths = sorted(MATERIAL.glob("*/*.nir"))
    assert len(paths) > 30
    for path in paths:
        network = reflexarc.load(path)
        for name in ("again.nir", "again.yaml"):
            reflexarc.save(network, tmp_path / name)
            assert_same(network, reflexarc.load(tmp_path / name))


def test_what_all_share_stays_one_number(tmp_path):
    net = reflexarc.Builder()
    net.population("n", 100_000, reflexarc.ExpLIF(), initial_v=0.5)
    reflexarc.save(net.build(), tmp_path / "x.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.nir", "x.yaml"]
    loaded = reflexarc.load(tmp_path / "x.yaml")
    assert all(values.strides == (0,) for values in loaded.nodes["n"].parameters.values())


def test_the_same_network_is_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        reflexarc.save(every_kind(), tmp_path / name / "x.yaml")
    for suffix in (".yaml", ".npz", ".nir"):
        first, second = ((tmp_path / name / f"x{suffix}").read_bytes() for name in "ab")
        assert first == second


def test_narrow_targets_and_the_seed_come_back(tmp_path):
    network = every_kind()
    nodes = {
        name: dataclasses.replace(node, targets=node.targets.astype(np.uint16))
        if isinstance(node, Projection)
        else node
        for name, node in network.nodes.items()
    }
    network = dataclasses.replace(network, nodes=nodes, seed=2**64 - 1)
    reflexarc.save(network, tmp_path / "x.yaml")
    assert_same(network, reflexarc.load(tmp_path / "x.yaml"))


# As a NIR file alone.


def nirs_words():
    """Projections between kinds that NIR has."""
    net = reflexarc.Builder(2)
    lines, cells = net.input("in", 5), net.population("lif", 4, reflexarc.LIF())
    pairs = reflexarc.FixedIndegree(6, allow_multiple=True)
    net.project(lines, cells, pairs, weight=reflexarc.Normal(0, 1), name="w")
    net.project(cells, cells, reflexarc.AllToAll(), weight=0.25, delay_s=2e-3, name="rec")
    net.output("out", cells)
    return net.build(mode="clocked", dt_s=1e-3)


def test_projections_become_matrices_and_delays(tmp_path):
    network = nirs_words()
    reflexarc.save(network, tmp_path / "x.nir")
    graph = nir.read(tmp_path / "x.nir")
    assert list(graph.nodes) == ["in", "lif", "w", "rec", "rec_delay", "out"]
    assert set(map(tuple, graph.edges)) == {
        ("in", "w"),
        ("w", "lif"),
        ("lif", "rec"),
        ("rec", "rec_delay"),
        ("rec_delay", "lif"),
        ("lif", "out"),
    }
    node = network.nodes["w"]
    wanted = np.zeros((4, 5))
    for source in range(5):
        for k in range(node.rows[source], node.rows[source + 1]):
            wanted[node.targets[k], source] += node.weight[k]
    assert np.array_equal(graph.nodes["w"].weight, wanted)
    assert np.array_equal(graph.nodes["rec"].weight, 0.25 * (1 - np.eye(4)))
    assert graph.nodes["rec_delay"].delay.tolist() == [2e-3] * 4


def test_nirs_nodes_keep_their_order(tmp_path):
    nodes = [Input(name="z", shape=(1,)), Output(name="a", shape=(1,))]
    network = Network(nodes={node.name: node for node in nodes}, edges=(("z", "a"),))
    reflexarc.save(network, tmp_path / "x.nir")
    assert list(reflexarc.load(tmp_path / "x.nir").nodes) == ["z", "a"]


def changed(network, **layer):
    """`network` with another first layer."""
    lif = dataclasses.replace(network.nodes["lif"], **layer)
    return dataclasses.replace(network, nodes={**network.nodes, "lif": lif})


def with_projection(network, **change):
    nodes = {**network.nodes, "w": dataclasses.replace(network.nodes["w"], **change)}
    return dataclasses.replace(network, nodes=nodes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: changed(n, kind="ExpLIF"), "node 'lif': NIR has no kind ExpLIF"),
        (
            lambda n: changed(n, parameters={**n.nodes["lif"].parameters, "refractory": 0}),
            "node 'lif': NIR has no refractory time",
        ),
        (lambda n: with_projection(n, receptor="jump"), "node 'w': NIR has no receptor 'jump'"),
        (
            lambda n: with_projection(n, sources=2**21),
            "node 'w': NIR has only matrices, and one of 4 x 2097152 is over 4194304 weights",
        ),
        (
            lambda n: dataclasses.replace(n, initial_v={"lif": np.zeros(4)}),
            "node 'lif': NIR has no initial_v",
        ),
        (
            lambda n: dataclasses.replace(
                n, plasticity={"w": reflexarc.Pes(modulator="in", learning_rate=0)}
            ),
            "node 'w': NIR has no rule 'pes'",
        ),
    ],
)
def test_what_nir_has_no_word_for_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(UnsupportedError, match=message) as error:
        reflexarc.save(change(nirs_words()), tmp_path / "x.nir")
    assert str(error.value).endswith("; save it as .yaml")
    assert str(error.value).startswith(str(tmp_path / "x.nir"))
    assert not list(tmp_path.iterdir())


# Whole or not at all.


def test_other_files_are_not_written(tmp_path):
    with pytest.raises(ConfigError, match=r"save writes \.nir and \.yaml, not '\.json'"):
        reflexarc.save(nirs_words(), tmp_path / "x.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        reflexarc.save(nirs_words(), tmp_path / "none" / "x.yaml")
    named = Network(nodes={"a/b": Input(name="a/b", shape=(1,))}, edges=())
    with pytest.raises(GraphError, match="HDF5 cannot hold this name"):
        reflexarc.save(named, tmp_path / "x.yaml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("blocked", ["x.nir", "x.npz", "x.yaml"])
def test_if_one_file_cannot_be_written_none_is(tmp_path, blocked):
    (tmp_path / blocked).mkdir()
    with pytest.raises(ConfigError, match=rf"{blocked}: cannot be written: Is a directory"):
        reflexarc.save(every_kind(), tmp_path / "x.yaml")
    assert [path.name for path in tmp_path.iterdir()] == [blocked]


def test_an_old_network_stays_when_the_disk_is_full(tmp_path, monkeypatch):
    reflexarc.save(nirs_words(), tmp_path / "x.yaml")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(file, arrays):
        file.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reflexarc.runtime.save.write_arrays", full)
    with pytest.raises(ConfigError, match="No space left"):
        reflexarc.save(every_kind(), tmp_path / "x.yaml")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# What others may have written.


@pytest.fixture
def saved(tmp_path):
    net = reflexarc.Builder(1)
    lines, cells = net.input("in", 3), net.population("n", 2, reflexarc.ExpLIF())
    model = reflexarc.LIF(refractory_s=[1e-3, 2e-3])
    net.population("lif", 2, model, initial_v=0.1)
    net.project(lines, cells, reflexarc.AllToAll(), weight=0.5, name="p")
    net.output("out", cells)
    reflexarc.save(net.build(), tmp_path / "x.yaml")
    return tmp_path / "x.yaml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: ExpLIF", "kind: ExpLIFF", "nodes.n"),
        ("shape: [2]", "shape: [0]", "nodes.n.shape"),
        ("shape: [2]", "shape: [99999999]", "nodes.n.shape: at most 33554432 elements"),
        ("tau_mem: 0.02", "tau_mem: 0.0", "nodes.n.parameters.tau_mem: value 0; must be greater"),
        ("tau_mem: 0.02", "tau_men: 0.02", "nodes.n.parameters.tau_men: ExpLIF has none; it has"),
        ("tau_mem: 0.02, ", "", "nodes.n.parameters: tau_mem is missing; ExpLIF needs it"),
        ("sources: 3", "sources: 4", "nodes.p: rows must be 5 numbers that rise from 0"),
        ("delay_s: 0.0", "delay_s: -1.0", "nodes.p.ProjectionEntry|nodes.p"),
        ("receptor: excitatory", "receptor: jump", "nodes.p.receptor: 'n' has no 'jump'; there"),
        ("- [in, p]\n", "", "nodes.p: a projection needs one edge that leads to it"),
        ("[p, n]", "[p, out]", "nodes.p: 'out' has no synapses"),
        ("[n, out]", "[n, nowhere]", "edges: n -> nowhere: there is no node 'nowhere'"),
        ("[n, out]", "[out, n]", "edges: out -> n: nothing leads this way"),
        ("[n, out]", "[in, out]", "edges: in -> out must be in x.nir and here"),
        ("[n, out]", "[in, n]", "edges: in -> n: 'in' gives 3 values, 'n' takes 2"),
        ("order: [in, n, ", "order: [in, ", "order: must name every node"),
        ("order: ", "ordre: ", "ordre: unknown key"),
        ("arrays: x.npz", "arrays: y.npz", "arrays: no such file"),
        ("arrays: x.npz\n", "", "nodes.p: the arrays need 'p/rows'"),
        ("{lif: array}", "{lif: 0.1}", "arrays: 'lif/refractory' is not needed; remove it"),
        ("{lif: array}", "{lif: -1.0}", "refractory.lif: value -1; cannot be negative"),
        ("{lif: array}", "{lif: a}", "refractory.lif"),
        ("{lif: array}", "{n: 0.1}", "refractory.n: no layer of neurons of that name that NIR has"),
        ("{lif: array}", "{in: 0.1}", "refractory.in: no layer of neurons"),
        ("{lif: 0.1}", "{lif: array}", "initial_v.lif: the arrays need 'lif/initial_v', 2 values"),
        ("tau_mem: 0.02", "tau_mem: array", "the arrays need 'n/tau_mem', 2 values of float64"),
        (
            "\nnodes:\n",
            "\nnodes:\n  lif: {kind: Poisson, shape: [1], parameters: {rate: 1.0}}\n",
            "nodes.lif: is in x.nir",
        ),
    ],
)
def test_what_is_wrong_in_a_sidecar_is_one_line(saved, old, new, message):
    text = saved.read_text()
    assert old in text
    saved.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as error:
        reflexarc.load(saved)
    assert str(error.value).startswith(str(saved))
    assert "\n" not in str(error.value)


def test_order_and_edges_belong_to_nodes(saved):
    said = yaml.safe_load(saved.read_text())
    del said["nodes"]
    saved.write_text(yaml.safe_dump(said))
    with pytest.raises(ConfigError, match="edges: is only for sidecars with nodes"):
        reflexarc.load(saved)


def test_every_edge_of_the_graph_is_named(saved):
    with h5py.File(saved.with_suffix(".nir"), "a") as file:
        del file["node/edges"]
        edge = np.array([("lif", "lif")], object)
        file["node"].create_dataset("edges", data=edge, dtype=h5py.string_dtype())
    with pytest.raises(ConfigError, match=r"edges: lif -> lif must be in x\.nir and here"):
        reflexarc.load(saved)


def rewrite(path, **changes):
    """Change arrays of an .npz; None removes one."""
    with np.load(path) as arrays:
        kept = {**arrays, **{key.replace("__", "/"): value for key, value in changes.items()}}
    np.savez(path, **{key: value for key, value in kept.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p__targets": np.array([0, 2, 0, 1, 0, 1], np.int32)}, "target 2 of synapse 1: must be"),
        ({"p__targets": np.array([1, 0, 0, 1, 0, 1], np.int32)}, "target 0 of synapse 1: must be"),
        ({"p__targets": np.arange(6)}, "nodes.p: the arrays need 'p/targets', uint16 or int32"),
        ({"p__targets": np.full(6, 2, np.uint16)}, "target 2 of synapse 0: must be"),
        ({"p__rows": np.array([0, 4, 2, 6])}, "nodes.p: rows must be 4 numbers that rise"),
        ({"p__rows": np.array([0, 2, 4, 5])}, "rows end at 5, but there are 6 targets"),
        ({"p__weight": np.ones(2, np.float32)}, "weight must be 1 or 6 finite numbers"),
        ({"p__weight": np.array([np.nan], np.float32)}, "weight must be 1 or 6 finite numbers"),
        ({"p__weight": None}, "the arrays need 'p/weight', float32"),
        ({"lif__refractory": np.array([-1.0, 0])}, "refractory.lif: value -1; cannot be negative"),
        ({"lif__refractory": np.zeros(3)}, "arrays need 'lif/refractory', 2 values of"),
        ({"lif__refractory": np.array([0, np.nan])}, "refractory.lif: every value must be finite"),
        ({"q__rows": np.zeros(1)}, "arrays: 'q/rows' is not needed"),
        ({"in__initial_v": np.zeros(3)}, "arrays: 'in/initial_v' is not needed"),
        ({"lif__initial_v": np.zeros(2)}, "arrays: 'lif/initial_v' is not needed"),
    ],
)
def test_wrong_arrays_are_one_line(saved, changes, message):
    rewrite(saved.with_suffix(".npz"), **changes)
    with pytest.raises(ConfigError, match=message) as error:
        reflexarc.load(saved)
    assert str(error.value).startswith(str(saved))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((2, 2)), "array 'p/rows': expected numbers on one axis"),
        (np.array(["a"]), "array 'p/rows': expected numbers on one axis"),
        (np.array([1 + 2j]), "array 'p/rows': expected numbers on one axis"),
        (np.array([{}], object), "damaged or truncated|expected numbers"),
    ],
)
def test_other_arrays_are_not_read(saved, value, message):
    rewrite(saved.with_suffix(".npz"), p__rows=value)
    with pytest.raises(GraphError, match=message) as error:
        reflexarc.load(saved)
    assert str(error.value).startswith(str(saved.with_suffix(".npz")))


def test_compressed_arrays_are_not_inflated(saved):
    path = saved.with_suffix(".npz")
    with np.load(path) as arrays:
        np.savez_compressed(path, **arrays)
    with pytest.raises(GraphError, match="is compressed; save the network again"):
        reflexarc.load(saved)


def test_a_size_that_is_declared_and_not_there(saved):
    path = saved.with_suffix(".npz")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    for name in members:
        if name == "p/targets.npy":
            members[name] = members[name].replace(b"(6,)", b"(9,)")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(GraphError, match="array 'p/targets': 9 values are declared"):
        reflexarc.load(saved)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_arrays_are_one_line_or_the_same(saved, data):
    path = saved.with_suffix(".npz")
    whole = path.read_bytes()
    wanted = reflexarc.load(saved)
    kind = data.draw(st.sampled_from(["cut", "flip"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "cut":
        damaged = whole[:at]
    else:
        damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path.write_bytes(damaged)
    try:
        found = reflexarc.load(saved)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:  # a byte that says nothing, such as a date
        assert_same(wanted, found)
    finally:
        path.write_bytes(whole)


def test_a_missing_part(saved):
    saved.with_suffix(".nir").unlink()
    with pytest.raises(ConfigError, match="graph: no such file"):
        reflexarc.load(saved)
    saved.unlink()
    with pytest.raises(MissingFileError):
        reflexarc.load(saved)


def test_times_of_the_graph_do_not_scale_the_sidecars(saved):
    loaded = reflexarc.load(saved, time_unit="ms")
    assert loaded.nodes["lif"].parameters["tau"] == pytest.approx([2e-5] * 2)
    assert loaded.nodes["lif"].parameters["refractory"].tolist() == [1e-3, 2e-3]
    assert loaded.nodes["n"].parameters["tau_mem"].tolist() == [0.02] * 2
