"""Oja's rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.stepped import SteppedRule, low_pass


class Oja(SteppedRule):
    """Oja's rule (Oja 1982, J. Math. Biol. 15), as in Nengo.

    dw_ij = learning_rate (a_j b_i - beta b_i^2 w_ij) dt, with a_j and b_i the spike trains of
    source and target filtered with tau_pre_s and tau_post_s (in spikes per second); see
    `SteppedRule` for the order. Forgetting reaches every synapse of a target that is active, those
    of silent sources too, and costs as much.
    """

    rule: Literal["oja"] = "oja"
    learning_rate: float = Field(default=1e-6, ge=0)
    beta: float = Field(default=1.0, ge=0)
    tau_pre_s: float = Field(default=0.005, gt=0)
    tau_post_s: float = Field(default=0.005, gt=0)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["oja"]

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/oja.h has them."""
        filters = low_pass(self.tau_pre_s, dt_s), low_pass(self.tau_post_s, dt_s)
        return self.learning_rate * dt_s, self.beta, *filters[0], *filters[1]
