"""What every world has to keep, as tests for your own.

    class TestMyWorld(WorldContract):
        def make_world(self, seed):
            return MyWorld(MyConfig(), seed)

pytest collects the inherited tests; nothing of pytest is needed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.world import World


class WorldContract(ABC):
    """Tests of `World.advance`."""

    period_ns: int = 2_000_000
    ticks: int = 50

    @abstractmethod
    def make_world(self, seed: int) -> World:
        """A fresh world."""

    def run(self, seed: int, push: float = 0.0) -> list[Batch]:
        """Every batch of a run under a constant command."""
        world = self.make_world(seed)
        command = np.full(world.command_size, push)
        batches = []
        for tick in range(self.ticks):
            batches += world.advance(tick * self.period_ns, command)
        world.close()
        return batches

    def test_the_same_seed_and_commands_give_the_same_bytes(self) -> None:
        """Also after other worlds have run in the process."""
        first = self.run(seed=1)
        self.run(seed=2, push=0.1)
        again = self.run(seed=1)
        assert len(first) == len(again)
        for one, other in zip(first, again, strict=True):
            assert (one.stream, one.seq, one.t_last_ns) == (
                other.stream,
                other.seq,
                other.t_last_ns,
            )
            assert one.values.tobytes() == other.values.tobytes()

    def test_commands_move_it(self) -> None:
        """The truth depends on the command."""
        still, pushed = (
            [batch.values for batch in self.run(1, push) if batch.stream == "truth"]
            for push in (0.0, 0.1)
        )
        assert not np.array_equal(still[-1], pushed[-1])

    def test_streams_come_in_order_and_at_most_once_an_advance(self) -> None:
        """Sequence numbers count up, times do not decrease and do not run ahead."""
        world = self.make_world(0)
        last: dict[str, Batch] = {}
        for tick in range(self.ticks):
            now_ns = tick * self.period_ns
            batches = world.advance(now_ns, np.zeros(world.command_size))
            assert len({batch.stream for batch in batches}) == len(batches)
            for batch in batches:
                before = last.get(batch.stream)
                assert batch.seq == (0 if before is None else before.seq + 1)
                assert batch.t_last_ns <= now_ns
                assert before is None or before.t_last_ns <= batch.t_last_ns
                last[batch.stream] = batch
        assert "truth" in last
        world.close()

    def test_it_may_be_closed_twice(self) -> None:
        """As the base says."""
        world = self.make_world(0)
        world.close()
        world.close()
