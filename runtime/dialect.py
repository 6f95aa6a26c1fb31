"""Dialects: how a simulator turns NIR's differential equations into one clock step.

Simulators agree on the equations and differ in the discrete update; a trained network behaves as
trained only under the update it was trained with. One step of every dialect here is

    I <- a_syn I + g_syn x          CubaLIF and CubaLI only
    v <- a v + g I + (1 - a) v_leak
    z <- v > v_threshold            (or >=)
    v <- v_reset where z            (or v - v_threshold z)

and the dialect names the factors. Learnt by comparing with each simulator's own output.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp
from typing import Literal

import numpy as np

from reflexarc.runtime.errors import UnsupportedError
from reflexarc.runtime.network import FloatArray, Neurons

Kinds = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The choices one simulator made.

    Attributes:
        decay: factor of a step, `1 - dt/tau` (euler) or `exp(-dt/tau)` (exponential).
        gain: of a unit input: `matched` is r (1 - a), the exact answer to an input held over the
            step where the decay is exponential, and r dt/tau where it is euler; `unit` is 1.
        inject_before_decay: the synapse adds its input first: I <- a_syn (I + g_syn x).
        fires_at_threshold: v == v_threshold fires.
        reset: to `v_reset`; `subtract` v_threshold once; `subtract_each`, as often as it fits,
            with as many spikes; `subtract_late`, where the threshold test sees the threshold
            taken away a second time if v still stood above it after the last step.
        euler_synapse: the decay of the synapse is euler, whatever `decay` is.
        leaking_synapse: the current of a synapse begins at v_leak and leaks towards it.
        rectifies: v below 0 becomes 0 after every step of a spiking layer; needs reset to v_reset.
        clips_if: IF neurons go no lower than -v_threshold.
        initial_v: 0, v_leak or v_reset.
        resets_to_zero: v_reset of the graph is ignored.
        ignores_r: kinds whose r is taken as 1.
        unit_if: IF and I add their input as it is, not r dt times it.
        bias_at_t0: the bias of an Affine that closes a cycle acts in the first step.
        drops_recurrent_bias: the bias of an Affine that leads a layer back onto itself is left out.
        output_shift_steps: the simulator reports everything this many steps later.
    """

    decay: Literal["euler", "exponential"]
    gain: Literal["matched", "unit"] = "matched"
    inject_before_decay: bool = False
    fires_at_threshold: bool = False
    reset: Literal["v_reset", "subtract", "subtract_each", "subtract_late"] = "v_reset"
    euler_synapse: bool = False
    leaking_synapse: bool = False
    rectifies: bool = False
    clips_if: bool = False
    initial_v: Literal["zero", "leak", "reset"] = "zero"
    resets_to_zero: bool = False
    ignores_r: Kinds = field(default_factory=frozenset)
    unit_if: bool = False
    bias_at_t0: bool = True
    drops_recurrent_bias: bool = False
    output_shift_steps: int = 0

    def ignored(self, neurons: Neurons) -> list[str]:
        """Parameters of `neurons` that matter and that this dialect passes over."""
        names = []
        if neurons.kind in self.ignores_r and np.any(neurons.parameters["r"] != 1.0):
            names.append("r")
        if self.resets_to_zero and np.any(neurons.parameters.get("v_reset", 0.0) != 0.0):
            names.append("v_reset")
        return names


_EULER = Dialect(decay="euler")
_NORSE = Dialect(
    decay="euler",
    initial_v="leak",
    resets_to_zero=True,
    ignores_r=frozenset({"LIF", "LI", "IF"}),
    unit_if=True,
    bias_at_t0=False,
    leaking_synapse=True,
)

