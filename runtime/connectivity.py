"""Patterns of connection: which elements of one population reach which of another.

Each is a small frozen object; `Builder.project` draws from it. The work is done in
`reflexarc.ext.connect`, which never holds more than the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from reflexarc.ext import connect
from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import FloatArray

#: Where the streams of a pattern begin that needs two.
_SECOND_STREAM = 2**32


@dataclass(frozen=True, kw_only=True)
class Span:
    """Two parts of nodes that a pattern is to join.

    Attributes:
        size: elements of the whole node that sends.
        first_source, sources, first_target, targets: the parts.
        same: whether both are parts of one node.
        source_at, target_at: places of the parts, shape (elements, axes), if they have any.
        seed, number: the stream of random numbers.
    """

    size: int
    first_source: int
    sources: int
    first_target: int
    targets: int
    same: bool
    source_at: FloatArray | None
    target_at: FloatArray | None
    seed: int
    number: int

    def ends(self, allow_self: bool) -> connect.Ends:
        """The parts as the compiled rules take them."""
        return (
            self.first_source,
            self.sources,
            self.first_target,
            self.targets,
            self.same and not allow_self,
        )

    def own(self) -> npt.NDArray[np.bool_]:
        """Which targets are among the sources themselves."""
        if not self.same:
            return np.zeros(self.targets, bool)
        there = self.first_target + np.arange(self.targets) - self.first_source
        return (there >= 0) & (there < self.sources)

    def overlaps(self) -> bool:
        """Whether any element is a source and a target."""
        return (
            self.same
            and self.first_target < self.first_source + self.sources
            and self.first_source < self.first_target + self.targets
        )


@dataclass(frozen=True)
class Synapses:
    """What a pattern gives: rows and targets as in `Projection`.

    `weight` is its own, one for each synapse, where the pattern brings them; `order` tells which
    given pair each synapse is.
    """

    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32] | None = None
    order: npt.NDArray[np.int64] | None = None


class Pattern(ABC):
    """Which elements reach which."""

    @abstractmethod
    def draw(self, span: Span) -> Synapses:
        """The synapses between the parts of `span`. Raises ConfigError where it cannot be."""


@dataclass(frozen=True)
class OneToOne(Pattern):
    """Element k to element k; both parts have the same size."""

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        if span.sources != span.targets:
            raise ConfigError(
                f"OneToOne: {span.sources} sources and {span.targets} targets; "
                "there must be as many"
            )
        reached = np.arange(span.size + 1) - span.first_source
        rows = np.clip(reached, 0, span.sources)
        targets = np.arange(span.targets, dtype=np.int32) + np.int32(span.first_target)
        return Synapses(rows, targets, order=np.arange(span.sources))


@dataclass(frozen=True)
class Probability(Pattern):
    """Each pair with probability `p`, independently (Erdős-Rényi)."""

    p: float
    allow_self: bool = False

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        if not 0 <= self.p <= 1:
            raise ConfigError(f"{self}: p must be from 0 to 1")
        if self.p == 0:
            return Synapses(np.zeros(span.size + 1, np.int64), np.empty(0, np.int32))
        ends = span.ends(self.allow_self)
        return Synapses(*connect.by_probability(span.size, ends, self.p, span.seed, span.number))


@dataclass(frozen=True)
class AllToAll(Pattern):
    """Every pair."""

    allow_self: bool = False

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        return Probability(1.0, self.allow_self).draw(span)


@dataclass(frozen=True)
class FixedIndegree(Pattern):
    """Every target hears `degree` sources, drawn evenly."""

    degree: int
    allow_self: bool = False
    allow_multiple: bool = False

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        spared = not self.allow_self and span.overlaps()
        _check_degree(self, self.degree, span.sources - spared, self.allow_multiple, "sources")
        return Synapses(
            *connect.fixed_degree_in(
                span.size,
                span.ends(self.allow_self),
                np.full(span.targets, self.degree, np.int32),
                self.allow_multiple,
                span.seed,
                span.number,
            )
        )


@dataclass(frozen=True)
class FixedOutdegree(Pattern):
    """Every source reaches `degree` targets, drawn evenly."""

    degree: int
    allow_self: bool = False
    allow_multiple: bool = False

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        spared = not self.allow_self and span.overlaps()
        _check_degree(self, self.degree, span.targets - spared, self.allow_multiple, "targets")
        return Synapses(
            *connect.fixed_degree_out(
                span.size,
                span.ends(self.allow_self),
                self.degree,
                self.allow_multiple,
                span.seed,
                span.number,
            )
        )


def _check_degree(pattern: Pattern, degree: int, room: int, multiple: bool, what: str) -> None:
    if not isinstance(degree, int | np.integer) or degree < 0:
        raise ConfigError(f"{pattern}: degree must be a whole number from 0")
    if degree > 0 and (room == 0 or (degree > room and not multiple)):
        raise ConfigError(
            f"{pattern}: there are only {room} {what} to draw from; "
            "lower the degree or set allow_multiple"
        )


@dataclass(frozen=True)
class FixedTotal(Pattern):
    """`total` synapses, each between a pair drawn evenly from all pairs."""

    total: int
    allow_self: bool = False
    allow_multiple: bool = False

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        room = np.full(span.targets, span.sources, np.int64)
        if not self.allow_self:
            room -= span.own()
        pairs = int(room.sum())
        if not isinstance(self.total, int | np.integer) or self.total < 0:
            raise ConfigError(f"{self}: total must be a whole number from 0")
        if self.total > 0 and (pairs == 0 or (self.total > pairs and not self.allow_multiple)):
            raise ConfigError(
                f"{self}: there are only {pairs} pairs; lower the total or set allow_multiple"
            )
        degree = connect.shares(
            room, self.total, self.allow_multiple, span.seed, span.number + _SECOND_STREAM
        )
        return Synapses(
            *connect.fixed_degree_in(
                span.size,
                span.ends(self.allow_self),
                degree,
                self.allow_multiple,
                span.seed,
                span.number,
            )
        )


@dataclass(frozen=True, eq=False)
class Pairs(Pattern):
    """The given pairs: arrays of indices into the parts, shape (synapses,). A pair may repeat."""

    sources: npt.ArrayLike
    targets: npt.ArrayLike

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        source = _indices("sources", self.sources, span.sources)
        target = _indices("targets", self.targets, span.targets)
        if source.shape != target.shape:
            raise ConfigError(f"Pairs: {source.size} sources, but {target.size} targets")
        source += np.int32(span.first_source)
        rows, order = connect.order_of_pairs(source, target, span.size, span.targets)
        targets = target[order]
        targets += np.int32(span.first_target)
        return Synapses(rows, targets, order=order)


def _indices(name: str, given: npt.ArrayLike, size: int) -> npt.NDArray[np.int32]:
    """A copy of `given` as int32, every index within [0, size)."""
    indices = np.asarray(given)
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and indices.size):
        raise ConfigError(f"Pairs: {name} must be whole numbers on one axis")
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise ConfigError(
            f"Pairs: {name} from {indices.min()} to {indices.max()}, but there are only {size}"
        )
    return indices.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Matrix(Pattern):
    """A weight matrix, shape (targets, sources) as in NIR: an array, or one of SciPy's sparse ones.

    Where it is 0 there is no synapse. It brings the weights, so give no others.
    """

    weight: Any

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        source, target, weight = _entries(self.weight, (span.targets, span.sources))
        drawn = Pairs(source, target).draw(span)
        assert drawn.order is not None
        return Synapses(drawn.rows, drawn.targets, weight=weight[drawn.order])


def _entries(given: Any, shape: tuple[int, int]) -> tuple[Array, Array, npt.NDArray[np.float32]]:
    """Column, row and value of all that is not 0."""
    if hasattr(given, "tocoo"):
        matrix = given.tocoo()
        source, target, weight = matrix.col, matrix.row, np.asarray(matrix.data)
    else:
        matrix = np.asarray(given)
        if matrix.dtype.kind not in "iufb":
            raise ConfigError(f"Matrix: expected numbers, not {matrix.dtype}")
        if matrix.shape != shape:
            raise ConfigError(f"Matrix: shape {matrix.shape}, expected (targets, sources) {shape}")
        source, target = np.nonzero(matrix.T)
        weight = matrix[target, source]
    if matrix.shape != shape:
        raise ConfigError(f"Matrix: shape {matrix.shape}, expected (targets, sources) {shape}")
    return source, target, single(weight)


def single(weight: Array) -> npt.NDArray[np.float32]:
    """Weights in the precision that a Projection has."""
    with np.errstate(over="ignore"):
        rounded = weight.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise ConfigError("weight: every one must be finite and below 3.4e38")
    return rounded


@dataclass(frozen=True)
class Gaussian:
    """Probability of a pair at distance d: peak exp(-d^2 / (2 scale^2))."""

    peak: float
    scale: float


@dataclass(frozen=True)
class Exponential:
    """Probability of a pair at distance d: peak exp(-d / scale)."""

    peak: float
    scale: float


@dataclass(frozen=True)
class Disc:
    """Probability of a pair: peak up to the distance `scale`, 0 beyond."""

    peak: float
    scale: float


Kernel: TypeAlias = Gaussian | Exponential | Disc
_SHAPES = {
    Gaussian: connect.GAUSSIAN,
    Exponential: connect.EXPONENTIAL,
    Disc: connect.DISC,
}


@dataclass(frozen=True)
class ByDistance(Pattern):
    """Each pair with the probability `kernel` gives its distance, independently.

    Both populations need positions. `torus` is the extent of each axis whose far end joins its
    near one (0 where it does not); positions lie from 0 to below it.
    """

    kernel: Kernel
    allow_self: bool = False
    torus: Sequence[float] | None = None

    def draw(self, span: Span) -> Synapses:
        """See `Pattern`."""
        peak, scale = self.kernel.peak, self.kernel.scale
        if not (0 < peak <= 1 and scale > 0 and isfinite(scale)):
            raise ConfigError(f"{self.kernel}: peak must be above 0 and up to 1, scale above 0")
        source_at, target_at = places(span.source_at, span.target_at)
        return Synapses(
            *connect.by_distance(
                span.size,
                span.ends(self.allow_self),
                source_at,
                target_at,
                extent_of(self.torus, source_at, target_at),
                _SHAPES[type(self.kernel)],
                scale,
                peak,
                span.seed,
                span.number,
            )
        )


def places(
    source_at: FloatArray | None, target_at: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Both places, which must be there and have as many axes."""
    if source_at is None or target_at is None:
        raise ConfigError("a distance needs both populations to have positions; give them some")
    if source_at.shape[1] != target_at.shape[1]:
        raise ConfigError(
            f"positions have {source_at.shape[1]} and {target_at.shape[1]} axes; "
            "they must be as many"
        )
    return np.ascontiguousarray(source_at), np.ascontiguousarray(target_at)


