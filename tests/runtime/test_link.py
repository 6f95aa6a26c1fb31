import os
import runpy
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from reflexarc.runtime import link
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import Control, Pair
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import ConfigError, LinkError, ReflexarcError
from reflexarc.runtime.link import RemotePlant, WorldServer
from reflexarc.runtime.wire import encode
from reflexarc.runtime.world import LocalPlant

SCRIPT = Path(__file__).with_name("oscillator.py")
Oscillator = runpy.run_path(str(SCRIPT))["Oscillator"]
PERIOD_NS = 5_000_000
REST = np.zeros(2)


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/world"


@contextmanager
def served(endpoint, mode="lockstep"):
    """A server in a thread, and the list of what it failed with."""
    failures = []

    def run_server():
        try:
            server.run()
        except ReflexarcError as error:
            failures.append(str(error))

    server = WorldServer(Oscillator(), endpoint, PERIOD_NS, mode, digest="d1")
    thread = Thread(target=run_server)
    thread.start()
    yield server, failures
    server.stop()
    thread.join(10)
    assert not thread.is_alive()
    server.close()


def argv(endpoint, mode, *more, period_ns=PERIOD_NS):
    return [sys.executable, str(SCRIPT), endpoint, str(period_ns), mode, *more]


def spawn(endpoint, mode, *more, **options):
    options = {"rest": REST, "period_ns": PERIOD_NS, "mode": mode, "timeout_s": 20, **options}
    return RemotePlant.spawn(argv(endpoint, mode, *more), endpoint, **options)


def run(plant, ticks):
    frames = []
    for tick in range(ticks):
        frames += [encode(batch) for batch in plant.observe(tick * PERIOD_NS)]
        plant.act(np.array([tick, -0.1 * tick]))
    return frames


def until(condition, seconds=10):
    deadline_ns = monotonic_ns() + int(seconds * 1e9)
    while not (result := condition()):
        assert monotonic_ns() < deadline_ns, "it did not happen in time"
    return result


def observe_until_broken(plant):
    with pytest.raises(LinkError) as broken:
        until(lambda: plant.observe(0) is None)
    return str(broken.value)


def test_a_remote_world_gives_the_bytes_of_a_local_one(endpoint):
    local = LocalPlant(Oscillator(), REST)
    plant = spawn(endpoint, "lockstep", digest="d1")
    remote_frames = run(plant, 200)
    plant.close()
    assert remote_frames == run(local, 200)
    assert plant.malformed == 0
    assert plant._process.returncode == 0


@pytest.mark.parametrize("mode", ["lockstep", "wall"])
def test_a_command_stays_the_array_of_who_gave_it(endpoint, mode):
    command = np.array([1.0, 2.0])
    with served(endpoint, mode):
        plant = RemotePlant.connect(endpoint, rest=REST, period_ns=PERIOD_NS, mode=mode)
        plant.observe(0)
        plant.act(command)
        plant.observe(PERIOD_NS)
        command[0] = 3.0
        plant.close()


def test_serving_closes_the_world_whatever_happens():
    world, closed = Oscillator(), []
    world.close = lambda: closed.append(True)
    with pytest.raises(ConfigError, match="not an endpoint"):
        link.serve_world(world, "nowhere", PERIOD_NS, "lockstep")
    assert closed == [True]


def test_in_wall_time_observing_gives_what_has_come_under_the_newest_command(endpoint):
    plant = spawn(endpoint, "wall")
    batches = plant.observe(0)
    plant.act(np.array([1.0, 2.0]))

    def moved():
        batches.extend(plant.observe(7))
        return any(batch.stream == "truth" and batch.values[0] > 0 for batch in batches)

    until(moved)
    plant.close()
    camera = [batch for batch in batches if batch.stream == "camera"]
    assert [batch.seq for batch in camera] == list(range(len(camera)))
    assert [batch.t_last_ns % PERIOD_NS for batch in camera] == [0] * len(camera)
    assert {batch.t_received_ns for batch in batches} <= {0, 7}  # some may come at once
    assert sum(batch.dropped for batch in batches) == 0
    assert plant._process.returncode == 0


def test_the_time_of_a_world_on_this_machine_begins_with_that_of_the_loop(endpoint):
    said_ns = monotonic_ns() - 5 * PERIOD_NS
    assert link._begin_ns(link._start(endpoint, said_ns)) == said_ns
    assert link._begin_ns(link._start("tcp://10.0.0.1:5000", said_ns)) is None
    for wrong in (monotonic_ns() + 10**9, said_ns - link.LATE_START_NS, "soon"):
        assert link._begin_ns(Control(op="start", details={"at_ns": wrong})) is None


def test_without_commands_a_world_in_wall_time_comes_to_rest(endpoint):
    plant = spawn(endpoint, "wall")
    plant.observe(0)
    plant.act(np.array([1.0, 0.0]))
    states = []

    def rests():
        states.extend(b.values[0] for b in plant.observe(0) if b.stream == "truth")
        return len(states) > 10 and states[-1] > 0 and len(set(states[-10:])) == 1

    until(rests)
    plant.close()


@pytest.mark.parametrize("mode", ["lockstep", "wall"])
def test_the_loop_notices_that_its_world_was_killed(endpoint, mode):
    plant = spawn(endpoint, mode)
    plant.observe(0)
    plant._process.kill()
    assert "gone away" in observe_until_broken(plant)
    plant.close()


