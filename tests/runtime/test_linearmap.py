"""Convolutions and pools against plain loops over torch's definition, in both backends."""

from dataclasses import replace
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

import reflexarc
from reflexarc import Spikes
from reflexarc.runtime.linearmap import bias_of, length_out, same_padding, sparse_rows
from reflexarc.runtime.network import (
    Conv,
    Flatten,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Pooling,
    Scale,
)


def conv_loops(node, x):
    """torch.nn.functional.conv1d and conv2d, one output element at a time."""
    per_group_in, per_group_out = node.weight.shape[1], len(node.weight) // node.groups
    padded = np.pad(x, [(0, 0), *node.padding])
    y = np.zeros(node.shape)
    for channel, *at in np.ndindex(*node.shape):
        first = channel // per_group_out * per_group_in
        for inner, *tap in np.ndindex(*node.weight.shape[1:]):
            place = [
                o * s + t * d
                for o, s, t, d in zip(at, node.stride, tap, node.dilation, strict=True)
            ]
            value = padded[(first + inner, *place)]
            y[(channel, *at)] += node.weight[(channel, inner, *tap)] * value
    return y if node.bias is None else y + node.bias.reshape(-1, *[1] * len(node.stride))


def pool_loops(node, x):
    """torch.nn.functional.avg_pool2d with its defaults, or the sum."""
    padded = np.pad(x, [(0, 0), *((p, p) for p in node.padding)])
    y = np.zeros(node.shape)
    for channel, row, column in np.ndindex(*node.shape):
        top, left = row * node.stride[0], column * node.stride[1]
        y[channel, row, column] = padded[
            channel, top : top + node.kernel[0], left : left + node.kernel[1]
        ].sum()
    return y / prod(node.kernel) if node.kind == "average" else y


@st.composite
def convs(draw):
    axes, small = draw(st.integers(1, 2)), st.integers(1, 3)
    several = st.tuples(*[small] * axes)
    groups, per_in, per_out = draw(small), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    taps, dilation = draw(several), draw(several)
    lengths = draw(st.tuples(*[st.integers(1, 7)] * axes))
    if draw(st.booleans()):
        stride, padding = (1,) * axes, same_padding(taps, dilation)
    else:
        stride = draw(several)
        padding = tuple((p, p) for p in draw(st.tuples(*[st.integers(0, 3)] * axes)))
    out = [length_out(*each) for each in zip(lengths, taps, stride, padding, dilation, strict=True)]
    assume(min(out) >= 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weight = rng.integers(-8, 9, (groups * per_out, per_in, *taps)) / 8
    bias = rng.integers(-4, 5, groups * per_out) / 8 if draw(st.booleans()) else None
    return Conv(
        name="n",
        shape=(groups * per_out, *out),
        shape_in=(groups * per_in, *lengths),
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@st.composite
def pools(draw):
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, padding = draw(pair), draw(pair), draw(st.tuples(*[st.integers(0, 2)] * 2))
    lengths = draw(st.tuples(*[st.integers(1, 7)] * 2))
    out = [
        length_out(n, k, s, (p, p))
        for n, k, s, p in zip(lengths, kernel, stride, padding, strict=True)
    ]
    assume(min(out) >= 1)
    channels, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["sum", "average"]))
    return Pooling(
        name="n",
        shape=(channels, *out),
        shape_in=(channels, *lengths),
        kind=kind,
        kernel=kernel,
        stride=stride,
        padding=padding,
    )


def loops(node, x):
    return (conv_loops if isinstance(node, Conv) else pool_loops)(node, x)


def around(node, *after):
    """Input -> node -> ... -> Output."""
    source = Input(name="in", shape=node.shape_in)
    nodes = [source, node, *after, Output(name="out", shape=(after or [node])[-1].shape)]
    names = [each.name for each in nodes]
    return Network(
        nodes=dict(zip(names, nodes, strict=True)),
        edges=tuple(pairwise(names)),
    )


def multiplied(rows, size, x):
    y = np.zeros(size)
    np.add.at(y, rows.target, rows.weight * x.reshape(-1)[rows.source])
    return y


@settings(deadline=None)
@given(st.one_of(convs(), pools()), st.integers(0, 2**32))
def test_rows_are_the_matrix(node, seed):
    x = np.random.default_rng(seed).integers(-3, 4, node.shape_in)
    rows, bias = sparse_rows(node), bias_of(node)
    expected = loops(node, x).reshape(-1) - (0 if bias is None else bias)
    assert multiplied(rows, node.size, x) == pytest.approx(expected, abs=1e-12)
    assert np.all(np.diff(rows.source) >= 0)


