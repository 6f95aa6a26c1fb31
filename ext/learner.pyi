from typing import Any

import numpy as np

TARGET: np.dtype[Any]
MOMENT: np.dtype[Any]
FINE: int
DECAYS: int

def numbers(capsule: object) -> tuple[int, int, int, int]: ...
def is_finished(capsule: object) -> bool: ...
def is_stepped(capsule: object) -> bool: ...
