"""What every sensor and every encoder has to keep, as tests for your own.

    class TestMySensor(SensorContract):
        def make_sensor(self):
            return MySensor()

pytest collects the inherited tests; nothing of pytest is needed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from reflexarc.runtime.batch import SPIKE, Array, Batch, Schema
from reflexarc.runtime.checkpoint import reread
from reflexarc.sensors.base import Sensor
from reflexarc.sensors.encoder import Encoder


class SensorContract(ABC):
    """Tests of `Sensor.read`. Attributes say at which times (ns) it is called."""

    read_at_ns: Sequence[int] = tuple(range(0, 200_000_000, 2_000_000))

    @abstractmethod
    def make_sensor(self) -> Sensor:
        """A fresh sensor at time 0."""

    def read_all(self) -> list[Batch]:
        """What a fresh sensor gives at `read_at_ns`."""
        with self.make_sensor() as sensor:
            return [sensor.read(now_ns) for now_ns in self.read_at_ns]

    def test_sequence_numbers_count_up_from_0(self) -> None:
        """One batch a call, none skipped."""
        assert [batch.seq for batch in self.read_all()] == list(range(len(self.read_at_ns)))

    def test_batches_say_what_they_are(self) -> None:
        """Stream and schema are the sensor's, the values cannot be written."""
        sensor = self.make_sensor()
        for batch in self.read_all():
            assert (batch.stream, batch.schema) == (sensor.stream, sensor.schema)
            assert not batch.values.flags.writeable
        sensor.close()

    def test_nothing_comes_early_twice_or_out_of_order(self) -> None:
        """Values lie after the call before and not after this one."""
        batches = self.read_all()
        for now_ns, batch in zip(self.read_at_ns, batches, strict=True):
            assert batch.t_first_ns <= batch.t_last_ns <= now_ns
        for one, other in pairwise(batches):
            assert one.t_last_ns <= other.t_last_ns
        if batches[0].schema is Schema.EVENTS:
            t_us = np.concatenate([batch.values["t"] for batch in batches])
            assert (np.diff(t_us.astype(np.int64)) >= 0).all()

    def test_losses_are_counted(self) -> None:
        """`dropped` and `backlog` are never negative."""
        assert all(batch.dropped >= 0 and batch.backlog >= 0 for batch in self.read_all())

    def test_it_may_be_closed_twice(self) -> None:
        """As the base says."""
        sensor = self.make_sensor()
        sensor.close()
        sensor.close()


class EncoderContract(ABC):
    """Tests of `Encoder.encode`."""

    period_ns: int = 2_000_000

    @abstractmethod
    def make_encoder(self) -> Encoder:
        """A fresh encoder."""

    @abstractmethod
    def make_batches(self, now_ns: int) -> list[Batch]:
        """What its stream might show at `now_ns`, including what it was not made for."""

    def test_input_of_every_step_fits_the_port(self) -> None:
        """Spikes sorted and inside the step, lines that exist; or a finite vector."""
        encoder = self.make_encoder()
        for tick in range(200):
            now_ns = tick * self.period_ns
            until_ns = now_ns + self.period_ns
            values = encoder.encode(self.make_batches(now_ns), now_ns, until_ns)
            if values.dtype != SPIKE:
                assert values.shape == (encoder.size,)
                assert np.isfinite(values).all()
            elif len(values):
                assert now_ns <= values["t_ns"].min() <= values["t_ns"].max() < until_ns
                assert (np.diff(values["t_ns"]) >= 0).all()
                assert values["i"].max() < encoder.size

    def test_no_batches_are_fine(self) -> None:
        """A tick in which nothing arrived is no error, first or later."""
        encoder = self.make_encoder()
        for tick in (0, 1):
            now_ns = tick * self.period_ns
            encoder.encode([], now_ns, now_ns + self.period_ns)

    def test_the_same_batches_give_the_same_bytes(self) -> None:
        """Two encoders of the same making agree."""
        one, other = self.make_encoder(), self.make_encoder()
        for tick in range(50):
            now_ns = tick * self.period_ns
            step = (self.make_batches(now_ns), now_ns, now_ns + self.period_ns)
            assert one.encode(*step).tobytes() == other.encode(*step).tobytes()

    def test_going_on_from_its_state_equals_never_having_stopped(self) -> None:
        """At another time of the loop, after the state went through a checkpoint."""
        one, other, later_ns = self.make_encoder(), self.make_encoder(), -40 * self.period_ns
        for tick in range(50):
            self._encode(one, tick * self.period_ns)
        other.restore(reread(one.state()), later_ns)
        for tick in range(50, 100):
            wanted = self._encode(one, tick * self.period_ns).copy()
            if wanted.dtype == SPIKE:
                wanted["t_ns"] += later_ns
            assert self._encode(other, tick * self.period_ns, later_ns).tobytes() == (
                wanted.tobytes()
            )

    def test_the_state_of_another_is_refused(self) -> None:
        """With ValueError, and it goes on as before."""
        encoder = self.make_encoder()
        self._encode(encoder, 0)
        before = {name: part.tobytes() for name, part in encoder.state().items()}
        try:
            encoder.restore({"a part of no encoder": np.zeros(3)})
        except ValueError:
            assert before == {name: part.tobytes() for name, part in encoder.state().items()}
        else:
            raise AssertionError("the state of another was not refused")

    def _encode(self, encoder: Encoder, now_ns: int, later_ns: int = 0) -> Array:
        """What it makes of the batches of `now_ns` if all happens `later_ns` later."""
        batches = [later(batch, later_ns) for batch in self.make_batches(now_ns)]
        now_ns += later_ns
        return encoder.encode(batches, now_ns, now_ns + self.period_ns)


def later(batch: Batch, by_ns: int) -> Batch:
    """`batch`, had it happened `by_ns` (whole microseconds) later."""
    values = batch.values.copy()
    if batch.schema is Schema.EVENTS:
        values["t"] += np.int64(by_ns // 1000).astype(np.uint64)
    elif batch.schema is Schema.SPIKES:
        values["t_ns"] += by_ns
    return replace(
        batch,
        values=values,
        t_first_ns=batch.t_first_ns + by_ns,
        t_last_ns=batch.t_last_ns + by_ns,
    )
