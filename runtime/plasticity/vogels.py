"""Spike-timing-dependent plasticity of inhibitory synapses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule


class Vogels(KernelRule):
    """Inhibitory plasticity that balances excitation (Vogels et al. 2011, Science 334).

    A spike of the source that arrives dt after or before one of the target raises the magnitude of
    the weight by learning_rate exp(-dt / tau_s), every pair; each arrival lowers it by
    learning_rate alpha, so that the target comes to fire at alpha / (2 tau_s) spikes a second. As
    in NEST's vogels_sprekeler_synapse an arrival makes two changes, first up and then down, and
    each is clipped to [w_min, w_max].

    Weights are negative and stay so, unless `sign` says otherwise; w_min and w_max bound their
    magnitudes.
    """

    rule: Literal["vogels"] = "vogels"
    sign: Literal["any", "positive", "negative"] = "negative"
    learning_rate: float = Field(ge=0)
    alpha: float = Field(default=0.12, ge=0)
    tau_s: float = Field(default=0.02, gt=0)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["vogels"]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of arrivals, of the target's spikes."""
        return self.tau_s, self.tau_s

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/vogels.h has them."""
        return self.learning_rate, self.alpha
