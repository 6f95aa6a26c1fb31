"""The encoder contract: from what was observed to spikes or values on a network port.

A value seen at sensor time t in (now - period, now] enters the network at t + period, inside the
step [now, now + period): timing within the tick is kept, at a constant latency of one period.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from reflexarc.runtime.batch import Array, Batch


class Encoder(ABC):
    """Turns the batches of one stream into the input of one port.

    Attributes:
        stream: the stream it listens to.
        port: the network's input node it feeds.
        size: number of lines of that port it produces.
    """

    stream: str
    port: str
    size: int

    @abstractmethod
    def encode(self, batches: Sequence[Batch], now_ns: int, until_ns: int) -> Array:
        """Input of the port for the step [now_ns, until_ns).

        Returns SPIKE records sorted by time within the step, or float64 of shape (size,).
        `batches` are those of its own stream that arrived since the last tick.
        """
