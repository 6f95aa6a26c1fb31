"""The world contract: a plant that moves in simulated time, and how the loop reaches it.

    world = PoleBalance(config, seed)
    batches = world.advance(until_ns, command)

A `World` is what a scenario ships. The loop talks to a `Plant`: `LocalPlant` holds the world in
the loop's process; `reflexarc.runtime.link.RemotePlant` reaches one in a process of its own over
the bus. The loop cannot tell them apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.network import FloatArray


class Part(ABC):
    """A piece of a scenario's own code.

    Subclasses set `Config`, a Strict model of what `scenario.yaml` may say under `config` beside
    the part's `code`, and are made as `Part(config, seed)`.
    """

    Config: ClassVar[type[Strict]] = Strict

    @abstractmethod
    def __init__(self, config: Any, seed: int) -> None: ...


class World(Part):
    """A simulated plant with its sensors.

    `advance` is the contract: it holds `command` (float64, shape (command_size,)) while the plant
    moves from where it stands to `until_ns`, and returns what its sensors saw on the way: at most
    one batch a stream, sensor time. The stream "truth" (READINGS) is the plant's true state for
    scores, baselines and reports; no network may listen to it. The same config, seed and commands
    give the same bytes.

    Subclasses set `command_size`, and for reports `truth`: name and unit of each element of the
    stream "truth" ("tilt, rad"). A world that can show itself on a display has a key
    `window: bool = False` in its `Config`; the launcher sets it.
    """

    command_size: ClassVar[int] = 1
    truth: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Move to `until_ns` under `command`; what the sensors saw on the way."""

    def keep_pace(self, period_ns: int) -> None:
        """Real time (mode wall): from now on there is an `advance` every `period_ns`.

        Called before the first one. A world puts off what can wait, such as pictures, and counts
        what it has put off.
        """
        del period_ns

    def close(self) -> None:
        """Give back what the world holds. May be called twice."""
        return


class Plant(ABC):
    """What the loop observes and acts on."""

    @abstractmethod
    def observe(self, now_ns: int) -> list[Batch]:
        """What the sensors saw since the last call, up to `now_ns`. Raises LinkError."""

    @abstractmethod
    def act(self, command: FloatArray) -> None:
        """Apply `command` from now until the next one. Raises LinkError."""

    def kill(self) -> None:
        """End the world without warning, as a crash would; for ordered faults.

        Raises LinkError, now or in the next `observe`.
        """
        raise LinkError("the world was killed, as the scenario's faults order")

    def close(self) -> None:
        """Let go of the plant. May be called twice."""
        return


class LocalPlant(Plant):
    """A world in the loop's own process."""

    def __init__(self, world: World, rest: FloatArray) -> None:
        self._world = world
        self._command = rest

    def observe(self, now_ns: int) -> list[Batch]:
        """Advance the world to `now_ns` under the last command."""
        return self._world.advance(now_ns, self._command)

    def act(self, command: FloatArray) -> None:
        """Remember `command` for the next stretch of time."""
        self._command = command

    def close(self) -> None:
        """Close the world."""
        self._world.close()


class Device(Part, Plant):
    """A robot's own drivers: its sensors and motors, in real time.

    What a robot.yaml names under `robot`, made as `Device(config, seed)`. `observe` returns what
    has come since the last call and never blocks; `act` sends a command (float64, shape
    (command_size,)) and returns. What either raises stops the robot. The motors themselves must
    stop when no command comes: a daemon sends one every period.
    """

    command_size: ClassVar[int] = 1


class NoPlant(Plant):
    """No plant: everything observed comes from attached streams, commands go to listeners only."""

    def observe(self, now_ns: int) -> list[Batch]:
        """Nothing."""
        return []

    def act(self, command: FloatArray) -> None:
        """Nothing moves."""


class Controller(Part):
    """A conventional controller, for comparison with the network on the same plant."""

    @abstractmethod
    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The wanted command, shape (command_size,), from what was observed up to `now_ns`."""


class Score(Part):
    """How well a run goes, from the stream "truth". Higher is better.

    Attributes:
        unit: what `value` counts, for tables ("s balanced").
    """

    unit: ClassVar[str] = ""

    @abstractmethod
    def update(self, truth: FloatArray, now_ns: int) -> bool:
        """Take in the true state at `now_ns`; False when the task has ended (failed)."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The score so far."""

    @property
    def trials(self) -> Sequence[float]:
        """Where the task is one of several trials: the score of each that is over."""
        return ()
