"""Short-term plasticity: what a spike delivers depends on how lately others were sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from reflexarc.runtime.plasticity.rule import Rule, Weights

#: Keys of every rule that say how weights change.
_OF_WEIGHTS = frozenset({"w_min", "w_max", "sign", "frozen"})


class ShortTerm(Rule):
    """Short-term plasticity (Tsodyks, Pawelzik & Markram 1998; NEST's tsodyks2_synapse).

    A spike of a source delivers the share u x of its weights: x is the part of its resources that
    has recovered, u the part of those that a spike uses. From one arrival to the next, h later,

        x <- 1 + (x - x u - 1) exp(-h / tau_recovery_s)
        u <- U + u (1 - U) exp(-h / tau_facilitation_s),

    with U the parameter `u`; before the first, u = U and x = 1. A `tau_facilitation_s` of 0 leaves
    u at U. What arrives from one source at one time counts as one spike, whatever its value.

    It changes what is transmitted and no weight: it stacks with a rule that does, acts whether or
    not learning is on, and has neither bounds nor `sign` nor `frozen`.
    """

    role: ClassVar[str] = "transmission"

    rule: Literal["short_term"] = "short_term"
    u: float = Field(gt=0, le=1)
    tau_recovery_s: float = Field(gt=0)
    tau_facilitation_s: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _says_nothing_of_weights(self) -> ShortTerm:
        said = sorted(self.model_fields_set & _OF_WEIGHTS)
        if said:
            raise ValueError(f"{said[0]}: short_term changes no weight; leave {said[0]} out")
        return self

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """None: it fits every edge."""
        return None
