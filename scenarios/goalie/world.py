"""The world: balls are shot at a goal that a paddle guards, and a camera behind it looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.scenarios.goalie.view import HEIGHT_PX, WIDTH_PX
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import RasterRenderer

if TYPE_CHECKING:
    from reflexarc.scenarios.goalie.pitch import Pitch

#: A ball is taken away when it is as far as this: behind the goal, turned back, and elsewhere.
BEHIND_M, BACK_M, FAR_M = -0.2, 0.2, 2.5


class ShotsConfig(Strict):
    """Shots, all at the goal: evenly distributed speeds, places to start from and to arrive at.

    One volley every `interval_s`, and up to `late_s` later; the second ball of a volley of two
    follows the first within `apart_s`.
    """

    interval_s: float = Field(default=1.2, ge=0.3)
    late_s: float = Field(default=0.3, ge=0)
    apart_s: tuple[float, float] = Field(default=(0.1, 0.4), strict=False)
    speed_m_s: tuple[float, float] = Field(default=(2.0, 8.0), strict=False)
    from_y_m: tuple[float, float] = Field(default=(1.8, 2.2), strict=False)
    from_x_m: float = Field(default=0.4, ge=0, le=1)
    at_x_m: float = Field(default=0.2, ge=0, le=0.22)


class Settings(Strict):
    """What may change while the world runs; what is not said stays."""

    balls: int | None = Field(default=None, ge=0, le=2)
    passer_by: bool | None = None
    camera_aside_m: float | None = Field(default=None, ge=-0.5, le=0.5)


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class GoalieConfig(Strict):
    """The paddle's drive, the shots, the camera and what changes.

    `balls` is how many a volley has. Without `pixels` nothing is rendered. `window` shows the pitch
    on the display.
    """

    physics_period_ns: int = Field(default=1_000_000, ge=100_000, le=10_000_000)
    top_speed_m_s: float = Field(default=1.5, gt=0, le=20)
    acceleration_m_s2: float = Field(default=15.0, gt=0, le=500)
    balls: int = Field(default=1, ge=0, le=2)
    shots: ShotsConfig = ShotsConfig()
    shutter: ShutterSpec = ShutterSpec(motion_px=0.25, shortest_ns=1_000_000, longest_ns=4_000_000)
    pixels: PixelSpec | None = PixelSpec()
    changes: list[Change] = Field(default_factory=list)
    window: bool = False


class Goalie(World):
    """A paddle of 12 cm on a slide along a goal of 50 cm; see `view` for the axes.

    Command: where the paddle is to go, in m, as a sum of two: the place and a trim. The drive goes
    there as fast as its limits allow. Streams: `camera` (events, 128 x 128), `paddle` (its place in
    m and speed in m/s, from the drive's encoder), `truth`. A ball's number counts the shots from 1;
    it is 0 while the ball is away, and where the ball then is means nothing.
    """

    Config: ClassVar[type[Strict]] = GoalieConfig
    command_size: ClassVar[int] = 2
    truth: ClassVar[tuple[str, ...]] = (
        "paddle, m",
        "paddle speed, m/s",
        *(
            f"ball {k} {what}"
            for k in (1, 2)
            for what in ("number", "x, m", "y, m", "x speed, m/s", "y speed, m/s")
        ),
    )

    def __init__(self, config: GoalieConfig, seed: int) -> None:
        from reflexarc.scenarios.goalie.pitch import Pitch

        shots, pixels = np.random.default_rng(seed).spawn(2)
        step_s = config.physics_period_ns * 1e-9
        self._pitch = Pitch(step_s, config.top_speed_m_s, config.acceleration_m_s2, config.window)
        self._period_ns, self._now_ns = config.physics_period_ns, 0
        self._shots = Shots(config.shots, shots, config.balls)
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._passing = False
        self._numbers = [0] * self._pitch.BALLS
        self._camera = _camera(config, self._pitch, pixels)
        self._paddle = JointReadings("paddle", self._pitch.paddle)
        self._truth = JointReadings("truth", self._measure)

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Send the paddle to `command` (m, shape (2,): place and trim); camera, paddle, truth."""
        wanted_m = float(command[0] + command[1])
        while self._now_ns < until_ns:
            self._step(wanted_m)
        batches = [self._paddle.read(until_ns), self._truth.read(until_ns)]
        if self._camera:
            batches.insert(0, self._camera.read(until_ns))
        return batches

    def renderer(self) -> RasterRenderer:
        """What draws the camera's view, for pictures beside the events."""
        return self._pitch.renderer()

    def close(self) -> None:
        """Give back the physics server."""
        self._pitch.close()

    def _step(self, wanted_m: float) -> None:
        now_s = self._now_ns * 1e-9
        while self._changes and self._changes[-1].at_s <= now_s:
            self._set(self._changes.pop().set)
        for shot in self._shots.due(now_s):
            self._shoot(shot)
        if self._passing:
            self._pitch.pass_by(now_s)
        self._pitch.step(wanted_m)
        self._now_ns += self._period_ns
        if self._camera:
            self._camera.step(self._now_ns)
        for k, number in enumerate(self._numbers):
            if number and _is_gone(self._pitch.ball(k)):
                self._pitch.take_away(k)
                self._numbers[k] = 0

    def _set(self, settings: Settings) -> None:
        if settings.balls is not None:
            self._shots.balls = settings.balls
        if settings.camera_aside_m is not None:
            self._pitch.move_camera(settings.camera_aside_m)
        if settings.passer_by is not None:
            self._passing = settings.passer_by
            if not self._passing:
                self._pitch.pass_by(None)

    def _shoot(self, shot: Shot) -> None:
        k = shot.number % len(self._numbers)
        self._numbers[k] = shot.number
        self._pitch.shoot(k, shot.from_m, shot.speed_m_s)

    def _measure(self) -> FloatArray:
        parts = [self._pitch.paddle()]
        for k, number in enumerate(self._numbers):
            parts += [np.array([number]), self._pitch.ball(k)]
        return np.concatenate(parts)


class Shot(NamedTuple):
    """One ball to come: its number, when, from where and how fast (x, y)."""

    number: int
    at_s: float
    from_m: tuple[float, float]
    speed_m_s: tuple[float, float]


class Shots:
    """The shots over time; see `ShotsConfig`. `balls` may be changed between volleys."""

    def __init__(self, config: ShotsConfig, generator: np.random.Generator, balls: int) -> None:
        self.balls = balls
        self._config, self._generator = config, generator
        self._volley_s = 0.5
        self._number = 0
        self._waiting: list[Shot] = []

    def due(self, now_s: float) -> list[Shot]:
        """The shots to be made at `now_s`, which must not decrease from call to call."""
        if now_s >= self._volley_s:
            self._draw(now_s)
            late_s = self._generator.uniform(0, self._config.late_s)
            self._volley_s += self._config.interval_s + late_s
        ready = [shot for shot in self._waiting if shot.at_s <= now_s]
        self._waiting = [shot for shot in self._waiting if shot.at_s > now_s]
        return ready

    def _draw(self, at_s: float) -> None:
        config, uniform = self._config, self._generator.uniform
        for _ in range(self.balls):
            self._number += 1
            x, y = uniform(-config.from_x_m, config.from_x_m), uniform(*config.from_y_m)
            way = np.array([uniform(-config.at_x_m, config.at_x_m) - x, -y])
            speed_x, speed_y = uniform(*config.speed_m_s) * way / np.linalg.norm(way)
            self._waiting.append(Shot(self._number, at_s, (x, y), (float(speed_x), float(speed_y))))
            at_s += uniform(*config.apart_s)


def _is_gone(ball: FloatArray) -> bool:
    x, y, _, speed_y = ball.tolist()
    back = speed_y > 0 and y > BACK_M
    return bool(back or y < BEHIND_M or max(abs(x), y) > FAR_M)


def _camera(
    config: GoalieConfig, pitch: Pitch, generator: np.random.Generator
) -> AdaptiveCamera | None:
    if config.pixels is None:
        return None
    pixels = make_pixels(config.pixels, WIDTH_PX, HEIGHT_PX, generator)
    return AdaptiveCamera("camera", pitch.renderer(), pixels, config.shutter)
