"""Poisson and regular generators against what they are defined to be."""

import numpy as np
import pytest

import reflexarc

N, SECONDS = 400, 4.0


def trains(kind, dt_s, seed=0, n=N, seconds=SECONDS):
    """Spikes in each step, shape (steps, n)."""
    net = reflexarc.Builder(seed=seed)
    net.output("out", net.population("source", n, kind))
    network = net.build(mode="clocked", dt_s=dt_s)
    return reflexarc.simulate(network, {}, until_s=seconds).outputs["out"]


@pytest.mark.parametrize(
    ("rate_hz", "dt_s"), [(5.0, 1e-3), (80.0, 1e-3), (3000.0, 1e-3), (80.0, 1e-4)]
)
def test_poisson_counts_have_their_mean_and_variance(rate_hz, dt_s):
    seconds = SECONDS if dt_s == 1e-3 else 1.0
    counts = trains(reflexarc.Poisson(rate_hz=rate_hz), dt_s, seconds=seconds).sum(axis=0)
    expected = rate_hz * seconds
    # Five standard errors of the mean, and of the variance of N counts.
    assert counts.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / N))
    assert counts.var() == pytest.approx(expected, abs=5 * expected * np.sqrt(2 / N) + 5)


def test_poisson_intervals_are_exponential():
    raster = trains(reflexarc.Poisson(rate_hz=100.0), 1e-4, n=50)
    intervals = np.concatenate([np.diff(np.flatnonzero(train)) for train in raster.T]) * 1e-4
    assert intervals.mean() == pytest.approx(0.01, rel=0.03)
    assert intervals.std() == pytest.approx(0.01, rel=0.03)
    assert np.mean(intervals > 0.02) == pytest.approx(np.exp(-2), abs=0.01)


def test_poisson_trains_are_independent_of_each_other_and_of_their_past():
    raster = trains(reflexarc.Poisson(rate_hz=200.0), 1e-3)
    between = np.corrcoef(raster.T)[np.triu_indices(N, 1)]
    lagged = [np.corrcoef(train[:-1], train[1:])[0, 1] for train in raster.T]
    steps = len(raster)
    assert between.std() == pytest.approx(1 / np.sqrt(steps), rel=0.05)
    assert abs(np.mean(lagged)) < 5 / np.sqrt(steps * N)


def test_poisson_comes_from_the_seed():
    one, again, other = (trains(reflexarc.Poisson(), 1e-3, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("period_s", "phase_s"), [(10e-3, 0.0), (7e-3, 3e-3), (2.5e-3, 1.25e-3)])
def test_regular_spikes_fall_in_their_steps(period_s, phase_s):
    kind = reflexarc.Regular(period_s=period_s, phase_s=phase_s)
    raster = trains(kind, 1e-3, n=2, seconds=1.0)
    times_s = phase_s + period_s * np.arange(np.ceil((1.0 - phase_s) / period_s - 1e-9))
    expected = np.bincount(np.floor(times_s / 1e-3 + 1e-9).astype(int), minlength=1000)
    assert np.array_equal(raster, np.stack([expected, expected], axis=1))
