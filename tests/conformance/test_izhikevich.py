"""Each of Izhikevich's twenty behaviours shows its signature (benchmarks/izhikevich.py)."""

import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks/izhikevich.py"
pytestmark = pytest.mark.skipif(not BENCHMARK.exists(), reason=f"{BENCHMARK} is absent")


@cache
def benchmark():
    return runpy.run_path(str(BENCHMARK))


@cache
def behaviours():
    return {behaviour.title: behaviour for behaviour in benchmark()["behaviours"]()}


@cache
def run(title):
    return benchmark()["run"](behaviours()[title])


def spikes(title):
    return run(title).spikes_ms


def intervals(title):
    return np.diff(spikes(title))


def bursts(title, gap_ms):
    """Numbers of spikes between silences longer than `gap_ms`."""
    breaks = np.flatnonzero(intervals(title) > gap_ms) + 1
    return [len(part) for part in np.split(spikes(title), breaks)]


def test_there_are_twenty():
    assert len(behaviours()) == 20


def test_tonic_spiking_settles_to_equal_intervals():
    assert intervals("tonic spiking")[-2:] == pytest.approx([27, 27], abs=1)


def test_phasic_spiking_is_one_spike_at_the_onset():
    assert len(spikes("phasic spiking")) == 1
    assert 20 < spikes("phasic spiking")[0] < 60


def test_tonic_bursting_repeats_bursts():
    assert bursts("tonic bursting", 20) == [11, 6, 6, 6]


def test_phasic_bursting_is_one_burst_at_the_onset():
    assert bursts("phasic bursting", 15) == [len(spikes("phasic bursting"))]
    assert len(spikes("phasic bursting")) >= 5
    assert spikes("phasic bursting")[-1] < 100


def test_mixed_mode_bursts_and_then_spikes():
    assert intervals("mixed mode")[:2].max() < 6
    assert intervals("mixed mode")[-2:] == pytest.approx([32, 32], abs=1)


def test_frequency_adaptation_lengthens_the_intervals():
    assert (np.diff(intervals("frequency adaptation")) > 0).all()


def test_class_1_starts_at_a_low_frequency():
    shortening = intervals("class 1 excitable")
    assert (np.diff(shortening) < 0).all()
    assert shortening[0] > 2.5 * shortening[-1]


def test_class_2_starts_at_a_high_frequency():
    assert spikes("class 2 excitable")[0] > 100
    assert intervals("class 2 excitable")[0] < 0.6 * intervals("class 1 excitable")[0]


def test_spike_latency_outlasts_the_pulse():
    assert len(spikes("spike latency")) == 1
    assert spikes("spike latency")[0] > 13 + 3


def test_subthreshold_oscillation_follows_the_spike():
    trace = run("subthreshold oscillation")
    assert len(trace.spikes_ms) == 1
    v = trace.v[trace.t_ms > trace.spikes_ms[0] + 5]
    tops = v[1:-1][(v[1:-1] > v[:-2]) & (v[1:-1] > v[2:])]
    assert len(tops) >= 3
    assert (np.diff(tops) < 0).all()
    assert tops.max() < -50


def test_resonator_answers_one_spacing_only():
    assert len(spikes("resonator")) == 1
    assert 320 < spikes("resonator")[0] < 360


def test_integrator_answers_the_near_pulses_only():
    assert len(spikes("integrator")) == 1
    assert 14 < spikes("integrator")[0] < 30


def test_rebound_spike_follows_inhibition():
    assert len(spikes("rebound spike")) == 1
    assert spikes("rebound spike")[0] > 25


def test_rebound_burst_follows_inhibition():
    assert spikes("rebound burst")[0] > 25
    assert bursts("rebound burst", 15) == [len(spikes("rebound burst"))]
    assert len(spikes("rebound burst")) >= 5


def test_threshold_is_lower_after_inhibition():
    assert len(spikes("threshold variability")) == 1
    assert spikes("threshold variability")[0] > 80


def test_bistability_is_switched_on_and_off():
    times = spikes("bistability")
    assert len(times) >= 4
    assert times[0] > 37.5
    assert times[-1] < 207
    assert np.ptp(intervals("bistability")) < 1


def test_depolarizing_after_potential():
    trace = run("depolarizing after-potential")
    assert len(trace.spikes_ms) == 1
    after = trace.v[trace.t_ms >= trace.spikes_ms[0]]
    assert after[0] == -60
    assert after.argmax() > 10
    assert -55 < after.max() < -45
    assert after[-1] == pytest.approx(-70, abs=0.5)


def test_accommodation_needs_a_quick_rise():
    assert len(spikes("accommodation")) == 1
    assert 300 < spikes("accommodation")[0] < 320


def test_inhibition_induced_spiking():
    times = spikes("inhibition-induced spiking")
    assert len(times) == 4
    assert times[0] > 50
    assert times[-1] < 270


def test_inhibition_induced_bursting():
    assert bursts("inhibition-induced bursting", 30) == [7, 7]
    assert spikes("inhibition-induced bursting")[0] > 50
    assert spikes("inhibition-induced bursting")[-1] < 270
