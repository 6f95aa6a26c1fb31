from typing import Any

import numpy as np
import numpy.typing as npt

THREADS: int

def all_finite(x: npt.NDArray[np.float64]) -> bool: ...

class ClockedEngine:
    step: int
    learning: bool
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
        arrived: npt.NDArray[np.float32],
        fired: npt.NDArray[np.int32],
        layers: int,
        projections: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], int]],
        rings: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]],
        dt_ns: int,
        seed: int,
        threads: int,
    ) -> None: ...
    def learn(
        self,
        k: int,
        rule: tuple[float, float, float, float],
        plus: npt.NDArray[np.float32],
        minus: npt.NDArray[np.float32],
        weight: npt.NDArray[np.float32],
        target: npt.NDArray[Any],
        fired: npt.NDArray[np.int64],
        since: npt.NDArray[np.int64],
        trace: npt.NDArray[np.float32],
    ) -> None: ...
    def settle(self, k: int) -> None: ...
    def latest(self, k: int) -> npt.NDArray[np.int64]: ...
    def resume(self, k: int, latest: npt.NDArray[np.int64]) -> None: ...
    def refresh(self) -> None: ...
    def release(self) -> None: ...
    def hold(self, port: int, x: npt.NDArray[np.float64]) -> None: ...
    def feed(self, port: int, spikes: npt.NDArray[Any], until_ns: int) -> None: ...
    def advance(self, steps: int) -> None: ...
    def left(self, port: int, spike_dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...
    def counters(self) -> tuple[int, int, int, int]: ...
