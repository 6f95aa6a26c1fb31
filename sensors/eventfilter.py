"""What of an event camera reaches an encoder; the filters themselves are in `ext/filters.pyx`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reflexarc.ext.filters import EventFilter
from reflexarc.runtime.config import Strict


class RegionSpec(Strict):
    """A part of the image, in pixels from its upper left corner."""

    left: int = Field(ge=0, le=65535)
    top: int = Field(ge=0, le=65535)
    width: int = Field(ge=1, le=65535)
    height: int = Field(ge=1, le=65535)


class EventFilterSpec(Strict):
    """Which events pass.

    Attributes:
        region: only those inside; the encoder sees no other pixels. Null for the whole image.
        polarity: only those.
        hot_rate_hz, hot_us: not those of a pixel that has been above this rate for so long; null
            for no such filter.
        background_us: only those with an event of one of the eight neighbours so recently; null for
            no such filter.
    """

    region: RegionSpec | None = None
    polarity: Literal["both", "on", "off"] = "both"
    hot_rate_hz: float | None = Field(default=None, gt=0, le=1e6)
    hot_us: int = Field(default=100_000, ge=1, le=10**12)
    background_us: int | None = Field(default=None, ge=1, le=10**12)


def make_filter(spec: EventFilterSpec, width: int, height: int) -> EventFilter:
    """The filter that `spec` describes, for events of width x height pixels.

    Raises:
        ValueError: the region is not within them.
    """
    part = spec.region
    edges = (part.left, part.top, part.left + part.width, part.top + part.height) if part else None
    return EventFilter(
        width,
        height,
        region=edges,
        on=spec.polarity != "off",
        off=spec.polarity != "on",
        background_us=spec.background_us or 0,
        hot_rate_hz=spec.hot_rate_hz or 0.0,
        hot_us=spec.hot_us,
    )
