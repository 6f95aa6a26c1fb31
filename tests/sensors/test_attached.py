from threading import Thread

import numpy as np
import pytest

from reflexarc.runtime.attach import Feeder
from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.bus import Control, Pair
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.sensors.attached import AttachedSensor

SIZE = {"width": 64, "height": 48}


@pytest.fixture(autouse=True)
def private_runtime_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def events(*times, x=1):
    values = np.zeros(len(times), EVENT)
    values["t"], values["x"] = times, x
    return values


def until(condition, seconds=10):
    deadline_ns = monotonic_ns() + int(seconds * 1e9)
    while not condition():
        assert monotonic_ns() < deadline_ns, "it did not happen in time"


def feed(*parts, finish=True, **options):
    """A feeder in a thread; what went wrong with it is in its list."""
    errors = []

    def run():
        try:
            with Feeder("robot", size=(64, 48), **{"paced": False, **options}) as feeder:
                for part in parts:
                    feeder.send(part)
                if finish:
                    feeder.finish()
        except (LinkError, ConfigError) as error:
            errors.append(error)

    thread = Thread(target=run)
    thread.errors = errors
    thread.start()
    return thread


def test_in_lockstep_every_event_comes_in_its_interval():
    times = np.arange(0, 40_000, 7)
    with AttachedSensor("robot", wait=True, capacity=100, **SIZE) as sensor:
        feeder = feed(*np.array_split(events(*times), 30))
        batches = [sensor.read(tick * 1_000_000) for tick in range(60)]
        feeder.join()
    seen = np.concatenate([batch.values["t"] for batch in batches])
    assert seen.tolist() == times.tolist()
    assert feeder.errors == []
    for tick, batch in enumerate(batches):
        assert (batch.seq, batch.t_last_ns, batch.dropped, batch.backlog) == (
            tick,
            tick * 10**6,
            0,
            0,
        )
        assert (batch.values["t"] * 1000 <= batch.t_last_ns).all()
        assert tick == 0 or (batch.values["t"] * 1000 > batch.t_first_ns).all()


def test_in_lockstep_a_read_without_a_feeder_ends_at_its_deadline():
    with (
        AttachedSensor("robot", wait=True, timeout_s=0.05, **SIZE) as sensor,
        pytest.raises(LinkError, match=r"did not reach 1\.000 s within 0\.05 s; is a feeder"),
    ):
        sensor.read(10**9)


def test_in_lockstep_a_feeder_that_breaks_off_is_an_error():
    with AttachedSensor("robot", wait=True, **SIZE) as sensor:
        feeder = feed(events(1, 2, 3000), finish=False)
        assert len(sensor.read(1_000_000).values) == 2
        feeder.join()
        with pytest.raises(LinkError, match="went away before the end"):
            sensor.read(10**9)


def test_in_lockstep_who_comes_after_the_end_is_refused():
    with AttachedSensor("robot", wait=True, **SIZE) as sensor:
        first = feed(events(1))
        sensor.read(10**9)
        first.join()
        late = feed(events(1))
        until(lambda: sensor.read(2 * 10**9) and not late.is_alive())
    assert first.errors == []
    assert "of this run has ended" in str(late.errors[0])


def test_the_image_of_a_smaller_sensor_is_stretched():
    values = events(0, 1, 2, 3)
    values["x"], values["y"] = [0, 1, 63, 32], [0, 1, 47, 24]
    with AttachedSensor("robot", wait=True, width=640, height=144) as sensor:
        feeder = feed(values)
        seen = sensor.read(1_000_000).values
        feeder.join()
    assert seen["x"].tolist() == [0, 10, 630, 320]
    assert seen["y"].tolist() == [0, 3, 141, 72]


def test_in_real_time_times_are_shifted_into_the_interval_of_the_call():
    with AttachedSensor("robot", **SIZE) as sensor:
        assert sensor.read(5_000_000).values.size == 0
        feeder = feed(events(700, 900, 5000))
        until(lambda: len(sensor._ring) == 3)
        batch = sensor.read(6_000_000)
        feeder.join()
        assert batch.values["t"].tolist() == [5001, 5201, 6000]
        assert (batch.t_first_ns, batch.t_last_ns) == (5_000_000, 6_000_000)
        assert (batch.seq, batch.t_received_ns, batch.dropped) == (1, 6_000_000, 0)


@pytest.mark.parametrize("rate", [0.999, 1.001])
def test_in_real_time_the_clocks_of_camera_and_loop_may_drift_apart(rate):
    """Of each tick's five events, which a clock of its own has timed, the times stay apart."""
    with (
        AttachedSensor("robot", **SIZE) as sensor,
        Feeder("robot", size=(64, 48), paced=True) as feeder,
    ):
        for tick in range(1, 2001):
            feeder.send(events(*(int((tick * 1000 + k * 200) * rate) for k in range(5))))
            until(lambda: len(sensor._ring) == 5)
            times = sensor.read(tick * 1_000_000).values["t"].astype(int) - (tick - 1) * 1000
            assert 0 <= times.min() <= times.max() <= 1000
            assert (np.diff(times) > 150).all()


