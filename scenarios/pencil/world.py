"""The world: a rod on an x-y stage that two cameras watch, tapped, and worse and worse seen."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.scenarios.pencil.noise import BackgroundActivity
from reflexarc.scenarios.pencil.view import HEIGHT_PX, WIDTH_PX
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import RasterRenderer

if TYPE_CHECKING:
    from reflexarc.scenarios.pencil.stage import Stage


class TapsConfig(Strict):
    """Taps against the rod, in random directions, one every `interval_s` on average (Poisson).

    Each lasts `duration_s`; its impulse is drawn evenly up to the `tap_n_s` of the moment.
    """

    interval_s: float = Field(default=1.0, gt=0)
    duration_s: float = Field(default=0.02, gt=0)


class Settings(Strict):
    """What may change while the world runs; what is not said stays."""

    tap_n_s: float | None = Field(default=None, ge=0, le=1)
    noise_hz: float | None = Field(default=None, ge=0, le=1000)
    camera_turn_rad: float | None = Field(default=None, ge=-0.5, le=0.5)


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class PencilConfig(Strict):
    """The stage's drives, the disturbances and the cameras.

    A command acts `latency_ns` late. Without `pixels` nothing is rendered. `window` shows the stage
    on the display.
    """

    physics_period_ns: int = Field(default=1_000_000, ge=100_000, le=10_000_000)
    top_speed_m_s: float = Field(default=1.0, gt=0, le=20)
    acceleration_m_s2: float = Field(default=15.0, gt=0, le=500)
    initial_lean_rad: float = Field(default=0.02, ge=0, le=0.5)
    latency_ns: int = Field(default=0, ge=0, le=1_000_000_000)
    taps: TapsConfig = TapsConfig()
    picture_ns: int = Field(default=2_000_000, ge=100_000)
    pixels: PixelSpec | None = PixelSpec()
    changes: list[Change] = Field(default_factory=list)
    window: bool = False


class Pencil(World):
    """A rod of 20 cm on a universal joint that a stage moves along x and y.

    Command: acceleration of the stage along x and y, m/s2. Streams: `camera-x` and `camera-y`
    (events, 48 x 48; named for the motion that each sees), `truth`. Leans are positive towards
    positive x and y; they start evenly distributed within `initial_lean_rad` of upright.
    """

    Config: ClassVar[type[Strict]] = PencilConfig
    command_size: ClassVar[int] = 2
    truth: ClassVar[tuple[str, ...]] = (
        "x, m",
        "y, m",
        "x speed, m/s",
        "y speed, m/s",
        "lean x, rad",
        "lean y, rad",
        "lean x rate, rad/s",
        "lean y rate, rad/s",
    )

    def __init__(self, config: PencilConfig, seed: int) -> None:
        from reflexarc.scenarios.pencil.stage import Stage

        leans, taps, *cameras = np.random.default_rng(seed).spawn(4)
        self.stage = Stage(
            step_s=config.physics_period_ns * 1e-9,
            lean_rad=leans.uniform(-1, 1, 2) * config.initial_lean_rad,
            top_speed_m_s=config.top_speed_m_s,
            acceleration_m_s2=config.acceleration_m_s2,
            window=config.window,
        )
        self._period_ns, self._now_ns = config.physics_period_ns, 0
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._taps = Taps(config.taps, taps)
        self._delay = Delay(config.latency_ns)
        self._eyes = _eyes(config, self.stage, cameras)
        self._truth = JointReadings("truth", self.stage.state)

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Accelerate by `command` (m/s2, shape (2,)) until `until_ns`; cameras and truth."""
        self._delay.put(command, self._now_ns)
        while self._now_ns < until_ns:
            self._step()
        batches = [eye.read(until_ns) for eye in self._eyes]
        return [*batches, self._truth.read(until_ns)]

    def renderers(self) -> dict[str, RasterRenderer]:
        """What draws the cameras' views, for pictures beside the events."""
        return self.stage.renderers()

    def close(self) -> None:
        """Give back the physics server."""
        self.stage.close()

    def _step(self) -> None:
        now_s = self._now_ns * 1e-9
        while self._changes and self._changes[-1].at_s <= now_s:
            self._set(self._changes.pop().set)
        for eye in self._eyes:
            eye.expose(self._now_ns)
        self.stage.tap(self._taps.force_n(now_s))
        self.stage.step(self._delay.get(self._now_ns))
        self._now_ns += self._period_ns

    def _set(self, settings: Settings) -> None:
        if settings.tap_n_s is not None:
            self._taps.most_n_s = settings.tap_n_s
        if settings.noise_hz is not None:
            for eye in self._eyes:
                eye.noise.rate_hz = settings.noise_hz
        if settings.camera_turn_rad is not None:
            self.stage.turn_cameras(settings.camera_turn_rad)


