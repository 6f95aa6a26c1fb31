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

from reflexarc.ext.datagrams import SO_RXQ_OVFL, DatagramReader
from reflexarc.runtime.batch import Array
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import ConfigError

Encoding: TypeAlias = Literal["t64", "t32", "spif"]
ENCODINGS: tuple[Encoding, ...] = ("t64", "t32", "spif")
#: What the socket is asked to hold, and how long `receive` waits.
SOCKET_BYTES, WAIT_US = 4 << 20, 50_000


class Datagrams:
    """A socket that camera events arrive at. Close it, or use it as a context.

    Attributes:
        address: (host, port) that it listens at.
    """

    def __init__(self, host: str, port: int, encoding: Encoding, size: tuple[int, int]) -> None:
        """Listen at a UDP port (0: any free one) of an address of this machine.

        Raises:
            ConfigError: the address cannot be listened at.
        """
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.socket(family, kind, proto)
            self._socket.bind(address)
        except OSError as error:
            raise ConfigError(f"udp {host}:{port}: cannot listen there: {error.strerror}") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        limit = struct.pack("@ll", 0, WAIT_US)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._reader = DatagramReader(self._socket.fileno(), encoding, *size)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    @property
    def malformed(self) -> int:
        """Datagrams so far that ended inside an event or held none."""
        return self._reader.malformed

    @property
    def outside(self) -> int:
        """Events so far that lay outside the sensor and were left out."""
        return self._reader.outside

    @property
    def overrun(self) -> int:
        """Datagrams so far that the socket had no room for."""
        return self._reader.overrun

    def receive(self) -> Array:
        """What has arrived; waits `WAIT_US` where there is nothing.

        EVENT with microseconds since the first event. Times that step back are held; a sender
        whose time steps back by more than a second, or ahead by more than a day, has started anew:
        it goes on where the stream was.
        """
        self._reader.wait()
        return self._reader.take(monotonic_ns() // 1000)

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._socket.close()

    def __enter__(self) -> Datagrams:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
