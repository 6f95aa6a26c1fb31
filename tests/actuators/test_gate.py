import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexarc.actuators.gate import Gate, GateSpec

SPEC = GateSpec(low=[-2.0, 0.0], high=[2.0, 5.0], rest=[0.0, 1.0], slew_per_s=[100.0, 1000.0])
anything = st.lists(st.floats(width=64), min_size=2, max_size=2).map(np.array)


def test_a_command_in_range_passes_unchanged():
    gate = Gate(GateSpec(low=[-2.0], high=[2.0], rest=[0.0]))
    assert gate.guard(np.array([1.5]), 1e-3).tolist() == [1.5]
    assert gate.clipped == gate.slewed == 0


def test_range_and_slew_are_enforced_and_counted():
    gate = Gate(SPEC)
    assert gate.guard(np.array([9.0, -3.0]), 1e-2).tolist() == [1.0, 0.0]
    assert (gate.clipped, gate.slewed) == (1, 1)
    assert gate.guard(np.array([9.0, -3.0]), 1e-2).tolist() == [2.0, 0.0]


def test_the_first_command_starts_from_rest():
    gate = Gate(SPEC)
    assert gate.guard(np.array([2.0, 1.0]), 1e-3).tolist() == [0.1, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_command_becomes_a_stop_that_stays(bad):
    gate = Gate(SPEC)
    gate.guard(np.array([2.0, 1.0]), 1.0)
    assert gate.guard(np.array([bad, 1.0]), 1e-2).tolist() == [1.0, 1.0]  # towards rest, in slew
    assert gate.stopped == "command element 0 is not finite"
    assert gate.guard(np.array([2.0, 5.0]), 1.0).tolist() == [0.0, 1.0]


def test_a_wrong_shape_becomes_a_stop():
    gate = Gate(SPEC)
    assert gate.guard(np.zeros(3), 1.0).tolist() == [0.0, 1.0]
    assert gate.stopped == "command has shape (3,), expected (2,)"


def test_stop_keeps_the_first_reason():
    gate = Gate(SPEC)
    gate.stop("sensor silent")
    gate.stop("later")
    assert gate.guard(np.array([2.0, 5.0]), 1.0).tolist() == [0.0, 1.0]
    assert gate.stopped == "sensor silent"


@given(st.lists(anything, max_size=20), st.floats(1e-6, 10))
def test_nothing_unsafe_ever_leaves(commands, duration_s):
    gate = Gate(SPEC)
    last = gate.rest
    for wanted in commands:
        safe = gate.guard(wanted, duration_s)
        assert np.isfinite(safe).all()
        assert (safe >= SPEC.low).all()
        assert (safe <= SPEC.high).all()
        reach = np.array(SPEC.slew_per_s) * duration_s
        assert (np.abs(safe - last) <= reach * (1 + 1e-12) + 1e-15).all()
        last = safe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"high": [1.0]}, "high: 1 entries, but low has 2"),
        ({"rest": [9.0, 1.0]}, "element 0: need low <= rest <= high"),
        ({"slew_per_s": [0.0, 1.0]}, "must be above 0"),
        ({"low": [float("nan"), 0.0]}, "finite"),
    ],
)
def test_a_wrong_specification_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        GateSpec(**{**SPEC.model_dump(), **change})


@given(st.lists(anything, min_size=1, max_size=20), st.floats(1e-4, 1.0))
def test_what_it_lets_out_is_what_it_allows(wanted, duration_s):
    gate = Gate(SPEC)
    for command in wanted:
        before = gate.last
        assert gate.allows(gate.guard(command, duration_s), before, duration_s)


@pytest.mark.parametrize("jump", [[0.11, 1.0], [-0.11, 1.0], [0.0, 2.1], [np.nan, 1.0]])
def test_a_command_further_away_than_the_slew_limit_is_not_allowed(jump):
    gate = Gate(SPEC)
    assert not gate.allows(np.array(jump), gate.last, 1e-3)
    assert np.isnan(jump).any() or gate.allows(np.array(jump))
