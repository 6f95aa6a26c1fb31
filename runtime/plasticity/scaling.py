"""Synaptic scaling: all weights onto a neuron follow its firing rate."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from reflexarc.runtime.plasticity.upkeep import Upkeep


class SynapticScaling(Upkeep):
    """Multiplicative scaling (van Rossum, Bi & Turrigiano 2000, J. Neurosci. 20, eq. 3).

        dw/dt = beta w (rate_hz - a),    tau_s da/dt = -a + spikes of the target,

    so the weights onto a neuron that fires too little grow and keep their ratios. It begins with
    a = rate_hz, and a follows the spikes whether or not the edge learns. A visit takes one step of
    forward Euler as long as the period: w <- w max(0, 1 + beta period_s (rate_hz - a)), with a as
    it is then, clipped to [w_min, w_max]; keep beta period_s times the largest rate well below 1.
    A weight of 0 stays. An inhibitory edge, which has to shrink where the target fires too
    little, takes a negative beta.
    """

    role: ClassVar[str] = "scaling"
    clocked_only: ClassVar[str] = "goes round the sources by clock steps"

    rule: Literal["synaptic_scaling"] = "synaptic_scaling"
    rate_hz: float = Field(ge=0)
    beta: float
    tau_s: float = Field(gt=0)
