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


class PooledPixelsSpec(Strict):
    """One line for each cell of `cell_px` x `cell_px` pixels, OFF cells first, then ON cells.

    Within a polarity the cells go row by row; those at the right and lower border may be cut.
    """

    kind: Literal["pooled_pixels"]
    stream: str
    port: str
    width: int = Field(ge=1, le=65535)
    height: int = Field(ge=1, le=65535)
    cell_px: int = Field(ge=1)

    @property
    def lines(self) -> int:
        """Number of lines."""
        columns, rows = -(-self.width // self.cell_px), -(-self.height // self.cell_px)
        return 2 * columns * rows


class PooledPixels(Encoder):
    """Every event is one spike of its cell's line; see `PooledPixelsSpec`.

    Attributes:
        outside: events so far that lay outside the image and were left out.

    Raises:
        ValueError: the port does not have one line for each cell and polarity.
    """

    def __init__(self, spec: PooledPixelsSpec, port_size: int) -> None:
        if port_size != spec.lines:
            raise ValueError(
                f"{spec.width} x {spec.height} pixels in cells of {spec.cell_px} make "
                f"{spec.lines} lines, but port '{spec.port}' has {port_size}"
            )
        self.stream, self.port, self.size = spec.stream, spec.port, port_size
        self.outside = 0
        self._spec = spec

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The spikes of the step; an event that came late is put at the start of the step."""
        spec = self._spec
        events = _joined([batch.values for batch in batches])
        spikes = pool(
            events,
            SPIKE,
            spec.width,
            spec.height,
            spec.cell_px,
            until_ns - now_ns,
            now_ns,
            until_ns - 1,
        )
        self.outside += len(events) - len(spikes)
        return spikes


def _joined(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, EVENT)
