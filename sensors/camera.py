"""Live cameras: what a driver offers, and a camera that survives being unplugged.

`usbcameras.py` has the drivers of real ones, `dvserver.py` one over the network, `fakecamera.py`
the one to try and test with; `cameracontract.py` has the tests that all of them pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.clock import monotonic_ns, pause
from reflexarc.runtime.errors import ConfigError, DeviceError

#: How long a `read` waits for events.
WAIT_S = 0.05
#: How often a camera that went away is looked for.
LOOK_EVERY_S = 0.25

NO_EVENTS = np.zeros(0, EVENT)


class Packet(NamedTuple):
    """What a camera gives at once.

    Attributes:
        events: shape (n,), dtype EVENT, on the camera's clock, times never decrease.
        backlog: packets that wait behind this one in the driver.
        dropped: events that were lost since the packet before. Where a driver knows only how many
            packets or gaps there were, each counts as one, which is the least.
    """

    events: Array
    backlog: int = 0
    dropped: int = 0


class Listed(NamedTuple):
    """A camera that a driver sees; `serial` is "" where it cannot be read."""

    name: str
    serial: str


class Camera(ABC):
    """A camera that is open. Close it, or use it as a context.

    Attributes:
        name: the model.
        serial: its serial number; "" where it has none.
        width, height: of the sensor, in pixels.
    """

    name: str
    serial: str
    width: int
    height: int

    @abstractmethod
    def read(self) -> Packet:
        """The next packet; an empty one where none came within `WAIT_S`.

        Raises DeviceError when the camera has gone away; whatever comes after needs a new one.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of it. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CameraDriver(ABC):
    """Finds cameras of a family and opens them."""

    @abstractmethod
    def cameras(self) -> list[Listed]:
        """What is connected now; empty where the machine has no such bus."""

    @abstractmethod
    def open(self, serial: str | None = None) -> Camera:
        """Open the camera with this serial number, or the first.

        Raises DeviceError: it is not there, or cannot be opened.
        """


class StreamClock:
    """Puts the times of a camera on the clock of one stream.

    The stream begins with 0 at its first `anchor`. Within a connection the camera's clock counts;
    each connection is anchored at the time that has gone by here.
    """

    def __init__(self, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self._now_ns = now_ns
        self._start_ns: int | None = None
        self._shift_us: int | None = None
        #: Nothing that follows is earlier.
        self.last_us = 0

    def anchor(self) -> None:
        """The next event comes from a clock that began anew."""
        self._shift_us = None

    def elapsed_us(self) -> int:
        """Time since the stream's begin, by this machine."""
        if self._start_ns is None:
            self._start_ns = self._now_ns()
        return (self._now_ns() - self._start_ns) // 1000

    def place(self, events: Array) -> Array:
        """`events` in stream time; a new array."""
        if len(events) == 0:
            return events
        t_us = events["t"].astype(np.int64)
        if self._shift_us is None:
            # The newest of them is now: the first ones are older, but not than the stream.
            self._shift_us = max(self.elapsed_us(), self.last_us) - int(t_us[-1])
        placed: Array = events.copy()
        placed["t"] = np.maximum.accumulate(np.maximum(t_us + self._shift_us, self.last_us))
        self.last_us = int(placed["t"][-1])
        return placed

    def pass_silence(self) -> int:
        """Nothing came: the stream has reached the present, which is returned in us."""
        self.last_us = max(self.last_us, self.elapsed_us())
        return self.last_us


class SteadyCamera:
    """A camera that is opened anew after it has gone away, and whose times go on.

    Attributes:
        camera: as it was opened last.
        absences: how often it has gone away.
        clock: of the stream; `read` gives its times.
    """

    def __init__(
        self,
        open_camera: Callable[[str | None], Camera],
        *,
        serial: str | None = None,
        tell: Callable[[str], None] = lambda line: None,
        now_ns: Callable[[], int] = monotonic_ns,
        wait: Callable[[float], None] = pause,
    ) -> None:
        """Open the camera; `tell` hears a line when it goes and when it is back.

        Raises DeviceError: there is none.
        """
        self._open, self._tell, self._now_ns, self._wait = open_camera, tell, now_ns, wait
        self.absences = 0
        self.clock = StreamClock(now_ns)
        self.camera = open_camera(serial)
        self._gone_ns: int | None = None

    def read(self) -> Packet:
        """As `Camera.read`, in stream time, empty while the camera is away.

        Raises ConfigError: another camera, of another size, has come in its place.
        """
        if self._gone_ns is not None:
            self._look(self._gone_ns)
            return Packet(NO_EVENTS)
        try:
            packet = self.camera.read()
        except DeviceError as error:
            self._tell(f"{error}; waiting for it to come back")
            self._gone_ns = self._now_ns()
            self.absences += 1
            self.camera.close()
            return Packet(NO_EVENTS)
        return packet._replace(events=self.clock.place(packet.events))

    def _look(self, gone_ns: int) -> None:
        try:
            found = self._open(self.camera.serial or None)
        except DeviceError:
            self._wait(LOOK_EVERY_S)
            return
        if (found.width, found.height) != (self.camera.width, self.camera.height):
            found.close()
            raise ConfigError(
                f"{found.name}: it came back with {found.width}x{found.height} pixels instead of "
                f"{self.camera.width}x{self.camera.height}; attach it anew"
            )
        self._tell(f"{found.name} is back after {(self._now_ns() - gone_ns) * 1e-9:.1f} s")
        self.clock.anchor()
        self.camera, self._gone_ns = found, None

    def close(self) -> None:
        """Let go of the camera. May be called twice."""
        self.camera.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
