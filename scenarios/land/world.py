"""The world: a quadrotor comes down over a floor, again and again, and looks at it with events."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.scenarios.land.divergence import Divergence, DivergenceSpec
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.pixels import PixelSpec, make_pixels


class Settings(Strict):
    """What may change while the world runs; what is not said stays.

    Attributes:
        wind_m_s: mean speed of a level wind from a direction of the seed's.
        gusts_m_s: standard deviation of what comes on top, along each axis, up and down too.
        charge: what the battery leaves of the thrust that is asked for.
    """

    wind_m_s: float | None = Field(default=None, ge=0, le=10)
    gusts_m_s: float | None = Field(default=None, ge=0, le=5)
    charge: float | None = Field(default=None, gt=0.5, le=1)


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class LandConfig(Strict):
    """The landings, the air, the camera and what changes.

    It is held for `hold_s`, comes down from `height_m`, and is put up again `rest_s` after it has
    touched the ground, or after `patience_s` in the air. `window` shows it on the display.
    """

    physics_period_ns: int = Field(default=4_000_000, ge=100_000, le=10_000_000)
    height_m: float = Field(default=4.0, gt=0.1, le=20)
    hold_s: float = Field(default=0.3, ge=0)
    rest_s: float = Field(default=0.2, ge=0)
    patience_s: float = Field(default=10.0, gt=0)
    gust_tau_s: float = Field(default=0.5, gt=0)
    changes: list[Change] = Field(default_factory=list)
    shutter: ShutterSpec = ShutterSpec(motion_px=0.5, shortest_ns=2_000_000, longest_ns=8_000_000)
    pixels: PixelSpec = PixelSpec(preset="dvs128")
    divergence: DivergenceSpec = DivergenceSpec()
    window: bool = False


class Land(World):
    """A quadrotor whose autopilot keeps it upright and over its place; up and down are left.

    Command: thrust over its weight less 1, as with a full battery. Streams: `camera` (events, 64 x
    64, straight down), `flow` (divergence in 1/s, its rate in 1/s^2, and 1 while it flies, else 0),
    `truth`. There "touched at" is the speed downwards with which this landing touched the ground,
    -1 before.
    """

    Config: ClassVar[type[Strict]] = LandConfig
    command_size: ClassVar[int] = 1
    truth: ClassVar[tuple[str, ...]] = (
        "height, m",
        "speed up, m/s",
        "divergence, 1/s",
        "landing",
        "in the air, s",
        "touched at, m/s",
        "wind up, m/s",
        "charge",
    )

    def __init__(self, config: LandConfig, seed: int) -> None:
        from reflexarc.scenarios.land.quadrotor import SIZE_PX, Quadrotor

        air, pixels = np.random.default_rng(seed).spawn(2)
        self._config = config
        self._period_ns, self._now_ns = config.physics_period_ns, 0
        self.quadrotor = Quadrotor(config.physics_period_ns * 1e-9, config.window)
        self._air = Air(config.physics_period_ns * 1e-9, config.gust_tau_s, air)
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        made = make_pixels(config.pixels, SIZE_PX, SIZE_PX, pixels)
        self._camera = AdaptiveCamera("camera", self.quadrotor.renderer(), made, config.shutter)
        self._seen = Divergence(config.divergence, SIZE_PX)
        self._flow = JointReadings("flow", self._measure_flow)
        self._truth = JointReadings("truth", self._measure)
        self._landing = 0
        self._flying = self._over = False
        self._waits_s = self._aloft_s = self._touched_m_s = 0.0
        self._put_up()

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Lift with `command` (shape (1,)) until `until_ns`; camera, flow and truth."""
        climb_g = float(command[0])
        while self._now_ns < until_ns:
            self._step(climb_g)
        events = self._camera.read(until_ns)
        self._seen.update(events.values, until_ns)
        return [events, self._flow.read(until_ns), self._truth.read(until_ns)]

    def keep_pace(self, period_ns: int) -> None:
        """Leave the loop its share of every tick, whatever the camera would like to draw."""
        self._camera.keep_pace(period_ns)

    def close(self) -> None:
        """Give back the physics server."""
        self.quadrotor.close()

    def _step(self, climb_g: float) -> None:
        now_s = self._now_ns * 1e-9
        while self._changes and self._changes[-1].at_s <= now_s:
            self._set(self._changes.pop().set)
        self._camera.step(self._now_ns)
        self._air.step()
        self.quadrotor.step(climb_g, self._air.wind_m_s)
        self._now_ns += self._period_ns
        self._go_on()

    def _set(self, settings: Settings) -> None:
        if settings.wind_m_s is not None:
            self._air.mean_m_s = settings.wind_m_s
        if settings.gusts_m_s is not None:
            self._air.gusts_m_s = settings.gusts_m_s
        if settings.charge is not None:
            self.quadrotor.charge = settings.charge

    def _go_on(self) -> None:
        """Release it, note that it has touched the ground, or put it up for the next landing."""
        config, step_s = self._config, self._period_ns * 1e-9
        if not self._flying:
            self._waits_s -= step_s
            if self._waits_s <= 0:
                if self._over:
                    self._put_up()
                else:
                    self._flying = True
                    self.quadrotor.release()
            return
        self._aloft_s += step_s
        height_m, up_m_s = self.quadrotor.height()
        if height_m <= 0 or self._aloft_s >= config.patience_s:
            if height_m <= 0:
                self._touched_m_s = max(-up_m_s, 0.0)
            self._flying, self._over, self._waits_s = False, True, config.rest_s
            self.quadrotor.hold()

    def _put_up(self) -> None:
        self._landing += 1
        self._flying = self._over = False
        self._waits_s = self._config.hold_s
        self._aloft_s, self._touched_m_s = 0.0, -1.0
        self.quadrotor.put(self._config.height_m)

    def _measure_flow(self) -> FloatArray:
        if not self._flying:
            self._seen.forget()
        return np.array([self._seen.value, self._seen.rate, float(self._flying)])

    def _measure(self) -> FloatArray:
        from reflexarc.scenarios.land.quadrotor import LEG_M

        height_m, up_m_s = self.quadrotor.height()
        flown = [self._landing, self._aloft_s, self._touched_m_s]
        air = [self._air.wind_m_s[2], self.quadrotor.charge]
        return np.array([height_m, up_m_s, -up_m_s / (height_m + LEG_M), *flown, *air])


class Air:
    """A level wind and gusts on top: an Ornstein-Uhlenbeck process along each axis.

    Attributes:
        mean_m_s, gusts_m_s: of the wind; standard deviation of the gusts.
        wind_m_s: the speed of the air now, shape (3,).
    """

    def __init__(self, step_s: float, tau_s: float, generator: np.random.Generator) -> None:
        self.mean_m_s = self.gusts_m_s = 0.0
        self.wind_m_s: FloatArray = np.zeros(3)
        self._generator = generator
        towards = generator.uniform(0, 2 * np.pi)
        self._towards = np.array([np.cos(towards), np.sin(towards), 0.0])
        self._keep = float(np.exp(-step_s / tau_s))
        self._gust = generator.standard_normal(3)

    def step(self) -> None:
        """Let one step of `step_s` pass."""
        fresh = (1.0 - self._keep**2) ** 0.5 * self._generator.standard_normal(3)
        self._gust = self._keep * self._gust + fresh
        self.wind_m_s = self.mean_m_s * self._towards + self.gusts_m_s * self._gust