@settings(deadline=None)
@given(st.one_of(convs(), pools()), st.integers(0, 2**32))
def test_clocked_follows_the_loops(node, seed):
    """Values and spikes are dyadic, so that no order of a sum matters."""
    x = np.random.default_rng(seed).integers(-2, 3, (3, *node.shape_in)) / 4
    x[1] = 0
    run = reflexarc.simulate(around(node), {"in": x}, mode="clocked", dt_s=1.0)
    expected = np.array([loops(node, each).reshape(-1) for each in x])
    assert np.array_equal(run.outputs["out"], expected)


@settings(deadline=None, max_examples=40)
@given(st.one_of(convs(), pools()), st.integers(0, 2**32))
def test_exact_integrates_what_the_rows_bring(node, seed):
    """Into integrators, the voltage after Diracs is the output."""
    if isinstance(node, Conv):
        node = replace(node, bias=None)
    x = np.random.default_rng(seed).integers(0, 3, prod(node.shape_in))
    one = np.ones(node.size)
    sums = Neurons(name="i", shape=node.shape, kind="I", parameters={"r": one})
    network = replace(around(node, sums), spike_area=1.0)
    spikes = Spikes(np.full(x.sum(), 0.25), np.repeat(np.arange(x.size), x))
    run = reflexarc.simulate(network, {"in": spikes}, 1.0, mode="exact", probes={"i": [0.5]})
    expected = loops(node, x.reshape(node.shape_in)).reshape(-1)
    assert run.probes["i"][0] == pytest.approx(expected, abs=1e-12)


def test_a_bias_is_a_current_in_exact_mode():
    node = Conv(
        name="n",
        shape=(2, 3),
        shape_in=(1, 3),
        weight=np.ones((2, 1, 1)),
        bias=np.array([2.0, -1.0]),
        stride=(1,),
        padding=((0, 0),),
        dilation=(1,),
    )
    sums = Neurons(name="i", shape=(2, 3), kind="I", parameters={"r": np.ones(6)})
    run = reflexarc.simulate(around(node, sums), {}, 1.0, mode="exact", probes={"i": [0.5]})
    assert run.probes["i"][0].tolist() == [1.0] * 3 + [-0.5] * 3


def test_a_large_grouped_convolution_equals_scipys():
    """As large as layers are, real weights, a few active pixels."""
    rng = np.random.default_rng(0)
    node = Conv(
        name="n",
        shape=(8, 15, 16),
        shape_in=(6, 32, 33),
        weight=rng.standard_normal((8, 3, 5, 4)),
        stride=(2, 2),
        padding=((1, 1), (1, 1)),
        dilation=(1, 1),
        groups=2,
    )
    x = rng.standard_normal((2, *node.shape_in)) * (rng.random((2, *node.shape_in)) < 0.1)
    run = reflexarc.simulate(around(node), {"in": x}, mode="clocked", dt_s=1.0)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    for step, channel in product(range(2), range(8)):
        group = channel // 4 * 3
        full = correlate(padded[step, group : group + 3], node.weight[channel], mode="valid")[0]
        found = run.outputs["out"][step].reshape(node.shape)[channel]
        assert found == pytest.approx(full[::2, ::2], abs=1e-12)


@pytest.mark.parametrize(
    ("node", "matrix"),
    [
        (Linear(name="n", shape=(2,), weight=np.array([[1.0, 0], [2, 3]])), [[1, 0], [2, 3]]),
        (Scale(name="n", shape=(2,), scale=np.array([2.0, -1])), [[2, 0], [0, -1]]),
        (Flatten(name="n", shape=(2,), shape_in=(2, 1)), [[1, 0], [0, 1]]),
    ],
)
def test_rows_of_the_others(node, matrix):
    rows = sparse_rows(node)
    dense = np.zeros((2, 2))
    dense[rows.target, rows.source] = rows.weight
    assert dense.tolist() == matrix
    assert rows.source.tolist() == sorted(rows.source)


def test_a_mean_of_ones_is_one():
    """Nine times a ninth may not lie above a threshold of 1."""
    node = Pooling(
        name="n",
        shape=(1, 1, 1),
        shape_in=(1, 7, 7),
        kind="average",
        kernel=(7, 7),
        stride=(1, 1),
        padding=(0, 0),
    )
    run = reflexarc.simulate(around(node), {"in": np.ones((1, 49))}, mode="clocked", dt_s=1.0)
    assert run.outputs["out"][0, 0] == 1.0
