import numpy as np

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.sensors.recorded import RecordedSensor


def batch(*t_us, until_ns, dropped=0):
    values = np.zeros(len(t_us), EVENT)
    values["t"] = t_us
    return Batch("camera", Schema.EVENTS, values, 0, until_ns, dropped=dropped)


def test_each_batch_comes_at_its_own_time_and_once():
    recorded = [
        batch(1, until_ns=1000),
        batch(2, 3, until_ns=3000, dropped=4),
        batch(until_ns=4000, dropped=1),
    ]
    sensor = RecordedSensor("camera", Schema.EVENTS, recorded)
    assert sensor.read(0).values.size == 0
    assert sensor.read(1000).values["t"].tolist() == [1]
    late = sensor.read(5000)
    assert late.values["t"].tolist() == [2, 3]
    assert (late.dropped, late.seq, late.t_first_ns, late.t_last_ns) == (5, 2, 1000, 5000)
    assert sensor.read(9000).values.size == 0


def test_joined_batches_keep_their_order():
    recorded = [batch(1, 2, until_ns=2000), batch(3, until_ns=3000)]
    values = RecordedSensor("camera", Schema.EVENTS, recorded).read(3000).values
    assert values["t"].tolist() == [1, 2, 3]
