"""The world: balls are thrown at a quadrotor that hovers, and past it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import RasterRenderer

if TYPE_CHECKING:
    from reflexarc.scenarios.dodge.arena import Arena

#: A ball is over when it is so far behind the quadrotor.
BEHIND_M = -0.6
COLOURS = ("white", "grey")


class ThrowsConfig(Strict):
    """Throws, one every `interval_s` and up to `late_s` later; all numbers evenly distributed.

    A ball leaves from `from_x_m` ahead, up to `from_y_m` to a side and `from_z_m` above or below,
    at `speed_m_s` along x, and comes down at the quadrotor's height. `passing` is the share of
    those that would pass: by `pass_m` to either side of a quadrotor that stays where it is; the
    others would meet it, by at most `meet_m` off its middle.
    """

    interval_s: float = Field(default=1.4, ge=1.0)
    late_s: float = Field(default=0.4, ge=0)
    speed_m_s: tuple[float, float] = Field(default=(6.0, 10.0), strict=False)
    from_x_m: tuple[float, float] = Field(default=(3.5, 4.5), strict=False)
    from_y_m: float = Field(default=0.8, ge=0, le=1.5)
    from_z_m: float = Field(default=0.3, ge=0, le=1)
    meet_m: float = Field(default=0.2, ge=0, le=0.24)
    pass_m: tuple[float, float] = Field(default=(0.6, 1.2), strict=False)
    passing: float = Field(default=0.3, ge=0, le=1)


class Settings(Strict):
    """What may change while the world runs; what is not said stays."""

    balls: Literal["white", "grey"] | None = None
    walker: bool | None = None


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class DodgeConfig(Strict):
    """The flight controller's limits, the throws, the camera and what changes.

    Without `pixels` nothing is rendered. `window` shows the arena on the display.
    """

    physics_period_ns: int = Field(default=2_000_000, ge=100_000, le=5_000_000)
    top_speed_m_s: float = Field(default=4.0, gt=0, le=20)
    top_tilt_deg: float = Field(default=50.0, gt=0, le=60)
    throws: ThrowsConfig = ThrowsConfig()
    shutter: ShutterSpec = ShutterSpec(motion_px=0.5, shortest_ns=1_000_000, longest_ns=4_000_000)
    pixels: PixelSpec | None = PixelSpec()
    changes: list[Change] = Field(default_factory=list)
    window: bool = False


class Dodge(World):
    """A quadrotor that hovers at the origin, and one ball at a time; see `arena` for the axes.

    Command: where to be to the side, y in m, shape (1,); its flight controller holds everything
    else. Streams: `camera` (events, 64 x 64), `body` (1 if something struck it since the last
    reading, then its speed to the side in m/s and a constant 1), `truth`. A ball's number counts
    the throws from 1; it is 0 while none flies, and what is then said of it means nothing.
    """

    Config: ClassVar[type[Strict]] = DodgeConfig
    truth: ClassVar[tuple[str, ...]] = (
        "side, m",
        "side speed, m/s",
        "roll, rad",
        "roll rate, rad/s",
        "ball number",
        "ball would meet",
        "ball has touched",
        *(f"ball {axis}, m" for axis in "xyz"),
        *(f"ball {axis} speed, m/s" for axis in "xyz"),
    )

    def __init__(self, config: DodgeConfig, seed: int) -> None:
        from reflexarc.scenarios.dodge.arena import Arena

        throws, pixels = np.random.default_rng(seed).spawn(2)
        step_s = config.physics_period_ns * 1e-9
        self._arena = Arena(step_s, config.top_speed_m_s, config.top_tilt_deg, config.window)
        self._period_ns, self._now_ns = config.physics_period_ns, 0
        self._throws = Throws(config.throws, throws)
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._colour, self._walks = 0, False
        self._flying: Throw | None = None
        self._thrown = 0  # the colour of the ball that flies
        self._touched = self._struck = False
        self._camera = _camera(config, self._arena, pixels)
        self._body = JointReadings("body", self._feel)
        self._truth = JointReadings("truth", self._measure)

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Fly towards y = `command` (m, shape (1,)); camera, body, truth."""
        while self._now_ns < until_ns:
            self._step(float(command[0]))
        batches = [self._body.read(until_ns), self._truth.read(until_ns)]
        if self._camera:
            batches.insert(0, self._camera.read(until_ns))
        return batches

    def keep_pace(self, period_ns: int) -> None:
        """Rendering leaves the loop its share of each period."""
        if self._camera:
            self._camera.keep_pace(period_ns)

    def renderer(self) -> RasterRenderer:
        """What draws the camera's view, for pictures beside the events."""
        return self._arena.renderer()

    def onlooker(self) -> RasterRenderer:
        """What draws the quadrotor from behind, for people."""
        return self._arena.onlooker()

    def close(self) -> None:
        """Give back the physics server."""
        self._arena.close()

    def _step(self, wanted_m: float) -> None:
        now_s = self._now_ns * 1e-9
        while self._changes and self._changes[-1].at_s <= now_s:
            self._set(self._changes.pop().set)
        throw = self._throws.due(now_s)
        if throw is not None:
            self._let_fly(throw)
        if self._walks:
            self._arena.walk(now_s)
        if self._camera:
            self._camera.step(self._now_ns)
        self._arena.step(wanted_m)
        self._now_ns += self._period_ns
        if self._flying:
            self._watch_ball()

    def _set(self, settings: Settings) -> None:
        if settings.balls is not None:
            self._colour = COLOURS.index(settings.balls)
        if settings.walker is not None:
            self._walks = settings.walker

    def _let_fly(self, throw: Throw) -> None:
        if self._flying:
            self._arena.hold_back(self._thrown)
        self._flying, self._thrown, self._touched = throw, self._colour, False
        self._arena.throw(self._thrown, np.array(throw.from_m), np.array(throw.speed_m_s))

    def _watch_ball(self) -> None:
        if self._arena.touched(self._thrown):
            self._touched = self._struck = True
        if self._arena.ball(self._thrown)[0] < BEHIND_M:
            self._arena.hold_back(self._thrown)
            self._flying = None

    def _feel(self) -> FloatArray:
        struck, self._struck = self._struck, False
        return np.array([float(struck), self._arena.drone()[1], 1.0])

    def _measure(self) -> FloatArray:
        ball = self._flying
        flags = [ball.number, ball.meets, self._touched] if ball else [0, 0, 0]
        return np.concatenate([self._arena.drone(), flags, self._arena.ball(self._thrown)])


