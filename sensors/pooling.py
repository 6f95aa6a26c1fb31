"""Pixels and pooled pixels: camera events become spikes of their pixel or of a square of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reflexarc.ext.pooling import pool
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.sensors.pixelencoder import PixelEncoder, PixelEncoderSpec


class CellsSpec(PixelEncoderSpec):
    """Lines of squares of pixels: every event is one spike of the line it falls into.

    With `polarity: split` there are lines for OFF events, then as many for ON; with `merged` the
    polarity is not told. Lines go row by row; if the filter has a region, they are those of the
    region alone.
    """

    polarity: Literal["split", "merged"] = "split"

    @property
    def side_px(self) -> int:
        """Side of a square."""
        return 1

    @property
    def lines(self) -> int:
        """Number of lines."""
        columns, rows = self.squares(self.side_px)
        return columns * rows * (2 if self.polarity == "split" else 1)


class PixelsSpec(CellsSpec):
    """One line for each pixel and polarity; see `CellsSpec`."""

    kind: Literal["pixels"]


class PooledPixelsSpec(CellsSpec):
    """One line for each cell of `cell_px` x `cell_px` pixels and polarity; see `CellsSpec`.

    Cells at the right and lower border may be cut.
    """

    kind: Literal["pooled_pixels"]
    cell_px: int = Field(ge=1, le=65535)

    @property
    def side_px(self) -> int:
        """Side of a cell."""
        return self.cell_px


class PooledPixels(PixelEncoder):
    """See `CellsSpec`.

    Raises:
        ValueError: the port does not have one line for each cell and polarity, or the region of the
            filter is not within the image.
    """

    def __init__(self, spec: CellsSpec, port_size: int) -> None:
        if port_size != spec.lines:
            raise ValueError(
                f"{spec.seen[0]} x {spec.seen[1]} pixels in cells of {spec.side_px} make "
                f"{spec.lines} lines, but port '{spec.port}' has {port_size}"
            )
        super().__init__(spec, port_size)
        self._layout = (*spec.seen, spec.side_px, spec.polarity == "split")

    def _spikes(self, events: Array, now_ns: int, until_ns: int) -> Array:
        spikes = pool(
            events,
            SPIKE,
            *self._layout,
            until_ns - now_ns,
            now_ns,
            until_ns - 1,
        )
        self.left_out += len(events) - len(spikes)
        return spikes
