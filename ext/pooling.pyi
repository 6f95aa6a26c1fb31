from typing import Any

import numpy as np
import numpy.typing as npt

def pool(
    events: npt.NDArray[Any],
    spike_dtype: np.dtype[Any],
    width: int,
    height: int,
    cell_px: int,
    split: bool,
    shift_ns: int,
    from_ns: int,
    last_ns: int,
) -> npt.NDArray[Any]: ...
