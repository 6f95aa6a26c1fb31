"""What every learning rule declares: its bounds, its sign, its parameters for the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.ext import rules as compiled
from reflexarc.runtime.config import Strict

Weights: TypeAlias = npt.NDArray[np.floating]
#: Pairs further apart than this many time constants count for nothing: exp(-30) is 1e-13.
WINDOW_TAUS = 30.0


class Rule(Strict):
    """Base of all rules.

    w_min and w_max bound the weights; with a `sign` they bound their magnitudes, every weight
    keeps that sign (Dale's law), and the rule strengthens and weakens magnitudes. `frozen` edges
    begin as if learning were off for them alone.
    """

    #: What edges it can be for: projections, matrices (Linear and Affine), layers of neurons.
    places: ClassVar[frozenset[str]] = frozenset({"projection", "matrix"})
    #: What it changes. An edge has at most one rule of a role.
    role: ClassVar[str] = "weights"
    #: Why it has no exact mode, such as "reads voltages"; empty if it has one.
    clocked_only: ClassVar[str] = ""

    rule: str
    w_min: float = 0.0
    w_max: float = 1e30
    sign: Literal["any", "positive", "negative"] = "any"
    frozen: bool = False

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge, as (key, problem); None if it fits.

        `weight` has shape (outputs, inputs), or (synapses,) or (1,) of a projection; of a layer
        it is its v_threshold, or nothing if it has none. `sizes` holds the size of every node by
        name.
        """
        if self.w_min > self.w_max:
            return "w_min", f"{self.w_min:g} is above w_max, {self.w_max:g}"
        if not weight.size:
            return None
        low, high = float(weight.min()), float(weight.max())
        if (self.sign == "positive" and low < 0) or (self.sign == "negative" and high > 0):
            return "sign", f"{self.sign}, but the weights reach from {low:g} to {high:g}"
        if self.sign == "negative":
            low, high = -high, -low
        as_stored = weight.dtype.type  # a bound of 0.6 is not below a float32 of 0.6
        if as_stored(self.w_min) > low:
            return "w_min", f"{self.w_min:g} is above the smallest weight, {low:g}"
        if as_stored(self.w_max) < high:
            return "w_max", f"{self.w_max:g} is below the largest weight, {high:g}"
        return None

    @property
    def modulators(self) -> tuple[str, ...]:
        """Nodes whose values it uses."""
        name = getattr(self, "modulator", None)
        return () if name is None else (name,)


class KernelRule(Rule):
    """A rule that a kernel of ext/rule.h carries out.

    Weights are float64 (`precision` double) or, with half the memory, float32 (single): then a
    change below 6e-8 of a weight is lost. The synapse sees a spike of its source
    `dendritic_delay_s` before it arrives, and one of its target as much later than it is fired
    (Morrison, Diesmann & Gerstner 2008); NEST's whole delay is dendritic.
    """

    #: Whether its sources show values rather than spikes.
    takes_values: ClassVar[bool] = False
    #: What of its layer it needs beside voltages: "membrane" is all of Layer in ext/rule.h.
    sees: ClassVar[frozenset[str]] = frozenset()

    precision: Literal["double", "single"] = "double"
    dendritic_delay_s: float = Field(default=0.0, ge=0)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        raise NotImplementedError

    @property
    def decays_s(self) -> Sequence[float]:
        """Time constants, in the order of the kernel's decays."""
        raise NotImplementedError

    @property
    def readout_name(self) -> str | None:
        """The matrix whose weights it looks at."""
        return getattr(self, "readout", None)

    @property
    def window_s(self) -> float:
        """A source silent for so long has no past."""
        return WINDOW_TAUS * max(self.decays_s)

    def per_target(self, dt_s: float) -> int:
        """So many numbers more than its kernel says it keeps for each target."""
        return 0

    def first(self, strength: Weights) -> tuple[Weights, Weights]:
        """What synapses begin as: their strengths, sign * weight, and their numbers, a row each."""
        return strength, np.zeros((0, strength.size))

    def parameters(self, dt_s: float) -> Sequence[float]:
        """Numbers in the order in which the kernel has them; `dt_s` is a tick."""
        raise NotImplementedError

    def first_shared(
        self, targets: int, errors: int, readout: Weights | None, seed: int
    ) -> Weights:
        """What the kernel's `shared` begins with, where its length is not the kernel's own.

        `errors` is the number of modulator values, `readout` the weights of the matrix that the
        rule names, by source, `seed` one of this edge's own.
        """
        return np.zeros(0)


def get_include() -> str:
    """The folder of rule.h and rows.h, for compiling a kernel of your own."""
    return str(Path(compiled.__file__).parent)


def own_rules() -> dict[str, type[Rule]]:
    """Every rule by name: those of the package, and those of packages that announce theirs.

    A package does so by entry points of the group `reflexarc.rules`, each a subclass of Rule.
    """
    found = {cls.model_fields["rule"].default: cls for cls in _leaves(Rule)}
    for entry in entry_points(group="reflexarc.rules"):
        if entry.name not in found:
            found[entry.name] = entry.load()
    return found


def _leaves(cls: type[Rule]) -> list[type[Rule]]:
    subclasses = cls.__subclasses__()
    own = [cls] if isinstance(cls.model_fields["rule"].default, str) else []
    return own + [leaf for sub in subclasses for leaf in _leaves(sub)]
