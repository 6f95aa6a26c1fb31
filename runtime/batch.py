"""Batches: what travels from sensors to the loop, with the truth about itself.

Loss is a field, not a log line: a batch says how many values were lost before it and how many
wait behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

#: A camera event, field for field faery's dtype: microseconds, pixels, polarity.
EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
#: A spike on a network port: loop time in nanoseconds, index of the neuron or line.
SPIKE = np.dtype([("t_ns", "<i8"), ("i", "<u4")])
#: A reading or a command: one row of float64 per sample time.
READING = np.dtype("<f8")


class Schema(IntEnum):
    """What the values of a stream are."""

    EVENTS = 1  # EVENT records
    READINGS = 2  # float64 vector, one sample
    SPIKES = 3  # SPIKE records
    COMMAND = 4  # float64 vector
    CONTROL = 5  # bytes of one JSON object (uint8)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of one value."""
        return _DTYPES[self]


_DTYPES: dict[Schema, np.dtype[Any]] = {
    Schema.EVENTS: EVENT,
    Schema.READINGS: READING,
    Schema.SPIKES: SPIKE,
    Schema.COMMAND: READING,
    Schema.CONTROL: np.dtype("u1"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some values of one stream.

    Attributes:
        stream: name of the stream, at most 15 ASCII characters.
        schema: what the values are.
        values: shape (n,), dtype `schema.dtype`, read-only, in order of time.
        t_first_ns, t_last_ns: loop time (sensor clock) that the batch covers.
        seq: number of the batch in its stream, from 0.
        epoch: changes when the sender restarts; `seq` starts again with it.
        dropped: values lost since the batch before this one.
        backlog: values that wait behind this batch.
        t_received_ns: when the receiver took it, on the receiver's loop time; -1 if in process.
    """

    stream: str
    schema: Schema
    values: Array
    t_first_ns: int = 0
    t_last_ns: int = 0
    seq: int = 0
    epoch: int = 0
    dropped: int = 0
    backlog: int = 0
    t_received_ns: int = -1

    def __post_init__(self) -> None:
        if self.values.dtype != self.schema.dtype or self.values.ndim != 1:
            raise TypeError(
                f"stream '{self.stream}': {self.schema.name} values must be a 1-d array of "
                f"{self.schema.dtype}, not {self.values.ndim}-d {self.values.dtype}"
            )
        self.values.setflags(write=False)

    @property
    def newest_ns(self) -> int:
        """When the newest of the values happened; `t_last_ns` where they carry no times."""
        if len(self.values) and self.schema is Schema.EVENTS:
            return int(self.values["t"][-1]) * 1000
        if len(self.values) and self.schema is Schema.SPIKES:
            return int(self.values["t_ns"][-1])
        return self.t_last_ns
