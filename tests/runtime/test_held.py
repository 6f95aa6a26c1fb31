"""A held loop under parts that fail: real gate, mode, vigil and ladder, in simulated time."""

import time

import numpy as np
import pytest

from reflexarc.actuators.gate import GateSpec
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.daemonspec import DaemonSpec, PoseSpec
from reflexarc.runtime.held import SAFE_FRAMES, HeldLoop, TickLimit
from reflexarc.runtime.ladder import OverloadSpec, Step
from reflexarc.runtime.mode import State
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.vigil import Vigil, Watch
from reflexarc.runtime.world import Controller, Plant
from reflexarc.sensors.base import Sensor

MS = 1_000_000
CALLS = ("observe", "encode", "think", "decode", "guard", "act")


class Arm(Plant):
    """Two joints that go where they are told, at once."""

    def __init__(self, pose=(0.3, -0.2)):
        self.pose, self.frames, self.seq = np.array(pose), [], 0

    def observe(self, now_ns):
        self.seq += 1
        return [
            Batch("joints", Schema.READINGS, self.pose.copy(), now_ns, now_ns, self.seq),
            Batch("extra", Schema.READINGS, np.zeros(1), now_ns, now_ns, self.seq),
        ]

    def act(self, command):
        self.frames.append(command.copy())
        self.pose = command.copy()


class Wants(Controller):
    """Always wants the same."""

    def __init__(self, *wanted):
        self.wanted = np.array(wanted)

    def control(self, batches, now_ns):
        return self.wanted


def held(plant=None, *, wanted=(1.0, 1.0), slew=None, watches=None, gate=None, **options):
    spec = options.pop("spec", DaemonSpec(pose=PoseSpec(stream="joints", readings=[0, 1])))
    low, high, rest = [-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]
    gate = gate or GateSpec(low=low, high=high, rest=rest, slew_per_s=slew)
    vigil = Vigil(watches or [Watch("joints", 20 * MS), Watch("extra", 20 * MS, essential=False)])
    policy = ConventionalPolicy(Wants(*wanted))
    return HeldLoop(LockstepClock(MS), plant or Arm(), policy, gate, spec, vigil, **options)


def beat(loop, times=1):
    for _ in range(times):
        loop.beat()
        loop.clock.wait()


def running(loop):
    beat(loop, 3)
    assert loop.arm() == ""
    beat(loop, 10)
    assert loop.mode.state is State.RUNNING
    return loop


def test_nothing_moves_before_arm_and_the_pose_is_held():
    loop = held(slew=[100.0, 100.0])
    beat(loop, 20)
    assert loop.mode.state is State.READY
    assert all(frame.tolist() == [0.3, -0.2] for frame in loop.plant.frames)


def test_the_first_command_after_arm_is_the_measured_pose_and_then_the_slew_limit():
    loop = held(slew=[100.0, 100.0])
    beat(loop, 5)
    loop.plant.pose = np.array([0.5, 0.5])  # someone moves the arm by hand
    assert loop.arm() == ""
    beat(loop, 4)
    first, *others = loop.plant.frames[5:]
    assert first.tolist() == [0.5, 0.5]
    assert np.allclose(np.diff([first, *others], axis=0), 0.1)


def test_nothing_is_sent_before_the_pose_has_been_measured():
    plant = Arm()
    observe, heard = plant.observe, []
    plant.observe = lambda now_ns: observe(now_ns) if heard else []
    loop = held(plant)
    beat(loop, 5)
    assert plant.frames == []
    heard.append(True)
    beat(loop)
    assert [frame.tolist() for frame in plant.frames] == [[0.3, -0.2]]


def test_without_a_pose_a_stop_goes_to_rest():
    loop = held(spec=DaemonSpec(), slew=[100.0, 100.0])
    running(loop)
    loop.halt("enough")
    beat(loop, 30)
    frames = np.array(loop.plant.frames)
    assert np.abs(np.diff(frames, axis=0)).max() <= 0.1 + 1e-12
    assert frames[-1].tolist() == [0.0, 0.0]
    assert loop.mode.state is State.SAFE_STOPPED
    assert loop.mode.reason == "enough"


def break_raise():
    raise RuntimeError("broke")


def break_hang():
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pass


def break_nan():
    return np.array([np.nan, 0.0])


def break_shape():
    return np.zeros(5)


class Listening(Sensor):
    """A sensor beside the plant's."""

    def __init__(self):
        super().__init__("beside", Schema.READINGS)

    def read(self, now_ns):
        return Batch("beside", Schema.READINGS, np.zeros(2), now_ns, now_ns)


