"""R4: silence means stop."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from reflexarc.actuators.gate import GateSpec
from reflexarc.runtime.ask import ask
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.daemonspec import DaemonSpec
from reflexarc.runtime.held import HeldLoop
from reflexarc.runtime.link import DEADMAN_NS
from reflexarc.runtime.mode import State
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.vigil import Vigil, Watch
from reflexarc.runtime.world import Controller, Plant

MS = 1_000_000


class Wheel(Plant):
    """A speed sensor whose wire can be cut, and whose clock can freeze."""

    def __init__(self):
        self.cut, self.frozen_ns, self.seq, self.frames = False, None, 0, []

    def observe(self, now_ns):
        if self.cut:
            return []
        self.seq += 1
        t_ns = now_ns if self.frozen_ns is None else self.frozen_ns
        return [Batch("speed", Schema.READINGS, np.ones(1), t_ns, t_ns, self.seq)]

    def act(self, command):
        self.frames.append(float(command[0]))


class Forward(Controller):
    """Full speed."""

    def __init__(self):
        pass

    def control(self, batches, now_ns):
        return np.ones(1)


def cut(wheel, _now_ns):
    wheel.cut = True


def freeze(wheel, now_ns):
    wheel.frozen_ns = now_ns


FAULTS = {"cut wire": cut, "frozen timestamps": freeze}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_silent_stream_stops_the_robot(fault, count, measured):
    random, runs, worst = np.random.default_rng(4), count(20, 200), -np.inf
    for _ in range(runs):
        period_ns = int(random.integers(1, 41)) * MS // 2
        spec = DaemonSpec()
        limit_ns = spec.stale_ns(period_ns)
        assert limit_ns == max(3 * period_ns, 20 * MS)
        loop = HeldLoop(
            LockstepClock(period_ns),
            Wheel(),
            ConventionalPolicy(Forward()),
            GateSpec(low=[-1.0], high=[1.0], rest=[0.0]),
            spec,
            Vigil([Watch("speed", limit_ns)]),
        )
        beat(loop, 2)
        loop.arm()
        beat(loop, int(random.integers(2, 50)))
        assert loop.plant.frames[-1] == 1
        last_ns = loop.clock.now_ns - period_ns  # the last tick that heard it
        FAULTS[fault](loop.plant, last_ns)
        while loop.plant.frames[-1] == 1:
            stopped_ns = loop.clock.now_ns
            beat(loop)
        assert loop.mode.state is State.STOPPING
        late_ns = stopped_ns - last_ns - limit_ns
        assert late_ns <= period_ns
        worst = max(worst, late_ns / period_ns)
    measured(f"{fault}, {runs} runs at 50 Hz to 2 kHz: rest at most {worst:.2f} T after the limit")


def beat(loop, times=1):
    for _ in range(times):
        loop.beat()
        loop.clock.wait()


def overshoot_ns(steps, silent_ns):
    """From when the deadman should have struck to the last command that was not rest.

    A gap between two steps of the world (its machine was busy) is not the deadman's.
    """
    window = [step for step in steps if step[1] >= silent_ns - DEADMAN_NS]
    gap_ns = np.diff([at_ns for _, at_ns, _ in window]).max()
    moving = [at_ns for _, at_ns, told in window if told]
    return (moving[-1] if moving else silent_ns) - silent_ns - DEADMAN_NS, gap_ns


def test_a_stopped_loop_is_a_stopped_robot(hold, heard, watched_world, count, measured):
    """SIGSTOP of the daemon: the actuator's deadman."""
    runs, worst, robot = count(4, 100), -np.inf, hold("--set", "daemon.stale_ms=200")
    heard(robot, "-> ready")
    for _ in range(runs):
        ask("slide", "arm")
        reach("running")
        moving(watched_world)
        robot.send_signal(signal.SIGSTOP)
        silent_ns = time.monotonic_ns()
        while watched_world()[-1][1] < silent_ns + 3 * DEADMAN_NS:
            time.sleep(0.02)
        late_ns, gap_ns = overshoot_ns(watched_world(), silent_ns)
        robot.send_signal(signal.SIGCONT)
        assert late_ns <= gap_ns
        worst = max(worst, late_ns)
        reach("safe-stopped")
        assert len({pid for pid, *_ in watched_world()}) == 1
    measured(
        f"SIGSTOP of the loop, {runs} times: the world's last moving command at most "
        f"{worst / MS + 100:.0f} ms after it (deadman 100 ms, T 5 ms)"
    )


def test_a_killed_loop_is_a_stopped_robot(hold, heard, watched_world, count, measured):
    """Kill -9 of the daemon: its world notices, and ends."""
    runs, worst, gone_s = count(2, 50), -np.inf, []
    for _ in range(runs):
        robot = hold("--set", "daemon.stale_ms=2000")
        heard(robot, "-> ready")
        ask("slide", "arm")
        reach("running")
        moving(watched_world)
        left = children(robot.pid)  # its world, the one in reserve, its companion and its reader
        assert watched_world()[-1][0] in left
        robot.kill()
        silent_ns = time.monotonic_ns()
        while any(map(running, left)):
            time.sleep(0.02)
        gone_s.append((time.monotonic_ns() - silent_ns) * 1e-9)
        late_ns, gap_ns = overshoot_ns(watched_world(), silent_ns)
        assert late_ns <= gap_ns
        worst = max(worst, late_ns)
    measured(
        f"kill -9 of the loop, {runs} times: the world ends, its last moving command at most "
        f"{max(worst / MS + 100, 0):.0f} ms after it (deadman 100 ms, T 5 ms), and nothing that it "
        f"started is left after {max(gone_s):.2f} s"
    )


def reach(state):
    """Wait until the daemon is in `state`; its log says no more than a line a second."""
    while ask("slide", "status")["state"] != state:
        time.sleep(0.01)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # an orphan that nobody has waited for has ended
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def children(pid):
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def moving(watched_world):
    """Wait until the world is told to move."""
    while not watched_world()[-1][2]:
        time.sleep(0.005)
