"""An edge that learns by a kernel: its arrays, and its part of a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Protocol, TypeAlias

import numpy as np

from reflexarc.ext.learner import FINE, MOMENT, TARGET, is_finished, numbers
from reflexarc.runtime.backends.base import State
from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.plasticity import KernelRule
from reflexarc.runtime.plasticity.rule import WINDOW_TAUS

_Decay: TypeAlias = tuple[int, float, Array | None, Array | None]
#: Before all time.
_NEVER = -1


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """What an edge joins: rows by source, and the target of each synapse (None: a full row).

    The targets of an edge that is rewired change.
    """

    rows: Array
    index: Array | None
    targets: int
    rewired: bool = False

    @property
    def sources(self) -> int:
        """How many."""
        return len(self.rows) - 1


class Edge:
    """The arrays of an edge that learns, as `reflexarc.ext.learner` takes them.

    Attributes:
        weight: float32 or float64, shape (synapses,), in the order of the rows.
        of_source, of_target, of_synapse, shared: what the rule keeps, one row a number.
        fired, since: ticks by source; see ext/rule.h.
        target: TARGET by target; begun: MOMENT, shape (1,).
        modulator, voltage, input, readout: views of what others write, or None.
        layer: views and constants of the layer by their names in ext/rule.h.
        behind: whether what arrives acts on the targets a step later.
    """

    def __init__(
        self,
        rule: KernelRule,
        synapses: Synapses,
        weight: Array,
        tick_s: float,
        *,
        tabled: bool,
        modulator: FloatArray | None = None,
        modulator_tau_s: float | None = None,
        voltage: FloatArray | None = None,
        input: FloatArray | None = None,
        readout: FloatArray | None = None,
        layer: Mapping[str, FloatArray] | None = None,
        behind: bool = False,
        seed: int = 0,
    ) -> None:
        sources, targets = synapses.sources, synapses.targets
        per_source, per_target, per_synapse, shared = numbers(rule.kernel)
        self.kernel, self.tick_s = rule.kernel, tick_s
        self.parameter = np.array(rule.parameters(tick_s), np.float64)
        self.w_min, self.w_max = (float(weight.dtype.type(x)) for x in (rule.w_min, rule.w_max))
        if rule.sign != "any":
            self.w_min = max(self.w_min, 0.0)
        self.sign = -1.0 if rule.sign == "negative" else 1.0
        self.window = ceil(rule.window_s / tick_s)
        self.decays = [_decay(tau_s, rule.window_s, tick_s, tabled) for tau_s in rule.decays_s]
        self.rows, self.index = synapses.rows, synapses.index
        self.rewired = synapses.rewired
        self.sources, self.targets, self.synapses = sources, targets, int(synapses.rows[-1])
        self.weight = weight
        strength, first = rule.first(self.sign * weight)
        weight[:] = self.sign * np.clip(strength, self.w_min, self.w_max)
        self.of_source = np.zeros(per_source * sources + 1)
        self.of_target = np.zeros((per_target + rule.per_target(tick_s)) * targets + 1)
        self.of_synapse = np.zeros(per_synapse * self.synapses + 1)
        self.of_synapse[: first.size] = first.reshape(-1)
        errors = 0 if modulator is None else len(modulator)
        self._first = rule.first_shared(targets, errors, readout, seed)
        self.shared = np.concatenate([self._first, np.zeros(shared + 1)])
        self.fired = np.full(sources, _NEVER, np.int64)
        self.since = np.full(sources, _NEVER, np.int64)
        self.spikes = np.zeros(targets, np.int64)
        self.target = np.zeros(targets, TARGET)
        self.target["last"] = self.target["previous"] = _NEVER
        self.begun = np.array([(_NEVER, 0.0)], MOMENT)
        self.modulator, self.voltage, self.input = modulator, voltage, input
        self.readout, self.layer, self.behind = readout, dict(layer or {}), behind
        self.modulator_rate = 0.0 if modulator_tau_s is None else tick_s / modulator_tau_s

    @property
    def limits(self) -> FloatArray:
        """What does not change beside `parameter`: bounds, sign, decays, the first `shared`."""
        rates = [rate for _, rate, _, _ in self.decays]
        return np.array(
            [self.w_min, self.w_max, self.sign, self.modulator_rate, *rates, *self._first]
        )

    def parts(self) -> dict[str, Array]:
        """What changes, by name."""
        names = ("weight", "of_source", "of_target", "of_synapse", "shared", "fired", "since")
        parts = {**{name: getattr(self, name) for name in names}, "target": self.target,
                 "begun": self.begun}  # fmt: skip
        return {**parts, "index": self.index} if self.rewired and self.index is not None else parts


class LearningEngine(Protocol):
    """An engine, as far as its edges that learn go; see the stubs of `reflexarc.ext`."""

    def learn(self, k: int, edge: Edge) -> None:
        """Let edge k learn."""

    def set_learning(self, k: int, on: bool) -> None:
        """Let edge k learn, or leave its weights as they are."""

    def settle(self, k: int) -> None:
        """Replay for edge k what its targets have done."""

    def finish(self, k: int) -> None:
        """After `settle`: what time alone has done since."""

    def resume(self, k: int, active: bool) -> None:
        """Go on from the arrays of edge k."""


class Learner:
    """Edge `number` of an engine: what it has learnt and what it needs to go on."""

    def __init__(self, engine: LearningEngine, number: int, edge: Edge) -> None:
        self._engine, self._number, self.edge = engine, number, edge
        self._active = True
        engine.learn(number, edge)

    def set_learning(self, on: bool) -> None:
        """Let it learn, or leave its weights as they are."""
        self._engine.set_learning(self._number, on)
        self._active = on

    def weights(self) -> FloatArray:
        """A copy of the weights as they are now, shape (synapses,)."""
        edge = self.edge
        self._engine.settle(self._number)
        if not (self._active and is_finished(edge.kernel)):
            return edge.weight.astype(np.float64)
        kept = edge.weight.copy(), edge.of_synapse.copy()
        self._engine.finish(self._number)
        now = edge.weight.astype(np.float64)
        edge.weight[:], edge.of_synapse[:] = kept
        return now

    def state(self) -> State:
        """A copy of everything that decides the future, by part."""
        self._engine.settle(self._number)
        return {name: part.copy() for name, part in self.edge.parts().items()}

    def check(self, state: State, step: int) -> None:
        """Refuse a state taken before `step` whose spikes cannot be. Raises ValueError."""
        fired, since, target = (state[part] for part in ("fired", "since", "target"))
        times = (fired, since, target["last"], target["previous"], state["begun"]["at"] - 1)
        if any(np.any((at < _NEVER) | (at >= step)) for at in times[:2]) or any(
            np.any((at < _NEVER - 1) | (at >= step)) for at in times[2:]
        ):
            raise ValueError("the state is damaged: a spike outside the time before it")
        strengths = self.edge.sign * state["weight"]
        if not np.all((strengths >= self.edge.w_min) & (strengths <= self.edge.w_max)):
            raise ValueError("the state is damaged: a weight outside its bounds")
        if self.edge.rewired:
            self._check_index(state["index"])
        if np.any(since < fired - 1):
            raise ValueError("the state is damaged: spikes paired before they were there")

    def _check_index(self, index: Array) -> None:
        falls = np.flatnonzero(index[1:] < index[:-1]) + 1
        if (
            np.any(index < 0)
            or np.any(index >= self.edge.targets)
            or np.any(~np.isin(falls, self.edge.rows))
        ):
            raise ValueError("the state is damaged: a synapse onto no target, or out of order")

    def restore(self, state: State, active: bool) -> None:
        """Go on from `state`, whose parts have been checked to be of this learner's shapes."""
        for name, part in self.edge.parts().items():
            part[:] = state[name]
        self._engine.resume(self._number, active)
        self._active = active


def _decay(
    tau_s: float, window_s: float, tick_s: float, tabled: bool
) -> tuple[int, float, Array | None, Array | None]:
    """Window in ticks, rate by tick, coarse and fine table; see ext/rule.h."""
    window, rate = ceil(min(WINDOW_TAUS * tau_s, window_s) / tick_s), tick_s / tau_s
    if not tabled:
        return window, rate, None, None
    coarse = np.exp(-rate * FINE * np.arange(window // FINE + 1))
    return window, rate, coarse, np.exp(-rate * np.arange(FINE))
