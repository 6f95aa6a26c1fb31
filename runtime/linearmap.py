"""Every linear node of a network as the sparse matrix it is, and what windows reach.

The exact backend multiplies these out into synapses, the clocked one reads `reach` alone: it
scatters each input through the taps and never has the matrix.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.network import Conv, Flatten, FloatArray, Linear, Node, Pooling, Scale

#: Nodes whose output is a matrix times their input, plus a bias.
LinearNode: TypeAlias = Linear | Scale | Flatten | Conv | Pooling


class SparseRows(NamedTuple):
    """Entries of a matrix by ascending source: int64, int64 and float64 of one length."""

    source: Array
    target: Array
    weight: FloatArray


class Reach(NamedTuple):
    """Along one axis: element `source` meets tap `tap` of the window that gives `target`."""

    source: Array
    tap: Array
    target: Array


def length_out(
    length: int, taps: int, stride: int, padding: tuple[int, int], dilation: int = 1
) -> int:
    """How many windows of `taps` fit along an axis of `length`; below 1 if none does."""
    return (length + sum(padding) - dilation * (taps - 1) - 1) // stride + 1


def same_padding(taps: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """What keeps every length at stride 1; an odd zero goes behind, as torch has it."""
    totals = [gap * (count - 1) for gap, count in zip(dilation, taps, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def reach(node: Conv, axis: int) -> Reach:
    """What meets what along spatial `axis` of a convolution, by ascending source."""
    length, windows, taps = (shape[axis - len(node.stride)] for shape in _shapes(node))
    source, tap = np.indices((length, taps)).reshape(2, -1)
    place = source + node.padding[axis][0] - tap * node.dilation[axis]
    target, rest = np.divmod(place, node.stride[axis])
    met = (rest == 0) & (target >= 0) & (target < windows)
    return Reach(source[met], tap[met], target[met])


def _shapes(node: Conv) -> tuple[tuple[int, ...], ...]:
    return node.shape_in, node.shape, node.weight.shape


def pool_as_conv(node: Pooling) -> Conv:
    """The sum over the windows of `node` as a convolution of ones with a group a channel."""
    channels = node.shape_in[0]
    return Conv(
        name=node.name,
        shape=node.shape,
        shape_in=node.shape_in,
        weight=np.ones((channels, 1, *node.kernel)),
        stride=node.stride,
        padding=tuple((zeros, zeros) for zeros in node.padding),
        dilation=(1, 1),
        groups=channels,
    )


def sparse_rows(node: LinearNode) -> SparseRows:
    """The matrix of `node`; weights that are zero may be left out."""
    match node:
        case Linear():
            source, target = np.nonzero(node.weight.T)
            return SparseRows(source, target, node.weight[target, source])
        case Scale():
            index = np.arange(node.size)
            return SparseRows(index, index, node.scale)
        case Flatten():
            index = np.arange(node.size)
            return SparseRows(index, index, np.ones(node.size))
        case Conv():
            return _conv_rows(node)
        case Pooling():
            rows = _conv_rows(pool_as_conv(node))
            share = prod(node.kernel) if node.kind == "average" else 1
            return rows._replace(weight=rows.weight / share)


def _conv_rows(node: Conv) -> SparseRows:
    """Every pair of channels of one group times everything that meets along each axis."""
    channel_out, within = np.indices(node.weight.shape[:2])
    per_group = node.shape[0] // node.groups
    source: Array = (channel_out // per_group * node.weight.shape[1] + within).reshape(-1)
    target: Array = channel_out.reshape(-1)
    tap: Array = np.arange(source.size)
    for axis in range(len(node.stride)):
        length, windows, taps = (shape[axis - len(node.stride)] for shape in _shapes(node))
        along = reach(node, axis)
        source = np.add.outer(source * length, along.source).reshape(-1)
        target = np.add.outer(target * windows, along.target).reshape(-1)
        tap = np.add.outer(tap * taps, along.tap).reshape(-1)
    order = np.lexsort((target, source))
    return SparseRows(source[order], target[order], node.weight.reshape(-1)[tap[order]])


def bias_of(node: Node) -> FloatArray | None:
    """What a node adds to each element of its output, shape (size,), or None."""
    if isinstance(node, Linear):
        return node.bias
    if isinstance(node, Conv) and node.bias is not None:
        return np.repeat(node.bias, prod(node.shape[1:]))
    return None
