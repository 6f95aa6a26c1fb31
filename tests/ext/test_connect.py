"""Drawing synapses: their structure for any sizes, and the laws they follow."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reflexarc.ext import chance, connect

MASK = 2**64 - 1


@st.composite
def parts(draw):
    """Size of the sending node and the ends of two parts."""
    size, layer = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    same = draw(st.booleans())
    layer = size if same else layer
    first_source, first_target = draw(st.integers(0, size - 1)), draw(st.integers(0, layer - 1))
    ends = (
        first_source,
        draw(st.integers(1, size - first_source)),
        first_target,
        draw(st.integers(1, layer - first_target)),
        same,
    )
    return size, ends


def pairs(rows, targets):
    return np.repeat(np.arange(len(rows) - 1), np.diff(rows)), targets


def check(size, ends, rows, targets, *, multiple):
    """What holds for every rule."""
    first_source, sources, first_target, n_targets, apart = ends
    assert rows.dtype == np.int64
    assert targets.dtype == np.int32
    assert rows.shape == (size + 1,)
    assert rows[0] == 0
    assert rows[-1] == len(targets)
    source, target = pairs(rows, targets)
    if len(target):
        assert source.min() >= first_source
        assert source.max() < first_source + sources
        assert target.min() >= first_target
        assert target.max() < first_target + n_targets
    for begin, end in pairwise(rows):
        steps = np.diff(targets[begin:end])
        assert (steps >= (0 if multiple else 1)).all()
    if apart:
        assert (source != target).all()


def room_of(ends, own_sources):
    """How many partners every element of a part may have."""
    first_source, sources, first_target, targets, apart = ends
    mine, theirs = (
        (range(first_target, first_target + targets), range(first_source, first_source + sources))
        if own_sources
        else (
            range(first_source, first_source + sources),
            range(first_target, first_target + targets),
        )
    )
    return np.array([len(theirs) - (apart and k in theirs) for k in mine])


@settings(max_examples=60, deadline=None)
@given(parts(), st.booleans(), st.integers(0, 50), st.integers(0, MASK))
def test_fixed_degrees_are_exact(given, multiple, most, seed):
    size, ends = given
    room = room_of(ends, own_sources=True)
    degree = np.full(ends[3], most, np.int32)
    degree = np.where(room == 0, 0, degree) if multiple else np.minimum(degree, room)
    degree = degree.astype(np.int32)
    rows, targets = connect.fixed_degree_in(size, ends, degree, multiple, seed, 3)
    check(size, ends, rows, targets, multiple=multiple)
    assert (np.bincount(targets, minlength=ends[2] + ends[3])[ends[2] :] == degree).all()

    room = room_of(ends, own_sources=False)
    out = most if multiple and room.min() > 0 else min(most, room.min())
    rows, targets = connect.fixed_degree_out(size, ends, int(out), multiple, seed, 3)
    check(size, ends, rows, targets, multiple=multiple)
    assert (np.diff(rows)[ends[0] : ends[0] + ends[1]] == out).all()


@settings(max_examples=60, deadline=None)
@given(parts(), st.floats(1e-6, 1), st.integers(0, MASK))
def test_pairs_by_probability(given, p, seed):
    size, ends = given
    rows, targets = connect.by_probability(size, ends, p, seed, 0)
    check(size, ends, rows, targets, multiple=False)
    rows, targets = connect.by_probability(size, ends, 1.0, seed, 0)
    check(size, ends, rows, targets, multiple=False)
    assert len(targets) == room_of(ends, own_sources=True).sum()


@settings(max_examples=60, deadline=None)
@given(parts(), st.integers(0, 2), st.floats(0.01, 3), st.floats(0.01, 1), st.integers(0, MASK))
def test_pairs_by_distance(given, shape, scale, peak, seed):
    size, ends = given
    at = np.random.default_rng(seed).random((max(size, ends[2] + ends[3]), 2))
    places = at[ends[0] :][: ends[1]], at[ends[2] :][: ends[3]]
    rows, targets = connect.by_distance(
        size, ends, *places, np.zeros(2), shape, scale, peak, seed, 0
    )
    check(size, ends, rows, targets, multiple=False)
    source, target = pairs(rows, targets)
    way = np.linalg.norm(at[source] - at[target], axis=1)
    assert np.allclose(connect.distances(rows, targets, at, at, np.zeros(2)), way, atol=1e-6)
    if shape == connect.DISC:
        assert (way <= scale * (1 + 1e-12)).all()


def test_the_far_end_of_a_torus_is_near():
    at = np.array([[0.1, 0.5], [0.9, 0.5], [0.5, 0.5]])
    rows, targets = connect.by_distance(
        3, (0, 3, 0, 3, True), at, at, np.array([1.0, 0.0]), connect.DISC, 0.25, 1.0, 1, 1
    )
    assert pairs(rows, targets)[0].tolist() == [0, 1]
    assert targets.tolist() == [1, 0]
    assert connect.distances(rows, targets, at, at, np.array([1.0, 0.0])) == pytest.approx(0.2)


# Laws. The seeds are fixed: these either hold or do not.


def chi_square(counts, expected):
    return stats.chisquare(counts, expected).pvalue


@pytest.mark.parametrize("multiple", [False, True])
def test_every_partner_is_as_likely(multiple):
    n, degree = 200, 40
    ends = (0, n, 0, n, True)
    heard, reached = np.zeros(n), np.zeros(n)
    for seed in range(50):
        rows, _ = connect.fixed_degree_in(n, ends, np.full(n, degree, np.int32), multiple, seed, 0)
        heard += np.diff(rows)
        _, targets = connect.fixed_degree_out(n, ends, degree, multiple, seed, 0)
        reached += np.bincount(targets, minlength=n)
    # each count is a sum of draws; without replacement it varies by the share that is left less
    variance = 50 * degree * (1 if multiple else 1 - degree / n)
    for counts in (heard, reached):
        statistic = ((counts - 50 * degree) ** 2).sum() / variance
        assert 1e-3 < stats.chi2(n - 1).sf(statistic) < 1 - 1e-3


def test_the_number_of_pairs_is_binomial():
    n, p = 50, 0.13
    counts = [
        len(connect.by_probability(n, (0, n, 0, n, False), p, seed, 0)[1]) for seed in range(2000)
    ]
    law = stats.binom(n * n, p)
    assert stats.kstest(counts, law.cdf).statistic < 0.05
    assert np.var(counts) == pytest.approx(law.var(), rel=0.15)


def test_every_pair_is_as_likely_as_its_distance_says():
    n, kernels = 30, {connect.GAUSSIAN: lambda x: np.exp(-x * x / 2)}
    kernels[connect.EXPONENTIAL] = lambda x: np.exp(-x)
    at = np.linspace(0, 1, n)[:, None]
    x = abs(at - at.T) / 0.3
    for shape, law in kernels.items():
        seen = np.zeros((n, n))
        for seed in range(3000):
            drawn = connect.by_distance(
                n, (0, n, 0, n, False), at, at, np.zeros(1), shape, 0.3, 0.6, seed, 0
            )
            seen[pairs(*drawn)] += 1
        expected = 0.6 * law(x) * 3000
        z = (seen - expected) / np.sqrt(expected * (1 - expected / 3000))
        assert abs(z).max() < 5
        assert np.mean(z**2) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("torus", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_grid_changes_nothing_of_the_law(axes, torus):
    n, runs = 150, 300
    at = np.random.default_rng(axes).random((n, axes)) * np.array([10.0, 3.0, 1.0])[:axes]
    extent = np.array([10.0, 3.0, 1.0])[:axes] * torus
    way = abs(at[:, None] - at[None])
    way = np.minimum(way, extent - way) if torus else way
    distance = np.sqrt((way**2).sum(axis=2))
    for shape, law in (
        (connect.GAUSSIAN, np.exp(-(distance**2) / 2)),
        (connect.DISC, distance < 1),
    ):
        seen = np.zeros((n, n))
        for seed in range(runs):
            drawn = connect.by_distance(
                n, (0, n, 0, n, False), at, at, extent, shape, 1.0, 0.7, seed, 0
            )
            seen[pairs(*drawn)] += 1
        expected = 0.7 * law * runs
        likely = expected > 5
        z = (seen - expected)[likely] / np.sqrt(expected * (1 - expected / runs))[likely]
        assert np.mean(z**2) == pytest.approx(1, abs=0.1)
        rare = expected[~likely].sum()
        assert abs(seen[~likely].sum() - rare) <= 4 * np.sqrt(rare)


def test_pairs_beyond_the_grid_are_drawn_too():
    places = np.zeros((500, 1)), np.full((500, 1), 13.0)
    counts = [
        len(
            connect.by_distance(
                500, (0, 500, 0, 500, False), *places, np.zeros(1), connect.EXPONENTIAL, 1.0, 1.0,
                seed, 0,
            )[1]
        )
        for seed in range(300)
    ]  # fmt: skip
    expected = 300 * 500 * 500 * np.exp(-13)
    assert abs(sum(counts) - expected) < 4 * np.sqrt(expected)


@pytest.mark.parametrize("multiple", [False, True])
def test_a_total_is_spread_as_the_urn_says(multiple):
    room, total = np.array([5, 0, 20, 10, 1], np.int64), 14
    drawn = np.array([connect.shares(room, total, multiple, seed, 7) for seed in range(4000)])
    assert (drawn.sum(axis=1) == total).all()
    assert (drawn[:, 1] == 0).all()
    if not multiple:
        assert (drawn <= room).all()
    for place in (0, 2, 3):
        law = (
            stats.binom(total, room[place] / room.sum())
            if multiple
            else stats.hypergeom(room.sum(), room[place], total)
        )
        most = min(total, 40 if multiple else room[place])
        expected = law.pmf(np.arange(most + 1)) * len(drawn)
        seen = np.bincount(drawn[:, place], minlength=most + 1)
        enough = expected > 5
        rest = len(drawn) - expected[enough].sum()
        seen = np.append(seen[enough], seen[~enough].sum() + 1e-9)
        expected = np.append(expected[enough], rest + 1e-9)
        assert chi_square(seen, expected) > 1e-3


def test_a_total_over_very_many_pairs():
    room = np.full(100_000, 10**6, np.int64)
    degree = connect.shares(room, 10**7, False, 1, 1)
    assert degree.sum() == 10**7
    assert degree.var() == pytest.approx(100, rel=0.03)


def test_all_pairs_there_are():
    room = np.array([3, 2, 4], np.int64)
    assert connect.shares(room, 9, False, 1, 1).tolist() == [3, 2, 4]
    assert connect.shares(room, 0, True, 1, 1).tolist() == [0, 0, 0]


# Given pairs, parting, checking.


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=60),
)
def test_given_pairs_are_sorted_and_keep_their_order(given):
    source = np.array([a for a, _ in given], np.int32)
    target = np.array([b for _, b in given], np.int32)
    rows, order = connect.order_of_pairs(source, target, 7, 10)
    wanted = sorted(range(len(given)), key=lambda k: given[k])
    assert order.tolist() == wanted
    assert np.diff(rows).tolist() == np.bincount(source, minlength=7).tolist()
    assert connect.first_fault(rows, target[order], 10) == -1


def test_rows_are_split_by_group():
    rows, group = np.array([0, 3, 3, 5]), np.array([1, 0, 1, 2, 1], np.uint16)
    assert connect.split_rows(rows, group, 3).tolist() == [[0, 1, 1, 1], [0, 2, 2, 3], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("targets", "fault"),
    [([0, 1, 1, 0], -1), ([1, 0, 1, 0], 1), ([0, 1, 5, 0], 2), ([-1, 1, 1, 0], 0)],
)
def test_the_first_fault_is_found(targets, fault):
    assert connect.first_fault(np.array([0, 3, 4]), np.array(targets, np.int32), 5) == fault


# Random numbers.


def plain_stream(seed, number):
    """xoshiro256++ after SplitMix64, as published, in Python's own integers."""
    state = seed

    def split_mix():
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def turned(x, by):
        return ((x << by) | (x >> (64 - by))) & MASK

    state = split_mix() ^ number
    s = [split_mix() for _ in range(4)]
    while True:
        yield (turned((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = turned(s[3], 45)


@given(st.integers(0, MASK), st.integers(0, MASK))
def test_the_stream_is_xoshiro(seed, number):
    out = np.empty(20)
    chance.uniform(out, seed, number)
    words = plain_stream(seed, number)
    assert out.tolist() == [((next(words) >> 11) + 1) * 2.0**-53 for _ in range(20)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_and_uniform_numbers_are_so(dtype):
    out = np.empty(20_001, dtype)
    chance.normal(out, 5, 1)
    assert stats.kstest(out, "norm").pvalue > 1e-3
    chance.uniform(out, 5, 1)
    assert stats.kstest(out, "uniform").pvalue > 1e-3
    assert out.min() > 0
    assert out.max() <= 1


def test_the_same_seed_gives_the_same_bytes_for_ever():
    n = 1000
    drawn = [
        connect.fixed_degree_in(n, (0, n, 0, n, True), np.full(n, 9, np.int32), False, 1, 2),
        connect.fixed_degree_out(n, (0, n, 0, n, True), 9, False, 1, 2),
        connect.by_probability(n, (0, n, 0, n, True), 0.01, 1, 2),
    ]
    digest = hashlib.sha256(b"".join(part.tobytes() for pair in drawn for part in pair))
    assert digest.hexdigest()[:16] == "a7b9ef5c5a74ec08"
    other = connect.by_probability(n, (0, n, 0, n, True), 0.01, 1, 3)
    assert not np.array_equal(other[1], drawn[2][1])
