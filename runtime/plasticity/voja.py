"""Vector Oja."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import Weights
from reflexarc.runtime.plasticity.stepped import SteppedRule, low_pass


class Voja(SteppedRule):
    """Vector Oja (Voelker, Crawford & Eliasmith 2014, Unconv. Comput. Nat. Comput.), as in Nengo.

    The edge is a matrix of encoders from graded values x_j to neurons, and each neuron that is
    active moves its encoder towards what it is shown:
    dw_ij = learning_rate b_i (scale_i x_j - w_ij) dt, with b_i the spike train of neuron i filtered
    with tau_post_s (in spikes per second); see `SteppedRule` for the order. `scale` is one number
    or one for each neuron: Nengo's gain / radius. A step with an x that is not finite teaches
    nothing. With a `sign` the weight moves likewise and is bounded.
    """

    places: ClassVar[frozenset[str]] = frozenset({"matrix"})
    takes_values: ClassVar[bool] = True

    rule: Literal["voja"] = "voja"
    learning_rate: float = Field(default=1e-2, ge=0)
    tau_post_s: float = Field(default=0.005, gt=0)
    scale: float | list[float] = 1.0

    def misfit(self, weight: Weights, sizes: Mapping[str, int]) -> tuple[str, str] | None:
        """Why the rule does not fit an edge; see `Rule`."""
        if isinstance(self.scale, list) and len(self.scale) != len(weight):
            return "scale", f"{len(self.scale)} numbers for {len(weight)} neurons; give as many"
        return super().misfit(weight, sizes)

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["voja"]

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/voja.h has them."""
        return self.learning_rate * dt_s, *low_pass(self.tau_post_s, dt_s)

    def first_shared(
        self, targets: int, errors: int, readout: Weights | None, seed: int
    ) -> Weights:
        """The scale of each target."""
        return np.array(np.broadcast_to(self.scale, targets), np.float64)
