import subprocess
import sys
from pathlib import Path
from threading import Thread

import faery
import numpy as np
import pytest

from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime.attach import Fed, Feeder, attach_recording
from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.clock import LockstepClock, WallClock
from reflexarc.runtime.errors import ConfigError, LinkError, MissingFileError
from reflexarc.runtime.keys import Curve, make_keys, read_public, read_secret
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.world import Controller, NoPlant
from reflexarc.sensors.attached import AttachedSensor
from reflexarc.sensors.recording import RecordingReader, RecordingSensor

SIZE = {"width": 64, "height": 48}
ANYWHERE = "tcp://127.0.0.1:*"
SHARED = Path(__file__).parents[3] / "shared" / "events"


@pytest.fixture(autouse=True)
def private_runtime_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def recording(tmp_path):
    random = np.random.default_rng(3)
    events = np.zeros(3000, EVENT)
    events["t"] = 5000 + np.sort(random.integers(0, 100_000, 3000))
    events["x"], events["y"] = random.integers(0, 48, (2, 3000))
    path = tmp_path / "sample.raw"
    faery.events_stream_from_array(events, dimensions=(64, 48)).to_file(path)
    return path


def attach(path, **options):
    """The feeding side in a thread; its summary or error is in `outcome`."""

    def run():
        try:
            thread.outcome = attach_recording(path, loop="robot", **options)
        except (ConfigError, LinkError) as error:
            thread.outcome = error

    thread = Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("speed", [None, 4.0])
def test_in_lockstep_an_attached_recording_equals_one_in_the_loop(recording, speed):
    clock = LockstepClock(1_000_000)
    with (
        RecordingSensor(RecordingReader(recording), speed=speed or 1.0) as local,
        AttachedSensor("robot", wait=True, capacity=500, **SIZE) as attached,
    ):
        feeder = attach(recording, speed=speed)
        while not local.ended:
            expected, got = local.read(clock.now_ns), attached.read(clock.now_ns)
            assert got.values.tobytes() == expected.values.tobytes()
            assert (got.seq, got.t_first_ns, got.t_last_ns) == (
                expected.seq,
                expected.t_first_ns,
                expected.t_last_ns,
            )
            clock.wait()
        feeder.join()
    assert (feeder.outcome.events, feeder.outcome.dropped) == (3000, 0)


def test_in_real_time_the_recording_keeps_its_pace(recording):
    clock = WallClock(2_000_000)
    values = []
    with AttachedSensor("robot", **SIZE) as sensor:
        feeder = attach(recording, speed=1.0)
        clock.start()
        while feeder.is_alive():
            values.append(sensor.read(clock.now_ns).values)
            clock.wait()
        values.append(sensor.read(clock.now_ns).values)
    t_us = np.concatenate(values)["t"].astype(np.int64)
    assert (feeder.outcome.events, feeder.outcome.dropped, len(t_us)) == (3000, 0, 3000)
    assert feeder.outcome.duration_s >= 0.0999
    assert (np.diff(t_us) >= 0).all()


def test_a_recording_comes_from_another_process(recording):
    code = (
        "import sys; from reflexarc.runtime.attach import attach_recording; "
        "fed = attach_recording(sys.argv[1], loop='robot', speed=None); "
        "print(fed.events, fed.dropped)"
    )
    with AttachedSensor("robot", wait=True, **SIZE) as sensor:
        feeder = subprocess.Popen(
            [sys.executable, "-c", code, str(recording)], stdout=subprocess.PIPE, text=True
        )
        batch = sensor.read(10**9)
        assert feeder.communicate(timeout=20)[0] == "3000 0\n"
    assert len(batch.values) == 3000
    np.testing.assert_array_equal(
        batch.values, RecordingSensor(RecordingReader(recording)).read(10**9).values
    )


