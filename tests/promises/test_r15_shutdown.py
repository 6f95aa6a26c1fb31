"""R15: shutdown is quick and safe."""

import signal
import subprocess
import time

import numpy as np
import pytest

from reflexarc.runtime.ask import ask


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_with_safe_frames_and_a_checkpoint(
    number, hold, heard, watched_world, tmp_path, count, measured
):
    random, took_s, times = np.random.default_rng(number), [], count(1, 100)
    for n in range(times):
        robot = hold("--set", "daemon.deadman_ms=1000", "--set", "daemon.stale_ms=2000")
        heard(robot, "-> ready")
        ask("slide", "arm")
        heard(robot, "-> running")
        for _ in range(random.integers(0, 5)):
            ask("slide", "weights")  # it is in the middle of something
        begin = time.monotonic()
        robot.send_signal(number)
        log = robot.communicate()[1]
        took_s.append(time.monotonic() - begin)
        assert robot.returncode == 0, log
        assert f"ended: {signal.Signals(number).name}" in log
        kept = list((tmp_path / "state" / "reflexarc" / "slide").glob("*.ckpt"))
        assert len(kept) == min(n + 1, 3)
        assert watched_world()[-1][2] == 0  # the last command that the world was given is rest
    assert np.median(took_s) <= 1
    measured(
        f"{times} times {signal.Signals(number).name}: exit 0, a checkpoint, the last command at "
        f"rest; after p50/max {np.median(took_s):.2f}/{max(took_s):.2f} s, "
        f"{sum(np.array(took_s) > 1)} later than 1 s"
    )


def test_it_ends_at_once_while_it_starts(hold, watched_world, count, measured):
    random, took_s, times = np.random.default_rng(15), [], count(3, 50)
    for _ in range(times):
        robot = hold()
        with pytest.raises(subprocess.TimeoutExpired):
            robot.wait(random.uniform(0.1, 1.5))
        begin = time.monotonic()
        robot.terminate()
        log = robot.communicate()[1]
        took_s.append(time.monotonic() - begin)
        # Before the first line of ours runs, the signal ends the interpreter itself.
        assert robot.returncode in (0, -signal.SIGTERM), log
        assert "Traceback" not in log
    assert np.median(took_s) <= 1
    measured(
        f"{times} times SIGTERM while it starts: exit 0 after p50/max "
        f"{np.median(took_s):.2f}/{max(took_s):.2f} s"
    )