@pytest.mark.parametrize(
    ("mode", "number"),
    [("lockstep", signal.SIGTERM), ("wall", signal.SIGTERM), ("wall", signal.SIGINT)],
)
def test_a_world_that_is_asked_to_stop_says_so(endpoint, mode, number):
    plant = spawn(endpoint, mode)
    plant.observe(0)
    plant._process.send_signal(number)
    assert "stopped" in observe_until_broken(plant)
    plant.close()
    assert plant._process.returncode == 0


@pytest.mark.parametrize("mode", ["lockstep", "wall"])
def test_the_loop_is_told_why_a_world_failed(endpoint, mode):
    plant = spawn(endpoint, mode, str(3 * PERIOD_NS))
    with pytest.raises(LinkError, match="the oscillator broke"):
        until(lambda: plant.observe(3 * PERIOD_NS) is None)
    plant.close()
    assert plant._process.returncode == 3


LOOP = """
import sys, numpy as np
from reflexarc.runtime.link import RemotePlant
endpoint, mode, *argv = sys.argv[1:]
plant = RemotePlant.spawn(
    argv, endpoint, rest=np.zeros(2), period_ns=5_000_000, mode=mode, timeout_s=20
)
plant.observe(0)
print(plant._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["lockstep", "wall"])
def test_a_world_does_not_outlive_its_loop(endpoint, mode):
    loop = subprocess.Popen(
        [sys.executable, "-c", LOOP, endpoint, mode, *argv(endpoint, mode)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    world = os.pidfd_open(int(loop.stdout.readline()))
    loop.kill()
    loop.wait()
    loop.stdin.close()
    loop.stdout.close()
    # The descriptor becomes readable when the process has ended.
    ended = os.fdopen(world, "rb", buffering=0)
    assert select.select([ended], [], [], 10)[0]
    ended.close()


def test_a_child_that_never_serves_is_reported_at_once(endpoint):
    with pytest.raises(LinkError, match="exit code 7 before it was ready"):
        RemotePlant.spawn(
            [sys.executable, "-c", "raise SystemExit(7)"],
            endpoint,
            rest=REST,
            period_ns=PERIOD_NS,
            mode="lockstep",
        )


def test_nobody_there_is_a_link_error(endpoint):
    with pytest.raises(LinkError, match=r"nobody answered within 0\.2 s"):
        RemotePlant.connect(
            endpoint, rest=REST, period_ns=PERIOD_NS, mode="lockstep", timeout_s=0.2
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"period_ns": 1}, "the loop's period_ns is 1, the world's 5000000"),
        ({"digest": "d2"}, "its configuration is d2, this side's d1"),
        ({"rest": np.zeros(3)}, "takes 2 command values, not 3"),
    ],
)
def test_two_sides_that_do_not_fit_are_told_apart(endpoint, change, reason):
    options = {"rest": REST, "period_ns": PERIOD_NS, "mode": "lockstep", "digest": "d1", **change}
    with served(endpoint), pytest.raises(ConfigError, match=reason):
        RemotePlant.connect(endpoint, **options)


HELLO = Control(op="hello", details={"mode": "lockstep", "period_ns": PERIOD_NS})


def test_a_world_counts_frames_that_are_none_and_goes_on(endpoint):
    with served(endpoint) as (server, _), Pair(endpoint, bind=False) as pair:
        pair.greet(HELLO, 5)
        pair._socket.send(b"not a frame")
        pair.send(Batch("control", Schema.CONTROL, np.frombuffer(b'{"op": "dance"}', np.uint8)))
        pair.send(Batch("command", Schema.COMMAND, np.zeros(3)))
        pair.send(Batch("command", Schema.COMMAND, np.zeros(2), 0, PERIOD_NS))
        assert [pair.receive(5).stream for _ in range(3)] == ["camera", "truth", "command"]
        assert server.malformed == 3
        pair.send(Control(op="bye"))


def test_another_protocol_is_refused_and_both_sides_say_so(endpoint):
    with served(endpoint) as (_, failures), Pair(endpoint, bind=False) as pair:
        with pytest.raises(ConfigError, match="protocol 99"):
            pair.greet(HELLO.model_copy(update={"protocol": 99}), 5)
        until(lambda: failures)
    assert "protocol 99" in failures[0]


def test_an_endpoint_has_one_world(endpoint):
    server = WorldServer(Oscillator(), endpoint, PERIOD_NS, "wall")
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        WorldServer(Oscillator(), endpoint, PERIOD_NS, "lockstep")
    server.close()
    WorldServer(Oscillator(), endpoint, PERIOD_NS, "lockstep").close()


def test_a_stopped_server_returns(endpoint):
    with served(endpoint, "wall") as (_, failures):
        pass
    assert failures == []


def test_a_world_gives_up_when_no_loop_comes(endpoint):
    with (
        WorldServer(Oscillator(), endpoint, PERIOD_NS, "lockstep") as server,
        pytest.raises(LinkError, match="no loop came"),
    ):
        server.run(patience_s=0.1)


def test_silence_in_wall_time_breaks_the_link(endpoint):
    plant = spawn(endpoint, "wall")
    plant.observe(0)
    plant._process.send_signal(signal.SIGSTOP)
    assert "silent for 1.0 s" in observe_until_broken(plant)
    plant._process.send_signal(signal.SIGCONT)
    plant.close()


def test_the_limit_of_silence_follows_the_period():
    assert link.silence_s(1_000_000) == 1.0
    assert link.silence_s(500_000_000) == 1.5
