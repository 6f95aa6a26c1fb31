"""Feeding a running loop with a live camera, which may be unplugged meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from reflexarc.runtime.attach import Fed, Feeder, await_loop
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.sensors.camera import Camera, SteadyCamera

#: How often the state is told.
TELL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class FedCamera(Fed):
    """What became of it.

    Attributes:
        lost: events that the camera or its driver said were lost before they came here.
        absences: how often the camera has gone away.
    """

    lost: int
    absences: int


class Interruption:
    """Whether it is time to end, so that what has begun can be finished.

    Attributes:
        asked: whether somebody has asked for it.
    """

    def __init__(self, numbers: Sequence[signal.Signals] = ()) -> None:
        """`numbers` are the signals that ask; without any, any thread may use it."""
        self.asked = False
        self._numbers = numbers

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let the first of the signals ask for the end; the second does what it did before."""

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.asked = True
            for number, handler in before.items():
                signal.signal(number, handler)

        before = {number: signal.signal(number, ask) for number in self._numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def attach_camera(
    open_camera: Callable[[str | None], Camera],
    *,
    loop: str,
    serial: str | None = None,
    stream: str = "camera",
    seconds: float | None = None,
    patience_s: float = 0.0,
    tell: Callable[[str], None] = lambda line: None,
    interruption: Interruption | None = None,
) -> FedCamera:
    """Feed `loop` with the camera that `open_camera(serial)` opens, for `seconds` or until asked.

    `tell` hears a line a second, and one whenever the camera goes away or is back.

    Raises:
        ConfigError: the loop refuses, or another camera came in place of one that was unplugged.
        DeviceError: no camera.
        LinkError: no such loop within `patience_s`, or it went away.
    """
    interruption = interruption or Interruption()
    open_camera(serial).close()  # without one there is nothing to wait for
    await_loop(loop, stream, patience_s)
    with SteadyCamera(open_camera, serial=serial, tell=tell) as camera:
        size = camera.camera.width, camera.camera.height
        tell(f"{camera.camera.name} {camera.camera.serial}".rstrip() + f", {size[0]}x{size[1]}")
        with Feeder(loop, stream=stream, size=size, paced=True) as feeder:
            start_ns = monotonic_ns()
            until_ns = None if seconds is None else start_ns + round(seconds * 1e9)
            with interruption.listening():
                lost = _feed(camera, feeder, until_ns, tell, interruption)
            duration_s = (monotonic_ns() - start_ns) * 1e-9
            dropped = feeder.finish()
    return FedCamera(feeder.events, dropped, duration_s, lost, camera.absences)


def _feed(
    camera: SteadyCamera,
    feeder: Feeder,
    until_ns: int | None,
    tell: Callable[[str], None],
    interruption: Interruption,
) -> int:
    """Pass on what comes; how many events were lost before they came here."""
    told_ns, told, lost = monotonic_ns(), 0, 0
    while not interruption.asked and (until_ns is None or monotonic_ns() < until_ns):
        packet = camera.read()
        lost += packet.dropped
        if len(packet.events):
            feeder.send(packet.events, dropped=packet.dropped)
        else:
            feeder.send_silence(camera.clock.pass_silence(), dropped=packet.dropped)
        now_ns = monotonic_ns()
        if now_ns - told_ns >= TELL_EVERY_S * 1e9:
            rate_hz = (feeder.events - told) / ((now_ns - told_ns) * 1e-9)
            tell(
                f"{rate_hz / 1e6:.3f} M events/s, backlog {packet.backlog} packets, "
                f"{lost} events lost by the camera"
            )
            told, told_ns = feeder.events, now_ns
    return lost
