"""Real cameras at a USB port (or Ethernet), by the libraries of the extra `cameras`.

| driver | library | cameras |
|---|---|---|
| `neuromorphic` | neuromorphic-drivers (MIT) | DAVIS346, DVXplorer, EVK3 HD, EVK4, CenturyArks VGA, Lucid Triton |
| `dv` | dv-processing (Apache-2.0) | DVS128, DAVIS, DVXplorer, also Mini and Micro |
"""  # noqa: E501

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.clock import pause
from reflexarc.runtime.errors import DeviceError, MissingPartError
from reflexarc.sensors.camera import NO_EVENTS, WAIT_S, Camera, CameraDriver, Listed, Packet

#: How often a camera that cannot be waited for is asked.
ASK_S = 0.0005


def library(name: str) -> ModuleType:
    """The library `name` of the extra `cameras`. Raises MissingPartError."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPartError(
            f"{name.replace('_', '-')} is not installed ({error}); "
            "install it with: pip install 'reflexarc[cameras]'"
        ) from None


class NeuromorphicCameras(CameraDriver):
    """Cameras that neuromorphic-drivers knows."""

    def __init__(self, drivers: ModuleType | None = None) -> None:
        """`drivers` is the library. Raises MissingPartError."""
        self._drivers: Any = drivers or library("neuromorphic_drivers")

    def cameras(self) -> list[Listed]:
        """As the contract says."""
        try:
            listed = self._drivers.list_devices()
        except RuntimeError:  # a machine without USB
            return []
        return [Listed(device.name.value, device.serial or "") for device in listed]

    def open(self, serial: str | None = None) -> Camera:
        """As the contract says."""
        require(self.cameras(), serial)
        try:
            device = self._drivers.open(serial=serial, iterator_timeout=WAIT_S)
        except RuntimeError as error:
            raise DeviceError(f"the camera cannot be opened: {error}; {PERMISSION}") from None
        return NeuromorphicCamera(device)


PERMISSION = "may this user use it? sudo neuromorphic-drivers-install-udev-rules lets everyone"


def require(listed: list[Listed], serial: str | None) -> None:
    """Raise DeviceError unless a camera (of this serial number) is there."""
    if not listed:
        raise DeviceError("no camera found; is it plugged in, and its USB port visible here?")
    if serial is not None and serial not in [camera.serial for camera in listed]:
        there = ", ".join(f"{camera.name} {camera.serial or '?'}" for camera in listed)
        raise DeviceError(f"no camera with serial {serial}; there is: {there}")


class NeuromorphicCamera(Camera):
    """A device of neuromorphic-drivers."""

    def __init__(self, device: Any) -> None:
        """It was opened with an `iterator_timeout`."""
        self._device = device
        properties = device.properties()
        self.name, self.serial = device.name().value, device.serial() or ""
        self.width, self.height = int(properties.width), int(properties.height)
        self._dropped_packets: int | None = None

    def read(self) -> Packet:
        """As the contract says."""
        try:
            status, packet = next(self._device)
        except (RuntimeError, StopIteration) as error:
            raise DeviceError(f"{self.name} {self.serial}: {error or 'it has gone away'}") from None
        if status.ring is None or packet is None:
            return Packet(NO_EVENTS)
        events = packet.polarity_events
        overflows = packet.polarity_events_overflow_indices
        dropped = 0 if overflows is None else len(overflows)
        before = self._dropped_packets
        self._dropped_packets = status.ring.dropped_packets
        if before is not None:
            dropped = max(dropped, self._dropped_packets - before)
        return Packet(NO_EVENTS if events is None else events, status.ring.backlog, dropped)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        if self._device is not None:
            self._device.close()
            self._device = None


class DvCameras(CameraDriver):
    """Cameras that dv-processing knows."""

    def __init__(self, dv: ModuleType | None = None) -> None:
        """`dv` is the library. Raises MissingPartError."""
        self._cameras: Any = (dv or library("dv_processing")).io.camera

    def cameras(self) -> list[Listed]:
        """As the contract says."""
        try:
            found = self._cameras.discover()
        except RuntimeError:
            return []
        return [Listed(str(item.cameraModel).split(".")[-1], item.serialNumber) for item in found]

    def open(self, serial: str | None = None) -> Camera:
        """As the contract says."""
        require(self.cameras(), serial)
        try:
            source = self._cameras.open(serial) if serial else self._cameras.open()
        except (RuntimeError, IndexError) as error:
            raise DeviceError(f"the camera cannot be opened: {error}") from None
        return DvCamera(source)


class DvCamera(Camera):
    """A source of dv-processing: a camera, or a server of the network."""

    def __init__(self, source: Any, label: str = "") -> None:
        """`label` says what it is, for people. Raises DeviceError: it has no events."""
        self._source = source
        self.name, _, self.serial = source.getCameraName().rpartition("_")
        size = source.getEventResolution()
        if not source.isEventStreamAvailable() or size is None:
            raise DeviceError(f"{label or source.getCameraName()}: it gives no events")
        self.name = label or self.name
        self.width, self.height = (int(side) for side in size)

    def read(self) -> Packet:
        """As the contract says."""
        for _ in range(round(WAIT_S / ASK_S)):
            try:
                store = self._source.getNextEventBatch()
                running = self._source.isRunning()
            except RuntimeError as error:
                raise DeviceError(f"{self.name}: {error}") from None
            if store is not None:
                return Packet(converted(store.numpy()))
            if not running:
                raise DeviceError(f"{self.name} {self.serial} has gone away")
            pause(ASK_S)
        return Packet(NO_EVENTS)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._source = None


def converted(theirs: Array) -> Array:
    """Events of dv-processing as EVENT."""
    events = np.empty(len(theirs), EVENT)
    events["t"], events["on"] = theirs["timestamp"], theirs["polarity"]
    events["x"], events["y"] = theirs["x"], theirs["y"]
    return events


DRIVERS: dict[str, type[NeuromorphicCameras] | type[DvCameras]] = {
    "neuromorphic": NeuromorphicCameras,
    "dv": DvCameras,
}
