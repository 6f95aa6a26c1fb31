from typing import Any

import numpy as np
import numpy.typing as npt

def cut_rows(
    rows: npt.NDArray[np.int64], targets: npt.NDArray[Any], layer: int, threads: int
) -> npt.NDArray[np.int64]: ...
