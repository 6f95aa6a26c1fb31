"""The kinds of neuron as classes, for building networks by hand.

Names carry units: `_s` is seconds, `_hz` per second; voltages and currents are in any units that
fit each other (the defaults of the kinds with a capacitance are in mV, pA, nS and nF). Every
parameter is a number, one number for each neuron, or a `Distribution` to draw them from.
docs/neurons.md has all of this side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.distribution import Distribution
from reflexarc.runtime.network import NeuronKind

Value: TypeAlias = float | npt.ArrayLike | Distribution


@dataclass(frozen=True, kw_only=True)
class NeuronModel:
    """Base of all kinds: what its neurons are and their parameters."""

    kind: ClassVar[NeuronKind]

    def parameters(self) -> dict[str, Value]:
        """The values by the names that `Neurons` has for them; without `refractory` if it is 0."""
        values = {
            field.name.removesuffix("_s").removesuffix("_hz"): getattr(self, field.name)
            for field in fields(self)
        }
        if self.kind in ("LIF", "CubaLIF", "IF") and _is_zero(values["refractory"]):
            del values["refractory"]  # NIR has no such thing: leave its kinds as they are there
        return values


def _is_zero(value: Value) -> bool:
    return not isinstance(value, Distribution) and not np.any(np.asarray(value))


@dataclass(frozen=True, kw_only=True)
class LIF(NeuronModel):
    """Leaky integrate-and-fire: tau dv/dt = v_leak - v + r I. NIR's LIF (Pedersen et al. 2024)."""

    kind: ClassVar[NeuronKind] = "LIF"
    tau_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class CubaLIF(NeuronModel):
    """LIF behind a synapse: tau_syn dI/dt = -I + w_in x. NIR's CubaLIF (Pedersen et al. 2024)."""

    kind: ClassVar[NeuronKind] = "CubaLIF"
    tau_syn_s: Value = 5e-3
    tau_mem_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    w_in: Value = 1.0
    refractory_s: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class LI(NeuronModel):
    """Leaky integrator, no spikes: tau dv/dt = v_leak - v + r I. NIR's LI."""

    kind: ClassVar[NeuronKind] = "LI"
    tau_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class CubaLI(NeuronModel):
    """LI behind a synapse: tau_syn dI/dt = -I + w_in x. NIR's CubaLI."""

    kind: ClassVar[NeuronKind] = "CubaLI"
    tau_syn_s: Value = 5e-3
    tau_mem_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    w_in: Value = 1.0


@dataclass(frozen=True, kw_only=True)
class IF(NeuronModel):
    """Integrate-and-fire: dv/dt = r I, I per second. NIR's IF."""

    kind: ClassVar[NeuronKind] = "IF"
    r: Value = 1.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class I(NeuronModel):  # noqa: E742  NIR's name
    """Integrator, no spikes: dv/dt = r I, I per second. NIR's I."""

    kind: ClassVar[NeuronKind] = "I"
    r: Value = 1.0


@dataclass(frozen=True, kw_only=True)
class ALIF(NeuronModel):
    """LIF with an adaptive threshold: tau dv/dt = v_leak - v + r I.

    Fires when v > v_threshold + A; tau_threshold dA/dt = -A, and A += threshold_jump at a spike
    (Bellec et al. 2018, 2020; Gerstner et al. 2014, section 6.1).
    """

    kind: ClassVar[NeuronKind] = "ALIF"
    tau_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0
    tau_threshold_s: Value = 200e-3
    threshold_jump: Value = 0.2


