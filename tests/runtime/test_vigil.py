from dataclasses import replace

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.vigil import StreamError, Vigil, Watch

MS = 1_000_000


def reading(t_ms, values=(1.0,), **more):
    return Batch("state", Schema.READINGS, np.array(values), t_ms * MS, t_ms * MS, **more)


def test_silence_counts_from_the_last_news():
    watch = Watch("state", 20 * MS)
    assert watch.awaited()
    assert not watch.silent(1000 * MS)
    watch.take(reading(5), 5 * MS)
    assert not watch.awaited()
    assert not watch.silent(25 * MS)
    assert watch.silent(26 * MS)


def test_a_frozen_clock_is_silence():
    watch = Watch("state", 20 * MS)
    for now in range(40):
        watch.take(reading(min(now, 3)), now * MS)
    assert watch.heard_ns == 3 * MS
    assert watch.silent(39 * MS)


def test_a_sender_that_starts_again_is_heard():
    watch = Watch("state", 20 * MS)
    watch.take(reading(1000, epoch=1), 0)
    watch.take(reading(0, epoch=2), 50 * MS)
    assert watch.heard_ns == 50 * MS


def test_an_empty_batch_is_news_of_a_sensor_but_not_of_a_feeder():
    empty = Batch("camera", Schema.EVENTS, np.zeros(0, EVENT), 0, 9 * MS)
    sensor, feeder = Watch("camera", MS), Watch("camera", MS, fed=True)
    for watch in (sensor, feeder):
        watch.take(replace(empty, dropped=3), 9 * MS)
    assert sensor.heard_ns == 9 * MS
    assert feeder.heard_ns is None
    assert sensor.dropped == feeder.dropped == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_reading_that_is_not_finite_is_refused(value):
    with pytest.raises(StreamError, match="stream 'state': reading 1 is not finite"):
        Vigil([Watch("state", MS)]).take([reading(0, [0.0, value])], 0)


def test_readings_keep_their_number():
    vigil = Vigil([Watch("state", MS)])
    vigil.take([reading(0)], 0)
    with pytest.raises(StreamError, match="2 readings, before it had 1"):
        vigil.take([reading(1, [0.0, 1.0])], MS)


def test_only_essential_streams_stop_the_robot():
    vigil = Vigil([Watch("state", 5 * MS), Watch("camera", 5 * MS, essential=False)])
    assert vigil.awaited().stream == "state"
    vigil.take([reading(0)], 0)
    assert vigil.awaited() is None
    assert vigil.impaired(0).stream == "camera"
    assert vigil.silent(6 * MS).stream == "state"
    assert vigil.is_essential("state")
    assert not vigil.is_essential("camera")
    assert not vigil.is_essential("unknown")


def test_a_quiet_stream_may_be_silent_for_ever():
    watch = Watch("camera", None)
    assert not watch.awaited()
    watch.take(reading(0), 0)
    assert not watch.silent(10**18)
