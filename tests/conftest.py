"""What tests of the pages share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def run_block(tmp_path):
    """Run a block of a page in `tmp_path` with this environment's commands; it must print."""

    def run(language, code, *options, **variables):
        environment = {**os.environ, **variables}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment.pop("DISPLAY", None)
        command = ["bash", "-euo", "pipefail", "-c", code]
        if language == "python":
            command = [sys.executable, *options, "-c", code]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"nothing was printed by:\n{code}"
        return done.stdout

    return run
