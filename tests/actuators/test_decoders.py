import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.actuators.decoders import (
    CentreOfMass,
    CentreOfMassSpec,
    FilteredRate,
    FilteredRateSpec,
    GradedSpec,
    PopulationVector,
    PopulationVectorSpec,
    RateFilter,
    make_decoder,
)
from reflexarc.runtime.batch import SPIKE

MS = 1_000_000
NO_SPIKES = np.zeros(0, SPIKE)


def spikes(*lines):
    values = np.zeros(len(lines), dtype=SPIKE)
    values["i"] = lines
    return values


def test_a_regular_train_settles_at_its_rate():
    rates = RateFilter(2, tau_s=0.1)
    for step in range(3000):
        rate = rates.update(spikes(1) if step % 10 == 0 else NO_SPIKES, 1e-3)
    assert rate[0] == 0
    assert rate[1] == pytest.approx(100, rel=0.06)  # ripple of one spike in tau


def test_one_spike_has_area_one():
    rates = RateFilter(1, tau_s=0.02)
    area = sum(
        rates.update(spikes(0) if step == 0 else NO_SPIKES, 1e-3)[0] * 1e-3 for step in range(1000)
    )
    assert area == pytest.approx(1, rel=1e-9)


def test_the_filter_decays_as_an_exponential_whatever_the_step():
    fine, coarse = RateFilter(1, 0.05), RateFilter(1, 0.05)
    for rates in (fine, coarse):
        rates.rate_hz[:] = 80.0
    for _ in range(10):
        fine.update(NO_SPIKES, 1e-3)
    coarse.update(NO_SPIKES, 1e-2)
    assert fine.rate_hz[0] == pytest.approx(80 * np.exp(-0.2), rel=1e-12)
    assert fine.rate_hz[0] == pytest.approx(coarse.rate_hz[0], rel=1e-12)


def test_population_vector_is_push_minus_pull():
    spec = PopulationVectorSpec(kind="population_vector", port="motor", tau_s=1e-6, scale=2.0)
    decoder = PopulationVector(spec, 4)
    # tau far below the step: rate = count / step
    assert decoder.decode(spikes(0, 1), 0, MS) == pytest.approx([2.0 * 2000 / 4])
    assert decoder.decode(spikes(0, 3), MS, 2 * MS) == pytest.approx([0.0])
    assert decoder.decode(spikes(2, 3, 3), 2 * MS, 3 * MS) == pytest.approx([-2.0 * 3000 / 4])


def centre_of_mass(**said):
    said = {"port": "place", "tau_s": 1e-6, "low": -1.0, "high": 1.0, "floor_hz": 1.0} | said
    return CentreOfMassSpec.model_validate({"kind": "centre_of_mass"} | said)


def test_centre_of_mass_does_not_grow_with_the_activity():
    decoder = CentreOfMass(centre_of_mass(floor_hz=1e-6), 5)
    assert decoder.decode(spikes(0, 3), 0, MS) == pytest.approx([(-1.0 + 0.5) / 2])
    assert decoder.decode(spikes(*[0, 3] * 20), MS, 2 * MS) == pytest.approx([(-1.0 + 0.5) / 2])


def test_centre_of_mass_is_nothing_without_activity_and_small_beside_its_floor():
    decoder = CentreOfMass(centre_of_mass(floor_hz=1000.0), 5)
    assert decoder.decode(NO_SPIKES, 0, MS) == pytest.approx([0.0])
    assert decoder.decode(spikes(4), MS, 2 * MS) == pytest.approx([0.5])  # 1000 Hz of 2000


def test_centre_of_mass_needs_a_range():
    with pytest.raises(ValidationError, match="low must be below high"):
        centre_of_mass(low=1.0)


def test_population_vector_refuses_a_wrong_number_of_directions():
    spec = PopulationVectorSpec(
        kind="population_vector", port="motor", tau_s=0.01, scale=1.0, directions=[1.0, -1.0]
    )
    with pytest.raises(ValueError, match="3 lines but there are 2 directions"):
        PopulationVector(spec, 3)
    with pytest.raises(ValidationError, match="at least one must differ"):
        PopulationVectorSpec(
            kind="population_vector", port="m", tau_s=0.01, scale=1.0, directions=[0.0]
        )


def test_filtered_rate_scales_and_offsets_each_line():
    spec = FilteredRateSpec(kind="filtered_rate", port="m", tau_s=1e-6, scale=0.01, offset=-1.0)
    decoder = FilteredRate(spec, 2)
    assert decoder.decode(spikes(1), 0, MS) == pytest.approx([-1.0, 9.0])


def test_a_decoder_must_fit_its_port():
    rate = FilteredRateSpec(kind="filtered_rate", port="m", tau_s=0.01)
    graded = GradedSpec(kind="graded", port="m", scale=3.0)
    with pytest.raises(ValueError, match="emits no spikes"):
        make_decoder(rate, 1, spiking=False)
    with pytest.raises(ValueError, match="emits spikes"):
        make_decoder(graded, 1, spiking=True)
    decoder = make_decoder(graded, 2, spiking=False)
    assert decoder.decode(np.array([1.0, -2.0]), 0, MS).tolist() == [3.0, -6.0]
