"""Spike-timing-dependent plasticity by pairs of spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule, Weights

#: The largest bound that is meant as one.
_UNBOUNDED = 1e30


class PairStdp(KernelRule):
    """Pair-based spike-timing-dependent plasticity (Morrison, Diesmann & Gerstner 2008).

    A spike of the source that arrives dt after one of the target lowers the weight by
    a_minus ((w - w_min) / (w_max - w_min))^mu_minus exp(-dt / tau_minus_s); a spike of the target
    that follows an arrival by dt (0 at the same time) raises it by
    a_plus ((w_max - w) / (w_max - w_min))^mu_plus exp(-dt / tau_plus_s). mu is 0 for the additive
    rule (Song, Miller & Abbott 2000), 1 for the multiplicative one, or between (Guetig et al.
    2003). Each change is clipped to [w_min, w_max]. NEST's lambda and alpha are a_plus / w_max and
    a_minus / a_plus.

    `pairing` says which spikes make pairs: all of them; either with the other side's latest
    (nearest_symmetric); the source's with the target's latest before and next after it
    (presynaptic_centred); or only neighbours in time (restricted_symmetric). Pairs more than 30
    time constants apart count for nothing, and what arrives from one source at one time counts as
    one spike, whatever its value.
    """

    rule: Literal["pair_stdp"] = "pair_stdp"
    a_plus: float
    a_minus: float
    tau_plus_s: float = Field(default=0.02, gt=0)
    tau_minus_s: float = Field(default=0.02, gt=0)
    mu_plus: float = Field(default=0.0, ge=0)
    mu_minus: float = Field(default=0.0, ge=0)
    pairing: Literal[
        "all_to_all", "nearest_symmetric", "presynaptic_centred", "restricted_symmetric"
    ] = "all_to_all"

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if (self.mu_plus or self.mu_minus) and self.w_max >= _UNBOUNDED:
            return "w_max", "mu_plus and mu_minus need a bound"
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        name = f"pair_stdp/{self.pairing}"
        additive = None if self.mu_plus or self.mu_minus else KERNELS.get(f"{name}/additive")
        return additive or KERNELS[name]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of arrivals, of the target's spikes."""
        return self.tau_plus_s, self.tau_minus_s

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/pair_stdp.h has them."""
        return self.a_plus, self.a_minus, self.mu_plus, self.mu_minus
