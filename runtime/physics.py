"""PyBullet, loaded where a world is made and nowhere else."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def bullet() -> Any:
    """The module `pybullet`, without the line it prints when it is first loaded.

    Raises:
        ImportError: it is not installed.
    """
    if "pybullet" in sys.modules:
        return importlib.import_module("pybullet")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return importlib.import_module("pybullet")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
