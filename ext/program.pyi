from typing import Any

import numpy as np

OP: np.dtype[Any]
PORT: np.dtype[Any]
KINDS: dict[str, int]
STORAGES: dict[str, int]
RESETS: dict[str, int]
MODELS: dict[str, int]
TARGET: np.dtype[Any]
GENERATORS: dict[str, int]
