"""Promises: each file holds one row of the table in docs/promises.md.

The first line of a file's docstring is the promise, "R6: nothing unsafe leaves". A test states
what it measured with `measured(...)`; `count(quick, soak)` says how much it does in each set.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def count(request):
    """A function: the first of two counts in the quick set, the second in the soak."""
    soak = request.config.getoption("--soak")
    return lambda quick, long: long if soak else quick


@pytest.fixture
def measured(request):
    """A function that states one figure of this test for the table."""
    promise, _, text = request.module.__doc__.strip().splitlines()[0].partition(": ")
    assert re.fullmatch(r"R\d+", promise), f"{request.path}: begin its docstring with 'R1: '"
    rows = request.config.stash.setdefault(FIGURES, {})
    # The repository is not the working folder where an installed wheel is tested.
    file = f"tests/promises/{Path(request.path).name}"
    row = rows.setdefault(promise, {"promise": text.rstrip("."), "test": file, "figures": []})

    def state(figure):
        row["figures"].append(figure)

    return state


@pytest.fixture
def hold(slide_folder, tmp_path, monkeypatch):
    """A function that starts a daemon of the small scenario (or of a folder beside it, by name),
    with options and environment.

    What is left at the end is killed; `heard` waits for a line of its log.
    """
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # A busy machine may stop a process for longer than a tick may take.
    patient = ("--rt=off", "--set", "daemon.tick_limit_ms=5000")
    begun = []

    def begin(*options, name="slide", **more):
        command = [sys.executable, "-P", "-m", "reflexarc", "daemon", name, *patient, *options]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | more, stderr=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def watched_world(slide_folder, tmp_path):
    """Put the small scenario's world in a process of its own that writes down what it is told.

    Returns a function: pid of the world's process, monotonic time and command of each step.
    """
    code, file = slide_folder / "world.py", slide_folder / "scenario.yaml"
    log = tmp_path / "told"
    told = f"""    def advance(self, until_ns, command):
        import os, time
        with open({str(log)!r}, "a") as told:
            told.write(f"{{os.getpid()}} {{time.monotonic_ns()}} {{float(command[0])}}\\n")
"""
    head = "    def advance(self, until_ns, command):\n"
    code.write_text(code.read_text().replace(head, told))
    own = "world:\n  process: own\n"
    file.write_text(
        file.read_text()
        .replace("world:\n", own)
        .replace("period_ns: 1000000", "period_ns: 5000000")
    )
    sidecar = slide_folder / "nets" / "slide.yaml"
    sidecar.write_text(sidecar.read_text().replace("0.001", "0.005"))

    def steps():
        lines = log.read_text().rpartition("\n")[0].splitlines() if log.exists() else []
        return [(int(pid), int(at_ns), float(told)) for pid, at_ns, told in map(str.split, lines)]

    return steps


FIGURES = pytest.StashKey()


def pytest_sessionfinish(session):
    """Leave the figures where `--figures` says."""
    path = session.config.getoption("--figures")
    if path is not None:
        rows = session.config.stash.get(FIGURES, {})
        rows = {promise: row for promise, row in rows.items() if row["figures"]}
        Path(path).write_text(json.dumps(rows, indent=1) + "\n")
