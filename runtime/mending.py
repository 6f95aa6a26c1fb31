"""A plant in another process that may die: the loop goes on, and finds it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.errors import LinkError, ReflexarcError
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Plant

#: How long to wait between two attempts.
AGAIN_S = 0.1
#: Called by who makes a plant, between its waits: raises LinkError once none is wanted any more.
Check = Callable[[], None]


class MendingPlant(Plant):
    """Hands on to a plant; when that is lost, another takes its place while the loop goes on.

    The call that finds it lost raises LinkError. Until the next one is there nothing is observed,
    and commands are dropped: what was at the other end has stopped by its own deadman.
    """

    def __init__(self, make: Callable[[Check], Plant], *, spare: bool = False) -> None:
        """`make` is called here, and by a thread for every further plant. Raises what it raises.

        With `spare` the next plant is made before it is needed, and waits.
        """
        self._closed, self._stir = Event(), Event()
        self._make, self._spare = make, spare
        self._plant: Plant | None = make(self._check)
        self._next: Plant | None = None
        self._lost: deque[Plant] = deque()
        self._stir.set()
        # Started now: a thread's stack is made, and locked, all at once.
        self._thread = Thread(target=self._mend, name="mend", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether there is nothing at the other end now."""
        return self._plant is None

    @property
    def in_reserve(self) -> bool:
        """Whether the next one is there already."""
        return self._next is not None

    def observe(self, now_ns: int) -> list[Batch]:
        """As the plant does; nothing while it is lost."""
        if self._plant is None:
            self._take_next()
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
        """Let go of the plants and make no other. May be called twice."""
        self._closed.set()
        self._stir.set()
        if self._plant is not None:
            self._plant.close()
        self._thread.join()
        if self._next is not None:
            self._next.close()

    def _lose(self, plant: Plant) -> None:
        self._plant = None
        self._lost.append(plant)
        self._stir.set()

    def _take_next(self) -> None:
        self._plant, self._next = self._next, None
        if self._plant is not None:
            self._stir.set()

    def _check(self) -> None:
        if self._closed.is_set():
            raise LinkError("no plant is wanted any more")

    def _mend(self) -> None:
        """The thread: put away what was lost, and make what is needed next."""
        while self._stir.wait() and not self._closed.is_set():
            self._stir.clear()
            while self._lost:
                _put_away(self._lost.popleft())
            if self._next is None and (self._spare or self._plant is None):
                self._try_to_make()
        while self._lost:
            _put_away(self._lost.popleft())

    def _try_to_make(self) -> None:
        try:
            self._next = self._make(self._check)
        except ReflexarcError:
            self._closed.wait(AGAIN_S)
            self._stir.set()


def _put_away(lost: Plant) -> None:
    with suppress(LinkError):  # a child that was stopped would not hear a kinder word
        lost.kill()
    lost.close()
