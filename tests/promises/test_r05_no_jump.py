"""R5: no jump."""

import numpy as np

from reflexarc.actuators.gate import GateSpec
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.daemonspec import DaemonSpec, PoseSpec
from reflexarc.runtime.held import HeldLoop
from reflexarc.runtime.mode import State
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.vigil import Vigil, Watch
from reflexarc.runtime.world import Controller, Plant

MS = 1_000_000
LOW, HIGH = np.array([-2.0, -1.0, -3.0]), np.array([2.0, 1.0, 3.0])
SLEW_PER_S = np.array([50.0, 20.0, 400.0])


class Arm(Plant):
    """Joints that go where they are told, unless somebody moves them or the wire is broken."""

    def __init__(self, pose):
        self.pose, self.frames, self.broken = pose, [], False

    def observe(self, now_ns):
        if self.broken:
            raise OSError(5, "Input/output error")
        return [Batch("joints", Schema.READINGS, self.pose.copy(), now_ns, now_ns, now_ns)]

    def act(self, command):
        self.frames.append(command.copy())
        self.pose = command.copy()


class Wild(Controller):
    """Wants something else in every tick, often out of range."""

    def __init__(self, random):
        self.random = random

    def control(self, batches, now_ns):
        return self.random.uniform(-5, 5, 3)


def held(random):
    gate = GateSpec(low=list(LOW), high=list(HIGH), rest=[0.0] * 3, slew_per_s=list(SLEW_PER_S))
    return HeldLoop(
        LockstepClock(MS),
        Arm(random.uniform(LOW, HIGH)),
        ConventionalPolicy(Wild(random)),
        gate,
        DaemonSpec(pose=PoseSpec(stream="joints", readings=[0, 1, 2])),
        Vigil([Watch("joints", 20 * MS)]),
    )


def beat(loop, times=1):
    for _ in range(times):
        loop.beat()
        loop.clock.wait()


def largest_step(frames):
    """Of the changes between frames, the largest in units of what the slew limit allows."""
    return (np.abs(np.diff(frames, axis=0)) / (SLEW_PER_S * 1e-3)).max()


def by_hand(loop):
    loop.halt("enough")


def by_disarm(loop):
    assert loop.disarm() == ""


def by_fault(loop):
    loop.plant.broken = True
    beat(loop)
    loop.plant.broken = False
    beat(loop)


STOPS = (by_hand, by_disarm, by_fault)


def test_the_first_command_after_a_stop_is_the_measured_pose(count, measured):
    random = np.random.default_rng(5)
    stops, worst = count(100, 2000), 0.0
    loop = held(random)
    frames = loop.plant.frames
    beat(loop, 3)
    assert len(np.unique(frames, axis=0)) == 1  # held where it was found
    for n in range(stops):
        begin = len(frames)
        loop.plant.pose = moved = random.uniform(LOW, HIGH)  # by hand, while it is held
        assert loop.arm() == ""
        beat(loop, int(random.integers(3, 30)))
        assert loop.mode.state is State.RUNNING
        assert (frames[begin] == moved).all()
        assert largest_step(frames[begin : begin + 2]) > 0  # and then it moves
        STOPS[n % len(STOPS)](loop)
        while loop.mode.state is not State.SAFE_STOPPED:
            beat(loop)
        worst = max(worst, largest_step(frames[begin:]))
        at_rest = len(frames)
        beat(loop, int(random.integers(1, 10)))
        assert len(np.unique(frames[at_rest:], axis=0)) == 1  # nothing moves until it is armed
        assert loop.mode.state is State.SAFE_STOPPED
    assert worst <= 1 + 1e-9
    measured(
        f"{stops} stops by hand, disarm and fault, the robot moved by hand in between: each first "
        f"command equals the measured pose, the largest step {worst:.3f} of the slew limit"
    )


def test_nothing_moves_until_it_is_armed(measured):
    loop = held(np.random.default_rng(6))
    beat(loop, 1000)
    assert loop.mode.state is State.READY
    assert len(np.unique(loop.plant.frames, axis=0)) == 1
    measured("1000 ticks without arm: every frame the pose that was measured first")


def test_a_robot_without_a_pose_starts_at_rest():
    random = np.random.default_rng(7)
    loop = held(random)
    loop._spec = DaemonSpec()
    beat(loop, 3)
    loop.arm()
    beat(loop, 20)
    assert not loop.plant.frames[3].any()
    assert largest_step(loop.plant.frames) <= 1 + 1e-9
    assert np.any(loop.plant.frames[-1])