def as_batches(broken):
    def observe(now_ns):
        return [Batch("joints", Schema.READINGS, broken(), now_ns, now_ns, epoch=now_ns)]

    return observe


def spoil(loop, call, broken):
    """Make one hook of one part do what `broken` does."""
    if call == "observe":
        loop.plant.observe = as_batches(broken)
    elif call == "sensor":
        loop._sensors[0].read = lambda now_ns: as_batches(broken)(now_ns)[0]
    elif call == "guard":
        loop.gate.guard = lambda wanted, duration_s: broken()
    elif call == "act":
        loop.plant.act = lambda command: broken()
    elif call == "listener":
        loop._listeners[0] = lambda tick: broken()
    else:
        setattr(loop.policy, call, lambda *args: broken())


WAYS = {"raise": break_raise, "hang": break_hang, "nan": break_nan, "shape": break_shape}
CASES = [
    (part, way)
    for part in ("observe", "sensor", "encode", "think", "decode", "guard", "act", "listener")
    for way in WAYS
    # What act and a listener return means nothing, a baseline's encode may return anything, and
    # what the gate returns is the last word.
    if not (part in ("act", "listener", "encode", "guard") and way in ("nan", "shape"))
]


@pytest.mark.parametrize(("part", "way"), CASES)
def test_a_failing_part_stops_the_robot_in_the_same_tick(part, way):
    limit = TickLimit(20 * MS)
    loop = held(
        slew=[100.0, 100.0],
        limit=limit,
        sensors=[Listening()],
        listeners=[lambda tick: None],
        watches=[Watch("joints", 20 * MS), Watch("beside", 20 * MS)],
    )
    running(loop)
    before = len(loop.plant.frames)
    pose = loop.plant.pose.copy()
    act = loop.plant.act
    spoil(loop, part, WAYS[way])
    beat(loop)
    assert loop.mode.state in (State.STOPPING, State.SAFE_STOPPED)
    assert loop.failure
    if part != "act":
        assert len(loop.plant.frames) >= before + 1
        assert np.abs(loop.plant.frames[-1] - pose).max() < 0.11  # no jump, and no further
        assert np.isfinite(loop.plant.frames[-1]).all()
    else:
        loop.plant.act = act
    beats = 1 if way == "hang" else SAFE_FRAMES + 1
    if way == "hang":
        # mend it: each beat of a hanging part takes the limit
        loop.mode.state, loop._safe_frames = State.STOPPING, SAFE_FRAMES - 1
    beat(loop, beats)
    assert loop.mode.state is State.SAFE_STOPPED
    held_frames = np.array(loop.plant.frames[-2:])
    assert (held_frames == held_frames[-1]).all()
    limit.close()


def test_a_gate_that_forgets_its_slew_limit_is_found_out():
    loop = running(held(slew=[50.0, 50.0]))
    before = loop.plant.frames[-1]
    loop.gate.guard = lambda wanted, duration_s: np.array([-1.0, -1.0])  # in range, and a jump
    beat(loop)
    assert loop.mode.state is State.STOPPING
    assert "the gate let out a command that it forbids" in loop.failure
    frames = np.array([before, *loop.plant.frames[-1:]])
    assert np.abs(np.diff(frames, axis=0)).max() <= 0.05 + 1e-12


def test_a_gate_that_works_again_goes_on_from_the_last_command():
    loop = running(held(slew=[50.0, 50.0]))
    sent, guard = len(loop.plant.frames), loop.gate.guard
    loop.gate.guard = lambda *_: 1 / 0
    beat(loop, 3)
    loop.gate.guard = guard
    beat(loop, 3)
    frames = np.array(loop.plant.frames[sent - 1 :])
    assert len(frames) == 7
    assert np.abs(np.diff(frames, axis=0)).max() <= 0.05 + 1e-12


def test_a_safe_stop_takes_five_frames():
    loop = running(held())
    loop.halt("enough")
    states = []
    for _ in range(7):
        beat(loop)
        states.append(loop.mode.state)
    assert states[:4] == [State.STOPPING] * 4
    assert states[4:] == [State.SAFE_STOPPED] * 3


def test_a_silent_stream_stops_the_robot_at_its_limit():
    loop = running(held())
    observe, frozen_ns = loop.plant.observe, loop.clock.now_ns

    def freeze(now_ns):
        return observe(min(now_ns, frozen_ns))  # the sensor's clock stands still

    loop.plant.observe = freeze
    beat(loop, 21)
    assert loop.mode.state is State.RUNNING
    beat(loop)
    assert loop.mode.state is State.STOPPING
    assert loop.failure == "observe: stream 'joints' has been silent for 21 ms"
    assert not loop.sound