class Throw(NamedTuple):
    """One ball: its number, where from, how fast, and whether it would meet a still quadrotor."""

    number: int
    from_m: tuple[float, float, float]
    speed_m_s: tuple[float, float, float]
    meets: bool


class Throws:
    """The throws over time; see `ThrowsConfig`."""

    G_M_S2 = 9.81

    def __init__(self, config: ThrowsConfig, generator: np.random.Generator) -> None:
        self._config, self._generator = config, generator
        self._next_s = 0.5
        self._number = 0

    def due(self, now_s: float) -> Throw | None:
        """The throw to be made at `now_s`, which must not decrease from call to call."""
        if now_s < self._next_s:
            return None
        self._next_s += self._config.interval_s + self._generator.uniform(0, self._config.late_s)
        return self._draw()

    def _draw(self) -> Throw:
        config, uniform = self._config, self._generator.uniform
        self._number += 1
        x, y = uniform(*config.from_x_m), uniform(-config.from_y_m, config.from_y_m)
        z, speed_m_s = uniform(-config.from_z_m, config.from_z_m), uniform(*config.speed_m_s)
        aside_m = uniform(-config.meet_m, config.meet_m)
        passes = uniform() < config.passing
        if passes:
            aside_m = float(np.copysign(uniform(*config.pass_m), aside_m))
        takes_s = x / speed_m_s
        rise_m_s = -z / takes_s + self.G_M_S2 * takes_s / 2
        speeds = (-speed_m_s, (aside_m - y) / takes_s, rise_m_s)
        return Throw(self._number, (x, y, z), speeds, not passes)


def _camera(
    config: DodgeConfig, arena: Arena, generator: np.random.Generator
) -> AdaptiveCamera | None:
    if config.pixels is None:
        return None
    renderer = arena.renderer()
    pixels = make_pixels(config.pixels, renderer.spec.width, renderer.spec.height, generator)
    return AdaptiveCamera("camera", renderer, pixels, config.shutter)
