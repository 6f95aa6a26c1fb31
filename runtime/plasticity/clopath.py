"""Spike-timing-dependent plasticity by the target's voltage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import ClassVar, Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule, Weights


class Clopath(KernelRule):
    """Voltage-based STDP (Clopath, Buesing, Vasilaki & Gerstner 2010, Nat. Neurosci. 13).

    With u the voltage of the target, u_plus and u_minus its low-passes (tau_plus_s, tau_minus_s)
    as they were u_delay_s ago, and x a trace of arrivals that each raises by 1 / tau_x_s:
    an arrival lowers the weight by a_ltd [u_minus - theta_minus]+, and in between
    dw/dt = a_ltp x [u - theta_plus]+ [u_plus - theta_minus]+. Each change is clipped to
    [w_min, w_max]. Voltages are those at the end of a step, as in NEST's clopath_synapse, and hold
    for it. With `u_reference` a_ltd is multiplied by (u_mean / u_reference)^2, u_mean being the
    low-pass of u_minus above v_rest with tau_mean_s.

    A spike is seen as v_spike for the `spike_s` from it on, whatever the neuron's voltage; 0 shows
    the rule the voltage alone. Filters begin at v_rest. Voltages are in the unit of the layer's.

    The defaults are those of the paper's table 1b for visual cortex and NEST's delay and spike, for
    a neuron in mV.
    """

    clocked_only: ClassVar[str] = "follows the voltages of its targets step by step"

    rule: Literal["clopath"] = "clopath"
    a_ltp: float = Field(default=8e-5, ge=0)
    a_ltd: float = Field(default=1.4e-4, ge=0)
    theta_plus: float = -45.3
    theta_minus: float = -70.6
    tau_x_s: float = Field(default=0.015, gt=0)
    tau_plus_s: float = Field(default=0.007, gt=0)
    tau_minus_s: float = Field(default=0.01, gt=0)
    tau_mean_s: float = Field(default=1.0, gt=0)
    u_delay_s: float = Field(default=0.005, ge=0)
    u_reference: float | None = Field(default=None, gt=0)
    v_rest: float = -70.6
    v_spike: float = 33.0
    spike_s: float = Field(default=0.002, ge=0)

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if self.dendritic_delay_s:
            return "dendritic_delay_s", "clopath sees the voltage at the arrival; leave it 0"
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["clopath"]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of arrivals."""
        return (self.tau_x_s,)

    def per_target(self, dt_s: float) -> int:
        """Both low-passes of the latest steps."""
        return 2 * round(self.u_delay_s / dt_s)

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/clopath.h has them."""
        taus_s = self.tau_plus_s, self.tau_minus_s, self.tau_mean_s
        return (
            *(self.a_ltp, self.a_ltd, self.theta_plus, self.theta_minus),
            *(self.v_rest, self.v_spike, round(self.spike_s / dt_s), 1.0 / self.tau_x_s),
            *(exp(-dt_s / tau_s) for tau_s in taus_s),
            *((self.u_reference or 0.0) ** 2, round(self.u_delay_s / dt_s)),
        )
