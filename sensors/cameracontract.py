"""What every camera driver has to keep, as tests for your own.

    class TestMyCameras(CameraContract):
        def make_driver(self):
            return MyCameras()

pytest collects the inherited tests. Those that need a camera are skipped where none is connected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from unittest import SkipTest

import numpy as np

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import DeviceError
from reflexarc.sensors.camera import CameraDriver, Packet


class CameraContract(ABC):
    """Tests of `CameraDriver` and `Camera`; `packets` are read from a camera."""

    packets: int = 20

    @abstractmethod
    def make_driver(self) -> CameraDriver:
        """A fresh driver."""

    def connected(self) -> CameraDriver:
        """A driver that sees a camera."""
        driver = self.make_driver()
        if not driver.cameras():
            raise SkipTest("no camera is connected")
        return driver

    def read(self) -> tuple[list[Packet], int, int]:
        """Some packets of the first camera, and the size of its sensor."""
        with self.connected().open() as camera:
            return [camera.read() for _ in range(self.packets)], camera.width, camera.height

    def test_an_absent_camera_is_one_line(self) -> None:
        """A serial number that no camera has."""
        try:
            self.make_driver().open("no such serial number").close()
        except DeviceError as error:
            assert "\n" not in str(error)
        else:
            raise AssertionError("it opened a camera that is not there")

    def test_listing_is_repeatable(self) -> None:
        """Nobody has to be opened for it."""
        driver = self.make_driver()
        assert driver.cameras() == driver.cameras()

    def test_what_is_listed_opens_by_its_serial(self) -> None:
        """And says who it is."""
        driver = self.connected()
        for _, serial in driver.cameras():
            with driver.open(serial or None) as camera:
                assert camera.serial == serial
                assert camera.name
                assert min(camera.width, camera.height) > 0

    def test_events_lie_on_the_sensor_in_order_of_time(self) -> None:
        """Within a packet and from packet to packet."""
        packets, width, height = self.read()
        events = np.concatenate([packet.events for packet in packets])
        assert events.dtype == EVENT
        assert (np.diff(events["t"].astype(np.int64)) >= 0).all()
        assert not len(events) or events["x"].max() < width
        assert not len(events) or events["y"].max() < height

    def test_losses_are_counted(self) -> None:
        """`dropped` and `backlog` are never negative."""
        packets, _, _ = self.read()
        assert all(packet.dropped >= 0 and packet.backlog >= 0 for packet in packets)

    def test_it_may_be_closed_twice_and_opened_again(self) -> None:
        """Nothing is kept."""
        driver = self.connected()
        camera = driver.open()
        camera.close()
        camera.close()
        driver.open().close()
