"""A simulated event camera: any renderer, seen through the pixels of a DVS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT, Array, Batch, Schema
from reflexarc.sensors.base import Sensor

#: Gives the linear luminance of the scene as it is now: uint8 (0..255) or float (0..1), shape
#: (height, width).
Renderer = Callable[[], npt.NDArray[Any]]


class EventCamera(Sensor):
    """Renders a frame every `period_ns` and gives the events that happened since the last one.

    The events of a frame carry times within the frame's interval, so they come up to one frame
    period late: that is the latency of the simulated camera. The first frame gives no events.
    A batch's `dropped` counts what the readout lost, its `backlog` what still waits to be read.

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
        self._dropped = 0
        self._pending: list[Array] = []

    def due(self, now_ns: int) -> bool:
        """Whether it is time for the next frame."""
        return now_ns >= self._due_ns

    def expose(self, now_ns: int) -> None:
        """Take a frame of the scene as it is now; its events wait for `read`."""
        self._pending.append(self._pixels.expose(self._render(), now_ns, EVENT))
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
            dropped=self._pixels.dropped - self._dropped,
            backlog=self._pixels.backlog,
        )
        self._seq += 1
        self._read_ns, self._dropped = now_ns, self._pixels.dropped
        return batch

    def state(self) -> dict[str, Array]:
        """A copy of everything that decides the future, but for what `render` sees."""
        return {
            **{f"pixels/{name}": part for name, part in self._pixels.state().items()},
            "pending": np.concatenate([np.zeros(0, EVENT), *self._pending]),
            "clock": np.array([self._due_ns, self._read_ns, self._seq, self._dropped]),
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to `state`; going on equals never having stopped, bit for bit.

        Raises:
            ValueError: a state of another camera. Nothing has changed then.
        """
        mine = {"pending": EVENT, "clock": np.dtype(np.int64)}
        if any(name not in state or state[name].dtype != kind for name, kind in mine.items()):
            raise ValueError("the state is not one of an event camera")
        pixels = {name: part for name, part in state.items() if name not in mine}
        self._pixels.restore({name.removeprefix("pixels/"): part for name, part in pixels.items()})
        self._pending = [state["pending"].copy()]
        self._due_ns, self._read_ns, self._seq, self._dropped = map(int, state["clock"])
