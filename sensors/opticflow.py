"""Optic flow: camera events become spikes by direction and speed of what moves, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reflexarc.ext.flow import MotionDetectors
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.sensors.encoder import check_state
from reflexarc.sensors.eventfilter import EventFilterSpec, make_filter
from reflexarc.sensors.pixelencoder import PixelEncoder, PixelEncoderSpec, moved

DIRECTIONS = ("right", "left", "down", "up")


class OpticFlowSpec(PixelEncoderSpec):
    """Elementary motion detectors at every pixel; see `ext/flow.pyx` for their sources.

    An edge that comes from the pixel `baseline_px` away, in one of four directions, after a time
    between those of the first and the last of `speeds_px_s` gives one spike. There is a line for
    each direction (right, left, down, up), then each speed (from `speeds_px_s[k]` on, below
    `speeds_px_s[k + 1]`), then each tile of `tile_px` x `tile_px` pixels, row by row; those at the
    right and lower border may be cut. What is measured is the speed along a row or a column: a
    slanted edge moves in both, and each speed is that of its crossing points (aperture problem).

    Attributes:
        refractory_us: edges of more than one event: those that follow so soon do not count.
    """

    kind: Literal["optic_flow"]
    tile_px: int = Field(ge=1, le=65535)
    baseline_px: int = Field(default=1, ge=1, le=1024)
    speeds_px_s: list[float] = Field(min_length=2, max_length=64)
    refractory_us: int = Field(default=0, ge=0, le=10**12)

    @model_validator(mode="after")
    def _speeds_that_can_be_told_apart(self) -> Self:
        if min(self.speeds_px_s) < 1e-3 or any(a >= b for a, b in pairwise(self.speeds_px_s)):
            raise ValueError("speeds_px_s: must rise, from 0.001 or more")
        if any(a <= b for a, b in pairwise(self.travel_us)):
            raise ValueError("speeds_px_s: less than 1 us apart at this baseline_px")
        return self

    @property
    def travel_us(self) -> list[int]:
        """Whole microseconds that an edge of each of `speeds_px_s` takes for the baseline."""
        return [int(self.baseline_px * 1e6 / speed) for speed in self.speeds_px_s]

    @property
    def lines(self) -> int:
        """Number of lines."""
        columns, rows = self.squares(self.tile_px)
        return len(DIRECTIONS) * (len(self.speeds_px_s) - 1) * columns * rows

    def line(self, direction: str, speed: int, column: int, row: int) -> int:
        """The line of a direction of `DIRECTIONS`, a speed from 0, and a tile."""
        columns, rows = self.squares(self.tile_px)
        block = DIRECTIONS.index(direction) * (len(self.speeds_px_s) - 1) + speed
        return (block * rows + row) * columns + column


class OpticFlow(PixelEncoder):
    """See `OpticFlowSpec`.

    Raises:
        ValueError: the port does not have one line for each direction, speed and tile, or the
            region of the filter is not within the image.
    """

    def __init__(self, spec: OpticFlowSpec, port_size: int) -> None:
        if port_size != spec.lines:
            columns, rows = spec.squares(spec.tile_px)
            raise ValueError(
                f"{len(DIRECTIONS)} directions, {len(spec.speeds_px_s) - 1} speeds and "
                f"{columns} x {rows} tiles make {spec.lines} lines, but port '{spec.port}' has "
                f"{port_size}"
            )
        super().__init__(spec, port_size)
        # A filter of nothing counts the events outside the image.
        self._filter = self._filter or make_filter(EventFilterSpec(), spec.width, spec.height)
        self._detectors = MotionDetectors(
            *spec.seen,
            tile_px=spec.tile_px,
            baseline_px=spec.baseline_px,
            travel_us=np.array(spec.travel_us, np.int64),
            refractory_us=spec.refractory_us,
        )

    def state(self) -> dict[str, Array]:
        """What filter and detectors remember of each pixel."""
        seen = {f"detectors/{name}": part for name, part in self._detectors.state().items()}
        return {**super().state(), **seen}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        check_state(state, self.state())
        seen = {name: part for name, part in state.items() if name.startswith("detectors/")}
        super().restore({name: p for name, p in state.items() if name not in seen}, later_ns)
        self._detectors.restore(
            {n.removeprefix("detectors/"): p for n, p in moved(seen, later_ns).items()}
        )

    def _spikes(self, events: Array, now_ns: int, until_ns: int) -> Array:
        shift_ns = until_ns - now_ns
        return self._detectors.detect(events, SPIKE, shift_ns, now_ns, until_ns - 1)