@dataclass(frozen=True, kw_only=True)
class DeltaLIF(NeuronModel):
    """LIF whose voltage jumps: tau dv/dt = v_leak - v + r (I + i_offset).

    A spike of weight w on `jump` makes v += w (Brunel 2000; NEST's iaf_psc_delta).
    """

    kind: ClassVar[NeuronKind] = "DeltaLIF"
    tau_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class ExpLIF(NeuronModel):
    """LIF with two exponential currents: tau_mem dv/dt = v_leak - v + r (I + i_e + i_i + i_offset).

    tau_excitatory di_e/dt = -i_e, and a spike of weight w on `excitatory` makes i_e += w;
    `inhibitory` likewise, with weights below 0 (NEST's iaf_psc_exp; Vogels & Abbott 2005).
    """

    kind: ClassVar[NeuronKind] = "ExpLIF"
    tau_mem_s: Value = 20e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0
    tau_excitatory_s: Value = 5e-3
    tau_inhibitory_s: Value = 10e-3
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class AlphaLIF(NeuronModel):
    """LIF with two currents: tau_mem dv/dt = v_leak - v + r (I + i_e + i_i + i_offset).

    A spike of weight w adds w (t / tau) exp(1 - t / tau), whose peak is w, to the current of its
    receptor (NEST's iaf_psc_alpha; Rotter & Diesmann 1999).
    """

    kind: ClassVar[NeuronKind] = "AlphaLIF"
    tau_mem_s: Value = 10e-3
    r: Value = 1.0
    v_leak: Value = 0.0
    v_threshold: Value = 1.0
    v_reset: Value = 0.0
    refractory_s: Value = 0.0
    tau_excitatory_s: Value = 2e-3
    tau_inhibitory_s: Value = 2e-3
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class CondLIF(NeuronModel):
    """LIF with two conductances, in nF, nS, mV and pA.

    c dv/dt = g_leak (v_leak - v) + g_e (e_excitatory - v) + g_i (e_inhibitory - v) + I + i_offset;
    tau_excitatory dg_e/dt = -g_e, and a spike of weight w >= 0 on `excitatory` makes g_e += w;
    `inhibitory` likewise (NEST's iaf_cond_exp; Vogels & Abbott 2005, whose values these are).
    """

    kind: ClassVar[NeuronKind] = "CondLIF"
    c: Value = 0.2
    g_leak: Value = 10.0
    v_leak: Value = -60.0
    v_threshold: Value = -50.0
    v_reset: Value = -60.0
    refractory_s: Value = 5e-3
    e_excitatory: Value = 0.0
    e_inhibitory: Value = -80.0
    tau_excitatory_s: Value = 5e-3
    tau_inhibitory_s: Value = 10e-3
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class AdEx(NeuronModel):
    """Adaptive exponential integrate-and-fire, in nF, nS, mV and pA.

    c dv/dt = g_leak (v_leak - v) + g_leak delta_t exp((v - v_threshold) / delta_t) - w
    + I + i_e + i_i + i_offset, with currents as in ExpLIF; tau_w dw/dt = a (v - v_leak) - w;
    at v >= v_peak: v = v_reset and w += b (Brette & Gerstner 2005, whose values these are;
    NEST's aeif_psc_exp).
    """

    kind: ClassVar[NeuronKind] = "AdEx"
    c: Value = 0.281
    g_leak: Value = 30.0
    v_leak: Value = -70.6
    v_threshold: Value = -50.4
    v_reset: Value = -70.6
    refractory_s: Value = 0.0
    delta_t: Value = 2.0
    v_peak: Value = 20.0
    a: Value = 4.0
    b: Value = 80.5
    tau_w_s: Value = 144e-3
    tau_excitatory_s: Value = 5e-3
    tau_inhibitory_s: Value = 10e-3
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class Izhikevich(NeuronModel):
    """dv/dt = 0.04 v^2 + 5 v + 140 - u + I + i_offset; du/dt = a (b v - u), per ms, v in mV.

    At v >= v_peak: v = c and u += d. A spike of weight w on `jump` makes v += w (Izhikevich 2003;
    the defaults are regular spiking).
    """

    kind: ClassVar[NeuronKind] = "Izhikevich"
    a: Value = 0.02
    b: Value = 0.2
    c: Value = -65.0
    d: Value = 8.0
    v_peak: Value = 30.0
    i_offset: Value = 0.0


@dataclass(frozen=True, kw_only=True)
class Poisson(NeuronModel):
    """Spikes at random, independent of each other, `rate_hz` a second."""

    kind: ClassVar[NeuronKind] = "Poisson"
    rate_hz: Value = 10.0


@dataclass(frozen=True, kw_only=True)
class Regular(NeuronModel):
    """Spikes at phase_s + k period_s, k = 0, 1, ..."""

    kind: ClassVar[NeuronKind] = "Regular"
    period_s: Value = 100e-3
    phase_s: Value = 0.0


#: Parameters that must be above 0, and those that must not be below it.
_ABOVE_ZERO = {
    "tau",
    "tau_syn",
    "tau_mem",
    "tau_threshold",
    "tau_excitatory",
    "tau_inhibitory",
    "tau_w",
    "g_leak",
    "delta_t",
    "period",
}
_NOT_NEGATIVE = {"refractory", "rate", "phase"}


def misfit(
    kind: NeuronKind, parameters: Mapping[str, npt.NDArray[np.float64]]
) -> tuple[str, str] | None:
    """The first parameter that `kind` cannot have, and the problem; None if all is well."""
    for name, values in parameters.items():
        capacitance = name == "c" and kind in ("CondLIF", "AdEx")  # Izhikevich's c is a voltage
        if not np.isfinite(values).all():
            return name, "every value must be finite"
        if (name in _ABOVE_ZERO or capacitance) and values.min() <= 0:
            return name, f"value {values.min():g}; must be greater than 0"
        if name in _NOT_NEGATIVE and values.min() < 0:
            return name, f"value {values.min():g}; cannot be negative"
    resets = {"AdEx": "v_reset", "Izhikevich": "c"}
    if kind in resets and (parameters[resets[kind]] >= parameters["v_peak"]).any():
        return resets[kind], "must be below v_peak; the neuron would fire without end"
    return None
