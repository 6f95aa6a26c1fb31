from typing import Any

import numpy as np
import numpy.typing as npt

class PixelArray:
    width: int
    height: int
    def __init__(
        self,
        on_step: npt.ArrayLike,
        off_step: npt.ArrayLike,
        leak_per_s: npt.ArrayLike,
        *,
        on_threshold: float,
        off_threshold: float,
        knee_dn: float = 20.0,
        cutoff_hz: float = 0.0,
        refractory_us: int = 0,
        shot_rate_hz: float = 0.0,
        readout_rate_hz: float = 0.0,
        readout_latency_us: int = 0,
        seed: int = 0,
    ) -> None: ...
    @property
    def dropped(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    def expose(self, image: npt.ArrayLike, t_ns: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...
    def state(self) -> dict[str, npt.NDArray[Any]]: ...
    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None: ...
