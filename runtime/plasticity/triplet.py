"""Spike-timing-dependent plasticity by triplets of spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule

_NAMES = ("a2_plus", "a3_plus", "a2_minus", "a3_minus", "tau_x_s", "tau_y_s")
#: Tables 3 and 4 of Pfister & Gerstner 2006, by fit, pairing and model: amplitudes, and the two
#: slow time constants in seconds.
PARAMETERS: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "visual_cortex": {
        "all_to_all": (5e-10, 6.2e-3, 7e-3, 2.3e-4, 0.101, 0.125),
        "all_to_all_minimal": (0.0, 6.5e-3, 7.1e-3, 0.0, 0.101, 0.114),
        "nearest": (8.8e-11, 5.3e-2, 6.6e-3, 3.1e-3, 0.714, 0.040),
        "nearest_minimal": (0.0, 5e-2, 8e-3, 0.0, 0.714, 0.040),
    },
    "hippocampus": {
        "all_to_all": (6.1e-3, 6.7e-3, 1.6e-3, 1.4e-3, 0.946, 0.027),
        "all_to_all_minimal": (5.3e-3, 8e-3, 3.5e-3, 0.0, 0.946, 0.040),
        "nearest": (4.6e-3, 9.1e-3, 3e-3, 7.5e-9, 0.575, 0.047),
        "nearest_minimal": (4.6e-3, 9.1e-3, 3e-3, 0.0, 0.575, 0.048),
    },
}


class TripletStdp(KernelRule):
    """Triplets of spikes (Pfister & Gerstner 2006, J. Neurosci. 26, eqs. 3 and 4).

    r1, r2 are traces of arrivals with tau_plus_s, tau_x_s; o1, o2 of the target's spikes with
    tau_minus_s, tau_y_s. An arrival lowers the weight by o1 (a2_minus + a3_minus r2), a spike of
    the target raises it by r1 (a2_plus + a3_plus o2), with r2 and o2 as they were just before.
    Traces add up (`all_to_all`) or are set to 1 (`nearest`).

    `fit` takes amplitudes and slow time constants from the paper's tables 3 and 4: `visual_cortex`
    or `hippocampus`, `minimal` with as few of them as fit; what is given beside it stands. In the
    paper tau_plus is 16.8 ms, tau_minus 33.7 ms.
    """

    rule: Literal["triplet_stdp"] = "triplet_stdp"
    pairing: Literal["all_to_all", "nearest"] = "all_to_all"
    fit: Literal["visual_cortex", "hippocampus"] | None = None
    minimal: bool = False
    a2_plus: float
    a3_plus: float
    a2_minus: float
    a3_minus: float
    tau_plus_s: float = Field(default=16.8e-3, gt=0)
    tau_minus_s: float = Field(default=33.7e-3, gt=0)
    tau_x_s: float = Field(gt=0)
    tau_y_s: float = Field(gt=0)

    @model_validator(mode="before")
    @classmethod
    def _take_fit(cls, said: Any) -> Any:
        """Fill in what the paper's table has."""
        if not isinstance(said, Mapping) or said.get("fit") not in PARAMETERS:
            return said
        pairing = said.get("pairing", "all_to_all")
        table = PARAMETERS[said["fit"]].get(f"{pairing}{'_minimal' if said.get('minimal') else ''}")
        return said if table is None else {**dict(zip(_NAMES, table, strict=True)), **said}

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS[f"triplet_stdp/{self.pairing}"]

    @property
    def decays_s(self) -> Sequence[float]:
        """Of r1, o1, r2, o2."""
        return self.tau_plus_s, self.tau_minus_s, self.tau_x_s, self.tau_y_s

    def parameters(self, dt_s: float) -> Sequence[float]:
        """As ext/triplet_stdp.h has them."""
        return self.a2_plus, self.a3_plus, self.a2_minus, self.a3_minus