def test_no_such_loop_is_one_clear_line(recording):
    with pytest.raises(LinkError, match="no loop 'robot' waits for stream 'camera'; start it"):
        attach_recording(recording, loop="robot")
    with (
        AttachedSensor("robot", **SIZE),
        pytest.raises(LinkError, match="stream 'left'; it waits for: camera"),
    ):
        attach_recording(recording, loop="robot", stream="left")


def test_wrong_arguments_are_refused_before_anything_is_sent(recording, tmp_path):
    with pytest.raises(MissingFileError):
        attach_recording(tmp_path / "absent.raw", loop="robot")
    with pytest.raises(ConfigError, match="speed -1"):
        attach_recording(recording, loop="robot", speed=-1.0)
    with pytest.raises(ConfigError, match="name 'A'"):
        attach_recording(recording, loop="A")
    with pytest.raises(ConfigError, match="stream 'CAM'"):
        attach_recording(recording, loop="robot", stream="CAM")


def test_a_larger_sensor_is_refused(recording):
    with (
        AttachedSensor("robot", width=32, height=32),
        pytest.raises(ConfigError, match="64x48 pixels, the loop's 32x32"),
    ):
        attach_recording(recording, loop="robot")


def test_a_repeated_recording_goes_on_until_the_loop_ends(recording):
    with AttachedSensor("robot", wait=True, capacity=1000, **SIZE) as sensor:
        feeder = attach(recording, speed=None, repeat=True)
        assert len(sensor.read(250_000_000).values) > 6000
    feeder.join()
    assert isinstance(feeder.outcome, LinkError)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared recordings here")
def test_a_recording_of_others_arrives_whole():
    with AttachedSensor("robot", wait=True, width=346, height=260) as sensor:
        feeder = attach(SHARED / "davis346.aedat4", speed=None)
        counts = [len(sensor.read(tick * 10_000_000).values) for tick in range(240)]
        feeder.join()
    assert sum(counts) == feeder.outcome.events == 78830


def test_the_rate_is_events_over_time():
    assert Fed(100, 0, 0.5).rate_hz == 200
    assert Fed(0, 0, 0.0).rate_hz == 0


def test_a_detached_feeder_goes_and_another_may_come():
    events = np.zeros(1, EVENT)
    with AttachedSensor("robot", **SIZE) as sensor:
        assert not sensor.detach()
        for number in range(2):
            with Feeder("robot", size=(64, 48), paced=True) as feeder:
                feeder.send(events)
                seen, now_ns = 0, number * 10**12
                while not seen:
                    now_ns += 1_000_000
                    seen = len(sensor.read(now_ns).values)
                assert sensor.detach()
                with pytest.raises(LinkError, match="'camera' was detached"):
                    for _ in range(100_000):
                        feeder.send_silence(0)


def test_detaching_feeders_that_do_not_listen_costs_the_loop_no_tick():
    """Each that waited for its feeder would cost a tick; a busy machine may take some too."""
    period_ns, times = 20_000_000, 12
    with AttachedSensor("robot", **SIZE) as attached:
        gate = Gate(GateSpec(low=[-1.0], high=[1.0], rest=[0.0]))
        loop = Loop(
            WallClock(period_ns), NoPlant(), ConventionalPolicy(Still()), gate, sensors=[attached]
        )
        loop.clock.start()
        detaching = missed = 0
        for _ in range(times):
            feeder = Feeder("robot", size=(64, 48), paced=True)
            feeder.send(events_at(1000))
            tick_until(loop, lambda: attached.fed)
            before = loop.clock.overruns
            assert attached.detach()
            ticks = tick_until(loop, lambda: not attached.fed)
            detaching += ticks
            missed += loop.clock.overruns - before
            feeder.close()
    assert detaching >= times
    assert missed < times // 2


class Still(Controller):
    """Stays at rest."""

    def __init__(self):
        self._rest = np.zeros(1)

    def control(self, batches, now_ns):
        return self._rest


def events_at(t_us):
    events = np.zeros(1, EVENT)
    events["t"] = t_us
    return events


