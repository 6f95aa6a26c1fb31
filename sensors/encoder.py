"""The encoder contract: from what was observed to spikes or values on a network port.

A value seen at sensor time t in (now - period, now] enters the network at t + period, inside the
step [now, now + period): timing within the tick is kept, at a constant latency of one period.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

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

    def state(self) -> dict[str, Array]:
        """A copy of everything that decides the future; nothing for one that remembers nothing.

        Numbers, booleans or records of them: it goes into checkpoints.
        """
        return {}

    def restore(self, state: Mapping[str, Array], later_ns: int = 0) -> None:
        """Go back to `state`; going on equals never having stopped, bit for bit.

        The loop's time is later by `later_ns` than it was then (whole microseconds, where events
        are remembered by theirs). Raises ValueError for the state of another; nothing has changed
        then.
        """
        check_state(state, {})


def check_state(state: Mapping[str, Array], like: Mapping[str, Array]) -> None:
    """Raise ValueError unless `state` has the names, dtypes and shapes of `like`.

    An axis of length 0 in `like` may have any length.
    """
    if state.keys() != like.keys():
        raise ValueError(f"a state of {', '.join(state) or 'nothing'}: it is another's")
    for name, mine in like.items():
        theirs = state[name]
        fits = theirs.ndim == mine.ndim and all(
            n in (0, m) for n, m in zip(mine.shape, theirs.shape, strict=True)
        )
        if theirs.dtype != mine.dtype or not fits:
            raise ValueError(f"'{name}' of the state is {theirs.dtype}{theirs.shape}: another's")


def kept(values: Array | None) -> Array:
    """A copy of readings for a state; empty where none have come yet."""
    return np.zeros(0) if values is None else values.copy()
