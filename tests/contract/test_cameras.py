"""The shipped drivers keep the contract of cameras, real ones where they are connected."""

import pytest

from reflexarc.sensors.cameracontract import CameraContract
from reflexarc.sensors.fakecamera import FakeCameras
from reflexarc.sensors.usbcameras import DvCameras, NeuromorphicCameras


class TestFakeCameras(CameraContract):
    def make_driver(self):
        return FakeCameras()


class TestNeuromorphicCameras(CameraContract):
    def make_driver(self):
        pytest.importorskip("neuromorphic_drivers", reason="the extra cameras is not installed")
        return NeuromorphicCameras()


class TestDvCameras(CameraContract):
    def make_driver(self):
        pytest.importorskip("dv_processing", reason="the extra cameras is not installed")
        return DvCameras()
