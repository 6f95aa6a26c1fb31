"""Background activity: events of pixels that saw nothing."""

from __future__ import annotations

import numpy as np

from reflexarc.runtime.batch import EVENT, Array


class BackgroundActivity:
    """Events of random pixels and polarities, a Poisson process in each pixel.

    Args:
        width, height: of the image, in pixels.
        generator: of every random number.

    Attributes:
        rate_hz: of each pixel; may be changed at any time.
    """

    def __init__(self, width: int, height: int, generator: np.random.Generator) -> None:
        self.rate_hz = 0.0
        self._size = width, height
        self._generator = generator

    def among(self, events: Array, from_ns: int, until_ns: int) -> Array:
        """EVENT records and those of the noise after `from_ns` up to `until_ns`, by time."""
        expected = self.rate_hz * self._size[0] * self._size[1] * (until_ns - from_ns) * 1e-9
        count = int(self._generator.poisson(expected)) if expected > 0 else 0
        if not count:
            return events
        noise = np.zeros(count, EVENT)
        noise["t"] = self._generator.integers(from_ns // 1000, until_ns // 1000, count) + 1
        noise["x"] = self._generator.integers(self._size[0], size=count)
        noise["y"] = self._generator.integers(self._size[1], size=count)
        noise["p"] = self._generator.integers(2, size=count)
        both = np.concatenate((events, noise))
        return both[np.argsort(both["t"], kind="stable")]
