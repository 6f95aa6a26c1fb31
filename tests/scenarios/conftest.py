"""What the tests of several scenarios need."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reflexarc.runtime.policy import NetworkPolicy


@pytest.fixture
def _needs_pybullet() -> None:
    pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")


class Rest(NetworkPolicy):
    """Gives the same command at every tick, whatever there is to see."""

    def __init__(self, command: np.ndarray) -> None:
        self._command = command

    def encode(self, batches: Any, now_ns: int, until_ns: int) -> Any:
        return None

    def think(self, inputs: Any, until_ns: int) -> Any:
        return None

    def decode(self, outputs: Any, now_ns: int, until_ns: int) -> np.ndarray:
        return self._command


@pytest.fixture
def resting_policy() -> Callable[[np.ndarray], NetworkPolicy]:
    """A policy of the command it is given: what a network has to be better than."""
    return Rest
