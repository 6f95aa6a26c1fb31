"""Readings to spikes: rates, counts, and times inside the step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.sensors.encoder import Encoder
from reflexarc.sensors.population import (
    Delta,
    DeltaSpec,
    GaussianPopulation,
    GaussianPopulationSpec,
    Rate,
    RateSpec,
    SignedRate,
    SignedRateSpec,
)

STEP_NS = 2_000_000


def reading(*values: float) -> list[Batch]:
    return [Batch("rail", Schema.READINGS, np.array(values))]


def counts(encoder: Encoder, steps: int, *values: float) -> np.ndarray:
    """Spikes of each line while the reading stays; checks order and step on the way."""
    total = np.zeros(encoder.size, dtype=int)
    for step in range(steps):
        now_ns = step * STEP_NS
        spikes = encoder.encode(reading(*values), now_ns, now_ns + STEP_NS)
        assert np.all(np.diff(spikes["t_ns"]) >= 0)
        assert np.all((spikes["t_ns"] >= now_ns) & (spikes["t_ns"] < now_ns + STEP_NS))
        total += np.bincount(spikes["i"], minlength=encoder.size)
    return total


def gaussian(lines: int = 5) -> GaussianPopulation:
    spec = GaussianPopulationSpec(
        kind="gaussian_population",
        stream="rail",
        port="in",
        reading=1,
        low=-2.0,
        high=2.0,
        sigma=0.7,
        max_rate_hz=100.0,
    )
    return GaussianPopulation(spec, lines)


def test_gaussian_lines_fire_at_their_tuning_curves() -> None:
    total = counts(gaussian(), 500, 9.0, 0.4)
    expected = 100.0 * np.exp(-0.5 * ((0.4 - np.linspace(-2, 2, 5)) / 0.7) ** 2)
    np.testing.assert_allclose(total, expected, atol=1)


def test_gaussian_beyond_its_range_stays_at_the_end() -> None:
    np.testing.assert_array_equal(counts(gaussian(), 50, 0, 7.0), counts(gaussian(), 50, 0, 2.0))


def rate(**said: object) -> Rate:
    known = {"kind": "rate", "stream": "rail", "port": "in", "max_rate_hz": 200.0}
    known |= {"readings": [1, 0, 2], "low": [0.0, -1.0, 5.0], "high": [2.0, 1.0, 6.0]}
    return Rate(RateSpec.model_validate({**known, **said}), 3)


def test_rate_is_straight_within_its_range_and_stays_at_its_ends() -> None:
    # reading 1 is a quarter of its way, reading 0 half, reading 2 below its range
    np.testing.assert_allclose(counts(rate(), 500, 0.0, 0.5, 1.0), [50, 100, 0], atol=1)
    np.testing.assert_allclose(counts(rate(), 500, -9.0, 9.0, 5.9), [200, 0, 180], atol=1)


@pytest.mark.parametrize(
    "said", [{"low": [0.0]}, {"low": [2.0, 0.0, 0.0]}, {"readings": [-1, 0, 1]}]
)
def test_bad_rates(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        rate(**said)


def signed() -> SignedRate:
    spec = SignedRateSpec(
        kind="signed_rate",
        stream="rail",
        port="in",
        readings=[0, 1],
        scale=[2.0, 4.0],
        max_rate_hz=2000.0,
    )
    return SignedRate(spec, 4)


def test_signed_rate_splits_signs_and_stops_at_the_most() -> None:
    np.testing.assert_allclose(counts(signed(), 500, 0.5, -9.0), [500, 0, 0, 2000], atol=1)


def test_last_reading_holds() -> None:
    encoder = signed()
    assert len(encoder.encode([], 0, STEP_NS)) == 0
    first = encoder.encode(reading(2.0, 0.0), 0, STEP_NS)
    assert len(encoder.encode([], STEP_NS, 2 * STEP_NS)) == len(first) == 4


def delta() -> Delta:
    spec = DeltaSpec(kind="delta", stream="rail", port="in", readings=[0], quantum=[0.01])
    return Delta(spec, 2)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=20))
def test_delta_spikes_add_up_to_the_way_gone(values: list[float]) -> None:
    encoder = delta()
    total = sum(counts(encoder, 1, value) for value in values)
    assert abs((total[0] - total[1]) * 0.01 - (values[-1] - values[0])) < 0.0101


def test_delta_is_silent_at_rest() -> None:
    assert counts(delta(), 20, 1.234).sum() == 0


def test_ports_must_fit() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        gaussian(1)
    with pytest.raises(ValueError, match="need 4"):
        SignedRate(
            SignedRateSpec(
                kind="signed_rate",
                stream="rail",
                port="in",
                readings=[0, 1],
                scale=[1.0, 1.0],
                max_rate_hz=1.0,
            ),
            3,
        )


def test_bad_specs_are_refused() -> None:
    base = {"stream": "rail", "port": "in", "readings": [0]}
    with pytest.raises(ValidationError, match="2 entries"):
        DeltaSpec.model_validate({"kind": "delta", **base, "quantum": [0.1, 0.1]})
    with pytest.raises(ValidationError, match="above 0"):
        DeltaSpec.model_validate({"kind": "delta", **base, "quantum": [0.0]})
    with pytest.raises(ValidationError, match="low must be below high"):
        GaussianPopulationSpec(
            kind="gaussian_population",
            stream="rail",
            port="in",
            low=1.0,
            high=1.0,
            sigma=1.0,
            max_rate_hz=1.0,
        )
