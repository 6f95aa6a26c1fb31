"""The command line as a user types it, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reflexarc.runtime.recording import Recording

#: No test waits longer for anything.
DEADLINE_S = 60.0


@pytest.fixture
def environment(tmp_path):
    """What the processes of a test inherit: sockets in its own folder, no display."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    environment.pop("DISPLAY", None)
    return environment


@pytest.fixture
def reflexarc(tmp_path, environment):
    """Run `reflexarc ARGS` in an empty folder; returns the finished process."""

    def run(*args, check=None, **options):
        done = subprocess.run(
            _command(args),
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


@pytest.fixture
def start(tmp_path, environment, heard):
    """Start `reflexarc ARGS` in the background; returns a `Started`. What is left is killed."""
    begun = []

    def begin(*args):
        process = subprocess.Popen(
            _command(args),
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever started the tests may have told its background jobs to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        begun.append(Started(process, heard))
        return begun[-1]

    yield begin
    for started in begun:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate()


class Started:
    """A command that runs beside the test."""

    def __init__(self, process, heard):
        self.process, self.heard = process, heard

    def says(self, text, *, error=False):
        """Wait for a line with `text` on standard output (or error); returns it."""
        return self.heard(self.process, text, "stderr" if error else "stdout")

    def send(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def ends(self):
        """Wait for its end; exit code, rest of standard output, rest of standard error."""
        output, error = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, output, error


@pytest.fixture
def wait_for():
    """Wait until `condition()` is true; fails at the deadline."""

    def wait(condition, what):
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture
def processes(tmp_path):
    """The running processes that this test began, or that these began: command line by pid."""
    mark = f"XDG_RUNTIME_DIR={tmp_path}".encode()

    def running():
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # It ended while we looked, or is not ours.
        return found

    return running


@pytest.fixture
def gaze(start, wait_for, tmp_path):
    """Start the scenario `gaze` and wait until it can be fed."""
    pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

    def begin(mode, seconds):
        loop = start(
            "run", "gaze", "--headless", "--json", "--out", "out",
            "--mode", mode, "--seconds", seconds,
        )  # fmt: skip
        endpoint = tmp_path / "reflexarc" / "gaze" / "attach-camera"
        wait_for(lambda: endpoint.exists() or loop.process.poll() is not None, endpoint)
        return loop

    return begin


@pytest.fixture
def seen(tmp_path):
    """Tells of events in the network's recording, and how many it says were dropped."""

    def counts():
        batches = Recording.open(tmp_path / "out" / "network.mcap").batches("camera")
        return sum(len(batch.values) for batch in batches), sum(batch.dropped for batch in batches)

    return counts


def _command(args):
    return [sys.executable, "-P", "-m", "reflexarc", *map(str, args)]
