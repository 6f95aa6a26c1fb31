"""An edge with short-term plasticity: the arrays of its sources, and its part of a state."""

from __future__ import annotations

import numpy as np

from reflexarc.runtime.backends.base import State
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.plasticity import ShortTerm

#: Before all time.
_NEVER = -1


class Release:
    """The arrays of an edge with `sources`, as `reflexarc.ext.transmitter` takes them.

    Attributes:
        u, x, fired: by source, as its latest arrival found them, and its tick.
        share: by source, what multiplied its latest arrival.
    """

    def __init__(self, rule: ShortTerm, sources: int, tick_s: float) -> None:
        self.u_rest, self.sources = rule.u, sources
        self.tau_recovery = rule.tau_recovery_s / tick_s
        self.tau_facilitation = rule.tau_facilitation_s / tick_s
        self.u = np.full(sources, rule.u)
        self.x = np.ones(sources)
        self.fired = np.full(sources, _NEVER, np.int64)
        self.share = np.zeros(sources)

    @property
    def limits(self) -> FloatArray:
        """What does not change."""
        return np.array([self.u_rest, self.tau_recovery, self.tau_facilitation])

    def state(self) -> State:
        """A copy of what changes, by part."""
        return {
            "short_term_u": self.u.copy(),
            "short_term_x": self.x.copy(),
            "short_term_fired": self.fired.copy(),
        }

    def check(self, state: State, now: int) -> None:
        """Refuse a state taken before tick `now` that cannot be. Raises ValueError."""
        fired = state["short_term_fired"]
        if np.any((fired < _NEVER) | (fired >= now)):
            raise ValueError("the state is damaged: a spike outside the time before it")
        for part in ("short_term_u", "short_term_x"):
            if not np.all((state[part] >= 0) & (state[part] <= 1)):
                raise ValueError(f"the state is damaged: {part} outside 0 to 1")

    def restore(self, state: State) -> None:
        """Go on from `state`, whose parts have been checked to be of these shapes."""
        self.u[:], self.x[:] = state["short_term_u"], state["short_term_x"]
        self.fired[:] = state["short_term_fired"]
