"""Layers as the compiled population kernels take them: constants, first state, model.

The parameter rows are those that ext/neurons.h lists. Linear equations are integrated exactly
(Rotter & Diesmann 1999, Biol. Cybern. 81): the constants are their propagators over one step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, e
from typing import cast

import numpy as np

from reflexarc.runtime.dialect import Step
from reflexarc.runtime.errors import GraphError, UnsupportedError
from reflexarc.runtime.network import OWN_PARAMETERS, FloatArray, Network, Neurons
from reflexarc.runtime.neurons import misfit

#: Neurons whose upswing is steep are integrated in substeps of at most this many seconds.
_SUBSTEP_S = 25e-6
#: Delays of more steps are taken for a mistake of unit.
_MOST_LAG = 2**24


@dataclass(frozen=True, kw_only=True)
class Population:
    """A layer for the engine.

    Attributes:
        model: a name of `reflexarc.ext.clocked.MODELS`.
        rows: parameter rows, each of shape (size,).
        waits: whether neurons are held after a spike.
        state: first values of the state variables, each of shape (size,); voltage first.
        substeps: how often the equations are integrated in a step.
    """

    model: str
    rows: Sequence[FloatArray]
    state: Sequence[FloatArray]
    waits: bool
    substeps: int = 1

    def constants(self) -> tuple[FloatArray, bool]:
        """The rows one behind the other, and whether one number stands for each row."""
        uniform = all(np.all(row == row[0]) for row in self.rows)
        parts = [row[:1] if uniform else row for row in self.rows]
        return np.concatenate(parts), uniform


def check_layers(network: Network) -> None:
    """Refuse layers whose parameters or first voltages are not one for each neuron.

    Raises:
        GraphError: names the layer and what is wrong with it.
    """
    for node in network.nodes.values():
        if isinstance(node, Neurons):
            _check_parameters(node, f"{network.source}: node '{node.name}'")
    for name, initial in network.initial_v.items():
        layer = network.nodes.get(name)
        fits = isinstance(layer, Neurons) and initial.shape == (layer.size,)
        if not fits or not np.isfinite(initial).all():
            raise GraphError(
                f"{network.source}: initial_v.{name}: expected the name of a layer and one finite "
                "number for each of its neurons"
            )


def _check_parameters(node: Neurons, where: str) -> None:
    own = OWN_PARAMETERS.get(node.kind, ())
    for name in (*own, *node.parameters):
        if name not in node.parameters:
            raise GraphError(f"{where}: {node.kind} needs {name}")
        if node.parameters[name].shape != (node.size,):
            raise GraphError(f"{where}: {name} must be {node.size} numbers, one for each neuron")
    wrong = misfit(node.kind, node.parameters) if own else None
    if wrong:
        raise GraphError(f"{where}: {wrong[0]}: {wrong[1]}")


def nir_population(node: Neurons, step: Step, v0: FloatArray, dt_s: float) -> Population:
    """A spiking layer of NIR that is reset to a value, under the dialect that gave `step`."""
    assert step.limit is not None
    assert step.reset is not None
    waits = is_refractory(node)
    pause = refractory_steps(node, dt_s) if waits else np.zeros(node.size)
    rows, state = [step.a, step.g, step.c, step.limit, step.reset, pause], [v0]
    if step.a_syn is None or step.g_syn is None:
        return Population(model="lif", rows=rows, state=state, waits=waits)
    rows += [step.a_syn, step.g_syn]
    state.append(np.zeros(node.size))
    return Population(model="cuba_lif", rows=rows, state=state, waits=waits)


def own_population(node: Neurons, dt_s: float, v0: FloatArray | None) -> Population:
    """A layer of a kind that NIR does not have; `v0` None is the kind's own first voltage."""
    return _KINDS[node.kind](node, dt_s, _first_voltage(node) if v0 is None else v0)


def is_refractory(node: Neurons) -> bool:
    """Whether any neuron of the layer has a refractory time."""
    return bool(np.any(node.parameters.get("refractory", np.zeros(1)) > 0))


def refractory_steps(node: Neurons, dt_s: float) -> FloatArray:
    """Refractory times in whole steps, as float64."""
    return whole_steps(node.parameters["refractory"], dt_s, f"node '{node.name}': refractory times")


def whole_steps(seconds: FloatArray, dt_s: float, what: str) -> FloatArray:
    """Times in clock steps, to the nearest; warns where that changes them."""
    exact = np.asarray(seconds / dt_s)
    steps = np.rint(exact)
    if np.any(np.abs(exact - steps) > 1e-6 * np.maximum(1.0, exact)):
        warnings.warn(f"{what} are rounded to whole steps of {dt_s:g} s", UserWarning, stacklevel=2)
    return cast(FloatArray, steps)


def delay_steps(delays_s: FloatArray, dt_s: float, what: str) -> FloatArray:
    """Delays in clock steps. Raises UnsupportedError for more than can be remembered."""
    steps = whole_steps(delays_s, dt_s, what)
    if not np.all((steps >= 0) & (steps <= _MOST_LAG)):
        raise UnsupportedError(f"{what} must be 0 to {_MOST_LAG} steps of {dt_s:g} s")
    return steps


def _first_voltage(node: Neurons) -> FloatArray:
    return node.parameters["c" if node.kind == "Izhikevich" else "v_leak"]


