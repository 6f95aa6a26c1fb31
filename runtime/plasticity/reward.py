"""Spike-timing-dependent plasticity that waits for a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, inf, log2
from typing import Literal, Self

from pydantic import Field, model_validator

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import WINDOW_TAUS, KernelRule, Weights


class RewardStdp(KernelRule):
    """STDP modulated by a reward or neuromodulator (Izhikevich 2007, Cereb. Cortex 17; Legenstein,
    Pecevski & Maass 2008, PLoS Comput. Biol. 4).

    Pairs of spikes, all of them, move the eligibility c of a synapse: a spike of the source that
    arrives dt after one of the target by -a_minus exp(-dt / tau_minus_s), a spike of the target
    that follows an arrival by dt by a_plus exp(-dt / tau_plus_s). It decays with
    tau_eligibility_s, and dw/dt = c (n - baseline), in seconds, where n is the level of
    `modulator`: a node of one value. The value that it shows in a step is the level from the
    beginning of the step on; a Modulator's with a tau_s decays within the step too (then this is
    NEST's stdp_dopamine_synapse), any other's stays. One that is not finite counts as the baseline.
    In exact mode the node is a Modulator, whose level counts from when it changes.

    The weight is clipped to [w_min, w_max] when its source or target spikes and when it is read:
    between, it may only have passed a bound and come back if the level crossed the baseline.
    While learning is off eligibilities decay. Single precision loses what changes slowly.
    """

    rule: Literal["r_stdp"] = "r_stdp"
    modulator: str
    a_plus: float
    a_minus: float
    tau_plus_s: float = Field(default=0.02, gt=0)
    tau_minus_s: float = Field(default=0.02, gt=0)
    tau_eligibility_s: float = Field(default=1.0, gt=0)
    baseline: float = 0.0

    @model_validator(mode="after")
    def _order_taus(self) -> Self:
        if self.tau_eligibility_s < max(self.tau_plus_s, self.tau_minus_s):
            raise ValueError("tau_eligibility_s must be at least tau_plus_s and tau_minus_s")
        return self

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        size = sizes.get(self.modulator, 1)
        if size != 1:
            return "modulator", f"'{self.modulator}' has {size} values; name a node of one"
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["r_stdp"]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of arrivals, of the target's spikes, of the eligibility, and of arrivals beside it."""
        slower = 1.0 / self.tau_plus_s - 1.0 / self.tau_eligibility_s
        beside_s = 1.0 / slower if slower > 0 else inf
        return self.tau_plus_s, self.tau_minus_s, self.tau_eligibility_s, beside_s

    @property
    def window_s(self) -> float:
        """A source silent for so long has no past."""
        return WINDOW_TAUS * self.tau_eligibility_s

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/reward_stdp.h has them."""
        bits = max(ceil(log2(2.0 * self.tau_eligibility_s / dt_s)), 0)
        kept = exp(-(2.0**bits) * dt_s / self.tau_eligibility_s)
        return self.a_plus, self.a_minus, self.baseline, bits, kept
