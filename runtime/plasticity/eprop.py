"""E-prop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import Weights
from reflexarc.runtime.plasticity.stepped import SteppedRule, low_pass

_FEEDBACK = ("random", "symmetric", "adaptive")


class EProp(SteppedRule):
    """Eligibility propagation (Bellec et al. 2020, Nat. Commun. 11:3625), online, for LIF and ALIF.

    In each step, after its spikes and errors, for the synapse from j to i:

    1. psi_i = dampening / width max(0, 1 - |v_i - A_i| / width), with v_i the voltage before any
       reset, A_i the threshold with its adaptation and width surrogate_width, or v_threshold -
       v_leak; 0 while the neuron is held at its reset.
    2. The slope of v_i in w_ij: s_ij = gain_i times the arrivals from j, filtered as the membrane
       filters them. It runs on through resets, which count as constants.
    3. The slope of A_i: r_ij, which is 0 for LIF, and the eligibility e_ij = psi_i (s_ij - r_ij);
       then r_ij = exp(-dt / tau_threshold) (r_ij + threshold_jump e_ij).
    4. E_ij = kappa E_ij + (1 - kappa) e_ij, kappa = exp(-dt / tau_readout_s), or 0 for
       tau_readout_s 0: what a readout of unit gain makes of it.
    5. L_i = sum over k of B_ik error_k, with the values of `modulator`: readout less target.
    6. w_ij -= learning_rate dt (L_i E_ij + c_reg (f_i - f_target_hz) e_ij), with f_i the rate of
       the neuron over tau_rate_s; then the bounds. It is in force from the next step on.

    A step whose errors are not finite teaches nothing. B, one number for each neuron and error, is
    `random`: normal with deviation feedback_scale, from the network's seed; `symmetric`: the
    weights of the matrix `readout`, as they are now; `adaptive`: random first, then in each step
    B = exp(-dt feedback_decay_hz) B + what the readout has changed since the last step.

    The neurons of the layer, LIF, ALIF or DeltaLIF that are reset to v_reset, share one tau. For a
    layer without recurrence L_i E_ij is the exact gradient of the squared error that a LI with
    tau_readout_s makes of `readout`, with psi as the derivative of a spike. A source costs nothing
    once its traces are below 1e-9 of a spike. With a `sign` the weight moves likewise and is
    bounded.
    """

    sees: ClassVar[frozenset[str]] = frozenset({"membrane"})

    rule: Literal["e_prop"] = "e_prop"
    modulator: str
    learning_rate: float = Field(ge=0)
    feedback: Literal["random", "symmetric", "adaptive"] = "random"
    readout: str | None = None
    feedback_scale: float = Field(default=1.0, ge=0)
    feedback_decay_hz: float = Field(default=0.0, ge=0)
    tau_readout_s: float = Field(default=0.02, ge=0)
    dampening: float = Field(default=0.3, gt=0)
    surrogate_width: float | None = Field(default=None, gt=0)
    c_reg: float = Field(default=0.0, ge=0)
    f_target_hz: float = Field(default=10.0, ge=0)
    tau_rate_s: float = Field(default=1.0, gt=0)

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if self.modulator not in sizes:
            return "modulator", f"'{self.modulator}' is not a node of the graph"
        if self.feedback != "random" and self.readout is None:
            return "readout", f"feedback {self.feedback} needs the name of a matrix"
        if self.feedback == "random" and self.readout is not None:
            return "readout", "feedback random has none; leave it out, or say which feedback"
        if self.readout is not None and self.readout not in sizes:
            return "readout", f"'{self.readout}' is not a node of the graph"
        if self.readout is not None and sizes[self.readout] != sizes[self.modulator]:
            return "readout", (
                f"'{self.readout}' has {sizes[self.readout]} outputs and the modulator "
                f"{sizes[self.modulator]} values; they must be as many"
            )
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["e_prop"]

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/e_prop.h has them."""
        return (
            self.learning_rate * dt_s,
            exp(-dt_s / self.tau_readout_s) if self.tau_readout_s else 0.0,
            self.dampening,
            self.surrogate_width or 0.0,
            self.c_reg,
            self.f_target_hz,
            *low_pass(self.tau_rate_s, dt_s),
            _FEEDBACK.index(self.feedback),
            exp(-dt_s * self.feedback_decay_hz),
        )

    def first_shared(
        self, targets: int, errors: int, readout: Weights | None, seed: int
    ) -> Weights:
        """The feedback by target and, if it follows the readout, the readout's first weights."""
        if self.feedback == "symmetric":
            return np.zeros(0)
        feedback = self.feedback_scale * np.random.default_rng(seed).standard_normal(
            targets * errors
        )
        return feedback if readout is None else np.concatenate([feedback, readout])
