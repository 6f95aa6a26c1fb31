from typing import Any

import numpy as np
import numpy.typing as npt

def log_gaussians(
    centres: npt.NDArray[np.float64], value: float, sigma: float
) -> npt.NDArray[np.float64]: ...
def quanta(
    reference: npt.NDArray[np.float64],
    now: npt.NDArray[np.float64],
    quantum: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]: ...
def fire(
    phase: npt.NDArray[np.float64],
    expected: npt.NDArray[np.float64],
    spike_dtype: np.dtype[Any],
    now_ns: int,
    until_ns: int,
) -> npt.NDArray[Any]: ...
def filter_rates(
    rate_hz: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    spikes: npt.NDArray[Any],
    keep: float,
    gain: float,
) -> None: ...
