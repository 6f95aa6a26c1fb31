"""What is saved as NIR runs in other simulators with the same spikes.

The simulators are looked for here and in the environment whose Python is REFLEXARC_PEER_PYTHON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks/importers.py"
PYTHON = os.environ.get("REFLEXARC_PEER_PYTHON", sys.executable)


def run(*command):
    return subprocess.run(
        [PYTHON, *command], capture_output=True, text=True, check=False, cwd="/", timeout=120
    )


@pytest.mark.peer
def test_saved_networks_give_the_same_spikes_elsewhere():
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are not here: tests run away from the checkout")
    for name in ("nirtorch", "snntorch", "norse"):
        if run("-c", f"import importlib.util as u; exit(u.find_spec('{name}') is None)").returncode:
            pytest.skip(f"{name} is not installed in {PYTHON}")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--python", PYTHON],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    del figures["versions"]
    assert {name.partition("/")[0] for name in figures} == {"snntorch", "norse"}
    for name, figure in figures.items():
        assert figure["spikes"] > 100, name
        assert figure["differ"] == 0, name
