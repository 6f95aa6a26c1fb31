"""Distributions: their laws, their signs, and what they refuse."""

import numpy as np
import pytest
from scipy import stats

from reflexarc.runtime.distribution import Lognormal, Normal, Uniform
from reflexarc.runtime.errors import ConfigError


def drawn(distribution, number=1, dtype=np.float64):
    out = np.empty(20_000, dtype)
    distribution.fill(out, 11, number)
    return out


@pytest.mark.parametrize(
    ("distribution", "law"),
    [
        (Normal(2.0, 3.0, keep_sign=False), stats.norm(2, 3)),
        (Lognormal(0.5, 0.8), stats.lognorm(0.8, scale=0.5)),
        (Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_laws(distribution, law, dtype):
    assert stats.kstest(drawn(distribution, dtype=dtype), law.cdf).pvalue > 1e-3
    assert not np.array_equal(drawn(distribution, 2), drawn(distribution, 3))


def test_signs():
    for mean in (1.0, -1.0):
        kept, free = drawn(Normal(mean, 1.0)), drawn(Normal(mean, 1.0, keep_sign=False))
        assert (kept * mean >= 0).all()
        assert (kept[free * mean > 0] == free[free * mean > 0]).all()
        assert (free * mean < 0).any()
    assert (drawn(Lognormal(-0.5, 1.0)) < 0).all()
    assert drawn(Normal(0.0, 1.0)).min() < 0


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Normal(0, -1), r"Normal\(.*deviation cannot be negative"),
        (lambda: Lognormal(0, 1), "median cannot be 0"),
        (lambda: Lognormal(1, -1), "sigma cannot be negative"),
        (lambda: Uniform(2, 1), "low is above high"),
        (lambda: Uniform(float("nan"), 1), "low must be a finite number"),
        (lambda: Normal(1, float("inf")), "deviation must be a finite number"),
    ],
)
def test_what_makes_no_sense(make, problem):
    with pytest.raises(ConfigError, match=problem):
        make()
