import numpy as np
import pytest

from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.config import Strict
from reflexarc.runtime.loop import CALLS, Loop
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.world import Controller, LocalPlant, NoPlant, World
from reflexarc.sensors.base import Sensor

MS = 1_000_000


class Integrator(World):
    """x' = u, from x = 1: the simplest plant that needs a controller."""

    def __init__(self, config, seed):
        self.x, self.now_ns, self.seq, self.commands = 1.0, 0, 0, []

    def advance(self, until_ns, command):
        self.commands.append(float(command[0]))
        self.x += float(command[0]) * (until_ns - self.now_ns) * 1e-9
        first, self.now_ns = self.now_ns, until_ns
        batch = Batch("truth", Schema.READINGS, np.array([self.x]), first, until_ns, self.seq)
        self.seq += 1
        return [batch]


class Proportional(Controller):
    class Config(Strict):
        gain: float = 10.0

    def __init__(self, config, seed):
        self.gain = config.gain

    def control(self, batches, now_ns):
        return -self.gain * batches[-1].values


def make_loop(controller=None, world=None, **options):
    world = world or Integrator(Strict(), 0)
    gate = Gate(GateSpec(low=[-5.0], high=[5.0], rest=[0.0]))
    policy = ConventionalPolicy(controller or Proportional(Proportional.Config(), 0))
    loop = Loop(LockstepClock(MS), LocalPlant(world, gate.rest), policy, gate, **options)
    return loop, world


def test_the_loop_closes():
    ticks = []
    loop, world = make_loop(listeners=[ticks.append])
    loop.run(1000)
    # x' = -10 x but at most 5: 0.1 s at full speed down to 0.5, then exponential
    assert world.x == pytest.approx(0.5 * np.exp(-10 * 0.9), rel=0.06)
    assert [tick.number for tick in ticks] == list(range(1000))
    assert ticks[3].now_ns == 3 * MS
    assert ticks[3].until_ns == 4 * MS
    assert loop.gate.clipped == pytest.approx(100, abs=2)


def test_a_command_acts_from_its_tick_to_the_next():
    loop, world = make_loop()
    loop.run(3)
    # the rest command until the first observation, then the commands of ticks 0 and 1
    assert world.commands == [0.0, -5.0, -5.0]


def test_every_call_is_timed():
    loop, _ = make_loop()
    loop.run(5000)
    assert loop.durations_ns.shape == (5000, len(CALLS))
    assert (loop.durations_ns >= 0).all()
    assert (loop.durations_ns.sum(axis=1) > 0).all()


class Failing(Proportional):
    def __init__(self, how, at):
        super().__init__(self.Config(), 0)
        self.how, self.at, self.calls = how, at, 0

    def control(self, batches, now_ns):
        self.calls += 1
        if self.calls == self.at:
            return self.how()
        return super().control(batches, now_ns)


def raise_error():
    raise RuntimeError("controller broke")


@pytest.mark.parametrize("how", [lambda: np.array([np.nan]), lambda: np.zeros(4)])
def test_an_unsafe_command_stops_the_robot_and_ends_the_run(how):
    commands = []
    loop, world = make_loop(Failing(how, at=4), listeners=[lambda t: commands.append(t.command)])
    loop.run(100)
    assert loop.ticks == 4
    assert loop.gate.stopped
    assert commands[-1].tolist() == [0.0]
    world.advance(10 * MS, loop.plant._command)
    assert world.commands[-1] == 0.0


def test_a_part_that_raises_stops_the_robot_in_the_same_tick():
    loop, _ = make_loop(Failing(raise_error, at=4))
    with pytest.raises(RuntimeError, match="controller broke"):
        loop.run(100)
    assert loop.ticks == 3
    assert loop.gate.stopped == "a part of the loop failed"
    assert loop.plant._command.tolist() == [0.0]


def test_the_robot_is_at_rest_after_every_run():
    loop, _ = make_loop()
    loop.run(100, go_on=lambda tick: tick.number < 2)
    assert loop.ticks == 3
    assert loop.plant._command.tolist() == [0.0]


class Beacon(Sensor):
    """One reading each 5 ms."""

    def __init__(self):
        super().__init__("beacon", Schema.READINGS)
        self.seq = 0

    def read(self, now_ns):
        values = np.array([1.0]) if now_ns % (5 * MS) == 0 else np.zeros(0)
        self.seq += 1
        return Batch(self.stream, self.schema, values, now_ns, now_ns, self.seq - 1)


class Still(Controller):
    def __init__(self):
        pass

    def control(self, batches, now_ns):
        return np.zeros(1)


def test_attached_sensors_are_observed_and_a_command_knows_its_cause():
    ticks = []
    gate = Gate(GateSpec(low=[-5.0], high=[5.0], rest=[0.0]))

    loop = Loop(
        LockstepClock(MS),
        NoPlant(),
        ConventionalPolicy(Still()),
        gate,
        sensors=[Beacon()],
        listeners=[ticks.append],
    )
    loop.run(8)
    assert [tick.cause_ns for tick in ticks] == [0] * 5 + [5 * MS] * 3
    assert [batch.stream for batch in ticks[7].batches] == ["beacon"]


class Camera(Sensor):
    """One event in each batch, 300 us before the batch's end."""

    def __init__(self, stream):
        super().__init__(stream, Schema.EVENTS)

    def read(self, now_ns):
        values = np.zeros(1 if now_ns else 0, EVENT)
        values["t"] = max(0, now_ns // 1000 - 300)
        return Batch(self.stream, self.schema, values, 0, now_ns)


class LateClock(LockstepClock):
    """Each tick begins 0.2 ms late."""

    late_ns = 200_000


def test_from_event_to_command_is_age_lateness_and_the_six_calls():
    ticks = []
    policy = ConventionalPolicy(Still())
    policy.streams = frozenset({"camera"})
    gate = Gate(GateSpec(low=[-5.0], high=[5.0], rest=[0.0]))
    plant = LocalPlant(Integrator(Strict(), 0), gate.rest)  # "truth" is newer, but nobody's cause
    loop = Loop(
        LateClock(MS), plant, policy, gate, sensors=[Camera("camera")], listeners=[ticks.append]
    )
    loop.run(5)
    assert [tick.cause_ns for tick in ticks] == [-1, *(k * MS - 300_000 for k in range(1, 5))]
    calls_ns = loop.durations_ns.sum(axis=1)
    assert loop.ages_ns.tolist() == [-1, *(calls_ns[1:] + 300_000 + 200_000)]
    assert [tick.age_ns for tick in ticks] == loop.ages_ns.tolist()
