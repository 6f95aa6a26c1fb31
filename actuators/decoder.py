"""The decoder contract: from spikes or values on an output port to wanted commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
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

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of everything that decides the future; nothing for one that remembers nothing.

        Numbers, booleans or records of them: it goes into checkpoints.
        """
        return {}

    def restore(self, state: Mapping[str, npt.NDArray[Any]], later_ns: int = 0) -> None:
        """Go back to `state`; going on equals never having stopped, bit for bit.

        The loop's time is later by `later_ns` than it was then. Raises ValueError for the state of
        another; nothing has changed then.
        """
        if state:
            raise ValueError(f"a state of {', '.join(state)}: it is another's")
