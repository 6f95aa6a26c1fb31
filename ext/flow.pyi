from typing import Any

import numpy as np
import numpy.typing as npt

class MotionDetectors:
    lines: int
    def __init__(
        self,
        width: int,
        height: int,
        *,
        tile_px: int,
        baseline_px: int,
        travel_us: npt.NDArray[np.int64],
        refractory_us: int = 0,
    ) -> None: ...
    def detect(
        self,
        events: npt.NDArray[Any],
        spike_dtype: np.dtype[Any],
        shift_ns: int,
        from_ns: int,
        last_ns: int,
    ) -> npt.NDArray[Any]: ...
    def state(self) -> dict[str, npt.NDArray[Any]]: ...
    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None: ...
