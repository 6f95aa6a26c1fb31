"""Pair STDP of one projection in the clocked engine: its arrays, and its part of a state."""

from __future__ import annotations

from math import ceil

import numpy as np

from reflexarc.ext.clocked import ClockedEngine
from reflexarc.ext.program import TARGET
from reflexarc.runtime.backends.base import State
from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray, Projection
from reflexarc.runtime.plasticity import PairStdp

#: Pairs further apart than this many time constants count for nothing: exp(-30) is 1e-13.
_WINDOW = 30.0


class PairLearner:
    """What projection `number` of an engine has learnt and what it needs to go on.

    Attributes:
        weight: float32, shape (synapses,), in the order of the projection's rows.
    """

    def __init__(
        self, engine: ClockedEngine, number: int, node: Projection, rule: PairStdp, dt_s: float
    ) -> None:
        self._engine, self._number = engine, number
        self.weight = np.array(np.broadcast_to(node.weight, node.targets.shape))
        self._target = np.zeros(node.size, TARGET)
        self._fired = np.full(node.sources, -1, np.int64)
        self._since = np.full(node.sources, -1, np.int64)
        self._trace = np.zeros(node.sources, np.float32)
        steps = ceil(_WINDOW * max(rule.tau_plus_s, rule.tau_minus_s) / dt_s)
        engine.learn(
            number,
            (rule.a_plus, rule.a_minus, rule.w_min, rule.w_max),
            _decays(rule.tau_plus_s, dt_s, steps),
            _decays(rule.tau_minus_s, dt_s, steps),
            self.weight,
            self._target,
            self._fired,
            self._since,
            self._trace,
        )

    def weights(self) -> FloatArray:
        """A copy of the weights as they are now, shape (synapses,)."""
        self._engine.settle(self._number)
        return self.weight.astype(np.float64)

    def state(self) -> State:
        """A copy of everything that decides the future, by part."""
        self._engine.settle(self._number)
        if not self._engine.learning:  # spikes while weights are frozen are never learnt from
            np.maximum(self._since, self._engine.step - 1, out=self._since)
        parts = {**self._parts(), "latest": self._engine.latest(self._number)}
        return {name: part.copy() for name, part in parts.items()}

    def check(self, state: State, step: int) -> None:
        """Refuse a state taken before `step` whose spikes cannot be. Raises ValueError."""
        fired, since, latest = (state[part] for part in ("fired", "since", "latest"))
        if any(np.any((steps < -1) | (steps >= step)) for steps in (fired, since, latest)):
            raise ValueError("the state is damaged: a spike outside the time before it")
        if np.any(since < fired - 1):
            raise ValueError("the state is damaged: spikes paired before they were there")

    def restore(self, state: State) -> None:
        """Go on from `state`, whose parts have been checked to be of this learner's shapes."""
        for name, part in self._parts().items():
            part[:] = state[name]
        self._engine.resume(self._number, state["latest"])

    def _parts(self) -> dict[str, Array]:
        return {
            "weight": self.weight,
            "target": self._target,
            "fired": self._fired,
            "since": self._since,
            "trace": self._trace,
        }


def _decays(tau_s: float, dt_s: float, steps: int) -> Array:
    """exp(-t / tau) by steps, 0 at the end."""
    decays: Array = np.exp(-np.arange(steps + 1) * (dt_s / tau_s)).astype(np.float32)
    decays[-1] = 0.0
    return decays
