"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

To add a rule: declare its parameters here, write its kernel in `ext/plasticity.pyx`, and name it
in `Rule`. The sidecar and the checks follow from the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reflexarc.runtime.config import Strict


class Pes(Strict):
    """Prescribed error sensitivity (MacNeil & Eliasmith 2011; as in Nengo).

    dw_ij = -learning_rate * e_i * a_j * dt, with a_j the spike train of the presynaptic neuron j
    filtered with `tau_pre_s` (in spikes per second) and e_i the value of the modulator.
    Applied once a clock step, after the step's spikes and errors, then clipped to
    [w_min, w_max]. A step whose error is not finite teaches nothing; a trace below 1e-9 spikes
    per second counts as silence.

    `modulator` names the node whose value is the error: one element for each output of the edge.
    """

    rule: Literal["pes"] = "pes"
    modulator: str
    learning_rate: float = Field(ge=0)
    tau_pre_s: float = Field(default=0.02, gt=0)
    w_min: float = -1e30
    w_max: float = 1e30

    def misfit(
        self, weight: npt.NDArray[np.floating], sizes: Mapping[str, int]
    ) -> tuple[str, str] | None:
        """Why the rule does not fit an edge, as (key, problem); None if it fits.

        `weight` has shape (outputs, inputs); `sizes` holds the size of every node by name.
        """
        size = sizes.get(self.modulator)
        if size is None:
            return "modulator", f"'{self.modulator}' is not a node of the graph"
        if size != len(weight):
            return "modulator", (
                f"'{self.modulator}' has {size} values and the edge {len(weight)} outputs; "
                "they must be as many"
            )
        return _out_of_bounds(weight, self.w_min, self.w_max)


class PairStdp(Strict):
    """Pair-based spike-timing-dependent plasticity, all pairs, additive (Song et al. 2000).

    For a projection. A spike of the source that arrives dt after a spike of the target lowers the
    weight by `a_minus` exp(-dt / tau_minus_s), a spike of the target that follows an arrival by dt
    (0 within one clock step) raises it by `a_plus` exp(-dt / tau_plus_s); all pairs add up, each
    change is clipped to [w_min, w_max]. Pairs more than 30 time constants apart count for nothing,
    and what arrives from one source in one clock step counts as one spike, whatever its value.
    """

    rule: Literal["pair_stdp"] = "pair_stdp"
    a_plus: float = Field(ge=0)
    a_minus: float = Field(ge=0)
    tau_plus_s: float = Field(default=0.02, gt=0)
    tau_minus_s: float = Field(default=0.02, gt=0)
    w_min: float = 0.0
    w_max: float = 1e30

    def misfit(
        self, weight: npt.NDArray[np.floating], sizes: Mapping[str, int]
    ) -> tuple[str, str] | None:
        """Why the rule does not fit these weights, as (key, problem); None if it fits."""
        return _out_of_bounds(weight, self.w_min, self.w_max)


def _out_of_bounds(
    weight: npt.NDArray[np.floating], w_min: float, w_max: float
) -> tuple[str, str] | None:
    if weight.size and w_min > weight.min():
        return "w_min", f"{w_min:g} is above the smallest weight, {weight.min():g}"
    if weight.size and w_max < weight.max():
        return "w_max", f"{w_max:g} is below the largest weight, {weight.max():g}"
    return None


Rule: TypeAlias = Annotated[Pes | PairStdp, Field(discriminator="rule")]