DIALECTS: dict[str, Dialect] = {
    "reflexarc": Dialect(decay="exponential"),
    "norse": _NORSE,
    "norse_subtract": replace(_NORSE, reset="subtract"),
    "snntorch": replace(_EULER, resets_to_zero=True),
    "snntorch_subtract": replace(_EULER, reset="subtract_late"),
    "euler_subtract": replace(_EULER, reset="subtract"),
    "spyx_2023": replace(_EULER, reset="subtract", output_shift_steps=1),
    # Its own Braille output lets the recurrent bias wait a step, whatever DIALECTS.json says.
    "spikingjelly": replace(_EULER, fires_at_threshold=True, initial_v="reset", bias_at_t0=False),
    "lava_float": replace(_EULER, output_shift_steps=1),
    # Nengo's LIF.step with tau_ref 0: what its correction within the step takes off after a spike
    # is clipped to nothing. https://github.com/nengo/nengo/blob/main/nengo/neurons.py
    "nengo_lif": Dialect(decay="exponential"),
    # The same as the importer of the NIR paper runs it (paper/03_rnn/nir_to_nengo.py): before the
    # LIF, whose min_voltage is 0, a Lowpass made to decay like euler.
    "nengo_2023": Dialect(
        decay="exponential",
        euler_synapse=True,
        rectifies=True,
        resets_to_zero=True,
        output_shift_steps=1,
    ),
    "sinabs": Dialect(
        decay="exponential",
        gain="unit",
        fires_at_threshold=True,
        reset="subtract_each",
        clips_if=True,
        unit_if=True,
    ),
    "rockpool": Dialect(
        decay="exponential",
        gain="unit",
        inject_before_decay=True,
        fires_at_threshold=True,
        reset="subtract_each",
        drops_recurrent_bias=True,
    ),
}


def named(name: str) -> Dialect:
    """The dialect of that name. Raises UnsupportedError, which lists the names."""
    try:
        return DIALECTS[name]
    except KeyError:
        known = ", ".join(DIALECTS)
        raise UnsupportedError(f"dialect '{name}' is not known; there are: {known}") from None


@dataclass(frozen=True, kw_only=True)
class Step:
    """The factors of one layer's clock step; arrays of shape (size,).

    `a_syn`, `g_syn` are None without a synapse; `limit`, `threshold`, `reset` without spikes.
    A neuron fires where v > limit.
    """

    a: FloatArray
    g: FloatArray
    c: FloatArray
    v0: FloatArray
    a_syn: FloatArray | None = None
    g_syn: FloatArray | None = None
    limit: FloatArray | None = None
    threshold: FloatArray | None = None
    reset: FloatArray | None = None


def discretise(neurons: Neurons, dialect: Dialect, dt_s: float) -> Step:
    """The factors of `neurons` for steps of `dt_s` under `dialect`."""
    p = neurons.parameters
    zero, one = np.zeros(neurons.size), np.ones(neurons.size)
    r = one if neurons.kind in dialect.ignores_r else p["r"]
    if neurons.kind in ("IF", "I"):
        a, g = one, (one if dialect.unit_if else r * dt_s)
    else:
        a, g = _decay(p["tau" if "tau" in p else "tau_mem"], r, dialect, dt_s)
    a_syn = g_syn = None
    if "tau_syn" in p:
        synapse = replace(dialect, decay="euler") if dialect.euler_synapse else dialect
        a_syn, g_syn = _decay(p["tau_syn"], p["w_in"], synapse, dt_s)
        if dialect.inject_before_decay:
            g_syn = a_syn * g_syn
    leak = p.get("v_leak", zero)
    rest = (1.0 - a) * leak
    if a_syn is not None and dialect.leaking_synapse:
        rest = rest + g * leak  # of the current, whose excess over v_leak is what we keep
    reset = zero if dialect.resets_to_zero else p.get("v_reset", zero)
    v0 = {"zero": zero, "leak": leak, "reset": reset}[dialect.initial_v]
    step = Step(a=a, g=g, c=rest, v0=v0, a_syn=a_syn, g_syn=g_syn)
    if not neurons.spiking:
        return step
    threshold = p["v_threshold"]
    # v >= threshold is v > the number just below threshold.
    limit = np.nextafter(threshold, -np.inf) if dialect.fires_at_threshold else threshold
    return replace(step, limit=limit, threshold=threshold, reset=reset)


def _decay(
    tau_s: FloatArray, gain: FloatArray, dialect: Dialect, dt_s: float
) -> tuple[FloatArray, FloatArray]:
    """Decay factor and gain of a first-order low-pass."""
    euler = dialect.decay == "euler"
    a = 1.0 - dt_s / tau_s if euler else np.array([exp(-dt_s / tau) for tau in tau_s])
    if dialect.gain == "unit":
        return a, np.ones_like(a)
    return a, gain * dt_s / tau_s if euler else gain * (1.0 - a)
