"""R20: loading a model runs no code and eats no machine."""

import ast
import os
import resource
import signal
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

import reflexarc.runtime
from reflexarc.runtime import confined, nirfile
from reflexarc.runtime.errors import GraphError, ReflexarcError
from reflexarc.runtime.network import Input, Linear, Network, Neurons, Output

PACKAGE = Path(reflexarc.runtime.__file__).resolve().parents[1]
FOLDERS = ("actuators", "ext", "runtime", "scenarios", "sensors")
CODE_FROM_DATA = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}


def graph(inputs=3, neurons=4):
    lif = ("tau", "r", "v_leak", "v_threshold", "v_reset")
    parameters = {name: np.full(neurons, 0.5 + n) for n, name in enumerate(lif)}
    nodes = [
        Input(name="in", shape=(inputs,)),
        Linear(name="w", shape=(neurons,), weight=np.ones((neurons, inputs))),
        Neurons(name="n", shape=(neurons,), kind="LIF", parameters=parameters),
        Output(name="out", shape=(neurons,)),
    ]
    edges = (("in", "w"), ("w", "n"), ("n", "out"))
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


def mutated(random, whole):
    """`whole` with bytes turned, replaced, zeroed or cut off."""
    data = bytearray(whole)
    match random.integers(4):
        case 0:
            for at in random.integers(0, len(data), random.integers(1, 30)):
                data[at] ^= 1 << random.integers(8)
        case 1:
            at = random.integers(0, len(data) - 8)
            data[at : at + 8] = random.bytes(8)
        case 2:
            at, size = random.integers(0, len(data)), random.integers(1, 200)
            data[at : at + size] = bytes(len(data[at : at + size]))
        case 3:
            del data[random.integers(len(data)) :]
    return bytes(data)


def test_damaged_files_are_one_line_and_the_parent_lives(tmp_path, count, measured):
    random, path = np.random.default_rng(20), tmp_path / "g.nir"
    nirfile.write(graph(), path)
    whole, cases = path.read_bytes(), count(1500, 100_000)
    refused = broken = unharmed = 0
    for _ in range(cases):
        path.write_bytes(mutated(random, whole))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                nirfile.read(path)
            unharmed += 1
        except ReflexarcError as error:
            assert "\n" not in str(error)
            refused += 1
            broken += "its reader" in str(error)
    assert refused > cases // 4
    assert refused + unharmed == cases
    measured(
        f"{cases} mutated files: {refused} refused in one line, {unharmed} read, {broken} of them "
        "killed the reader, 0 crashes of the parent"
    )


def test_a_reader_that_dies_is_a_damaged_file_and_the_next_is_read(tmp_path, measured):
    path = tmp_path / "g.nir"
    nirfile.write(graph(), path)
    nirfile.read(path)
    child = confined._children[0].process
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    nirfile.read(path)  # it died before it was asked: nobody's fault
    confined._children[0].process.send_signal(signal.SIGSTOP)
    pid = confined._children[0].process.pid
    before = confined.PATIENCE_S
    confined.PATIENCE_S = 0.3
    try:
        with pytest.raises(GraphError, match=r"g.nir: damaged: its reader .*write the graph again"):
            nirfile.read(path)
    finally:
        confined.PATIENCE_S = before
    assert not Path(f"/proc/{pid}").exists()
    nirfile.read(path)
    measured("a reader that is killed or hangs is one line; the next file is read")


def test_a_model_cannot_take_more_memory_than_its_reader_may(tmp_path, measured):
    path = tmp_path / "large.nir"
    nirfile.write(graph(4000, 4000), path)
    nirfile.read(path)
    child = confined._children[0].process
    limits = {
        name: resource.prlimit(child.pid, getattr(resource, name))
        for name in dir(resource)
        if name in ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE")
    }
    assert limits["RLIMIT_AS"][1] == confined.MEMORY_BYTES
    assert limits["RLIMIT_FSIZE"] == limits["RLIMIT_CORE"] == (0, 0)
    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (64 << 20)  # less than the 128 MB that it needs
    resource.prlimit(child.pid, resource.RLIMIT_AS, (most, most))
    with pytest.raises(GraphError, match=r"large\.nir: "):
        nirfile.read(path)
    confined._end_child()
    assert nirfile.read(path).nodes["w"].weight.shape == (4000, 4000)
    measured(f"the reader may hold {confined.MEMORY_BYTES >> 20} MiB, write and dump nothing")


def test_a_header_that_claims_much_is_refused(tmp_path, measured):
    path, claims = tmp_path / "g.nir", 0
    for shape in ((1 << 40,), (1 << 20, 1 << 20), (1 << 31, 2), (3_000_000,)):
        nirfile.write(graph(), path)
        with h5py.File(path, "r+") as file:
            group = file["node/nodes/w"]
            del group["weight"]
            group.create_dataset("weight", shape, "f8", chunks=True)
        with pytest.raises(GraphError, match=r"node 'w', parameter 'weight': \d+ values"):
            nirfile.read(path)
        claims += 1
    measured(f"{claims} headers that claim up to 8 TiB refused before anything is read")


def sources():
    for folder in FOLDERS:
        yield from (PACKAGE / folder).rglob("*.py")


def test_no_code_is_made_from_data(measured):
    """No pickle, no eval; NumPy is told so; YAML is loaded by the safe loader alone."""
    looked = 0
    for path in sources():
        looked += 1
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & CODE_FROM_DATA, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call):
                said = ast.unparse(node.func)
                assert said not in {"eval", "exec", "compile", "yaml.load"}, f"{path}:{node.lineno}"
                if said == "np.load":
                    assert "allow_pickle=False" in ast.unparse(node), f"{path}:{node.lineno}"
    assert looked > 100
    measured(f"{looked} sources: no pickle, eval, exec or unsafe YAML")
