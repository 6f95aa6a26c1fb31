"""Camera events from UDP datagrams.

All words are little-endian:

- `t64`: faery's t64_x16_y16_on8, 13 bytes an event: 64 bits of microseconds, x, y, polarity;
- `t32`: faery's t32_x16_y15_on1, 8 bytes: 32 bits of microseconds, x, then y and polarity (lowest);
- `spif`: words of SpiNNaker's SPIF as AEStream sends them: bit 31 set for no time, 15 bits of x,
  polarity, 15 bits of y; without bit 31 a word of microseconds follows. What has no time gets that
  of its arrival.

A datagram says nothing of those before it, so that what the network loses is not seen here; what
the socket of this machine had no room for is counted by it.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal, TypeAlias

import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import ConfigError

Encoding: TypeAlias = Literal["t64", "t32", "spif"]
ENCODINGS: tuple[Encoding, ...] = ("t64", "t32", "spif")
#: Datagrams taken at a time, and what the socket is asked to hold.
MOST_DATAGRAMS, SOCKET_BYTES = 256, 4 << 20
WAIT_S = 0.05
#: A sender whose time steps back by more has started anew: it goes on where it was.
RESTART_US = 1_000_000
#: Linux: how many datagrams the socket had no room for.
_SO_RXQ_OVFL = 40
_T32 = np.dtype([("t", "<u4"), ("x", "<u2"), ("y_on", "<u2")])


class Datagrams:
    """A socket that camera events arrive at. Close it, or use it as a context.

    Attributes:
        address: (host, port) that it listens at.
        malformed: datagrams so far that ended inside an event or held none.
        outside: events so far that lay outside the sensor and were left out.
        overrun: datagrams so far that the socket had no room for.
    """

    def __init__(self, host: str, port: int, encoding: Encoding, size: tuple[int, int]) -> None:
        """Listen at a UDP port (0: any free one) of an address of this machine.

        Raises:
            ConfigError: the address cannot be listened at.
        """
        self._encoding, (self._width, self._height) = encoding, size
        self.malformed = self.outside = self.overrun = 0
        self._begin_us: int | None = None
        self._last_us = self._turns_us = 0
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.socket(family, kind, proto)
            self._socket.bind(address)
        except OSError as error:
            raise ConfigError(f"udp {host}:{port}: cannot listen there: {error.strerror}") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    def receive(self) -> Array:
        """What has arrived, at most `MOST_DATAGRAMS`; waits `WAIT_S` where there is nothing.

        EVENT with microseconds since the first event; times that step back are held.
        """
        parts = []
        self._socket.settimeout(WAIT_S)
        try:
            for _ in range(MOST_DATAGRAMS):
                data, extra, _, _ = self._socket.recvmsg(65535, socket.CMSG_SPACE(4))
                self._socket.settimeout(0)
                for level, kind, value in extra:
                    if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                        self.overrun = struct.unpack("I", value[:4])[0]
                parts.append(self._decoded(data))
        except (TimeoutError, BlockingIOError):
            pass
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, EVENT)

    def _decoded(self, data: bytes) -> Array:
        """The events of a datagram, in stream time."""
        events = decode(data, self._encoding, monotonic_ns() // 1000)
        if events is None:
            self.malformed += 1
            return np.zeros(0, EVENT)
        if events["x"].max() >= self._width or events["y"].max() >= self._height:
            inside = (events["x"] < self._width) & (events["y"] < self._height)
            self.outside += len(events) - int(np.count_nonzero(inside))
            events = events[inside]
        if len(events):
            events["t"] = self._stream_us(events["t"].astype(np.int64))
        return events

    def _stream_us(self, t_us: Array) -> Array:
        """Times since the first event, never decreasing; 32 bits of them may start anew."""
        if self._begin_us is None:
            self._begin_us = int(t_us[0])
        t_us = t_us - self._begin_us
        if self._encoding != "t64":
            before = np.concatenate([[self._last_us - self._turns_us], t_us[:-1]])
            turns = self._turns_us + np.cumsum(t_us - before < -(1 << 31)) * (1 << 32)
            t_us, self._turns_us = t_us + turns, int(turns[-1])
        if t_us[0] < self._last_us - RESTART_US:
            behind = self._last_us - int(t_us[0])
            t_us, self._begin_us = t_us + behind, self._begin_us - behind
        held: Array = np.maximum(np.maximum.accumulate(t_us), self._last_us)
        self._last_us = int(held[-1])
        return held

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._socket.close()

    def __enter__(self) -> Datagrams:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: bytes, encoding: Encoding, arrival_us: int) -> Array | None:
    """The events of a datagram as sent; None where it ends inside one or holds none."""
    if encoding == "spif":
        return _decode_spif(data, arrival_us)
    kind = EVENT if encoding == "t64" else _T32
    if not data or len(data) % kind.itemsize:
        return None
    if encoding == "t64":
        raw = np.frombuffer(data, np.uint8).copy()
        raw[EVENT.itemsize - 1 :: EVENT.itemsize] &= 1
        return raw.view(EVENT)
    found = np.frombuffer(data, _T32)
    return _events(found["t"], found["x"], found["y_on"] >> 1, found["y_on"] & 1)


def _decode_spif(data: bytes, arrival_us: int) -> Array | None:
    """All words of a datagram have a time, or none."""
    if not data or len(data) % 4:
        return None
    words = np.frombuffer(data, "<u4")
    if words[0] >> 31:
        t_us: Array = np.full(len(words), arrival_us & 0xFFFF_FFFF, np.uint32)
    elif len(words) % 2:
        return None
    else:
        words, t_us = words[::2], words[1::2]
    return _events(t_us, words >> 16 & 0x7FFF, words & 0x7FFF, words >> 15 & 1)


def _events(t_us: Array, x: Array, y: Array, on: Array) -> Array:
    events = np.empty(len(t_us), EVENT)
    events["t"], events["x"], events["y"], events["on"] = t_us, x, y, on
    return events
