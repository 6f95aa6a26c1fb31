"""A camera without hardware: plays a pattern or a recording, and can be unplugged on order.

It is paced by its own clock, which begins anew whenever it is plugged in, holds a bounded queue
that loses the oldest events when it is read too slowly, and counts what it makes and loses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.clock import monotonic_ns, pause
from reflexarc.runtime.errors import DeviceError
from reflexarc.sensors.camera import NO_EVENTS, WAIT_S, Camera, CameraDriver, Listed, Packet
from reflexarc.sensors.recording import EventSource, RecordingSensor

#: Events in a packet, and in the queue.
PACKET, QUEUE = 4096, 1 << 18
#: How often a camera that waits looks at its clock.
LOOK_S = 0.001
NAME = "fake camera"


class Bar:
    """A bright bar that crosses the image once a second, for ever: 153,600 events a second.

    Column after column, its front makes every pixel ON and its back, 8 pixels behind, OFF.
    """

    width, height, thickness = 320, 240, 8

    def __iter__(self) -> Iterator[Array]:
        """A chunk a column, times in microseconds."""
        column = 0
        while True:
            events = np.zeros(2 * self.height, EVENT)
            events["t"] = column * 1_000_000 // self.width
            events["x"][: self.height] = column % self.width
            events["x"][self.height :] = (column - self.thickness) % self.width
            events["y"] = np.tile(np.arange(self.height, dtype=np.uint16), 2)
            events["on"][: self.height] = True
            yield events
            column += 1


class FakeCameras(CameraDriver):
    """The driver of one fake camera.

    Attributes:
        made: events that the camera has made.
        lost: of these, how many are lost but not yet told in a packet.
    """

    def __init__(
        self,
        source: EventSource | None = None,
        *,
        serial: str = "FAKE0001",
        queue: int = QUEUE,
        now_ns: Callable[[], int] = monotonic_ns,
        wait: Callable[[float], None] = pause,
    ) -> None:
        """It plays `source`, again and again, or a `Bar`, and is plugged in."""
        self.source, self.serial, self.queue = source or Bar(), serial, queue
        self.now_ns, self.wait = now_ns, wait
        self.made = self.lost = 0
        self.plugs = 1
        self.plugged = True

    def unplug(self) -> None:
        """Pull the plug: what the camera holds is lost, and counted when it is back."""
        self.plugged = False

    def plug(self) -> None:
        """Put the plug in again; what was open stays dead."""
        if not self.plugged:
            self.plugs += 1
            self.plugged = True

    def toggle(self) -> None:
        """Unplug it, or plug it in."""
        if self.plugged:
            self.unplug()
        else:
            self.plug()

    def cameras(self) -> list[Listed]:
        """It, while it is plugged in."""
        return [Listed(NAME, self.serial)] if self.plugged else []

    def open(self, serial: str | None = None) -> Camera:
        """As the contract says."""
        if not self.plugged:
            raise DeviceError(f"no {NAME} found: it is unplugged")
        if serial not in (None, self.serial):
            raise DeviceError(f"no {NAME} with serial {serial}; there is: {self.serial}")
        return FakeCamera(self)


class FakeCamera(Camera):
    """The fake camera, open; made by `FakeCameras.open`."""

    def __init__(self, driver: FakeCameras) -> None:
        self.name, self.serial = NAME, driver.serial
        self.width, self.height = driver.source.width, driver.source.height
        self._driver, self._plug = driver, driver.plugs
        self._player = RecordingSensor(driver.source, repeat=True)
        self._start_ns = driver.now_ns()
        self._waiting = NO_EVENTS
        self._open = True

    def read(self) -> Packet:
        """As the contract says."""
        until_ns = self._driver.now_ns() + round(WAIT_S * 1e9)
        self._expose()
        while len(self._waiting) == 0 and self._driver.now_ns() < until_ns:
            self._driver.wait(LOOK_S)
            self._expose()
        dropped, self._driver.lost = self._driver.lost, 0
        events, self._waiting = self._waiting[:PACKET], self._waiting[PACKET:]
        return Packet(events, -(-len(self._waiting) // PACKET), dropped)

    def _expose(self) -> None:
        """Make the events up to now. Raises DeviceError."""
        driver = self._driver
        if not self._open or not driver.plugged or self._plug != driver.plugs:
            driver.lost += len(self._waiting)
            self._waiting, self._open = NO_EVENTS, False
            raise DeviceError(f"{NAME} {self.serial} has been unplugged")
        made = self._player.read(driver.now_ns() - self._start_ns).values
        driver.made += len(made)
        waiting = np.concatenate([self._waiting, made]) if len(made) else self._waiting
        lost = max(0, len(waiting) - driver.queue)
        driver.lost += lost
        self._waiting = waiting[lost:]

    def close(self) -> None:
        """Let go of it; what waits is lost."""
        self._driver.lost += len(self._waiting)
        self._waiting, self._open = NO_EVENTS, False
