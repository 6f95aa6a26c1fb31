"""Sidecars and `load`: every wrong key or value is one line with file, line and key."""

from dataclasses import replace

import nir
import numpy as np
import pytest

import reflexarc
from reflexarc.runtime import nirfile
from reflexarc.runtime.errors import ConfigError, MissingFileError, UnsupportedError
from reflexarc.runtime.network import Delay, Input, Linear, Network, Neurons, Output


def neurons(name, kind, **values):
    parameters = {key: np.full(2, float(value)) for key, value in values.items()}
    return Neurons(name=name, shape=(2,), kind=kind, parameters=parameters)


def network():
    nodes = [
        Input(name="in", shape=(2,)),
        Input(name="one", shape=(1,)),
        neurons("n", "LIF", tau=10, r=2, v_leak=0, v_threshold=1, v_reset=0),
        neurons("i", "IF", r=2, v_threshold=1, v_reset=0),
        Delay(name="d", shape=(2,), delay_s=np.array([1.0, 2.0])),
        Linear(name="w", shape=(2,), weight=np.eye(2)),
        Output(name="out", shape=(2,)),
        Output(name="copy", shape=(1,)),
    ]
    edges = (("in", "n"), ("n", "d"), ("d", "i"), ("i", "w"), ("w", "out"), ("one", "copy"))
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


SIDECAR = """\
graph: g.nir
spike_area: 1e-4
time_unit: ms
mode: clocked
dialect: norse
dt_s: 1e-3
initial_v:
  n: 0.25
  i: [0.5, 1]
plasticity:
  w:
    rule: pes
    modulator: in
    learning_rate: 1e-3
"""


@pytest.fixture
def folder(tmp_path):
    nirfile.write(network(), tmp_path / "g.nir")
    return tmp_path


def load(folder, text, **options):
    (folder / "net.yaml").write_text(text)
    return reflexarc.load(folder / "net.yaml", **options)


def test_the_seed_of_generators(folder):
    assert load(folder, SIDECAR).seed == 0
    assert load(folder, SIDECAR + "seed: 7\n").seed == 7
    with pytest.raises(ConfigError, match="15: seed: "):
        load(folder, SIDECAR + "seed: -1\n")


def test_everything_it_says_is_in_the_network(folder):
    loaded = load(folder, SIDECAR)
    assert (loaded.spike_area, loaded.mode, loaded.dialect, loaded.dt_s) == (
        1e-4,
        "clocked",
        "norse",
        1e-3,
    )
    assert loaded.initial_v["n"].tolist() == [0.25, 0.25]
    assert loaded.initial_v["i"].tolist() == [0.5, 1.0]
    assert loaded.plasticity["w"].learning_rate == 1e-3


def test_times_are_scaled_to_seconds(folder):
    loaded = load(folder, SIDECAR)
    assert loaded.nodes["n"].parameters["tau"] == pytest.approx([0.01, 0.01])
    assert loaded.nodes["n"].parameters["r"].tolist() == [2.0, 2.0]
    assert loaded.nodes["i"].parameters["r"] == pytest.approx([2000.0, 2000.0])
    assert loaded.nodes["d"].delay_s == pytest.approx([1e-3, 2e-3])


def test_arguments_override(folder):
    loaded = load(folder, SIDECAR, time_unit="s", dialect="snntorch", dt_s=1e-4)
    assert (loaded.dialect, loaded.dt_s, loaded.mode) == ("snntorch", 1e-4, "clocked")
    assert loaded.nodes["n"].parameters["tau"].tolist() == [10.0, 10.0]


def test_a_graph_alone_has_defaults(folder):
    loaded = reflexarc.load(folder / "g.nir", spike_area=1e-4)
    assert (loaded.spike_area, loaded.mode, loaded.dialect, loaded.dt_s) == (
        1e-4,
        "exact",
        "reflexarc",
        None,
    )


def test_a_graph_in_memory(folder):
    loaded = reflexarc.load(nir.read(folder / "g.nir"), time_unit="us")
    assert loaded.nodes["n"].parameters["tau"] == pytest.approx([1e-5, 1e-5])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spike_area", "spike_aera", "2: spike_aera: unknown key"),
        ("1e-4", "-1", "2: spike_area: input should be greater than 0"),
        ("1e-4", ".inf", "2: spike_area: "),
        ("1e-4", "'1'", "2: spike_area: "),
        ("time_unit: ms", "time_unit: h", "3: time_unit: "),
        ("mode: clocked", "mode: fast", "4: mode: "),
        ("dialect: norse", "dialect: nors", "5: dialect: dialect 'nors' is not known; there are"),
        ("dt_s: 1e-3", "dt_s: 0", "6: dt_s: "),
        ("  n: 0.25", "  m: 0.25", "8: initial_v.m: no layer of neurons of that name"),
        ("  n: 0.25", "  w: 0.25", "8: initial_v.w: no layer of neurons of that name"),
        ("[0.5, 1]", "[0.5]", "9: initial_v.i: 1 voltages for 2 neurons"),
        ("  w:\n", "  v:\n", "11: plasticity.v: no Linear or Affine node .*there are: w"),
        ("rule: pes", "rule: hebb", "12: plasticity.w.rule: "),
        ("modulator: in", "modulator: err", "13: plasticity.w.modulator: 'err' is not a node"),
        ("modulator: in", "modulator: one", "13: plasticity.w.modulator: 'one' has 1 values"),
        ("learning_rate: 1e-3", "learning_rate: -1", "14: plasticity.w.learning_rate: "),
        ("learning_rate: 1e-3", "w_max: 0.5", "plasticity.w.learning_rate: required key"),
        ("1e-3\n", "1e-3\n    w_max: 0.5\n", "15: plasticity.w.w_max: 0.5 is below the largest"),
        ("graph: g.nir", "graph: h.nir", "1: graph: no such file"),
        ("graph: g.nir\n", "", "graph: required key is missing"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(folder, old, new, message):
    text = SIDECAR.replace("dt_s: 1e-3", "dt_s: 0.001") if old == "1e-3\n" else SIDECAR
    assert old in text
    with pytest.raises(ConfigError, match=message) as error:
        load(folder, text.replace(old, new, 1))
    assert str(error.value).startswith(str(folder / "net.yaml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spike_area": 0.0}, "load: spike_area: "),
        ({"spike_area": float("nan")}, "load: spike_area: "),
        ({"time_unit": "min"}, "load: time_unit: "),
        ({"mode": "both"}, "load: mode: "),
        ({"dialect": "x"}, "load: dialect: dialect 'x' is not known"),
        ({"dt_s": -1.0}, "load: dt_s: "),
    ],
)
def test_a_wrong_argument_is_named(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        reflexarc.load(folder / "g.nir", **options)


def test_other_things_cannot_be_loaded(folder):
    with pytest.raises(ConfigError, match="expected a path or a NIRGraph, not int"):
        reflexarc.load(3)
    with pytest.raises(MissingFileError, match="no such file"):
        reflexarc.load(folder / "none.yaml")
    with pytest.raises(UnsupportedError):
        reflexarc.load(folder / "g.nir", dialect="none")


def test_a_loaded_network_can_be_changed(folder):
    loaded = reflexarc.load(folder / "g.nir")
    assert replace(loaded, dt_s=1e-3).dt_s == 1e-3