def extent_of(torus: Sequence[float] | None, *at: FloatArray) -> FloatArray:
    """Extent by axis, 0 where it does not join; checks that all places lie within."""
    axes = at[0].shape[1]
    extent = np.zeros(axes) if torus is None else np.array(torus, np.float64)
    if extent.shape != (axes,) or not (np.isfinite(extent) & (extent >= 0)).all():
        raise ConfigError(f"torus: expected {axes} extents from 0, not {torus}")
    joined = extent > 0
    for positions in at:
        if ((positions < 0) | (positions >= extent))[:, joined].any():
            raise ConfigError(f"torus: positions must lie from 0 to below {extent.tolist()}")
    return extent


@dataclass(frozen=True)
class Conduction:
    """Delays that grow with distance: base_s + distance / speed, speed in units a second."""

    speed: float
    base_s: float = 0.0
    torus: Sequence[float] | None = None

    def delays_s(
        self, synapses: Synapses, source_at: FloatArray | None, target_at: FloatArray | None
    ) -> npt.NDArray[np.float32]:
        """Delay of every synapse; places are those of the whole nodes."""
        if not (0 < self.speed < np.inf and 0 <= self.base_s < np.inf):
            raise ConfigError(f"{self}: speed must be above 0, base_s from 0")
        source_at, target_at = places(source_at, target_at)
        extent = extent_of(self.torus, source_at, target_at)
        lengths = connect.distances(synapses.rows, synapses.targets, source_at, target_at, extent)
        lengths /= self.speed
        lengths += self.base_s
        return lengths
