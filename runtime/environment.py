"""Scenarios as Gymnasium environments, so that others' learners run on the same tasks.

    import gymnasium
    import reflexarc.runtime.environment  # registers every shipped scenario that keeps a score

    env = gymnasium.make("reflexarc/pole-balance-v0")

A step is a tick of the scenario: the action goes through its gate and is held until the next tick.
An observation has what the network would have seen since: for a stream of events how many of each
polarity each pixel saw, for readings their latest values. The reward is what the score has gained;
the episode ends with the task, and is cut off after the scenario's own duration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.errors import ConfigError, MissingPartError
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.scenario import Scenario, shipped
from reflexarc.runtime.world import Score, World

try:
    import gymnasium
    from gymnasium import spaces
except ImportError:
    raise MissingPartError(
        "environments need gymnasium, which is not installed: pip install 'reflexarc[gym]'"
    ) from None

Observation = dict[str, npt.NDArray[Any]]
#: How many ticks a stream of readings has to show itself.
PATIENCE_TICKS = 1000


class ScenarioEnv(gymnasium.Env[Observation, FloatArray]):
    """A scenario's world as an environment.

    Args:
        scenario: a shipped scenario's name, or a path.
        settings: `key.path=value`, as `reflexarc run --set` takes them.

    `observation_space`: a Dict by stream of those that the scenario's encoders name. Events:
    counts, float32, shape (2, height, width), OFF first. Readings: float64, shape (values,).
    `action_space`: a Box, the limits of the gate. `info` has "score", "t_s", and "truth", the true
    state, which is not part of the task.

    Raises:
        ConfigError: the scenario is wrong, keeps no score or has no world of its own.
    """

    def __init__(self, scenario: str, settings: Sequence[str] = ()) -> None:
        self._scenario = Scenario.load(scenario, settings)
        spec = self._scenario.spec
        if spec.score is None or spec.world is None or spec.attach:
            raise ConfigError(f"{spec.name}: an environment needs a score and a world of its own")
        self._gate = self._scenario.make_gate()
        self._world: World | None = None
        self._score: Score | None = None
        self._tick = 0
        self._sizes = self._event_sizes()
        self._latest = self._first_readings()
        low, high = np.array(spec.gate.low), np.array(spec.gate.high)
        self.action_space = spaces.Box(low, high, dtype=np.float64)
        streams: dict[str, spaces.Space[Any]] = {
            stream: spaces.Box(0, np.inf, (2, *size), np.float32)
            for stream, size in self._sizes.items()
        }
        for stream, values in self._latest.items():
            streams[stream] = spaces.Box(-np.inf, np.inf, values.shape, np.float64)
        self.observation_space = spaces.Dict(streams)  # type: ignore[assignment]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A fresh world, that of `seed` in `reflexarc run --seed`; without, a random one."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**32)) if seed is None else seed
        self.close()
        self._gate = self._scenario.make_gate()
        self._world, self._score = (
            self._scenario.make_world(drawn),
            self._scenario.make_score(drawn),
        )
        self._tick = 0
        observation, _ = self._observe(self._gate.rest)
        return observation, self._info

    def step(
        self, action: FloatArray
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Hold what the gate makes of `action` for a tick.

        Raises:
            gymnasium.error.ResetNeeded: there is no world yet.
        """
        if self._score is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        period_ns = self._scenario.spec.period_ns
        before = self._score.value
        command = self._gate.guard(np.asarray(action, np.float64), period_ns * 1e-9)
        self._tick += 1
        observation, alive = self._observe(command)
        over = not alive or bool(self._gate.stopped)
        cut_off = self._tick >= self._scenario.ticks
        return observation, self._score.value - before, over, cut_off, self._info

    def close(self) -> None:
        """Give back the world."""
        if self._world is not None:
            self._world.close()
            self._world = None

    def _observe(self, command: FloatArray) -> tuple[Observation, bool]:
        """What is seen after the world has come to this tick, and whether the task goes on."""
        assert self._world is not None
        assert self._score is not None
        now_ns = self._tick * self._scenario.spec.period_ns
        batches = {batch.stream: batch for batch in self._world.advance(now_ns, command)}
        alive = True
        truth = batches.get("truth")
        if truth is not None:
            alive = self._score.update(truth.values, truth.t_last_ns)
        self._info: dict[str, Any] = {
            "score": self._score.value,
            "t_s": now_ns * 1e-9,
            "truth": None if truth is None else truth.values.copy(),
        }
        for stream in self._latest.keys() & batches.keys():
            self._latest[stream] = np.array(batches[stream].values, np.float64)
        seen = {
            stream: _counts(batches.get(stream), height, width)
            for stream, (height, width) in self._sizes.items()
        }
        return {**seen, **{name: values.copy() for name, values in self._latest.items()}}, alive

    def _event_sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each stream of events, as its encoders say."""
        return {
            encoder.stream: (encoder.height, encoder.width)
            for encoder in self._scenario.spec.encoders
            if hasattr(encoder, "width") and hasattr(encoder, "height")
        }

    def _first_readings(self) -> dict[str, FloatArray]:
        """A value of each other stream that the encoders name: worlds say no sizes.

        Raises:
            ConfigError: a stream that the world does not have.
        """
        wanted = {encoder.stream for encoder in self._scenario.spec.encoders} - self._sizes.keys()
        found: dict[str, FloatArray] = {}
        world = self._scenario.make_world(self._scenario.spec.seed)
        try:
            for tick in range(PATIENCE_TICKS):
                if wanted <= found.keys():
                    break
                now_ns = tick * self._scenario.spec.period_ns
                for batch in world.advance(now_ns, self._gate.rest):
                    if batch.stream in wanted and batch.schema == Schema.READINGS:
                        found.setdefault(batch.stream, np.zeros(batch.values.shape))
        finally:
            world.close()
        for missing in sorted(wanted - found.keys()):
            name = self._scenario.spec.name
            raise ConfigError(f"{name}: the world shows no readings on the stream '{missing}'")
        return found


def _counts(events: Batch | None, height: int, width: int) -> npt.NDArray[np.float32]:
    """How often each pixel spoke, shape (2, height, width), OFF first."""
    if events is None or not len(events.values):
        return np.zeros((2, height, width), np.float32)
    p, x, y = (events.values[key].astype(np.int64) for key in ("p", "x", "y"))
    inside = (x < width) & (y < height)
    flat = ((p * height + y) * width + x)[inside]
    counts = np.bincount(flat, minlength=2 * height * width)
    return counts.reshape(2, height, width).astype(np.float32)


def register() -> None:
    """Make every shipped scenario with a score and a world known to Gymnasium."""
    for name in shipped():
        spec = Scenario.load(name).spec
        if spec.score is not None and spec.world is not None and not spec.attach:
            gymnasium.register(
                id=f"reflexarc/{name}-v0",
                entry_point="reflexarc.runtime.environment:ScenarioEnv",
                kwargs={"scenario": name},
            )


register()
