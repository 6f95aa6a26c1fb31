"""`reflexarc inspect`: what it prints, draws and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

import reflexarc as package

BRAILLE = Path(__file__).resolve().parents[3] / "shared/nir/graphs/braille_noDelay_bias_zero.nir"


@pytest.fixture
def network(tmp_path):
    net = package.Builder(1)
    lines, cells = net.input("lines", 3), net.population("cells", 4, package.ExpLIF(tau_mem_s=2))
    net.project(lines, cells, package.FixedIndegree(2), name="in")
    net.project(cells, cells, package.AllToAll(), weight=-1.0, delay_s=1e-3, name="rec")
    net.output("out", cells)
    package.save(net.build(mode="clocked", dt_s=1e-3), tmp_path / "net.yaml")
    return "net.yaml"


def test_it_prints_the_graph_its_work_and_its_doubts(reflexarc, network):
    shown = reflexarc("inspect", network, check=0).stdout
    assert shown.splitlines()[0].strip() == "net.yaml"
    rows = [line.split() for line in shown.splitlines()]
    assert ["in", "Projection", "4", "8"] in [row[:4] for row in rows]
    assert "cycle    cells -> rec -> cells" in shown
    assert "size     4 neurons, 20 synapses" in shown
    assert "work     at 10 Hz: 200 synaptic events/s; clocked: 4 neuron updates a step" in shown
    assert "warning: node 'cells': tau_mem is up to 2 s" in shown


def test_json(reflexarc, network):
    options = ["--json", "--rate", "5", "--dt", "0.01"]
    found = json.loads(reflexarc("inspect", network, *options, check=0).stdout)
    assert [node["name"] for node in found["nodes"]] == ["lines", "cells", "in", "rec", "out"]
    assert found["edges"][-1] == ["cells", "out"]
    assert (found["neurons"], found["synapses"], found["cycles"]) == (4, 20, [["cells", "rec"]])
    assert found["work"]["synaptic_events_per_s"] == 100.0
    assert found["work"]["neuron_updates_per_s"] == 400.0
    doubted = [line.split("'")[1] for line in found["warnings"]]
    assert doubted == ["cells", "cells", "rec"]  # tau_mem, tau_excitatory, the delay


def test_it_draws(reflexarc, network, tmp_path):
    for name, begin in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        reflexarc("inspect", network, "--draw", name, check=0)
        assert (tmp_path / name).read_bytes().startswith(begin)


def test_a_real_graph_with_its_loader_warnings(reflexarc):
    if not BRAILLE.exists():
        pytest.skip(f"{BRAILLE} is absent")
    done = reflexarc("inspect", BRAILLE, check=0)
    assert "cycle    lif1.lif -> lif1.w_rec -> lif1.lif" in done.stdout
    assert "warning: node 'lif2': no v_reset (an old file); 0 is used" in done.stdout
    assert done.stderr == ""


def test_markup_in_a_name_is_text(reflexarc, tmp_path):
    net = package.Builder()
    lines = net.input("[red]a", 1)
    net.linear(lines, net.output("out", 1), np.eye(1), name="[b]")
    package.save(net.build(), tmp_path / "m.nir")
    shown = reflexarc("inspect", "m.nir", check=0).stdout
    assert "[red]a" in shown
    assert "[b]" in shown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["inspect"], "Missing argument 'FILE'"),
        (["inspect", "none.nir"], "none.nir: no such file"),
        (["inspect", "none.yaml"], "none.yaml: no such file"),
        (["inspect", "bad.nir"], "bad.nir: not an HDF5 file"),
        (["inspect", "bad.yaml"], "bad.yaml:1: "),
        (["inspect", "net.yaml", "--rate", "-1"], "--rate -1: expected a number from 0"),
        (["inspect", "net.yaml", "--rate", "nan"], "--rate nan: expected a number from 0"),
        (["inspect", "net.yaml", "--dt", "0"], "--dt 0: expected a number above 0"),
        (["inspect", "net.yaml", "--draw", "a.gif"], "a.gif: a drawing is a .png or .svg file"),
        (["inspect", "net.yaml", "--draw", "no/a.png"], "no/a.png: cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(reflexarc, network, tmp_path, args, message):
    (tmp_path / "bad.nir").write_text("hello")
    (tmp_path / "bad.yaml").write_text("- hello")
    done = reflexarc(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("reflexarc: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
