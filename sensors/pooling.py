"""Pooled pixels: camera events become spikes of square cells, ON and OFF apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from reflexarc.ext.pooling import pool
from reflexarc.runtime.batch import EVENT, SPIKE, Array, Batch
from reflexarc.runtime.config import Strict
from reflexarc.sensors.encoder import Encoder
from reflexarc.sensors.eventfilter import EventFilterSpec, make_filter


class PooledPixelsSpec(Strict):
    """One line for each cell of `cell_px` x `cell_px` pixels, OFF cells first, then ON cells.

    Within a polarity the cells go row by row; those at the right and lower border may be cut. With
    1 pixel a cell every pixel has its lines. `filter` says which events count; if it has a region,
    the cells are those of the region alone.
    """

    kind: Literal["pooled_pixels"]
    stream: str
    port: str
    width: int = Field(ge=1, le=65535)
    height: int = Field(ge=1, le=65535)
    cell_px: int = Field(ge=1)
    filter: EventFilterSpec | None = None

    @property
    def seen(self) -> tuple[int, int]:
        """(width, height) of what the cells cover."""
        part = self.filter.region if self.filter else None
        return (part.width, part.height) if part else (self.width, self.height)

    @property
    def lines(self) -> int:
        """Number of lines."""
        columns, rows = (-(-side // self.cell_px) for side in self.seen)
        return 2 * columns * rows


class PooledPixels(Encoder):
    """Every event is one spike of its cell's line; see `PooledPixelsSpec`.

    Attributes:
        left_out: events so far that lay outside the image or did not pass the filter.

    Raises:
        ValueError: the port does not have one line for each cell and polarity, or the region of the
            filter is not within the image.
    """

    def __init__(self, spec: PooledPixelsSpec, port_size: int) -> None:
        if port_size != spec.lines:
            raise ValueError(
                f"{spec.seen[0]} x {spec.seen[1]} pixels in cells of {spec.cell_px} make "
                f"{spec.lines} lines, but port '{spec.port}' has {port_size}"
            )
        self.stream, self.port, self.size = spec.stream, spec.port, port_size
        self.left_out = 0
        self._spec = spec
        self._filter = make_filter(spec.filter, spec.width, spec.height) if spec.filter else None

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The spikes of the step; an event that came late is put at the start of the step."""
        events = _joined([batch.values for batch in batches])
        spikes = pool(
            self._filter.sift(events) if self._filter else events,
            SPIKE,
            *self._spec.seen,
            self._spec.cell_px,
            until_ns - now_ns,
            now_ns,
            until_ns - 1,
        )
        self.left_out += len(events) - len(spikes)
        return spikes


def _joined(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, EVENT)
