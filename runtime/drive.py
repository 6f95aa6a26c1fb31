"""What goes into a science run and what comes out of it. Times are float64 seconds, as in NIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.backends.base import Counters
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import FloatArray

IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, init=False, eq=False)
class Spikes:
    """Spikes of one port or layer.

    Attributes:
        t_s: times in seconds, float64, shape (n,); they need not be sorted as an input.
        i: index of the element, int64, shape (n,); one index is taken for every time.
        area: charge of each Dirac, a float64 scalar or shape (n,); None takes the network's
            `spike_area`.

    Raises:
        ConfigError: not one-dimensional, lengths differ, negative or non-finite time,
            negative or fractional index, non-finite area.
    """

    t_s: FloatArray
    i: IntArray
    area: FloatArray | None = None

    def __init__(
        self, t_s: npt.ArrayLike, i: npt.ArrayLike, area: npt.ArrayLike | None = None
    ) -> None:
        times_s = np.atleast_1d(_floats("Spikes.t_s", t_s))
        index = _indices("Spikes.i", i)
        if index.ndim == 0:
            index = np.broadcast_to(index, times_s.shape)
        if times_s.ndim != 1 or index.shape != times_s.shape:
            raise ConfigError(
                f"Spikes: t_s and i must be 1-d and of equal length, not {times_s.shape} "
                f"and {index.shape}"
            )
        if times_s.size and times_s.min() < 0:
            raise ConfigError(f"Spikes.t_s: {times_s.min()} is negative; time starts at 0")
        charge = None if area is None else _floats("Spikes.area", area)
        if charge is not None and charge.shape not in ((), times_s.shape):
            raise ConfigError(
                f"Spikes.area: expected one number or {times_s.size}, not shape {charge.shape}"
            )
        object.__setattr__(self, "t_s", times_s)
        object.__setattr__(self, "i", index)
        object.__setattr__(self, "area", charge)


@dataclass(frozen=True, init=False, eq=False)
class StepCurrent:
    """A current that is `amplitude` for `t0_s <= t < t1_s`; overlapping currents add.

    Attributes:
        t0_s, t1_s: seconds; `t1_s` may be infinite.
        i: indices of the elements, int64, shape (n,); one index is allowed as an int.
        amplitude: float64, shape (n,); one number is taken for every index.

    Raises:
        ConfigError: negative, NaN or reversed times, negative or fractional index, non-finite
            amplitude, lengths that differ.
    """

    t0_s: float
    t1_s: float
    i: IntArray
    amplitude: FloatArray

    def __init__(
        self, t0_s: float, t1_s: float, i: npt.ArrayLike, amplitude: npt.ArrayLike
    ) -> None:
        begin_s, end_s = number("StepCurrent.t0_s", t0_s), number("StepCurrent.t1_s", t1_s)
        if not (np.isfinite(begin_s) and 0 <= begin_s <= end_s):
            raise ConfigError(
                f"StepCurrent: times must satisfy 0 <= t0_s <= t1_s, not {t0_s} and {t1_s}"
            )
        index = np.atleast_1d(_indices("StepCurrent.i", i))
        level = _floats("StepCurrent.amplitude", amplitude)
        if index.ndim != 1 or level.shape not in ((), index.shape):
            raise ConfigError(
                f"StepCurrent: amplitude must be one number or one for each of the "
                f"{index.size} indices, not shape {level.shape}"
            )
        object.__setattr__(self, "t0_s", begin_s)
        object.__setattr__(self, "t1_s", end_s)
        object.__setattr__(self, "i", index)
        object.__setattr__(self, "amplitude", np.broadcast_to(level, index.shape))


#: What one Input of an exact run may be given.
Drive: TypeAlias = Spikes | StepCurrent


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What a run left.

    Attributes:
        spikes: by Output or recorded layer, in order of time, then index.
        probes: voltages by probed layer, shape (times, neurons).
        outputs: values by graded Output, shape (steps, size); an exact run has one row, its end.
        counters: work done by the run's program.
    """

    spikes: dict[str, Spikes]
    probes: dict[str, FloatArray]
    outputs: dict[str, FloatArray]
    counters: Counters


def number(name: str, value: float) -> float:
    """`value` as a float. Raises ConfigError if it is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: expected a number, not {value!r}") from None


def _floats(name: str, values: npt.ArrayLike) -> FloatArray:
    """`values` as a read-only float64 array of finite numbers."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: expected numbers") from None
    if not np.isfinite(array).all():
        raise ConfigError(f"{name}: every value must be finite")
    array.flags.writeable = False
    return array


def _indices(name: str, values: npt.ArrayLike) -> IntArray:
    """`values` as a read-only int64 array of whole numbers from 0."""
    raw = np.array(values)
    if raw.size and raw.dtype.kind not in "iu":
        raise ConfigError(f"{name}: expected whole numbers, not {raw.dtype}")
    array = raw.astype(np.int64)
    if array.size and array.min() < 0:
        raise ConfigError(f"{name}: {array.min()} is negative; indices start at 0")
    array.flags.writeable = False
    return array