def test_a_loop_that_stood_still_for_longer_than_the_deadman_stops():
    loop = running(held())
    loop.clock._tick += 99
    beat(loop)
    assert loop.mode.state is State.RUNNING
    loop.clock._tick += 100
    beat(loop)
    assert loop.failure == "observe: the loop stood still for 101 ms"


def test_it_arms_again_only_when_all_is_well():
    loop = running(held())
    observe = loop.plant.observe
    loop.plant.observe = lambda now_ns: break_raise()
    beat(loop, 10)
    assert loop.mode.state is State.SAFE_STOPPED
    assert "observe: RuntimeError: broke" in loop.arm()
    loop.plant.observe = observe
    beat(loop)
    assert loop.arm() == ""
    beat(loop, 2)
    assert loop.mode.state is State.RUNNING


def test_armed_waits_for_an_essential_stream():
    loop = held(watches=[Watch("joints", 20 * MS), Watch("camera", 20 * MS)])
    beat(loop, 3)
    loop.arm()
    beat(loop, 50)
    assert loop.mode.state is State.ARMED
    assert all(frame.tolist() == [0.3, -0.2] for frame in loop.plant.frames)


def test_an_unessential_stream_only_degrades():
    loop = running(held())
    observe = loop.plant.observe
    loop.plant.observe = lambda now_ns: observe(now_ns)[:1]
    beat(loop, 30)
    assert loop.mode.state is State.DEGRADED
    loop.plant.observe = observe
    beat(loop)
    assert loop.mode.state is State.RUNNING


def test_overload_sheds_and_then_stops():
    overload = OverloadSpec(high=0.01, low=0.001, after_ms=5.0)
    pose = PoseSpec(stream="joints", readings=[0, 1])
    loop = running(held(spec=DaemonSpec(pose=pose)))
    loop.ladder = type(loop.ladder)(overload)
    control = loop.policy.think

    def slow(*args):
        end = time.perf_counter() + 3e-5
        while time.perf_counter() < end:
            pass
        return control(*args)

    loop.policy.think = slow
    seen = []
    for _ in range(40):
        beat(loop)
        seen.append((loop.ladder.step, loop.mode.state))
    assert (Step.LEARNING, State.DEGRADED) in seen
    assert (Step.SPIKES, State.DEGRADED) in seen
    assert loop.mode.state is State.SAFE_STOPPED
    assert loop.mode.reason == "overload: the ticks take too long"


def test_disarm_holds_and_needs_arm():
    loop = running(held())
    assert loop.disarm() == ""
    beat(loop, 10)
    assert loop.mode.state is State.SAFE_STOPPED
    assert loop.disarm() == ""
    assert loop.mode.state is State.READY


def test_arm_is_refused_before_the_first_tick():
    assert held().arm() == "not while configuring"


def test_shutdown_ends_with_safe_frames():
    loop = running(held())
    before = len(loop.plant.frames)
    loop.shut_down("SIGTERM")
    while not loop.over:
        beat(loop)
    assert len(loop.plant.frames) == before + 5
    assert len({tuple(frame) for frame in loop.plant.frames[before:]}) == 1


def test_a_swap_keeps_the_command_and_the_mode():
    loop = running(held(wanted=(0.8, 0.8), slew=[100.0, 100.0]))
    before = loop.plant.frames[-1]
    tighter = GateSpec(low=[-0.5] * 2, high=[0.5] * 2, rest=[0.0] * 2, slew_per_s=[100.0] * 2)
    vigil = Vigil([Watch("joints", 20 * MS)])
    loop.swap(ConventionalPolicy(Wants(-1.0, -1.0)), tighter, loop._spec, vigil)
    beat(loop)
    assert loop.mode.state is State.RUNNING
    assert np.abs(loop.plant.frames[-1] - np.clip(before, -0.5, 0.5)).max() <= 0.1 + 1e-12


def test_changes_of_state_are_told_once():
    said = []
    loop = held(say=lambda cause, line: said.append(line))
    running(loop)
    loop.halt("enough")
    beat(loop, 10)
    assert said == [
        "state: configuring -> ready",
        "state: ready -> running",
        "state: running -> stopping: enough",
        "state: stopping -> safe-stopped: enough",
    ]
