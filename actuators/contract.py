"""What every decoder has to keep, as tests for your own.

    class TestMyDecoder(DecoderContract):
        def make_decoder(self):
            return MyDecoder()

pytest collects the inherited tests; nothing of pytest is needed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from reflexarc.actuators.decoder import Decoder
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.checkpoint import reread


class DecoderContract(ABC):
    """Tests of `Decoder.decode`."""

    period_ns: int = 2_000_000
    #: Lines of the port, and whether it emits spikes.
    port_size: int = 1
    spiking: bool = True

    @abstractmethod
    def make_decoder(self) -> Decoder:
        """A fresh decoder."""

    def make_values(self, tick: int) -> npt.NDArray[Any]:
        """What might leave the port in `tick`: from nothing to every line at once."""
        generator = np.random.default_rng(tick)
        if not self.spiking:
            return generator.normal(size=self.port_size)
        lines = np.sort(generator.choice(self.port_size, generator.integers(self.port_size + 1)))
        spikes = np.zeros(len(lines), SPIKE)
        spikes["t_ns"], spikes["i"] = tick * self.period_ns, lines
        return spikes

    def commands(self) -> npt.NDArray[np.float64]:
        """Copies of what a fresh decoder gives for 200 ticks, one row a tick."""
        decoder = self.make_decoder()
        rows = []
        for tick in range(200):
            now_ns = tick * self.period_ns
            row = decoder.decode(self.make_values(tick), now_ns, now_ns + self.period_ns)
            assert row.shape == (decoder.size,)
            assert row.dtype == np.float64
            rows.append(row.copy())
        return np.array(rows)

    def test_commands_are_finite(self) -> None:
        """Whatever the network does."""
        assert np.isfinite(self.commands()).all()

    def test_the_same_spikes_give_the_same_bytes(self) -> None:
        """Two decoders of the same making agree."""
        assert self.commands().tobytes() == self.commands().tobytes()

    def test_going_on_from_its_state_equals_never_having_stopped(self) -> None:
        """At another time of the loop, after the state went through a checkpoint."""
        one, other, later_ns = self.make_decoder(), self.make_decoder(), -40 * self.period_ns
        for tick in range(50):
            one.decode(self.make_values(tick), tick * self.period_ns, (tick + 1) * self.period_ns)
        other.restore(reread(one.state()), later_ns)
        for tick in range(50, 100):
            values, now_ns = self.make_values(tick), tick * self.period_ns
            moved = values.copy()
            if moved.dtype == SPIKE:
                moved["t_ns"] += later_ns
            wanted = one.decode(values, now_ns, now_ns + self.period_ns)
            now_ns += later_ns
            found = other.decode(moved, now_ns, now_ns + self.period_ns)
            assert found.tobytes() == wanted.tobytes()

    def test_the_state_of_another_is_refused(self) -> None:
        """With ValueError, and it goes on as before."""
        decoder = self.make_decoder()
        now_ns = self.period_ns
        decoder.decode(self.make_values(1), 0, now_ns)
        before = {name: part.tobytes() for name, part in decoder.state().items()}
        try:
            decoder.restore({"a part of no decoder": np.zeros(3)})
        except ValueError:
            assert before == {name: part.tobytes() for name, part in decoder.state().items()}
        else:
            raise AssertionError("the state of another was not refused")

    def test_it_answers(self) -> None:
        """The command follows what leaves the port."""
        assert np.ptp(self.commands(), axis=0).max() > 0
