"""R18: one instance, always restartable."""

import subprocess
import sys
import time

import numpy as np


def test_after_kill_9_it_starts_again(hold, heard, count, measured):
    kills, took_s, bare_s = count(2, 100), [], []
    for _ in range(kills):
        bare_s.append(bare_start_s())
        begun_s = time.monotonic()
        process = hold()
        heard(process, "-> ready")
        took_s.append(time.monotonic() - begun_s)
        process.kill()
        process.wait()
    own_s = np.subtract(took_s, bare_s)
    measured(
        f"{kills} times kill -9, each next start ready without a manual step, after p50/max "
        f"{np.median(took_s):.2f}/{max(took_s):.2f} s; a bare `import reflexarc, numpy` beside "
        f"each takes {np.median(bare_s):.2f} s, so that its own part is {np.median(own_s):.2f} s"
    )


def bare_start_s():
    """How long an interpreter takes that only imports what nothing can do without."""
    begun_s = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", "import reflexarc, numpy"], check=True)
    return time.monotonic() - begun_s


def test_a_second_instance_names_the_first(hold, heard, measured):
    first = hold()
    heard(first, "-> ready")
    second = hold()
    _, error = second.communicate(timeout=30)
    assert second.returncode == 3
    assert f"process {first.pid}" in error
    assert error.count("\n") == 1
    assert first.poll() is None
    measured("a second instance exits with 3 and names the process of the first")
