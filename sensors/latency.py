"""Latency coding: the higher a reading, the earlier its line spikes in each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reflexarc.runtime.batch import SPIKE, Array, Batch
from reflexarc.runtime.config import Strict
from reflexarc.sensors.encoder import Encoder, check_state, kept
from reflexarc.sensors.population import check_line_each, check_ranges


class LatencySpec(Strict):
    """Each reading as one line that spikes once a step (Thorpe, Delorme & Van Rullen 2001).

    A reading of `high` or more spikes as the step begins, one half way to `low` in its middle, and
    one of `low` or less not at all.
    """

    kind: Literal["latency"]
    stream: str
    port: str
    readings: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    low: list[float]
    high: list[float]

    @model_validator(mode="after")
    def _a_range_each(self) -> Self:
        check_ranges(self.readings, self.low, self.high)
        return self


class Latency(Encoder):
    """See `LatencySpec`. Keeps the last readings; silent until the first arrive.

    Raises:
        ValueError: the port does not have one line for each reading.
    """

    def __init__(self, spec: LatencySpec, port_size: int) -> None:
        check_line_each(spec.port, port_size, len(spec.readings))
        self.stream, self.port, self.size = spec.stream, spec.port, port_size
        self._readings = np.array(spec.readings)
        self._low, self._high = np.array(spec.low), np.array(spec.high)
        self._values: Array | None = None

    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """The spikes of the step."""
        for batch in batches:
            if len(batch.values) > self._readings.max():
                self._values = batch.values
        if self._values is None:
            return np.zeros(0, SPIKE)
        share = (self._high - self._values[self._readings]) / (self._high - self._low)
        delay_ns = np.floor(np.maximum(share, 0.0) * (until_ns - now_ns)).astype(np.int64)
        fires = np.flatnonzero(share < 1.0)
        spikes = np.empty(len(fires), SPIKE)
        spikes["t_ns"] = np.minimum(now_ns + delay_ns[fires], until_ns - 1)
        spikes["i"] = fires
        return spikes[np.argsort(spikes["t_ns"], kind="stable")]

    def state(self) -> dict[str, Array]:
        """The last readings."""
        return {"values": kept(self._values)}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """See `Encoder`."""
        check_state(state, {"values": np.zeros(0)})
        values = state["values"]
        if 0 < len(values) <= self._readings.max():
            raise ValueError("'values' of the state has too few readings: another's")
        self._values = values.copy() if len(values) else None
