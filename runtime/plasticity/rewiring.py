"""Structural plasticity: weak synapses give way to new ones, as many as before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from reflexarc.runtime.plasticity.rule import Weights
from reflexarc.runtime.plasticity.upkeep import Upkeep


class Rewiring(Upkeep):
    """Sparse evolutionary training (Mocanu et al. 2018, Nat. Commun. 9), source by source.

    At a visit the synapses of the source whose magnitude is below `threshold` are removed, the
    weakest first and at most `share` of all it has (rounded up), and as many are drawn, each
    target that it has not reached as likely as any other; so it keeps its number of synapses. As in
    DEEP R (Bellec et al. 2018, ICLR) a synapse is judged by a threshold and not by rank alone:
    without `threshold` the weakest share goes, as in Mocanu et al.

    A new synapse has the magnitude `w_new` and the `sign` of the edge, no state of its own (no
    eligibility), and the traces of its source and target. None leads from a neuron to itself
    unless `allow_self`. Where fewer targets are left than synapses to replace, fewer are replaced.

    The random numbers depend on the network's seed, the edge, the step and the source alone.
    """

    places: ClassVar[frozenset[str]] = frozenset({"projection"})
    role: ClassVar[str] = "wiring"
    clocked_only: ClassVar[str] = "goes round the sources by clock steps"

    rule: Literal["rewiring"] = "rewiring"
    threshold: float = Field(default=1e30, ge=0)
    share: float = Field(default=0.3, ge=0, le=1)
    w_new: float
    allow_self: bool = False

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if not self.w_min <= self.w_new <= self.w_max:
            return "w_new", f"{self.w_new:g} lies outside [{self.w_min:g}, {self.w_max:g}]"
        return super().misfit(weight, sizes)
