"""R3: a failing part stops the robot in the same tick."""

import threading

import numpy as np
import pytest

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.held import SAFE_FRAMES, HeldLoop, TickLimit
from reflexarc.runtime.mode import State
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.vigil import Vigil, Watch
from reflexarc.runtime.world import LocalPlant
from reflexarc.sensors.base import Sensor

MS = 1_000_000
#: What the scenario's gate lets a command change in a tick.
SLEW = 0.2


class Watched(LocalPlant):
    """The scenario's world, and the commands that reached it."""

    def __init__(self, world, rest):
        super().__init__(world, rest)
        self.frames = [rest]

    def act(self, command):
        super().act(command)
        self.frames.append(command.copy())


class Beside(Sensor):
    """A sensor beside the world's."""

    def __init__(self):
        super().__init__("beside", Schema.READINGS)

    def read(self, now_ns):
        return reading("beside", np.zeros(2), now_ns)


def reading(stream, values, now_ns):
    return Batch(stream, Schema.READINGS, values, now_ns, now_ns, epoch=now_ns)


def held(folder, policy):
    """A loop that runs, held, and moves the robot."""
    scenario = Scenario.load(str(folder), ["mode=wall"])
    spec, gate = scenario.spec, scenario.make_gate()
    watches = [Watch(name, 20 * MS) for name in ("camera", "state", "beside")]
    loop = HeldLoop(
        LockstepClock(spec.period_ns),
        Watched(scenario.make_world(spec.seed), gate.rest),
        scenario.make_policy() if policy == "network" else scenario.make_baseline("p", 0),
        spec.gate,
        spec.daemon,
        Vigil(watches),
        sensors=[Beside()],
        listeners=[lambda tick: None],
    )
    beat(loop, 3)
    assert loop.arm() == ""
    while not np.abs(loop.plant.frames[-1]).max() > 0.3:
        beat(loop)
        assert loop.mode.state is State.RUNNING
    return loop


def beat(loop, times=1):
    for _ in range(times):
        loop.beat()
        loop.clock.wait()


def fail(*_):
    raise RuntimeError("broke")


def hang(*_):
    threading.Event().wait()


#: What each way of failing makes of the float array that a hook should return.
WAYS = {
    "raise": fail,
    "hang": hang,
    "nan": lambda good: np.full_like(good, np.nan),
    "shape": lambda good: np.concatenate([good, good, good[:1]]),
}


def as_readings(stream, way):
    """Batches of `stream` as a sensor sends them whose values fail in that way."""
    return lambda now_ns: reading(stream, WAYS[way](np.zeros(2)), now_ns)


def spoil_observe(loop, way):
    advance = loop.plant.observe

    def observe(now_ns):
        return [
            reading("state", WAYS[way](batch.values), now_ns) if batch.stream == "state" else batch
            for batch in advance(now_ns)
        ]

    loop.plant.observe = observe


def spoil_sensor(loop, way):
    beat(loop)  # it has said how many readings it has
    loop._sensors[0].read = as_readings("beside", way)


def spoil_encoder(loop, way):
    loop.policy._encoders[1].encode = lambda *_: WAYS[way](np.zeros(2))


def spoil_network(loop, way):
    loop.policy.program = Spoilt(loop.policy.program, way)


class Spoilt:
    """A program whose step fails; the rest is as it was."""

    learning = True

    def __init__(self, program, way):
        self._program, self._way = program, way

    def step(self, until_ns, inputs):
        outputs = self._program.step(until_ns, inputs)
        return {port: WAYS[self._way](np.zeros(len(shown) + 1)) for port, shown in outputs.items()}


def spoil_decoder(loop, way):
    loop.policy._decoders[0].decode = lambda *_: WAYS[way](np.zeros(1))


def spoil_controller(loop, way):
    loop.policy._controller.control = lambda *_: WAYS[way](np.zeros(1))


def spoil_gate(loop, way):
    loop.gate.guard = lambda *_: WAYS[way](loop.gate.rest)


def spoil_actuator(loop, way):
    loop.plant.act = lambda _: WAYS[way](np.zeros(1))


def spoil_listener(loop, way):
    loop._listeners[0] = lambda _: WAYS[way](np.zeros(1))


PARTS = {
    "observe": spoil_observe,
    "sensor": spoil_sensor,
    "encoder": spoil_encoder,
    "network": spoil_network,
    "decoder": spoil_decoder,
    "controller": spoil_controller,
    "gate": spoil_gate,
    "actuator": spoil_actuator,
    "listener": spoil_listener,
}
#: What an actuator and a listener return means nothing.
SILENT = ("actuator", "listener")


@pytest.fixture
def limit():
    limit = TickLimit(30 * MS)
    yield limit
    limit.close()


@pytest.mark.parametrize("part", PARTS)
def test_the_safe_command_leaves_in_the_same_tick(slide_folder, limit, part, measured):
    ways = ("raise", "hang") if part in SILENT else tuple(WAYS)
    safe = min(safe_frames(slide_folder, limit, part, way) for way in ways)
    assert safe >= SAFE_FRAMES
    when = "when it works again" if part == "actuator" else "in the same tick"
    measured(f"{part} ({', '.join(ways)}): safe command {when}, then {safe} safe frames or more")


def safe_frames(folder, limit, part, way):
    """Break a part of a robot that moves; the safe frames until it counts as stopped."""
    loop = held(folder, "p" if part == "controller" else "network")
    act, frames = loop.plant.act, loop.plant.frames
    PARTS[part](loop, way)
    loop._limit = limit  # only now: a busy machine may be slow before
    sent, before = len(frames), frames[-1]
    beat(loop)
    assert loop.mode.state is State.STOPPING
    assert loop.failure
    if part == "actuator":
        assert len(frames) == sent  # it hears nothing: its own deadman has it, see R4
        loop.plant.act = act
    else:
        # A listener fails after the tick's own command, which the safe one then follows.
        assert len(frames) == sent + 1 + (part == "listener")
        on_its_way(frames[-2], frames[-1])
    while loop.mode.state is State.STOPPING:
        beat(loop)
    assert loop.mode.state is State.SAFE_STOPPED
    after = np.array([before, *frames[sent:]])[:, 0]
    assert np.abs(np.diff(after)).max() <= SLEW + 1e-9
    stopped = len(after) - np.flatnonzero(after)[-1] - 1
    beat(loop, 2 * SAFE_FRAMES)
    assert not np.any(frames[sent + len(after) - 1 :])
    assert part == "controller" or not loop.policy.program.learning
    return stopped


def on_its_way(before, command):
    """Assert that `command` is the nearest to rest that the slew limit allows."""
    nearest = np.sign(before) * np.maximum(np.abs(before) - SLEW, 0)
    assert np.allclose(command, nearest) or not command.any()
