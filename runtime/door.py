"""The door of this process: which keys may come in where, and who was turned away.

CURVE alone lets every key in. For each peer that has proved to hold its key libzmq asks whoever is
bound to `inproc://zeromq.zap.01` (https://rfc.zeromq.org/spec/27/); here a thread answers from the
allow list of the socket that the peer came to.
"""

from __future__ import annotations

import itertools
import logging
import struct
from threading import Lock, Thread

import zmq
from zmq.utils import z85

from reflexarc.runtime.complaints import Complaints

_ZAP = "inproc://zeromq.zap.01"
#: How often what has waited is looked at.
LOOK_EVERY_MS = 100
#: What a monitor socket reports: number of the event, file descriptor.
EVENT = struct.Struct("=Hi")
#: The events that `Strangers` needs.
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

complaints = Complaints(logging.getLogger("reflexarc.bus").warning)


class Strangers:
    """Counts the connections to one bound socket that ended without having shown a good key."""

    def __init__(self, endpoint: str) -> None:
        self.turned_away = 0
        self._endpoint = endpoint
        self._unknown = 0

    def see(self, event: int) -> None:
        """Take in one event of the socket's monitor."""
        if event == zmq.EVENT_ACCEPTED:
            self._unknown += 1
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._unknown -= 1
        elif event == zmq.EVENT_DISCONNECTED and self._unknown:
            self._unknown -= 1
            self.turned_away += 1
            complaints.add(
                f"stranger at {self._endpoint}",
                f"{self._endpoint}: turned away a connection that did not show an allowed key",
            )


class Door:
    """Answers for every socket of this process that has an allow list."""

    def __init__(self) -> None:
        self._allowed: dict[bytes, frozenset[bytes]] = {}
        self._names = (f"socket-{n}".encode() for n in itertools.count())
        self._lock = Lock()
        self._watched: list[tuple[zmq.Socket[bytes], Strangers]] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ZAP)
        Thread(target=self._run, name="door", daemon=True).start()

    def admit(self, allowed: frozenset[bytes]) -> bytes:
        """The ZAP domain for a socket to which only the public keys `allowed` may come."""
        with self._lock:
            domain = next(self._names)
            self._allowed[domain] = allowed
            return domain

    def watch(self, monitor: zmq.Socket[bytes], strangers: Strangers) -> None:
        """Count the strangers at a socket, by its monitor, until the monitor is disabled."""
        with self._lock:
            self._watched.append((monitor, strangers))

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        try:
            while True:
                if poller.poll(LOOK_EVERY_MS):
                    self._answer(self._socket.recv_multipart())
                with self._lock:
                    self._watched = [item for item in self._watched if _look(*item)]
                complaints.flush()
        except zmq.ContextTerminated:
            self._socket.close()

    def _answer(self, frames: list[bytes]) -> None:
        """Say 200 or 400 to one request of libzmq's."""
        route, empty, version, request, domain, address, _, mechanism, *shown = frames
        key = z85.encode(shown[0]) if mechanism == b"CURVE" and shown else b""
        with self._lock:
            known = key in self._allowed.get(domain, ())
        if not known:
            complaints.add(
                "key", f"unknown key {key.decode()!r} from {address.decode(errors='replace')}"
            )
        verdict = (b"200", b"OK") if known else (b"400", b"unknown key")
        self._socket.send_multipart([route, empty, version, request, *verdict, b"", b""])


def _look(monitor: zmq.Socket[bytes], strangers: Strangers) -> bool:
    """Take in what the monitor has; whether it goes on."""
    while monitor.poll(0):
        event, _ = EVENT.unpack(monitor.recv_multipart()[0])
        if event == zmq.EVENT_MONITOR_STOPPED:
            monitor.close(0)
            return False
        strangers.see(event)
    return True


_door: list[Door] = []
_opening = Lock()


def door() -> Door:
    """The one door of this process."""
    with _opening:
        if not _door:
            _door.append(Door())
        return _door[0]
