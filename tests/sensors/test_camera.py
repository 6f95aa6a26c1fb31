"""A camera that is unplugged and comes back, on a clock of the test's own."""

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import ConfigError, DeviceError, MissingPartError
from reflexarc.sensors.camera import SteadyCamera, StreamClock
from reflexarc.sensors.fakecamera import PACKET, Bar, FakeCameras
from reflexarc.sensors.usbcameras import library


class Time:
    """Virtual time: waiting for it moves it on."""

    now_ns = 0

    def wait(self, seconds):
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def cameras(time):
    return FakeCameras(now_ns=lambda: time.now_ns, wait=time.wait)


@pytest.fixture
def steady(cameras, time):
    said = []
    camera = SteadyCamera(
        cameras.open, tell=said.append, now_ns=lambda: time.now_ns, wait=time.wait
    )
    camera.said = said
    return camera


def read_for(camera, time, seconds):
    """Packets until so much time has gone by."""
    until_ns = time.now_ns + round(seconds * 1e9)
    packets = []
    while time.now_ns < until_ns:
        time.wait(0.001)
        packets.append(camera.read())
    return packets


def total(packets):
    return sum(len(packet.events) for packet in packets), sum(p.dropped for p in packets)


def test_the_bar_crosses_once_a_second(cameras, time):
    with cameras.open() as camera:
        packets = read_for(camera, time, 2.0)
    events = np.concatenate([packet.events for packet in packets])
    assert abs(len(events) / 2 - 153_600) < 2 * 480
    front = events[events["on"]]
    np.testing.assert_array_equal(front["x"], front["t"] * 320 // 1_000_000 % 320)


def test_what_it_makes_is_read_or_counted_when_it_is_read_too_slowly(cameras, time):
    cameras.queue = 2 * PACKET
    with cameras.open() as camera:
        packets = []
        for _ in range(50):
            time.wait(0.1)
            packets.append(camera.read())
        assert max(packet.backlog for packet in packets) == 1
    events, dropped = total(packets)
    assert dropped > 0
    assert events + dropped + cameras.lost == cameras.made


def test_it_comes_back_and_its_times_go_on(steady, cameras, time):
    packets = read_for(steady, time, 0.5)
    cameras.unplug()
    away = read_for(steady, time, 3.0)
    assert total(away)[0] == 0
    cameras.plug()
    after = read_for(steady, time, 0.5)
    assert steady.said == [
        "fake camera FAKE0001 has been unplugged; waiting for it to come back",
        steady.said[1],
    ]
    assert steady.said[1].startswith("fake camera is back after 3.")
    assert steady.absences == 1
    t_us = np.concatenate([packet.events["t"] for packet in packets + after]).astype(np.int64)
    assert (np.diff(t_us) >= 0).all()
    assert t_us[-1] == pytest.approx(4_000_000, abs=400_000)
    steady.close()
    events, dropped = total(packets + away + after)
    assert events + dropped + cameras.lost == cameras.made


def test_a_replug_that_nobody_saw_is_an_absence_too(steady, cameras, time):
    read_for(steady, time, 0.1)
    cameras.toggle()
    cameras.toggle()
    assert total(read_for(steady, time, 0.5))[0] > 0
    assert steady.absences == 1


def test_another_size_is_refused(steady, cameras, time):
    read_for(steady, time, 0.1)
    cameras.unplug()
    read_for(steady, time, 0.1)
    cameras.source = type("Wide", (Bar,), {"width": 640})()
    cameras.plug()
    with pytest.raises(ConfigError, match="640x240 pixels instead of 320x240"):
        read_for(steady, time, 1.0)


def test_without_a_camera_it_says_so(cameras):
    cameras.unplug()
    assert cameras.cameras() == []
    with pytest.raises(DeviceError, match="no fake camera found"):
        SteadyCamera(cameras.open)


def test_silence_moves_the_stream_and_later_events_do_not_lie_before_it(time):
    clock = StreamClock(lambda: time.now_ns)
    events = np.zeros(2, EVENT)
    events["t"] = 500, 600
    assert clock.place(events)["t"].tolist() == [0, 0]
    time.wait(0.010)
    assert clock.pass_silence() == 10_000
    events["t"] = 700, 20_600
    assert clock.place(events)["t"].tolist() == [10_000, 20_000]


def test_a_missing_library_is_one_line():
    with pytest.raises(MissingPartError, match=r"pip install 'reflexarc\[cameras\]'"):
        library("no_such_library_of_cameras")
