"""Streams of DV: what a true server sends, one that goes away, and what is none."""

import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from reflexarc.runtime.errors import DeviceError
from reflexarc.sensors.camera import SteadyCamera
from reflexarc.sensors.dvserver import DvServer

pytest.importorskip("dv_processing", reason="the extra cameras is not installed")

SERVER = Path(__file__).with_name("dvserver.py")


class Server:
    """The server in its process; the port stays the same when it starts anew."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "serving\n"

    def send(self, count):
        """Send events; how many clients there are."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.kill()


def read(camera, count):
    """So many events."""
    parts = []
    while sum(map(len, parts)) < count:
        parts.append(camera.read().events)
    return np.concatenate(parts)


def connected(server):
    """Wait until the server knows of the camera: before, it sends to nobody."""
    while server.send(0) == 0:
        pass


def test_every_event_arrives(server):
    with DvServer("127.0.0.1", server.port).open() as camera:
        assert (camera.name, camera.serial) == (f"dv 127.0.0.1:{server.port}", "00000042")
        assert (camera.width, camera.height) == (346, 260)
        connected(server)
        server.send(1000)
        server.send(500)
        events = read(camera, 1500)
        assert len(camera.read().events) == 0
    n = np.r_[0:1000, 0:500]
    np.testing.assert_array_equal(events["t"] - 1_700_000_000_000_000, np.arange(1500))
    np.testing.assert_array_equal(events["x"], n % 346)
    np.testing.assert_array_equal(events["y"], n % 260)
    np.testing.assert_array_equal(events["on"], n % 2 == 1)


def test_a_server_that_goes_away_is_waited_for(server):
    said = []
    with SteadyCamera(DvServer("127.0.0.1", server.port).open, tell=said.append) as camera:
        connected(server)
        server.send(100)
        before = read(camera, 100)
        server.kill()
        while not said:
            assert len(camera.read().events) == 0
        assert "has gone away; waiting for it to come back" in said[0]
        camera.read()
        server.start()
        while len(said) == 1:
            camera.read()
        assert f"dv 127.0.0.1:{server.port} is back after" in said[1]
        connected(server)
        server.send(100)
        after = read(camera, 100)
        assert after["t"][0] >= before["t"][-1]
        assert camera.absences == 1


def test_what_is_no_server_of_dv_says_so():
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            connection, _ = other.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(DeviceError, match="does not speak as a DV server does"):
            DvServer("127.0.0.1", other.getsockname()[1]).open()
        thread.join()
