"""Spike-driven plasticity of synapses with two efficacies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule, Weights


class Sdsp(KernelRule):
    """Spike-driven synaptic plasticity (Brader, Senn & Fusi 2007, Neural Comput. 19).

    A synapse has an internal X from 0 to 1, and its weight is w_max where X > theta_x, else w_min.
    When a spike arrives, X jumps up by jump_up if the target's voltage is above theta_v and its
    calcium between theta_up_low and theta_up_high, or down by jump_down if the voltage is not and
    the calcium is between theta_down_low and theta_down_high. Between, X drifts to 1 above theta_x,
    else to 0.
    Calcium rises by calcium_jump with each spike of the target and decays with tau_calcium_s.

    The voltage is that at the beginning of the step of the arrival. A weight given to begin with
    says X: (w - w_min) / (w_max - w_min). The spike carries the weight of before its own jump. X
    drifts on while learning is off. The defaults are the paper's table 1: calcium is in units of
    its jump, voltages of the threshold.
    """

    clocked_only: ClassVar[str] = "reads the voltages of its targets at each arrival"

    rule: Literal["sdsp"] = "sdsp"
    w_max: float = 1.0
    jump_up: float = Field(default=0.1, ge=0)
    jump_down: float = Field(default=0.1, ge=0)
    drift_up_per_s: float = Field(default=3.5, ge=0)
    drift_down_per_s: float = Field(default=3.5, ge=0)
    theta_x: float = Field(default=0.5, ge=0, le=1)
    theta_v: float = 0.8
    theta_up_low: float = 3.0
    theta_up_high: float = 13.0
    theta_down_low: float = 3.0
    theta_down_high: float = 4.0
    calcium_jump: float = Field(default=1.0, ge=0)
    tau_calcium_s: float = Field(default=0.06, gt=0)

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if self.w_min == self.w_max:
            return "w_min", f"{self.w_min:g} is w_max too; sdsp has two efficacies"
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["sdsp"]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of calcium."""
        return (self.tau_calcium_s,)

    def first(self, strength: Weights) -> tuple[Weights, Weights]:
        """One of the two efficacies, and X."""
        x = (strength - self.w_min) / (self.w_max - self.w_min)
        return np.where(x > self.theta_x, self.w_max, self.w_min), x[None]

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/sdsp.h has them."""
        return (
            *(self.jump_up, self.jump_down),
            *(self.drift_up_per_s * dt_s, self.drift_down_per_s * dt_s),
            *(self.theta_x, self.theta_v, self.theta_up_low, self.theta_up_high),
            *(self.theta_down_low, self.theta_down_high),
            *(self.calcium_jump, exp(-dt_s / self.tau_calcium_s)),
        )
