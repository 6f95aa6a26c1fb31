"""Feeding a running loop from another process.

`Feeder` is the sending end of `reflexarc.sensors.attached.AttachedSensor`: any process that has
camera events may use it. `attach_recording` feeds it with a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.bus import Control, Pair, attach_endpoint, socket_path
from reflexarc.runtime.clock import WallClock, monotonic_ns, pause
from reflexarc.runtime.config import read_yaml
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.keys import Curve, LinkSpec
from reflexarc.runtime.recordedevents import RecordedEvents
from reflexarc.runtime.wire import max_count
from reflexarc.sensors.formats import DEFAULT_SIZE
from reflexarc.sensors.recording import RecordingReader, RecordingSensor, play

#: How often a feeder looks whether the loop has started.
LOOK_EVERY_S = 0.05
#: How often at least a feeder that sends takes what the loop says.
HEAR_EVERY_NS = 10_000_000
#: In one frame.
MOST_EVENTS = max_count(Schema.EVENTS)
#: A paced recording is sent in steps of this length.
STEP_NS = 1_000_000
#: What tells the file of a link from the name of a loop.
LINK_FILE = ".yaml"


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a stream that was fed.

    Attributes:
        events: sent to the loop.
        dropped: of these, how many the loop lost because it was slower.
        duration_s: from the first to the last.
    """

    events: int
    dropped: int
    duration_s: float

    @property
    def rate_hz(self) -> float:
        """Events a second."""
        return self.events / self.duration_s if self.duration_s > 0 else 0.0


class Feeder:
    """Sends one stream of camera events into a running loop. Close it, or use it as a context.

    A paced feeder may run ahead of a loop in real time, which then loses the oldest events; one
    that is not paced is held back so that none is lost.
    """

    def __init__(
        self,
        loop: str,
        *,
        stream: str = "camera",
        size: tuple[int, int],
        paced: bool,
        timeout_s: float = 10.0,
        patience_s: float = 0.0,
    ) -> None:
        """Attach to the loop named `loop`; `size` is (width, height) of the sensor.

        A name that ends with `.yaml` is a file that says where a loop on another machine waits for
        the stream, and the keys (`LinkSpec`).
        `timeout_s` limits each wait, `patience_s` that for the loop to start. Raises LinkError (no
        such loop, or it does not answer) and ConfigError (the loop refuses).
        """
        self.events = 0
        self._stream, self._timeout_s = stream, timeout_s
        self._epoch, self._seq, self._hear_ns = monotonic_ns(), 0, 0
        endpoint, curve = await_loop(loop, stream, patience_s)
        self._pair = Pair(endpoint, bind=False, curve=curve)
        hello = Control(
            op="hello",
            streams={stream: Schema.EVENTS.name},
            details={"width": size[0], "height": size[1], "paced": int(paced)},
        )
        try:
            far = socket_path(endpoint) is None  # nobody knows of it yet
            self._credit = self._pair.greet(hello, timeout_s + patience_s * far).count
        except BaseException:
            self._pair.close()
            raise

    def send(self, events: Array, *, dropped: int = 0) -> None:
        """Send `events`, shape (n,), dtype EVENT, as fast as the loop gives credit.

        Times are microseconds since the stream's begin and never decrease, also from call to
        call. `dropped` events were lost before these, on their way here. Raises LinkError: the
        loop is gone, or gave no credit in time.
        """
        while len(events):
            if not self._credit:
                self._take_credit()
            room = min(self._credit, MOST_EVENTS)
            part = events if len(events) <= room else events[:room]
            events = events[len(part) :]
            t_us = part["t"]
            self._send(part, int(t_us[0]), int(t_us[-1]), dropped)
            dropped = 0
        # Only now, and not each time: what was sent is on its way, and needs a core.
        if self._credit and monotonic_ns() >= self._hear_ns:
            self._take_credit()

    def send_silence(self, t_us: int, *, dropped: int = 0) -> None:
        """Say that the stream has come to `t_us`, not before the last event, without any more.

        A loop in lockstep waits for it. Raises LinkError: the loop is gone.
        """
        self._take_credit()
        self._send(np.zeros(0, EVENT), t_us, t_us, dropped)

    def _send(self, part: Array, t_first_us: int, t_last_us: int, dropped: int) -> None:
        batch = Batch(
            stream=self._stream,
            schema=Schema.EVENTS,
            values=part,
            t_first_ns=t_first_us * 1000,
            t_last_ns=t_last_us * 1000,
            seq=self._seq,
            epoch=self._epoch,
            dropped=dropped,
        )
        try:
            self._pair.send(batch, self._timeout_s)
        except LinkError:
            self._take_credit()  # a farewell says why
            raise
        self._seq += 1
        self._credit -= len(part)
        self.events += len(part)

    def finish(self) -> int:
        """End the stream; how many of its events the loop lost. Raises LinkError."""
        self._pair.send(Control(op="end"), self._timeout_s)
        while True:
            message = self._answer()
            if message.op == "bye":
                return message.count

    def _take_credit(self) -> None:
        """Take the credit that has come; wait for some where there is none."""
        self._hear_ns = monotonic_ns() + HEAR_EVERY_NS
        while (message := self._pair.receive() if self._credit else self._answer()) is not None:
            if isinstance(message, Control) and message.op == "credit":
                self._credit += message.count
            elif isinstance(message, Control) and message.op == "bye":
                raise LinkError(f"{self._pair.endpoint}: {message.text}")

    def _answer(self) -> Control:
        message = self._pair.receive(self._timeout_s)
        if not isinstance(message, Control):
            raise LinkError(
                f"{self._pair.endpoint}: the loop took nothing for {self._timeout_s:g} s"
            )
        return message

    def close(self) -> None:
        """Let go of the loop. May be called twice."""
        self._pair.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def await_loop(loop: str, stream: str, patience_s: float) -> tuple[str, Curve | None]:
    """Where `loop` waits for `stream`, once it is there (on another machine: at once), and the
    keys. Raises LinkError, ConfigError.
    """
    if loop.endswith(LINK_FILE):
        document = read_yaml(Path(loop))
        link = document.validate(LinkSpec)
        return link.endpoint, link.curve(document, ())
    endpoint = attach_endpoint(loop, stream)
    socket = socket_path(endpoint)
    deadline_ns = monotonic_ns() + round(patience_s * 1e9)
    while socket is not None and not socket.exists():
        if monotonic_ns() >= deadline_ns:
            raise _no_loop(loop, socket)
        pause(LOOK_EVERY_S)
    return endpoint, None