def _leaky(node: Neurons, dt_s: float) -> list[FloatArray]:
    """decay, gain, rest (1 - decay), threshold, reset, refractory."""
    p = node.parameters
    tau_s = p["tau" if "tau" in p else "tau_mem"]
    decay, share = np.exp(-dt_s / tau_s), -np.expm1(-dt_s / tau_s)
    rest = p["v_leak"] + p["r"] * p.get("i_offset", np.zeros(1))
    return [
        decay,
        p["r"] * share,
        share * rest,
        p["v_threshold"],
        p["v_reset"],
        refractory_steps(node, dt_s),
    ]


def _alif(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    p = node.parameters
    rows = [*_leaky(node, dt_s), np.exp(-dt_s / p["tau_threshold"]), p["threshold_jump"]]
    return _population(node, rows, [v0, np.zeros(node.size)])


def _delta_lif(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    return _population(node, _leaky(node, dt_s), [v0])


def _exp_lif(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    rows = _leaky(node, dt_s)
    for tau_s in _synapses(node):
        rows += [np.exp(-dt_s / tau_s), _onto_membrane(node, tau_s, dt_s)]
    return _population(node, rows, [v0])


def _alpha_lif(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    rows, zero = _leaky(node, dt_s), np.zeros(node.size)
    for tau_s in _synapses(node):
        decay = np.exp(-dt_s / tau_s)
        rows += [
            decay,
            dt_s * decay * (e / tau_s),
            _rise_onto_membrane(node, tau_s, dt_s) * (e / tau_s),
            _onto_membrane(node, tau_s, dt_s),
        ]
    return _population(node, rows, [v0, zero, zero])


def _capacitive(node: Neurons, dt_s: float) -> list[FloatArray]:
    """1/c, g_leak/c, v_leak, threshold, reset, refractory, i_offset."""
    p = node.parameters
    return [
        1.0 / p["c"],
        p["g_leak"] / p["c"],
        p["v_leak"],
        p["v_threshold"],
        p["v_reset"],
        refractory_steps(node, dt_s),
        p["i_offset"],
    ]


def _cond_lif(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    p = node.parameters
    rows = [
        *_capacitive(node, dt_s),
        p["e_excitatory"],
        p["e_inhibitory"],
        *(np.exp(-0.5 * dt_s / tau_s) for tau_s in _synapses(node)),
    ]
    return _population(node, rows, [v0])


def _adex(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    p = node.parameters
    substeps = max(1, ceil(dt_s / _SUBSTEP_S - 1e-9))
    rows = [
        *_capacitive(node, dt_s),
        p["delta_t"],
        p["v_peak"],
        p["a"],
        p["b"],
        1.0 / p["tau_w"],
        *(np.exp(-0.5 * dt_s / substeps / tau_s) for tau_s in _synapses(node)),
    ]
    state = [v0, np.zeros(node.size)]
    return Population(model="AdEx", rows=rows, state=state, waits=True, substeps=substeps)


def _izhikevich(node: Neurons, dt_s: float, v0: FloatArray) -> Population:
    p = node.parameters
    rows = [p[name] for name in ("a", "b", "c", "d", "v_peak", "i_offset")]
    return _population(node, rows, [v0, p["b"] * v0])


def _population(
    node: Neurons, rows: Sequence[FloatArray], state: Sequence[FloatArray]
) -> Population:
    return Population(model=node.kind, rows=rows, state=state, waits=is_refractory(node))


def _synapses(node: Neurons) -> tuple[FloatArray, FloatArray]:
    return node.parameters["tau_excitatory"], node.parameters["tau_inhibitory"]


def _onto_membrane(node: Neurons, tau_syn_s: FloatArray, dt_s: float) -> FloatArray:
    """What a current exp(-t / tau_syn) adds to v in a step."""
    tau_s = node.parameters["tau_mem"]
    x = dt_s * (1.0 / tau_s - 1.0 / tau_syn_s)
    mean = np.divide(np.expm1(x), x, out=np.ones_like(x), where=x != 0.0)
    return node.parameters["r"] * (dt_s / tau_s) * np.exp(-dt_s / tau_s) * mean


def _rise_onto_membrane(node: Neurons, tau_syn_s: FloatArray, dt_s: float) -> FloatArray:
    """What a current t exp(-t / tau_syn) adds to v in a step."""
    tau_s = node.parameters["tau_mem"]
    x = dt_s * (1.0 / tau_s - 1.0 / tau_syn_s)
    gain = node.parameters["r"] * (dt_s / tau_s) * dt_s * np.exp(-dt_s / tau_s)
    return gain * _first_moment(x)


def _first_moment(x: FloatArray) -> FloatArray:
    """The integral of u exp(x u) over u from 0 to 1, also where x is small."""
    small = np.abs(x) < 0.5
    wide = np.where(small, 1.0, x)
    closed = (np.exp(wide) * (wide - 1.0) + 1.0) / wide**2
    term, series = np.ones_like(x), np.zeros_like(x)
    for k in range(20):
        series += term / (k + 2)
        term = term * x / (k + 1)
    return np.where(small, series, closed)


_KINDS: dict[str, Callable[[Neurons, float, FloatArray], Population]] = {
    "ALIF": _alif,
    "DeltaLIF": _delta_lif,
    "ExpLIF": _exp_lif,
    "AlphaLIF": _alpha_lif,
    "CondLIF": _cond_lif,
    "AdEx": _adex,
    "Izhikevich": _izhikevich,
}
