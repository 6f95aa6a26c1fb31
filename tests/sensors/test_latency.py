"""Latency coding: when each line spikes."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.sensors.latency import Latency, LatencySpec

MS = 1_000_000


def spec(**said: Any) -> LatencySpec:
    known = {"readings": [0, 2, 1], "low": [0.0, -1.0, 0.0], "high": [1.0, 1.0, 10.0]}
    return LatencySpec(kind="latency", stream="s", port="p", **{**known, **said})


def readings(*values: float) -> Batch:
    return Batch("s", Schema.READINGS, np.array(values))


def test_a_higher_reading_spikes_earlier() -> None:
    encoder = Latency(spec(), 3)
    spikes = encoder.encode([readings(0.25, 9.0, 0.5)], 10 * MS, 12 * MS)
    # 0.25 of 0 to 1; 0.5 of -1 to 1; 9 of 0 to 10
    assert list(zip(spikes["i"], spikes["t_ns"], strict=True)) == [
        (2, 10 * MS + MS // 5),
        (1, 10 * MS + MS // 2),
        (0, 10 * MS + 3 * MS // 2),
    ]


def test_ends_of_the_range() -> None:
    encoder = Latency(spec(), 3)
    spikes = encoder.encode([readings(5.0, 1e-9, -1.0)], 0, 2 * MS)
    # above high at once, at low never, next to low within the step
    assert list(zip(spikes["i"], spikes["t_ns"], strict=True)) == [(0, 0), (2, 2 * MS - 1)]


def test_the_last_readings_are_kept() -> None:
    encoder = Latency(spec(), 3)
    assert len(encoder.encode([], 0, MS)) == 0
    assert len(encoder.encode([readings(0.5, 5.0)], 0, MS)) == 0  # too short
    first = encoder.encode([readings(0.5, 5.0, 0.0)], 0, MS)
    again = encoder.encode([], MS, 2 * MS)
    assert len(first) == 3
    np.testing.assert_array_equal(again["t_ns"], first["t_ns"] + MS)


@pytest.mark.parametrize(
    "said",
    [{"low": [0.0]}, {"low": [0.0, 1.0, 0.0]}, {"readings": [0, -1, 2]}],
)
def test_bad_specs(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**said)


def test_the_port_has_a_line_for_each_reading() -> None:
    with pytest.raises(ValueError, match="'p' has 4 lines"):
        Latency(spec(), 4)
