"""A plant in another process that may die: the loop goes on, and finds it again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.errors import LinkError, ReflexarcError
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Plant

#: How long to wait between two attempts.
AGAIN_S = 0.1


class MendingPlant(Plant):
    """Hands on to a plant; when that is lost, a thread makes it anew while the loop goes on.

    The call that finds it lost raises LinkError. Until it is back nothing is observed, and
    commands are dropped: what was at the other end has stopped by its own deadman.
    """

    def __init__(self, make: Callable[[], Plant]) -> None:
        """`make` is called here, and again whenever the plant is lost. Raises what it raises."""
        self._make = make
        self._plant: Plant | None = make()
        self._made: Plant | None = None
        self._closed = Event()
        self._thread: Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether there is nothing at the other end now."""
        return self._plant is None

    def observe(self, now_ns: int) -> list[Batch]:
        """As the plant does; nothing while it is lost."""
        if self._plant is None:
            self._plant, self._made = self._made, None
        if self._plant is None:
            return []
        try:
            return self._plant.observe(now_ns)
        except LinkError:
            self._lose(self._plant)
            raise

    def act(self, command: FloatArray) -> None:
        """As the plant does; nothing while it is lost."""
        if self._plant is None:
            return
        try:
            self._plant.act(command)
        except LinkError:
            self._lose(self._plant)
            raise

    def close(self) -> None:
        """Let go of the plant and stop looking for it. May be called twice."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        for plant in (self._plant, self._made):
            if plant is not None:
                plant.close()

    def _lose(self, plant: Plant) -> None:
        self._plant = None
        self._thread = Thread(target=self._mend, args=(plant,), name="mend", daemon=True)
        self._thread.start()

    def _mend(self, lost: Plant) -> None:
        with suppress(LinkError):  # a child that was stopped would not hear a kinder word
            lost.kill()
        lost.close()
        while not self._closed.is_set():
            try:
                self._made = self._make()
                return
            except ReflexarcError:
                self._closed.wait(AGAIN_S)
