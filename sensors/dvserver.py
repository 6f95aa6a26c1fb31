"""Camera events from a DV network stream: AEDAT 4 over TCP, as DV and dv-processing serve it.

A connection begins with a flatbuffer `IOHE` after its size; dv-processing, which reads it, waits
for that without end, so that it is looked for here first.
"""

from __future__ import annotations

import socket
import struct
from types import ModuleType
from typing import Any

from reflexarc.runtime.errors import DeviceError
from reflexarc.sensors.camera import Camera
from reflexarc.sensors.usbcameras import DvCamera, library

#: How long a server may take to answer.
ANSWER_S = 3.0
#: Size of the header, offset of its table, and what it is.
_HEADER = struct.Struct("<II4s")


class DvServer:
    """A server of DV; `open` connects."""

    def __init__(self, host: str, port: int, dv: ModuleType | None = None) -> None:
        """Raises MissingPartError: dv-processing is not installed."""
        self._host, self._port = host, port
        self._io: Any = (dv or library("dv_processing")).io

    def open(self, serial: str | None = None) -> Camera:
        """Connect. Raises DeviceError: nobody is there, or it does not speak as DV does."""
        where = f"dv {self._host}:{self._port}"
        address = self._greeted(where)
        try:
            source = self._io.NetworkReader(address, self._port)
        except (RuntimeError, OSError) as error:
            raise DeviceError(f"{where}: {error}") from None
        return DvCamera(source, where)

    def _greeted(self, where: str) -> str:
        """The numeric address of the host, after it has said what DV says."""
        try:
            with socket.create_connection((self._host, self._port), ANSWER_S) as connection:
                connection.settimeout(ANSWER_S)
                header = connection.recv(_HEADER.size, socket.MSG_WAITALL)
                address = str(connection.getpeername()[0])
        except TimeoutError:
            raise DeviceError(f"{where}: it says nothing; is it a DV server?") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeviceError(f"{where}: cannot connect: {reason}") from None
        if len(header) < _HEADER.size or _HEADER.unpack(header)[2] != b"IOHE":
            raise DeviceError(f"{where}: it does not speak as a DV server does; check the port")
        return address
