from typing import Any

import numpy as np
import numpy.typing as npt

PIXEL: np.dtype[Any]

class PixelArray:
    width: int
    height: int
    refractory_us: float
    log_offset: float
    def __init__(
        self,
        on_step: npt.ArrayLike,
        off_step: npt.ArrayLike,
        refractory_us: float,
        log_offset: float,
    ) -> None: ...
    def expose(
        self, luminance: npt.ArrayLike, t_us: float, dtype: np.dtype[Any]
    ) -> npt.NDArray[Any]: ...
