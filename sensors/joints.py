"""Readings: a vector of numbers sampled once a call, such as joint positions and velocities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import READING, Batch, Schema
from reflexarc.sensors.base import Sensor


class JointReadings(Sensor):
    """Samples `measure()` at every read.

    Args:
        stream: name of the stream.
        measure: gives the readings now, shape (n,), in SI units.
    """

    def __init__(self, stream: str, measure: Callable[[], npt.NDArray[np.float64]]) -> None:
        super().__init__(stream, Schema.READINGS)
        self._measure = measure
        self._seq = 0

    def read(self, now_ns: int) -> Batch:
        """One sample, taken now."""
        values = np.array(self._measure(), dtype=READING)
        batch = Batch(self.stream, self.schema, values, now_ns, now_ns, self._seq)
        self._seq += 1
        return batch
