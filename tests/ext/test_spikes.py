"""Spikes made from rates and counted into rates, beside plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reflexarc.ext.spikes import filter_rates, fire, log_gaussians, quanta
from reflexarc.runtime.batch import EVENT, SPIKE

MS = 1_000_000
LINES = 5
phases = arrays(np.float64, LINES, elements=st.floats(0, 1, exclude_max=True))
numbers = arrays(np.float64, LINES, elements=st.floats(0, 6))


def fired_by_numpy(phase: np.ndarray, expected: np.ndarray, now_ns: int, span_ns: int):
    """The same spikes, line by line, then sorted."""
    rows = []
    for line, (start, end) in enumerate(zip(phase, phase + expected, strict=True)):
        share = (np.arange(1, int(end) + 1) - start) / (end - start)
        rows += [(now_ns + int(t), line) for t in np.minimum(share * span_ns, span_ns - 1)]
    spikes = np.array(rows, SPIKE)
    return spikes[np.argsort(spikes["t_ns"], kind="stable")]


@given(phases, numbers)
def test_a_line_spikes_where_its_phase_passes_a_whole_number(phase, expected) -> None:
    left = phase + expected - np.floor(phase + expected)
    wanted = fired_by_numpy(phase, expected, 7 * MS, MS)
    spikes = fire(phase, expected, SPIKE, 7 * MS, 8 * MS)
    assert spikes.tobytes() == wanted.tobytes()
    assert phase.tobytes() == left.tobytes()


def test_times_within_a_step_do_not_depend_on_how_long_the_loop_has_run() -> None:
    late_ns = 400 * 86_400 * 1_000_000_000  # beyond the whole numbers that float64 holds
    expected = np.linspace(0.3, 4.1, LINES)
    first, late = (
        fire(np.full(LINES, 0.25), expected, SPIKE, now_ns, now_ns + 2 * MS)
        for now_ns in (0, late_ns)
    )
    assert np.array_equal(late["t_ns"] - late_ns, first["t_ns"])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 1e9])
def test_a_number_of_spikes_that_cannot_be_changes_nothing(bad) -> None:
    phase = np.full(3, 0.5)
    with pytest.raises(ValueError, match="line 1 cannot give"):
        fire(phase, np.array([1.0, bad, 1.0]), SPIKE, 0, MS)
    assert phase.tolist() == [0.5] * 3


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="3 phases, but 2"):
        fire(np.zeros(3), np.zeros(2), SPIKE, 0, MS)
    with pytest.raises(ValueError, match="3 rates, but 2"):
        filter_rates(np.zeros(3), np.zeros(2), np.zeros(0, SPIKE), 1.0, 1.0)


def test_no_lines_no_spikes() -> None:
    assert fire(np.zeros(0), np.zeros(0), SPIKE, 0, MS).shape == (0,)


@given(st.lists(st.integers(0, LINES - 1), max_size=30), st.floats(0, 1), st.floats(0, 1000))
def test_rates_follow_numpy_to_the_bit(lines, keep, gain) -> None:
    rate_hz, spikes = np.linspace(0, 300, LINES), np.zeros(len(lines), SPIKE)
    spikes["i"] = lines
    wanted = keep * rate_hz + gain * np.bincount(spikes["i"], minlength=LINES)
    filter_rates(rate_hz, np.full(LINES, 9.0), spikes, keep, gain)
    assert rate_hz.tobytes() == wanted.tobytes()


def test_a_spike_of_no_line_changes_no_rate() -> None:
    rate_hz = np.array([10.0, 20.0])
    with pytest.raises(ValueError, match="spike of line 2, but there are only 2"):
        filter_rates(rate_hz, np.zeros(2), np.array([(0, 0), (0, 2)], SPIKE), 0.5, 1.0)
    assert rate_hz.tolist() == [10.0, 20.0]


def test_other_records_are_refused() -> None:
    with pytest.raises(ValueError, match="Buffer"):
        filter_rates(np.zeros(2), np.zeros(2), np.zeros(1, EVENT), 0.5, 1.0)
    with pytest.raises(ValueError, match="Buffer"):
        fire(np.zeros(1), np.ones(1), EVENT, 0, MS)


@given(arrays(np.float64, LINES, elements=st.floats(-5, 5)), st.floats(-5, 5), st.floats(0.01, 3))
def test_logarithms_of_tuning_curves_are_those_of_numpy(centres, value, sigma) -> None:
    wanted = -0.5 * ((value - centres) / sigma) ** 2
    assert log_gaussians(centres, value, sigma).tobytes() == wanted.tobytes()


levels = arrays(np.float64, LINES, elements=st.floats(-9, 9))
quantum = arrays(np.float64, LINES, elements=st.sampled_from([0.3, -0.3, 1.0, -0.01]))


@given(levels, levels, quantum)
def test_quanta_are_counted_as_by_numpy(reference, now, quantum) -> None:
    steps = np.trunc((now - reference) / quantum)
    follows = reference + steps * quantum
    assert np.array_equal(quanta(reference, now, quantum), np.maximum(steps, 0.0))
    assert reference.tobytes() == follows.tobytes()


def test_a_level_that_is_no_number_gives_no_number_of_quanta() -> None:
    counted = quanta(np.zeros(2), np.array([np.nan, 1.0]), np.ones(2))
    assert np.isnan(counted[0])
    with pytest.raises(ValueError, match="line 0 cannot give nan spikes"):
        fire(np.zeros(2), counted, SPIKE, 0, MS)


def test_quanta_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references, but 3 values, 2 quanta"):
        quanta(np.zeros(2), np.zeros(3), np.ones(2))
