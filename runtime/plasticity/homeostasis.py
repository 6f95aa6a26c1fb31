"""Intrinsic homeostasis: thresholds that seek a firing rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from reflexarc.runtime.plasticity.rule import Rule, Weights

#: Keys of every rule that say how weights change.
_OF_WEIGHTS = frozenset({"w_min", "w_max", "sign"})


class IntrinsicHomeostasis(Rule):
    """Thresholds that seek a firing rate (Lazar, Pipa & Triesch 2009, Front. Comput. Neurosci. 3).

    For a layer of neurons, one threshold each: after every clock step

        v_threshold <- v_threshold + eta (spikes of the step - rate_hz dt)

    clipped to [threshold_min, threshold_max], from the `v_threshold` of the layer on. `eta` is in
    the unit of the threshold: what a spike raises it by. Of a neuron whose rate rises as its
    threshold falls the rate tends to rate_hz wherever the bounds allow; over a time T its mean
    differs from it by (change of the threshold) / (eta T), whatever its input.
    """

    places: ClassVar[frozenset[str]] = frozenset({"layer"})
    role: ClassVar[str] = "excitability"
    clocked_only: ClassVar[str] = "moves thresholds in every clock step"

    rule: Literal["intrinsic_homeostasis"] = "intrinsic_homeostasis"
    rate_hz: float = Field(ge=0)
    eta: float = Field(ge=0)
    threshold_min: float = -1e30
    threshold_max: float = 1e30

    @model_validator(mode="after")
    def _says_nothing_of_weights(self) -> IntrinsicHomeostasis:
        said = sorted(self.model_fields_set & _OF_WEIGHTS)
        if said:
            raise ValueError(f"{said[0]}: {self.rule} changes no weight; leave {said[0]} out")
        return self

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit a layer with thresholds `weight`; see `Rule`."""
        if self.threshold_min > self.threshold_max:
            return "threshold_min", f"{self.threshold_min:g} is above threshold_max"
        if not weight.size:
            return "rule", "neurons of this kind have no v_threshold to move; use a kind that has"
        low, high = float(weight.min()), float(weight.max())
        if low < self.threshold_min:
            return "threshold_min", f"{self.threshold_min:g} is above the lowest, {low:g}"
        if high > self.threshold_max:
            return "threshold_max", f"{self.threshold_max:g} is below the highest, {high:g}"
        return None
