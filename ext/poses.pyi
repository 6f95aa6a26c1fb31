import numpy as np
import numpy.typing as npt

def place(
    links: npt.NDArray[np.float64], link_of: npt.NDArray[np.int32], local: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]: ...
def between(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], part: float
) -> npt.NDArray[np.float64]: ...
