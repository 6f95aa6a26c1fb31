"""Readings are sampled at every read."""

import numpy as np

from reflexarc.runtime.batch import Schema
from reflexarc.sensors.joints import JointReadings


def test_samples_now_and_counts() -> None:
    state = np.array([1.0, 2.0])
    sensor = JointReadings("rail", lambda: state)
    first = sensor.read(5)
    state[0] = 3.0
    second = sensor.read(6)
    assert (first.schema, first.stream, first.seq, second.seq) == (Schema.READINGS, "rail", 0, 1)
    assert (second.t_first_ns, second.t_last_ns) == (6, 6)
    assert list(first.values) == [1.0, 2.0]
    assert list(second.values) == [3.0, 2.0]
