"""The science API: run a network from inputs to outputs, without a loop around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import Array
from reflexarc.runtime.drive import Drive, Run, Spikes, StepCurrent
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import Delay, FloatArray, Network, Neurons

#: One Input's share: drives, an array (steps first), or a list of them, which add up.
Given: TypeAlias = Drive | Array | Sequence[Any]
#: Times are met within this share of a step: 0.3 / 0.1 is a little less than 3.
_GRACE = 1e-6


def simulate(
    network: Network,
    inputs: Mapping[str, Given],
    until_s: float | None = None,
    *,
    mode: str | None = None,
    dt_s: float | None = None,
    dialect: str | None = None,
    probes: Mapping[str, Sequence[float] | FloatArray] | None = None,
    record: Sequence[str] = (),
) -> Run:
    """Run `network` from its initial state at time 0 to `until_s` and return what it did.

    Args:
        network: from `load`.
        inputs: by Input name, one `Spikes`, `StepCurrent` or array, or a list of them; an Input
            without an entry is silent. An array has the steps first, shape (steps, size), and is
            for clocked mode. There a spike counts 1 in the step its time falls in (area / dt_s
            where it has an area), and a current its mean over each step.
        until_s: the end, seconds; may be left out when an array tells the number of steps.
        mode, dt_s, dialect: how to run it, instead of what the network says.
        probes: by layer, times in seconds at which to read the voltage.
        record: inner spiking layers whose spikes to return.

    Returns:
        `Run`: spikes by spiking Output and recorded layer, voltages by probe, values by Output
        (clocked: shape (steps, size)), counters.

    Raises:
        ConfigError: an unknown name, a wrong shape, a missing end or step.
        UnsupportedError: what the backend of that mode cannot run.

    A graph without neurons and given arrays is a function of each step's input; it needs no dt_s.
    """
    chosen = network.mode if mode is None else mode
    if chosen not in ("exact", "clocked"):
        raise ConfigError(f"simulate: mode '{chosen}' is not known; use exact or clocked")
    known = {node.name for node in network.inputs()}
    for name in inputs:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"simulate: no Input '{name}'; there are: {listed}")
    parts = {name: _parts(given) for name, given in inputs.items()}
    step_s = network.dt_s if dt_s is None else dt_s
    arrays = any(not isinstance(part, Drive) for share in parts.values() for part in share)
    if arrays and not any(isinstance(n, (Neurons, Delay)) for n in network.nodes.values()):
        chosen, step_s = "clocked", step_s or 1.0
    if chosen == "exact":
        return _simulate_exact(network, parts, until_s, probes, record)
    if step_s is None:
        raise ConfigError(f"{network.source}: clocked mode needs a step; give dt_s")
    if dialect is not None:
        network = replace(network, dialect=dialect)
    program = ClockedBackend().compile(network, dt_s=step_s)
    steps = _steps(parts, until_s, step_s)
    sizes = {node.name: node.size for node in network.inputs()}
    rasters = {
        name: sum(
            (_raster(name, part, steps, sizes[name], step_s) for part in share),
            start=np.zeros((steps, sizes[name])),
        )
        for name, share in parts.items()
    }
    return program.run(rasters, steps=steps, probes=probes, record=record)


def _simulate_exact(
    network: Network,
    parts: Mapping[str, list[Any]],
    until_s: float | None,
    probes: Mapping[str, Sequence[float] | FloatArray] | None,
    record: Sequence[str],
) -> Run:
    from reflexarc.runtime.backends.exact import ExactBackend

    for name, share in parts.items():
        if any(not isinstance(part, Drive) for part in share):
            raise ConfigError(
                f"input '{name}': exact mode takes Spikes and StepCurrent; "
                "an array needs mode='clocked' and dt_s"
            )
    if until_s is None:
        raise ConfigError("simulate: exact mode needs until_s")
    times = {name: [float(t_s) for t_s in at] for name, at in (probes or {}).items()}
    program = ExactBackend().compile(network)
    return program.run(parts, until_s, probes=times, record=record)


def _parts(given: Given) -> list[Any]:
    """The drives and arrays of one Input; a plain list of numbers is one array."""
    if isinstance(given, (Drive, np.ndarray)):
        return [given]
    if isinstance(given, Sequence) and any(isinstance(p, (Drive, np.ndarray)) for p in given):
        return list(given)
    return [np.asarray(given)]


def _steps(parts: Mapping[str, list[Any]], until_s: float | None, dt_s: float) -> int:
    lengths = {
        len(np.atleast_1d(part))
        for share in parts.values()
        for part in share
        if not isinstance(part, Drive)
    }
    if until_s is None:
        if not lengths:
            raise ConfigError("simulate: give until_s, or an array that tells how many steps")
        return max(lengths)
    if not np.isfinite(until_s) or until_s < 0:
        raise ConfigError(f"simulate: until_s {until_s!r} must be a finite time from 0 on")
    steps = int(np.ceil(until_s / dt_s - _GRACE))
    if lengths and max(lengths) > steps:
        raise ConfigError(
            f"simulate: an array has {max(lengths)} steps, until_s only {steps}; shorten one"
        )
    return max(steps, 0)


def _raster(name: str, part: Any, steps: int, size: int, dt_s: float) -> FloatArray:
    """One drive or array as values of each step, shape (steps, size)."""
    raster = np.zeros((steps, size))
    if isinstance(part, Spikes):
        _check_index(name, part.i, size)
        at = np.floor(part.t_s / dt_s + _GRACE).astype(np.int64)
        value = np.broadcast_to(1.0 if part.area is None else part.area / dt_s, at.shape)
        within = at < steps
        np.add.at(raster, (at[within], part.i[within]), value[within])
    elif isinstance(part, StepCurrent):
        _check_index(name, part.i, size)
        begin = np.arange(steps)
        share = np.minimum(part.t1_s / dt_s, begin + 1) - np.maximum(part.t0_s / dt_s, begin)
        np.add.at(raster.T, part.i, np.outer(part.amplitude, np.clip(share, 0.0, 1.0)))
    else:
        array = np.asarray(part)
        if array.ndim < 1 or array.size != len(array) * size or array.dtype.kind not in "biuf":
            raise ConfigError(
                f"input '{name}': expected numbers of shape (steps, {size}), not "
                f"{array.dtype} of shape {array.shape}"
            )
        raster[: len(array)] = array.reshape(len(array), size)
    return raster


def _check_index(name: str, i: Array, size: int) -> None:
    if i.size and i.max() >= size:
        raise ConfigError(f"input '{name}': index {i.max()} of only {size} elements")
