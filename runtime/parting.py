"""Parting the synapses of one pattern: a Projection has one delay and one receptor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reflexarc.ext import connect
from reflexarc.runtime.batch import Array
from reflexarc.runtime.connectivity import Synapses
from reflexarc.runtime.errors import ConfigError

#: More different delays than this are a mistake in the grid.
MOST_DELAYS = 1024
#: The receptors that weights from 0 and weights below it reach, where the sign decides.
SIGNED = ("excitatory", "inhibitory")


@dataclass(frozen=True)
class Part:
    """Synapses that make one Projection.

    `receptor` is empty where the sign does not decide it; `suffix` tells the parts from each other.
    """

    rows: Array
    targets: Array
    weight: Array
    delay_s: float
    receptor: str = ""
    suffix: str = ""


def parted(
    synapses: Synapses,
    weight: npt.NDArray[np.float32],
    delays_s: list[float],
    delay_of: Array | None,
    by_sign: bool,
) -> list[Part]:
    """The synapses of each delay and, if `by_sign`, of each receptor."""
    negative = weight < 0 if by_sign else np.zeros(1, bool)
    some, every = bool(negative.any()), bool(negative.all())
    mixed = some and not every
    signs = SIGNED if mixed else (SIGNED[some] if by_sign else "",)
    kinds = [
        (delay_s, sign, _suffix(delay_s, len(delays_s) > 1, sign, mixed))
        for delay_s in delays_s
        for sign in signs
    ]
    if len(kinds) == 1:
        return [Part(synapses.rows, synapses.targets, weight, *kinds[0])]
    group = np.zeros(len(synapses.targets), np.uint16) if delay_of is None else delay_of
    if mixed:
        group = group * np.uint16(2) + negative
    rows = connect.split_rows(synapses.rows, group, len(kinds))
    return list(_present(rows, group, synapses.targets, weight, kinds))


def _present(
    rows: Array, group: Array, targets: Array, weight: Array, kinds: list[tuple[float, str, str]]
) -> Iterator[Part]:
    """The groups that have any synapse."""
    for k, kind in enumerate(kinds):
        if rows[k, -1] > 0:
            chosen = group == k
            own = weight if weight.size == 1 else weight[chosen]
            yield Part(rows[k].copy(), targets[chosen], own, *kind)


def _suffix(delay_s: float, many_delays: bool, sign: str, mixed: bool) -> str:
    """What a part's name ends in."""
    delay_ns = round(delay_s * 1e9)
    shown = f"{delay_ns}ns" if delay_ns % 1000 else f"{delay_ns // 1000}us"
    delay = f"_{shown}" if many_delays else ""
    return f"_{sign}{delay}" if mixed else delay


def grouped(steps: npt.NDArray[np.uint16], step_s: float) -> tuple[list[float], Array | None]:
    """Delays of whole steps that occur, ascending, and which of them each synapse has."""
    present = np.flatnonzero(np.bincount(steps, minlength=1))
    if len(present) > MOST_DELAYS:
        raise ConfigError(
            f"delay_step_s: {len(present)} different delays, at most {MOST_DELAYS}; "
            "give a coarser grid"
        )
    if len(present) == 0:
        return [step_s], None
    rank = np.zeros(int(present[-1]) + 1, np.uint16)
    rank[present] = np.arange(len(present))
    return [round(int(k) * step_s, 12) for k in present], rank[steps]
