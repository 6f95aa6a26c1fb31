"""The drivers of real cameras, on what their libraries give: statuses, packets, stores."""

from types import SimpleNamespace

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import DeviceError
from reflexarc.sensors.camera import Listed
from reflexarc.sensors.usbcameras import (
    DvCamera,
    NeuromorphicCamera,
    NeuromorphicCameras,
    converted,
    require,
)


class Device:
    """What neuromorphic-drivers opens, without the USB: it gives `answers`."""

    def __init__(self, answers):
        self.answers = iter(answers)
        self.closed = 0

    def name(self):
        return pytest.importorskip("neuromorphic_drivers").Name.PROPHESEE_EVK4

    def serial(self):
        return "00050423"

    def properties(self):
        enums = pytest.importorskip("neuromorphic_drivers.generated.unions")
        return enums.name_to_properties(self.name())

    def __next__(self):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed += 1


def answer(events, *, backlog=0, dropped=0, overflows=None):
    """A status of the library and a packet of an EVK4."""
    status = pytest.importorskip("neuromorphic_drivers").status
    ring = status.RingStatus(0.0, backlog, 1, True, 0, dropped)
    packet = SimpleNamespace(polarity_events=events, polarity_events_overflow_indices=overflows)
    return status.Status(0.0, ring), packet


def test_packets_carry_backlog_and_losses():
    status = pytest.importorskip("neuromorphic_drivers").status
    events = np.zeros(3, EVENT)
    device = Device(
        [
            answer(events, backlog=2, dropped=7),
            answer(None, dropped=9),
            answer(events, dropped=9, overflows=np.array([1])),
            (status.Status(0.0, None), None),
            RuntimeError("ring overflow"),
        ]
    )
    camera = NeuromorphicCamera(device)
    assert (camera.name, camera.serial) == ("Prophesee EVK4", "00050423")
    assert (camera.width, camera.height) == (1280, 720)
    read = [camera.read() for _ in range(4)]
    assert [len(packet.events) for packet in read] == [3, 0, 3, 0]
    assert [packet.backlog for packet in read] == [2, 0, 0, 0]
    assert [packet.dropped for packet in read] == [0, 2, 1, 0]
    with pytest.raises(DeviceError, match="Prophesee EVK4 00050423: ring overflow"):
        camera.read()
    camera.close()
    camera.close()
    assert device.closed == 1


def test_a_machine_without_usb_has_no_cameras():
    def fails():
        raise RuntimeError("Other error")

    driver = NeuromorphicCameras(SimpleNamespace(list_devices=fails))
    assert driver.cameras() == []
    with pytest.raises(DeviceError, match="no camera found"):
        driver.open()


def test_the_wrong_serial_number_says_what_is_there():
    with pytest.raises(DeviceError, match=r"no camera with serial 1; there is: EVK4 2, DVS128 \?"):
        require([Listed("EVK4", "2"), Listed("DVS128", "")], "1")


def test_events_of_dv_are_ours():
    dv = pytest.importorskip("dv_processing")
    store = dv.EventStore()
    store.push_back(5, 345, 259, True)
    store.push_back(9, 0, 1, False)
    assert converted(store.numpy()).tolist() == [(5, 345, 259, True), (9, 0, 1, False)]


def test_a_source_of_dv_without_events_is_refused():
    source = SimpleNamespace(
        getCameraName=lambda: "FRAMES_1",
        getEventResolution=lambda: None,
        isEventStreamAvailable=lambda: False,
    )
    with pytest.raises(DeviceError, match="FRAMES_1: it gives no events"):
        DvCamera(source)
