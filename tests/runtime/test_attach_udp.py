"""Events from the network into a loop: every one is accounted for."""

import re
from threading import Thread

import faery
import numpy as np
import pytest

from reflexarc.runtime.attachudp import attach_udp
from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.clock import WallClock
from reflexarc.runtime.errors import LinkError
from reflexarc.sensors.attached import AttachedSensor


@pytest.fixture(autouse=True)
def private_runtime_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_every_event_reaches_the_loop():
    random = np.random.default_rng(3)
    events = np.zeros(3000, EVENT)
    events["t"] = 5000 + np.sort(random.integers(0, 100_000, 3000))
    events["x"], events["y"] = random.integers(0, 48, (2, 3000))
    said = []

    def tell(line):
        said.append(line)
        if found := re.search(r"listening at 127.0.0.1:(\d+)", line):
            address = ("127.0.0.1", int(found[1]))
            faery.events_stream_from_array(events, dimensions=(64, 48)).to_udp(
                address, events_per_packet=50
            )

    def feed():
        thread.outcome = attach_udp(
            "127.0.0.1", 0, loop="robot", encoding="t64", size=(64, 48), seconds=1.5, tell=tell
        )

    with AttachedSensor("robot", width=64, height=48) as sensor:
        thread = Thread(target=feed)
        thread.start()
        clock = WallClock(5_000_000)
        clock.start()
        parts = []
        while thread.is_alive():
            parts.append(sensor.read(clock.now_ns).values)
            clock.wait()
        thread.join()
        parts.append(sensor.read(clock.now_ns).values)
    found, fed = np.concatenate(parts), thread.outcome
    assert (fed.events, fed.dropped, fed.malformed, fed.outside) == (3000, 0, 0, 0)
    np.testing.assert_array_equal(found[["x", "y"]], events[["x", "y"]])
    assert "M events/s, 0 datagrams overrun, 0 malformed, 0 events outside" in said[1]


def test_without_a_loop_it_says_so():
    with pytest.raises(LinkError, match="no loop 'robot' waits"):
        attach_udp("127.0.0.1", 0, loop="robot", encoding="t64", size=(64, 48))
