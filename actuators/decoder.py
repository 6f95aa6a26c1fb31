"""The decoder contract: from spikes or values on an output port to wanted commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt


class Decoder(ABC):
    """Turns what left one output port into part of a command.

    Attributes:
        port: the network's output node it reads.
        size: number of command elements it produces.
    """

    port: str
    size: int

    @abstractmethod
    def decode(
        self, values: npt.NDArray[Any], now_ns: int, until_ns: int
    ) -> npt.NDArray[np.float64]:
        """The wanted command, shape (size,), from what left the port during [now_ns, until_ns).

        `values` are SPIKE records or a float64 vector, as the port gives them.
        """
