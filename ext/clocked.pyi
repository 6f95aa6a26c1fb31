from typing import Any

import numpy as np
import numpy.typing as npt

OP: np.dtype[Any]
PORT: np.dtype[Any]
LOG_ENTRY: np.dtype[Any]
KINDS: dict[str, int]
STORAGES: dict[str, int]
RESETS: dict[str, int]

def all_finite(x: npt.NDArray[np.float64]) -> bool: ...

class ClockedEngine:
    step: int
    learning: bool
    @property
    def steps_per_call(self) -> int: ...
    def __init__(
        self,
        ops: npt.NDArray[Any],
        values: npt.NDArray[np.float64],
        constants: npt.NDArray[np.float64],
        weights32: npt.NDArray[np.float32],
        weights64: npt.NDArray[np.float64],
        rows: npt.NDArray[np.int64],
        targets: npt.NDArray[np.int32],
        events: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        ports: npt.NDArray[Any],
        log: npt.NDArray[Any],
        steps_per_call: int,
        dt_ns: int,
    ) -> None: ...
    def release(self) -> None: ...
    def hold(self, port: int, x: npt.NDArray[np.float64]) -> None: ...
    def feed(self, port: int, spikes: npt.NDArray[Any], until_ns: int) -> None: ...
    def advance(self, steps: int) -> None: ...
    def left(self, port: int, spike_dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...
    def counters(self) -> tuple[int, int, int, int]: ...
