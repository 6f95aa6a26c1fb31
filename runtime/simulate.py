"""The science API: run a network from inputs to outputs, without a loop around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import Array
from reflexarc.runtime.dialect import named
from reflexarc.runtime.drive import Drive, Run, Spikes, StepCurrent, number
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import Delay, FloatArray, Input, Modulator, Network, Neurons

#: One Input's share: drives, an array (steps first), or a list of them, which add up.
Given: TypeAlias = Drive | Array | Sequence[Any]
#: Times are met within this share of a step: 0.3 / 0.1 is a little less than 3.
_GRACE = 1e-6
#: A century; int64 nanoseconds reach three.
LONGEST_S = 3e9


def simulate(
    network: Network,
    inputs: Mapping[str, Given],
    until_s: float | None = None,
    *,
    mode: str | None = None,
    dt_s: float | None = None,
    dialect: str | None = None,
    probes: Mapping[str, Sequence[float] | FloatArray | float] | None = None,
    record: Sequence[str] | str = (),
    threads: int = 1,
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
        probes: by layer, times in seconds at which to read the voltage, in any order. A clocked
            run shows it after the last step that has ended by then; an exact one just before what
            happens at that time.
        record: inner spiking layers whose spikes to return.
        threads: of a clocked run; they change no bit, and help large layers and projections.

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
    if dialect is not None:
        named(dialect)
        network = replace(network, dialect=dialect)
    parts = _all_parts(network, inputs)
    times = _probe_times(probes or {})
    recorded = [record] if isinstance(record, str) else list(record)
    end_s = None if until_s is None else _end(until_s)
    step_s = network.dt_s if dt_s is None else number("simulate: dt_s", dt_s)
    arrays = any(not isinstance(part, Drive) for share in parts.values() for part in share)
    if arrays and not any(isinstance(n, (Neurons, Delay)) for n in network.nodes.values()):
        chosen, step_s = "clocked", step_s or 1.0
    if chosen == "exact":
        return _simulate_exact(network, parts, end_s, times, recorded)
    if step_s is None:
        raise ConfigError(f"{network.source}: clocked mode needs a step; give dt_s")
    program = ClockedBackend(threads).compile(network, dt_s=step_s)
    steps = _steps(parts, end_s, step_s)
    ports = {node.name: node for node in network.inputs()}
    rasters = {
        name: sum(
            (_raster(ports[name], part, steps, step_s) for part in share),
            start=np.zeros((steps, ports[name].size)),
        )
        for name, share in parts.items()
    }
    return program.run(rasters, steps=steps, probes=times, record=recorded)


def _all_parts(network: Network, inputs: Mapping[str, Given]) -> dict[str, list[Any]]:
    """The drives and arrays of every Input named in `inputs`."""
    known = {node.name for node in network.inputs()}
    listed = ", ".join(sorted(known)) or "none"
    if not isinstance(inputs, Mapping):
        raise ConfigError(
            f"simulate: inputs must be a dict by Input name, not {type(inputs).__name__}; "
            f"there are: {listed}"
        )
    for name in inputs:
        if name not in known:
            raise ConfigError(f"simulate: no Input '{name}'; there are: {listed}")
    return {name: _parts(name, given) for name, given in inputs.items()}


def _probe_times(
    probes: Mapping[str, Sequence[float] | FloatArray | float],
) -> dict[str, FloatArray]:
    """Times by layer, each of shape (times,)."""
    if not isinstance(probes, Mapping):
        raise ConfigError(f"probes: give times by layer, not {type(probes).__name__}")
    times = {}
    for name, at in probes.items():
        try:
            times[name] = np.atleast_1d(np.asarray(at, np.float64)).reshape(-1)
        except (TypeError, ValueError):
            raise ConfigError(f"probes: times of '{name}' must be numbers of seconds") from None
    return times


def _end(until_s: float) -> float:
    end_s = number("simulate: until_s", until_s)
    if not 0 <= end_s <= LONGEST_S:
        raise ConfigError(f"simulate: until_s {until_s!r} must be a time from 0 to {LONGEST_S:g} s")
    return end_s


def _simulate_exact(
    network: Network,
    parts: Mapping[str, list[Any]],
    until_s: float | None,
    probes: Mapping[str, FloatArray],
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
    return ExactBackend().compile(network).run(parts, until_s, probes=probes, record=record)


def _parts(name: str, given: Given) -> list[Any]:
    """The drives and arrays of one Input; a plain list of numbers is one array."""
    if isinstance(given, Drive):
        return [given]
    if isinstance(given, (list, tuple)) and (
        not given or any(isinstance(part, (Drive, np.ndarray)) for part in given)
    ):
        return [part if isinstance(part, Drive) else _array(name, part) for part in given]
    return [_array(name, given)]


def _array(name: str, values: Any) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ConfigError(
            f"input '{name}': expected Spikes, StepCurrent, an array of numbers, or a list of them"
        )
    return array


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
    steps = int(np.ceil(until_s / dt_s - _GRACE))
    if lengths and max(lengths) > steps:
        raise ConfigError(
            f"simulate: an array has {max(lengths)} steps, until_s only {steps}; shorten one"
        )
    return max(steps, 0)


def _raster(port: Input, part: Any, steps: int, dt_s: float) -> FloatArray:
    """One drive or array as values of each step, shape (steps, size)."""
    name, size = port.name, port.size
    raster = np.zeros((steps, size))
    if isinstance(part, Spikes):
        _check_index(name, part.i, size)
        at = np.floor(part.t_s / dt_s + _GRACE)
        value = np.broadcast_to(_values(port, part, dt_s), at.shape)
        within = at < steps
        np.add.at(raster, (at[within].astype(np.int64), part.i[within]), value[within])
    elif isinstance(part, StepCurrent):
        _check_index(name, part.i, size)
        begin = np.arange(steps)
        first, last = _in_steps(part.t0_s, dt_s), _in_steps(part.t1_s, dt_s)
        share = np.minimum(last, begin + 1) - np.maximum(first, begin)
        np.add.at(raster.T, part.i, np.outer(part.amplitude, np.clip(share, 0.0, 1.0)))
    else:
        if part.ndim < 1 or part.size != len(part) * size:
            raise ConfigError(
                f"input '{name}': expected an array of shape (steps, {size}), not {part.shape}"
            )
        raster[: len(part)] = part.reshape(len(part), size)
    return raster


def _values(port: Input, spikes: Spikes, dt_s: float) -> FloatArray | float:
    """What spikes are worth for the step they fall in."""
    if isinstance(port, Modulator) and port.tau_s is not None:
        return port.spike_value(dt_s) * (1.0 if spikes.area is None else spikes.area)
    return 1.0 if spikes.area is None else spikes.area / dt_s


def _in_steps(t_s: float, dt_s: float) -> float:
    """A time in steps; on the edge of a step where it is meant to be there."""
    at = t_s / dt_s
    return round(at) if np.isfinite(at) and abs(at - round(at)) <= _GRACE else at


def _check_index(name: str, i: Array, size: int) -> None:
    if i.size and i.max() >= size:
        raise ConfigError(f"input '{name}': index {i.max()} of only {size} elements")
