"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

To add a rule: declare its parameters here, write its kernel in `ext/plasticity.pyx`, and name it
in `Rule`. The sidecar and the checks follow from the declaration.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from reflexarc.runtime.config import Strict


class Pes(Strict):
    """Prescribed error sensitivity (MacNeil & Eliasmith 2011; as in Nengo).

    dw_ij = -learning_rate * e_i * a_j * dt, with a_j the spike train of the presynaptic neuron j
    filtered with `tau_pre_s` (in spikes per second) and e_i the value of the modulator.
    Applied once a clock step, then clipped to [w_min, w_max].

    `modulator` names the node whose value is the error: one element for each output of the edge.
    """

    rule: Literal["pes"] = "pes"
    modulator: str
    learning_rate: float = Field(ge=0)
    tau_pre_s: float = Field(default=0.02, gt=0)
    w_min: float = -1e30
    w_max: float = 1e30


Rule: TypeAlias = Pes
