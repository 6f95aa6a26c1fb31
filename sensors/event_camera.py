"""A simulated event camera: any renderer, seen through the pixels of a DVS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.runtime.config import Strict
from reflexarc.sensors.base import Sensor

#: Gives the linear luminance of the scene as it is now: uint8 (0..255) or float (0..1), shape
#: (height, width).
Renderer = Callable[[], npt.NDArray[Any]]


class PixelSpec(Strict):
    """The pixels of an event camera.

    Thresholds are in ln units of luminance. Each pixel's own thresholds are drawn from a normal
    distribution around them with `mismatch` as relative standard deviation, cut off at a tenth of
    the mean; a pixel's ON and OFF thresholds are drawn apart. `log_offset` is the luminance (1 is
    white) below which the pixel no longer sees contrast.
    """

    on_threshold: float = Field(default=0.2, ge=0.01)
    off_threshold: float = Field(default=0.2, ge=0.01)
    mismatch: float = Field(default=0.0, ge=0, le=0.5)
    refractory_us: int = Field(default=0, ge=0)
    log_offset: float = Field(default=0.02, gt=0)


def make_pixels(
    spec: PixelSpec, width: int, height: int, generator: np.random.Generator
) -> PixelArray:
    """`width` x `height` pixels with thresholds drawn from `generator`."""

    def draw(mean: float) -> npt.NDArray[np.float64]:
        spread = generator.standard_normal((height, width))
        return mean * np.maximum(0.1, 1.0 + spec.mismatch * spread)

    on_step = draw(spec.on_threshold)
    off_step = draw(spec.off_threshold)
    return PixelArray(on_step, off_step, spec.refractory_us, spec.log_offset)


class EventCamera(Sensor):
    """Renders a frame every `period_ns` and gives the events that happened since the last one.

    The events of a frame carry times within the frame's interval, so they come up to one frame
    period late: that is the latency of the simulated camera. The first frame gives no events.

    Args:
        stream: name of the stream.
        render: the scene; called once a frame.
        pixels: the pixels, for images of their width and height.
        period_ns: time between frames.
    """

    def __init__(self, stream: str, render: Renderer, pixels: PixelArray, period_ns: int) -> None:
        super().__init__(stream, Schema.EVENTS)
        self._render = render
        self._pixels = pixels
        self._period_ns = period_ns
        self._due_ns = 0
        self._seq = 0
        self._read_ns = 0
        self._pending: list[Array] = []

    def due(self, now_ns: int) -> bool:
        """Whether it is time for the next frame."""
        return now_ns >= self._due_ns

    def expose(self, now_ns: int) -> None:
        """Take a frame of the scene as it is now; its events wait for `read`."""
        image = self._render()
        if image.dtype == np.uint8:
            image = image.astype(np.float32) / np.float32(255)
        self._pending.append(self._pixels.expose(image, now_ns / 1000, EVENT))
        self._due_ns = (now_ns // self._period_ns + 1) * self._period_ns

    def read(self, now_ns: int) -> Batch:
        """The events of all frames since the last call, and of one taken now if it is due."""
        if self.due(now_ns):
            self.expose(now_ns)
        events = np.concatenate(self._pending) if self._pending else np.zeros(0, EVENT)
        self._pending.clear()
        batch = Batch(
            stream=self.stream,
            schema=self.schema,
            values=events,
            t_first_ns=int(events["t"][0]) * 1000 if len(events) else self._read_ns,
            # late events may be older than a read without any: batches do not go back
            t_last_ns=max(int(events["t"][-1]) * 1000, self._read_ns) if len(events) else now_ns,
            seq=self._seq,
        )
        self._seq += 1
        self._read_ns = now_ns
        return batch
