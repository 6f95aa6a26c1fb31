"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

To add a rule: declare its parameters here, write its kernel in `ext/plasticity.pyx`, and name it
in `Rule`. The sidecar and the checks follow from the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

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
        self, weight: npt.NDArray[np.float64], sizes: Mapping[str, int]
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
        if self.w_min > weight.min():
            return "w_min", f"{self.w_min:g} is above the smallest weight, {weight.min():g}"
        if self.w_max < weight.max():
            return "w_max", f"{self.w_max:g} is below the largest weight, {weight.max():g}"
        return None


Rule: TypeAlias = Pes
