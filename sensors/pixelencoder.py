"""What encoders of camera events share: their image, and the filter before them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import EVENT, Array, Batch
from reflexarc.runtime.config import Strict
from reflexarc.sensors.encoder import Encoder
from reflexarc.sensors.eventfilter import EventFilterSpec, make_filter


class PixelEncoderSpec(Strict):
    """A camera of `width` x `height` pixels, and which of its events count.

    If the filter has a region, the encoder sees no other pixels.
    """

    kind: str
    stream: str
    port: str
    width: int = Field(ge=1, le=65535)
    height: int = Field(ge=1, le=65535)
    filter: EventFilterSpec | None = None

    @property
    def seen(self) -> tuple[int, int]:
        """(width, height) of what the encoder sees."""
        part = self.filter.region if self.filter else None
        return (part.width, part.height) if part else (self.width, self.height)

    def squares(self, side_px: int) -> tuple[int, int]:
        """(columns, rows) of squares that cover what the encoder sees."""
        columns, rows = (-(-side // side_px) for side in self.seen)
        return columns, rows


class PixelEncoder(Encoder):
    """Filters the events of a stream, then turns them into spikes; see `PixelEncoderSpec`.

    Attributes:
        left_out: events so far that lay outside the image or did not pass the filter.

    Raises:
        ValueError: the region of the filter is not within the image.
    """

    def __init__(self, spec: PixelEncoderSpec, port_size: int) -> None:
        self.stream, self.port, self.size = spec.stream, spec.port, port_size
        self.left_out = 0
        self._filter = make_filter(spec.filter, spec.width, spec.height) if spec.filter else None

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The spikes of the step; an event that came late is put at the start of the step."""
        events = _joined([batch.values for batch in batches])
        if self._filter:
            passed = self._filter.sift(events)
            self.left_out += len(events) - len(passed)
            events = passed
        return self._spikes(events, now_ns, until_ns)

    def state(self) -> dict[str, Array]:
        """What the filter remembers of each pixel."""
        return self._filter.state() if self._filter else {}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        if self._filter:
            self._filter.restore(moved(state, later_ns))
        else:
            super().restore(state, later_ns)

    @abstractmethod
    def _spikes(self, events: Array, now_ns: int, until_ns: int) -> Array:
        """The spikes of events that have passed; counts in `left_out` what lies outside."""


def moved(state: Mapping[str, Array], later_ns: int) -> dict[str, Array]:
    """Times of pixels, in microseconds, later by `later_ns`."""
    return {name: part + later_ns // 1000 for name, part in state.items()}


def _joined(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, EVENT)
