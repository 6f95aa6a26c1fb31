"""The command line as a user types it, in a process of its own."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def reflexarc(tmp_path):
    """Run `reflexarc ARGS` in an empty folder; returns the finished process."""

    def run(*args, check=None, **options):
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
        environment.pop("DISPLAY", None)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "reflexarc", *map(str, args)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **options,
        )
        if check is not None:
            assert done.returncode == check, done.stderr
        return done

    return run
