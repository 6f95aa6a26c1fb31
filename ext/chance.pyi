from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Reals: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]

def uniform(out: Reals, seed: int, number: int) -> None: ...
def normal(out: Reals, seed: int, number: int) -> None: ...