def _no_loop(loop: str, socket: Path) -> LinkError:
    waiting = sorted(
        path.name.removeprefix("attach-")
        for path in socket.parent.glob("attach-*")
        if path.is_socket()
    )
    streams = f"it waits for: {', '.join(waiting)}" if waiting else "start it first"
    stream = socket.name.removeprefix("attach-")
    return LinkError(f"no loop '{loop}' waits for stream '{stream}'; {streams}")


def attach_recording(
    path: Path | str,
    *,
    loop: str,
    stream: str = "camera",
    speed: float | None = 1.0,
    repeat: bool = False,
    size: tuple[int, int] | None = None,
    topic: str | None = None,
    timeout_s: float = 10.0,
    patience_s: float = 0.0,
) -> Fed:
    """Play the recording at `path` into the running loop named `loop`.

    It is a file of camera events, or an `.mcap` that a run left with a stream of that name.
    It is paced by its own timestamps, divided by `speed`; with None it goes as fast as the loop
    takes it. With `repeat` it starts again for ever; Ctrl-C ends it cleanly. `size` is (width,
    height) for files that do not say, `topic` for bags with several. Raises ConfigError (file,
    speed, the loop refuses) and LinkError (no such loop within `patience_s`, it went away, or took
    nothing for `timeout_s`).
    """
    if Path(path).suffix.lower() == ".mcap":
        reader: RecordingReader = RecordedEvents(path, stream, size=size)
    else:
        reader = RecordingReader(path, size=size, topic=topic)
    chunks = play(reader, repeat=repeat)
    if speed is not None:
        sensor = RecordingSensor(reader, stream=stream, speed=speed, repeat=repeat)
        chunks = _paced(sensor)
    sensor_size = reader.width, reader.height
    paced = speed is not None
    try:
        feeder = Feeder(
            loop,
            stream=stream,
            size=sensor_size,
            paced=paced,
            timeout_s=timeout_s,
            patience_s=patience_s,
        )
    except ConfigError as error:
        if size is not None or sensor_size != DEFAULT_SIZE:
            raise
        raise ConfigError(
            f"{error} (assumed where a recording does not say; --size WxH tells)"
        ) from None
    with feeder:
        start_ns = monotonic_ns()
        with suppress(KeyboardInterrupt):
            for chunk in chunks:
                feeder.send(chunk)
        duration_s = (monotonic_ns() - start_ns) * 1e-9
        dropped = feeder.finish()
    return Fed(feeder.events, dropped, duration_s)


def _paced(sensor: RecordingSensor) -> Iterator[Array]:
    """The events of `sensor` when they are due, in steps of `STEP_NS`."""
    clock = WallClock(STEP_NS)
    clock.start()
    while not sensor.ended:
        yield sensor.read(clock.now_ns).values
        clock.wait()
