"""The program that lowering makes: operations, arrays, and where each node's values lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reflexarc.ext.program import KINDS, OP
from reflexarc.runtime.backends.projections import Wire
from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import FloatArray, Neurons
from reflexarc.runtime.plasticity import Rule, ShortTerm, Upkeep

#: Elements behind each array, as many as MOST_ROWS of ext/neurons.h.
_PADDING = 16


class Pool:
    """Arrays laid one behind the other."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype
        self._parts: list[Array] = []
        self._size = 0

    def add(self, values: Any) -> int:
        """Append `values`; returns where they begin."""
        part = np.ascontiguousarray(values, dtype=self._dtype).reshape(-1)
        self._parts.append(part)
        self._size += part.size
        return self._size - part.size

    def finish(self) -> Array:
        """All of it as one array, padded: kernels read a whole set of parameters at once."""
        return np.concatenate([*self._parts, np.zeros(_PADDING, self._dtype)])


@dataclass(frozen=True)
class Signal:
    """What a node shows: a range of values and, if they count spikes, the list of the non-zero."""

    at: int
    size: int
    list_id: int = -1

    @property
    def spiking(self) -> bool:
        """Whether the values count spikes."""
        return self.list_id >= 0

    @property
    def range(self) -> slice:
        """Its place in `values`."""
        return slice(self.at, self.at + self.size)


@dataclass
class Ring:
    """The latest spikes of a source: how many steps are remembered, and whether they count."""

    number: int
    capacity: int
    weighted: bool
    depth: int = 1


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What learns, an edge or a layer: its number in the engine, and what its rules look at."""

    number: int
    rule: Rule
    upkeep: tuple[Upkeep, ...] = ()
    layer: Neurons | None = None


@dataclass(kw_only=True)
class Lowered:
    """A flat program: operations, arrays, and where each node's values lie."""

    values: Pool = field(default_factory=lambda: Pool(np.float64))
    constants: Pool = field(default_factory=lambda: Pool(np.float64))
    weights32: Pool = field(default_factory=lambda: Pool(np.float32))
    weights64: Pool = field(default_factory=lambda: Pool(np.float64))
    rows: Pool = field(default_factory=lambda: Pool(np.int64))
    targets: Pool = field(default_factory=lambda: Pool(np.int32))
    ops: list[dict[str, int]] = field(default_factory=list)
    list_starts: list[int] = field(default_factory=list)
    events: int = 0
    arrived: int = 0
    fired: int = 0
    layers: int = 0
    rings: dict[str, Ring] = field(default_factory=dict)
    projections: dict[str, Wire] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)
    ports: dict[str, Signal] = field(default_factory=dict)
    voltages: dict[str, slice] = field(default_factory=dict)
    plastic: dict[str, slice] = field(default_factory=dict)
    thresholds: dict[str, slice] = field(default_factory=dict)
    learning: dict[str, Learning] = field(default_factory=dict)
    #: What the matrices that learn multiply.
    fed: dict[str, Signal] = field(default_factory=dict)
    #: Edges that learn and whose layer comes before them in a step.
    behind: set[str] = field(default_factory=set)
    #: By layer, what rules see of it: places in `values`, and constants.
    views: dict[str, dict[str, slice | FloatArray]] = field(default_factory=dict)
    releases: dict[str, ShortTerm] = field(default_factory=dict)

    def emit(self, kind: str, **fields: int) -> None:
        """Append an operation; a field not given is absent."""
        self.ops.append({"kind": KINDS[kind], **fields})

    def table(self) -> Array:
        """The operations as the engine takes them, and one of padding."""
        table = np.full(len(self.ops) + 1, -1, dtype=OP)
        for row, op in zip(table, self.ops, strict=False):
            for name, value in op.items():
                row[name] = value
        return table

    def release(self, name: str, **fields: int) -> int:
        """Append what finds the share of a spike that edge `name` delivers; returns its number.

        -1, and nothing is appended, where the edge has no short-term plasticity.
        """
        if name not in self.releases:
            return -1
        number = list(self.releases).index(name)
        self.emit("release", release=number, **fields)
        return number

    def new_list(self, size: int) -> int:
        """Make room for a list of at most `size` events; returns its number."""
        self.list_starts.append(self.events)
        self.events += size
        return len(self.list_starts) - 1

    def new_signal(self, first: FloatArray, *, spiking: bool) -> Signal:
        """Make room for values that begin as `first`, and for a list if they are spikes."""
        list_id = self.new_list(first.size) if spiking else -1
        return Signal(self.values.add(first), first.size, list_id)
