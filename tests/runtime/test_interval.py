"""Means and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.interval import interval

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values)
def test_the_mean_lies_within_and_the_interval_within_the_values(found):
    mean, low, high = interval(found)
    slack = 1e-9 * (1 + max(map(abs, found)))
    assert mean == pytest.approx(np.mean(found), abs=slack)
    assert min(found) - slack <= low <= high <= max(found) + slack


@given(values, st.floats(-100, 100))
def test_it_moves_with_its_values_and_is_the_same_at_every_call(found, shift):
    one, other = interval(found), interval([value + shift for value in found])
    assert one == interval(found)
    assert np.subtract(other, one) == pytest.approx(shift, abs=1e-6)


def test_one_value_has_no_interval_but_itself():
    assert interval([3.0]) == (3.0, 3.0, 3.0)


def test_it_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held = [low <= 0 <= high for _, low, high in map(interval, rng.normal(size=(400, 20)))]
    assert 0.90 < np.mean(held) < 0.97  # the percentile bootstrap of 20 values is a little narrow
