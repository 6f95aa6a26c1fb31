"""Instants of the exact engine: whole nanoseconds and the fraction of the next.

A float64 of seconds loses a digit of the present for every digit of uptime; the pair does not.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray

#: Whole nanoseconds, and the fraction of the next, [0, 1).
Instant: TypeAlias = tuple[int, float]


def nanoseconds(seconds: FloatArray) -> FloatArray:
    """Seconds as nanoseconds, without the rounding error of a decimal number of seconds.

    0.0041 s comes out as 4100000.0000000005 ns; it stands for the whole nanosecond, so that
    1 ms + 4.1 ms and 5.1 ms are one instant.
    """
    ns = seconds * 1e9
    whole = np.rint(ns)
    return np.where(np.abs(ns - whole) <= 2.3e-16 * np.abs(ns), whole, ns)


def instants_after(start: Instant, seconds: FloatArray) -> tuple[Array, Array]:
    """The instants `seconds` after `start`: int64 nanoseconds and float64 fractions."""
    ahead_ns = nanoseconds(seconds)
    whole = np.floor(ahead_ns)
    frac = start[1] + (ahead_ns - whole)
    carry = frac >= 1.0
    return start[0] + whole.astype(np.int64) + carry, np.where(carry, frac - 1.0, frac)


def instant_after(start: Instant, seconds: float) -> Instant:
    """The instant `seconds` after `start`."""
    ns, frac = instants_after(start, np.array([seconds]))
    return int(ns[0]), float(frac[0])


def seconds_since(start: Instant, at: Array) -> FloatArray:
    """Seconds from `start` to the instants `at` (fields `ns` and `frac`)."""
    elapsed: FloatArray = ((at["ns"] - start[0]) + (at["frac"] - start[1])) / 1e9
    return elapsed
