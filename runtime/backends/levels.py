"""What modulators show in the exact engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reflexarc.ext import exact
from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray, Modulator


class Levels:
    """The levels of modulators of one line, which the engine changes where they lie.

    Without a tau_s the level is what is given, until something else is; with one, a spike raises it
    by its area / tau_s, and it decays.

    Attributes:
        numbers: where each modulator stands, by name.
        level: at its latest change, float64, shape (modulators,).
        of: how it decays, dtype exact.LEVEL, of that shape.
    """

    def __init__(self, modulators: Sequence[Modulator]) -> None:
        self._modulators = {node.name: node for node in modulators}
        self.numbers = {name: k for k, name in enumerate(self._modulators)}
        self.level = np.zeros(len(self.numbers))
        self.of = np.zeros(len(self.numbers), exact.LEVEL)
        self.of["rate"] = [exact.TICK_S / (self.tau_s(name) or np.inf) for name in self.numbers]

    def tau_s(self, name: str) -> float | None:
        """With what time constant it decays, if it does."""
        return self._modulators[name].tau_s

    def view(self, name: str) -> FloatArray:
        """Its level, shape (1,)."""
        return self.level[self.numbers[name] :][:1]

    def bundle(self, name: str) -> exact.Bundle:
        """What leads from its port to its level."""
        weight = np.array([1.0 / (self.tau_s(name) or 1.0)])
        return exact.Bundle(np.zeros(1, np.int32), weight, self.numbers[name], exact.TO_LEVEL)

    def fibre(self, bundle: int) -> Array:
        """The fibre of its port."""
        fibre = np.zeros(1, exact.FIBRE)
        fibre["end"], fibre["bundle"] = 1, bundle
        return fibre
