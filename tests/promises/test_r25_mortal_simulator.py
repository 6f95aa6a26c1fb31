"""R25: the simulator may die, the runtime may not."""

import os
import signal
import time

import numpy as np
import pytest

from reflexarc.runtime.ask import ask


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill -9", "SIGSTOP"])
def test_the_daemon_stops_and_finds_it_again(number, hold, heard, watched_world, count, measured):
    robot, found_s, times = (
        hold("--set", "daemon.deadman_ms=1000", "--set", "daemon.stale_ms=200"),
        [],
        count(1, 20),
    )
    heard(robot, "-> ready")
    for _ in range(times):
        ask("slide", "arm")
        heard(robot, "-> running")
        while not ask("slide", "status")["world_in_reserve"]:
            assert robot.poll() is None
        world = watched_world()[-1][0]
        begin = time.monotonic()
        os.kill(world, number)
        heard(robot, "-> stopping")
        heard(robot, "-> safe-stopped")
        while watched_world()[-1][0] == world or not alive():
            assert time.monotonic() < begin + 60
        found_s.append(time.monotonic() - begin)
    assert robot.poll() is None
    assert np.median(found_s) <= 2
    measured(
        f"{times} times {signal.Signals(number).name} of the simulator: stopped; another "
        f"one attached after p50/max {np.median(found_s):.2f}/{max(found_s):.2f} s, same daemon"
    )


def alive():
    """Whether the daemon, which says how it is five times a second, hears the world again."""
    status = ask("slide", "status")
    return (
        status["state"] == "safe-stopped"
        and not status["failure"]
        and all(s["alive"] for s in status["streams"].values())
    )
