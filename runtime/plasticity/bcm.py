"""The rule of Bienenstock, Cooper and Munro."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.stepped import SteppedRule, low_pass


class Bcm(SteppedRule):
    """Sliding threshold (Bienenstock, Cooper & Munro 1982, J. Neurosci. 2), as in Nengo.

    dw_ij = learning_rate b_i (b_i - theta_i) a_j dt, with a_j and b_i the spike trains of source
    and target filtered with tau_pre_s and tau_post_s (in spikes per second), and theta_i that of
    the target filtered with tau_theta_s; see `SteppedRule` for the order.
    """

    rule: Literal["bcm"] = "bcm"
    learning_rate: float = Field(default=1e-9, ge=0)
    tau_pre_s: float = Field(default=0.005, gt=0)
    tau_post_s: float = Field(default=0.005, gt=0)
    tau_theta_s: float = Field(default=1.0, gt=0)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["bcm"]

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/bcm.h has them."""
        taus_s = self.tau_pre_s, self.tau_post_s, self.tau_theta_s
        return self.learning_rate * dt_s, *(x for tau_s in taus_s for x in low_pass(tau_s, dt_s))