class Eye:
    """A camera and the noise that the scenario adds to its own."""

    def __init__(self, camera: EventCamera, noise: BackgroundActivity) -> None:
        self.noise = noise
        self._camera = camera
        self._read_ns = 0

    def expose(self, now_ns: int) -> None:
        """Take a picture if one is due."""
        if self._camera.due(now_ns):
            self._camera.expose(now_ns)

    def read(self, now_ns: int) -> Batch:
        """The events since the last call."""
        batch = self._camera.read(now_ns)
        events = self.noise.among(batch.values, self._read_ns, now_ns)
        self._read_ns = now_ns
        if len(events) == len(batch.values):
            return batch
        first_ns, last_ns = int(events["t"][0]) * 1000, int(events["t"][-1]) * 1000
        return replace(batch, values=events, t_first_ns=first_ns, t_last_ns=last_ns)


class Delay:
    """A command acts some time after it was given; until the first one does, nothing moves."""

    def __init__(self, latency_ns: int) -> None:
        self._latency_ns = latency_ns
        self._given: deque[tuple[int, FloatArray]] = deque()
        self._acting = np.zeros(2)

    def put(self, command: FloatArray, now_ns: int) -> None:
        """Take a command given at `now_ns`."""
        self._given.append((now_ns + self._latency_ns, np.array(command)))

    def get(self, now_ns: int) -> FloatArray:
        """The command that acts at `now_ns`, which must not decrease from call to call."""
        while self._given and self._given[0][0] <= now_ns:
            self._acting = self._given.popleft()[1]
        return self._acting


class Taps:
    """The force of the taps over time; see `TapsConfig`. `most_n_s` may be changed."""

    def __init__(self, config: TapsConfig, generator: np.random.Generator) -> None:
        self.most_n_s = 0.0
        self._config, self._generator = config, generator
        self._force_n, self._end_s = np.zeros(2), 0.0
        self._next_s = generator.exponential(config.interval_s)

    def force_n(self, now_s: float) -> FloatArray:
        """The force along x and y at `now_s`, which must not decrease from call to call."""
        if now_s >= self._next_s:
            angle = self._generator.uniform(0, 2 * np.pi)
            strength = self._generator.uniform() * self.most_n_s / self._config.duration_s
            self._force_n = strength * np.array([np.cos(angle), np.sin(angle)])
            self._end_s = self._next_s + self._config.duration_s
            self._next_s += self._generator.exponential(self._config.interval_s)
        return self._force_n if now_s < self._end_s else np.zeros(2)


def _eyes(config: PencilConfig, stage: Stage, generators: list[np.random.Generator]) -> list[Eye]:
    if config.pixels is None:
        return []
    eyes = []
    for (axis, render), generator in zip(stage.renderers().items(), generators, strict=True):
        pixels = make_pixels(config.pixels, WIDTH_PX, HEIGHT_PX, generator)
        camera = EventCamera(f"camera-{axis}", render, pixels, config.picture_ns)
        eyes.append(Eye(camera, BackgroundActivity(WIDTH_PX, HEIGHT_PX, generator)))
    return eyes
