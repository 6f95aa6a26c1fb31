"""Prescribed error sensitivity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from reflexarc.runtime.plasticity.rule import Rule, Weights


class Pes(Rule):
    """Prescribed error sensitivity (MacNeil & Eliasmith 2011; as in Nengo).

    dw_ij = -learning_rate * e_i * a_j * dt, with a_j the spike train of the presynaptic neuron j
    filtered with `tau_pre_s` (in spikes per second) and e_i the value of the modulator.
    Applied once a clock step, after the step's spikes and errors, then clipped to
    [w_min, w_max]. A step whose error is not finite teaches nothing; a trace below 1e-9 spikes
    per second counts as silence.

    `modulator` names the node whose value is the error: one element for each output of the edge.
    """

    places: ClassVar[frozenset[str]] = frozenset({"matrix"})
    clocked_only: ClassVar[str] = "is defined by clock steps"

    rule: Literal["pes"] = "pes"
    modulator: str
    learning_rate: float = Field(ge=0)
    tau_pre_s: float = Field(default=0.02, gt=0)
    w_min: float = -1e30
    w_max: float = 1e30

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        size = sizes.get(self.modulator)
        if size is None:
            return "modulator", f"'{self.modulator}' is not a node of the graph"
        if size != len(weight):
            return "modulator", (
                f"'{self.modulator}' has {size} values and the edge {len(weight)} outputs; "
                "they must be as many"
            )
        return super().misfit(weight, sizes)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the weights themselves."""
        if self.sign == "negative":
            return -self.w_max, -max(self.w_min, 0.0)
        return (
            (max(self.w_min, 0.0), self.w_max)
            if self.sign == "positive"
            else (
                self.w_min,
                self.w_max,
            )
        )