def tick_until(loop, condition):
    """Tick in real time until `condition()`; how many ticks that took."""
    for tick in range(1, 1000):
        loop.tick()
        loop.clock.wait()
        if condition():
            return tick
    raise AssertionError("waited in vain")


def linked(tmp_path, endpoint, who, loop="loop"):
    """The file by which `who` finds a loop, and the keys of the loop's side."""
    for name in {who, loop, "camera"}:
        if not (tmp_path / f"{name}.secret").exists():
            make_keys(tmp_path, name)
    file = tmp_path / f"{who}.yaml"
    allow = f"[{loop}.public]"
    file.write_text(f"endpoint: {endpoint}\nsecret: {who}.secret\nallow: {allow}\n")
    return str(file)


def loop_keys(tmp_path):
    linked(tmp_path, "ipc://x", "camera")
    own = read_secret(tmp_path / "loop.secret")
    return Curve(*own, frozenset([read_public(tmp_path / "camera.public")]))


def test_a_feeder_with_an_allowed_key_comes_over_tcp_and_another_after_it(tmp_path):
    keys = loop_keys(tmp_path)
    with AttachedSensor("robot", wait=True, endpoint=ANYWHERE, curve=keys, **SIZE) as sensor:
        file = linked(tmp_path, sensor.endpoint, "camera")
        with Feeder(file, size=(64, 48), paced=False) as feeder:
            feeder.send(events_at(500))
            feeder.send_silence(3000)
            assert sensor.read(2_000_000).values["t"].tolist() == [500]
            lost = []
            ends = Thread(target=lambda: lost.append(feeder.finish()))
            ends.start()
            assert len(sensor.read(4_000_000).values) == 0  # in lockstep it hears while it reads
            ends.join()
            assert lost == [0]
    with AttachedSensor("robot", endpoint=ANYWHERE, curve=keys, **SIZE) as sensor:
        file, loop = linked(tmp_path, sensor.endpoint, "camera"), LockstepClock(1_000_000)
        for _ in range(2):
            with Feeder(file, size=(64, 48), paced=True) as feeder:
                feeder.send(events_at(500))
                until_read(sensor, loop, 1)
                assert feeder.finish() == 0


def until_read(sensor, clock, count):
    """Tick until so many events have come."""
    while count:
        clock.wait()
        count -= len(sensor.read(clock.now_ns).values)


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_a_feeder_without_an_allowed_key_is_not_heard(tmp_path, who):
    keys = loop_keys(tmp_path)
    with AttachedSensor("robot", endpoint=ANYWHERE, curve=keys, **SIZE) as sensor:
        file = linked(tmp_path, sensor.endpoint, "stranger")
        if who == "nobody":
            Path(file).write_text(f"endpoint: {sensor.endpoint}\n")
        with pytest.raises(LinkError, match=r"nobody (answered|took)") as refusal:
            Feeder(file, size=(64, 48), paced=True, timeout_s=1.0)
        assert who == "nobody" or "does it allow this side's key" in str(refusal.value)
        assert not sensor.fed
        file = linked(tmp_path, sensor.endpoint, "camera")
        with Feeder(file, size=(64, 48), paced=True) as feeder:
            feeder.send(events_at(500))
            until_read(sensor, LockstepClock(1_000_000), 1)


def test_a_link_to_another_machine_needs_keys(tmp_path):
    file = tmp_path / "far.yaml"
    file.write_text("endpoint: tcp://192.0.2.7:5560\n")
    with pytest.raises(ConfigError, match=r"far\.yaml:1: .*needs secret and allow"):
        Feeder(str(file), size=(64, 48), paced=True)
    with pytest.raises(MissingFileError, match=r"nowhere\.yaml"):
        Feeder(str(tmp_path / "nowhere.yaml"), size=(64, 48), paced=True)
    with pytest.raises(ConfigError, match="other machines could reach it"):
        AttachedSensor("robot", endpoint="tcp://0.0.0.0:5560", **SIZE)
