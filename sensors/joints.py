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
        quantum: step of the sensor's scale for each reading, 0 where it has none; None for all 0.
    """

    def __init__(
        self,
        stream: str,
        measure: Callable[[], npt.NDArray[np.float64]],
        quantum: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(stream, Schema.READINGS)
        self._measure = measure
        self._quantum = None if quantum is None else np.asarray(quantum, dtype=np.float64)
        self._seq = 0

    def read(self, now_ns: int) -> Batch:
        """One sample, taken now."""
        values = np.array(self._measure(), dtype=READING)
        if self._quantum is not None:
            values = _round_to(values, self._quantum)
        batch = Batch(self.stream, self.schema, values, now_ns, now_ns, self._seq)
        self._seq += 1
        return batch


def _round_to(
    values: npt.NDArray[np.float64], quantum: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The nearest multiples of `quantum`; unchanged where it is 0."""
    exact = quantum == 0
    steps = np.rint(values / np.where(exact, 1.0, quantum))
    return np.where(exact, values, steps * quantum)
