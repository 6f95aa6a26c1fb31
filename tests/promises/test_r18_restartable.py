"""R18: one instance, always restartable."""

import time

import numpy as np


def test_after_kill_9_it_starts_again(hold, heard, count, measured):
    kills, took_s = count(3, 100), []
    for _ in range(kills):
        begun_s = time.monotonic()
        process = hold()
        heard(process, "-> ready")
        took_s.append(time.monotonic() - begun_s)
        process.kill()
        process.wait()
    measured(
        f"{kills} times kill -9, each next start ready without a manual step, "
        f"after a median of {np.median(took_s):.2f} s, the slowest {max(took_s):.2f} s, "
        "the interpreter's own start included"
    )


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