def test_a_paced_feeder_that_outruns_the_loop_loses_the_oldest_and_both_sides_know():
    with (
        AttachedSensor("robot", capacity=10, **SIZE) as sensor,
        Feeder("robot", size=(64, 48), paced=True) as feeder,
    ):
        feeder.send(events(*range(100)))
        assert feeder.finish() == 90
        batch = sensor.read(10**9)
        assert (len(batch.values), batch.dropped) == (10, 90)
        assert sensor.read(2 * 10**9).dropped == 0


def test_an_unpaced_feeder_is_held_back_and_loses_nothing():
    with AttachedSensor("robot", capacity=10, **SIZE) as sensor:
        feeder = feed(events(*range(100)))
        batches = []
        while feeder.is_alive():
            batches.append(sensor.read(len(batches)))
        batches.append(sensor.read(len(batches)))
        assert feeder.errors == []
        assert sum(len(batch.values) for batch in batches) == 100
        assert sum(batch.dropped for batch in batches) == 0


def test_one_feeder_may_follow_another_but_not_join_it():
    with AttachedSensor("robot", **SIZE) as sensor:
        with Feeder("robot", size=(64, 48), paced=True) as first:
            first.send(events(1, 2))
            with pytest.raises(LinkError, match="is it running, and free"):
                Feeder("robot", size=(64, 48), paced=True, timeout_s=0.3)
            first.send(events(3))
            assert first.finish() == 0
        assert len(sensor.read(10**6).values) == 3
        second = feed(events(1))
        until(lambda: len(sensor._ring) == 1)
        second.join()
        assert second.errors == []


def test_a_feeder_that_waits_gets_its_turn():
    with AttachedSensor("robot", **SIZE) as sensor:
        with Feeder("robot", size=(64, 48), paced=True) as first:
            second = feed(events(7), timeout_s=20)
            until(lambda: len(sensor._reception._pair._peers) > 1)
            first.finish()
        until(lambda: len(sensor._ring) == 1)
        second.join()
        assert second.errors == []


def frame(seq, *times, stream="camera", x=1, t_last_us=None):
    t_last_us = max(times) if t_last_us is None else t_last_us
    values = events(*times, x=x)
    return Batch(stream, Schema.EVENTS, values, 0, t_last_us * 1000, seq=seq, epoch=1)


HELLO = Control(
    op="hello", streams={"camera": "EVENTS"}, details={"width": 64, "height": 48, "paced": 1}
)


def test_frames_that_are_wrong_are_counted_and_the_stream_goes_on():
    with AttachedSensor("robot", **SIZE) as sensor, Pair(sensor.endpoint, bind=False) as pair:
        pair.greet(HELLO, 5)
        pair.send(frame(0, 10, 20))
        pair._socket.send(b"garbage")
        pair.send(frame(1, 15))  # before what has been
        pair.send(frame(1, 40, 30, t_last_us=40))  # not in order
        pair.send(frame(1, 50, t_last_us=45))  # after its own end
        pair.send(frame(1, 50, x=64))  # outside the sensor
        pair.send(frame(1, 50, stream="other"))
        pair.send(Batch("camera", Schema.READINGS, np.zeros(1), 0, 10**6, seq=1, epoch=1))
        pair.send(frame(0, 60))  # a number that has been
        pair.send(frame(3, 70))  # two are missing
        until(lambda: len(sensor._ring) == 3)
        batch = sensor.read(10**9)
        assert (sensor.malformed, batch.dropped) == (8, 2)


def test_in_lockstep_more_events_of_the_same_time_are_waited_for():
    with (
        AttachedSensor("robot", wait=True, timeout_s=0.3, **SIZE) as sensor,
        Pair(sensor.endpoint, bind=False) as pair,
    ):
        pair.send(HELLO)
        pair.send(frame(0, 10, 1000))
        with pytest.raises(LinkError, match="did not reach"):
            sensor.read(1_000_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": 9}, "protocol 9"),
        ({"streams": {"camera": "SPIKES"}}, "waits for stream 'camera' of EVENTS"),
        ({"details": {"width": 64}}, "does not say the size"),
        ({"details": {"width": 65, "height": 48}}, "65x48 pixels, the loop's 64x48"),
    ],
)
def test_a_feeder_that_does_not_fit_is_refused_with_the_reason(change, reason):
    with (
        AttachedSensor("robot", **SIZE) as sensor,
        Pair(sensor.endpoint, bind=False) as pair,
        pytest.raises(ConfigError, match=reason),
    ):
        pair.greet(HELLO.model_copy(update=change), 5)


def test_a_loop_of_one_name_runs_once():
    with AttachedSensor("robot", **SIZE), pytest.raises(ConfigError, match="in use by process"):
        AttachedSensor("robot", **SIZE)
    AttachedSensor("robot", **SIZE).close()


def test_a_feeder_is_told_that_the_loop_has_ended():
    sensor = AttachedSensor("robot", capacity=10, **SIZE)
    feeder = feed(events(*range(100)))
    until(lambda: len(sensor._ring) == 10)
    sensor.close()
    feeder.join()
    assert "the loop has ended" in str(feeder.errors[0])
