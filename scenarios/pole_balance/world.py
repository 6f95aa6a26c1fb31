"""The world: a cart-pole that a camera on the cart watches, pushed about at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.pictures import STREAM
from reflexarc.runtime.world import World
from reflexarc.scenarios.pole_balance.view import FIELD_OF_VIEW_DEG
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import (
    LightSpec,
    RasterRenderer,
    RendererKind,
    RendererSpec,
    Samples,
)

if TYPE_CHECKING:
    from reflexarc.scenarios.pole_balance.cartpole import CartPole


class CameraConfig(Strict):
    """The event camera on the cart: a picture every `period_ns`, or as `shutter` says."""

    width: int = Field(default=64, ge=8, le=640)
    height: int = Field(default=48, ge=8, le=480)
    period_ns: int = Field(default=4_000_000, ge=100_000)
    renderer: RendererKind = "raster"
    samples: Samples = "edges"
    shutter: ShutterSpec | None = None
    pixels: PixelSpec = PixelSpec()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shutter and self.renderer != "raster":
            raise ValueError("`shutter` needs `renderer: raster`; others keep to period_ns")
        return self

    def rendering(self) -> RendererSpec:
        """How the pictures are made."""
        return RendererSpec(
            width=self.width,
            height=self.height,
            renderer=self.renderer,
            samples=self.samples,
            near_m=0.1,
            lens=LensSpec(field_of_view_deg=FIELD_OF_VIEW_DEG),
            light=LightSpec(to_light=(0.0, 0.0, 1.0), ambient=0.6, background=1.0),
        )


class PushConfig(Strict):
    """Random pushes against the middle of the pole.

    One every `interval_s` on average (a Poisson process), each lasting `duration_s` with a force
    drawn from a normal distribution of standard deviation `force_n`.
    """

    force_n: float = Field(default=0.5, ge=0)
    interval_s: float = Field(default=1.0, gt=0)
    duration_s: float = Field(default=0.1, gt=0)


class Settings(Strict):
    """What may change while the world runs."""

    pole_mass_kg: float = Field(gt=0, le=1000)


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class PoleBalanceConfig(Strict):
    """The plant, its disturbances and its camera. Without `camera` nothing is rendered.

    `window` shows the plant on the display.
    """

    physics_period_ns: int = Field(default=1_000_000, ge=100_000, le=10_000_000)
    pole_mass_kg: float = Field(default=0.5, gt=0, le=1000)
    changes: list[Change] = Field(default_factory=list)
    initial_tilt_rad: float = Field(default=0.05, ge=0, le=1)
    force_limit_n: float = Field(default=60.0, gt=0)
    pushes: PushConfig | None = PushConfig()
    camera: CameraConfig | None = CameraConfig()
    window: bool = False


class PoleBalance(World):
    """A cart of 1 kg that a force along x (N) moves under a hinged pole of 1 m.

    Streams: `camera` (events; the camera rides on the cart, looks along the hinge axis and so sees
    the tilt alone), `rail` (cart position in m and velocity in m/s), `truth` (position, velocity,
    tilt in rad, its rate in rad/s, pole mass in kg); under a `shutter` also `pictures` (drawn,
    shown again, put off so far: see AdaptiveCamera). Tilt is positive towards positive x; it starts
    evenly distributed within `initial_tilt_rad` on both sides of upright.
    """

    Config: ClassVar[type[Strict]] = PoleBalanceConfig
    command_size: ClassVar[int] = 1
    truth: ClassVar[tuple[str, ...]] = (
        "cart, m",
        "cart speed, m/s",
        "tilt, rad",
        "tilt rate, rad/s",
        "pole mass, kg",
    )

    def __init__(self, config: PoleBalanceConfig, seed: int) -> None:
        from reflexarc.scenarios.pole_balance.cartpole import CartPole

        tilts, pushes, pixels = np.random.default_rng(seed).spawn(3)
        self._plant = CartPole(
            step_s=config.physics_period_ns * 1e-9,
            pole_mass_kg=config.pole_mass_kg,
            tilt_rad=float(tilts.uniform(-1, 1)) * config.initial_tilt_rad,
            force_limit_n=config.force_limit_n,
            window=config.window,
        )
        self._period_ns = config.physics_period_ns
        self._now_ns = 0
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._pushes = Pushes(config.pushes, pushes) if config.pushes else None
        self._camera = _camera(config.camera, self._plant, pixels) if config.camera else None
        self._rail = JointReadings("rail", lambda: self._plant.state()[:2])
        self._truth = JointReadings("truth", self._measure_truth)
        self._pictures: JointReadings | None = None
        if isinstance(self._camera, AdaptiveCamera):
            self._pictures = JointReadings(STREAM, self._camera.counts)

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Hold the force `command` (N, shape (1,)) until `until_ns`; camera, rail and truth."""
        force_n = float(command[0])
        while self._now_ns < until_ns:
            self._step(force_n)
        batches = [self._rail.read(until_ns), self._truth.read(until_ns)]
        if self._camera:
            batches.insert(0, self._camera.read(until_ns))
        if self._pictures:
            batches.append(self._pictures.read(until_ns))
        return batches

    def keep_pace(self, period_ns: int) -> None:
        """Leave the loop its share of every tick, whatever the camera would like to draw."""
        if isinstance(self._camera, AdaptiveCamera):
            self._camera.keep_pace(period_ns)

    def close(self) -> None:
        """Give back the physics server."""
        self._plant.close()

    def _step(self, force_n: float) -> None:
        """One physics step, and a frame of the camera when it is due."""
        now_s = self._now_ns * 1e-9
        while self._changes and self._changes[-1].at_s <= now_s:
            self._plant.set_pole_mass(self._changes.pop().set.pole_mass_kg)
        if self._pushes:
            self._plant.push(self._pushes.force_n(now_s))
        self._plant.motor.apply(force_n)
        if isinstance(self._camera, AdaptiveCamera):
            self._camera.step(self._now_ns)
        elif self._camera and self._camera.due(self._now_ns):
            self._camera.expose(self._now_ns)
        self._plant.step()
        self._now_ns += self._period_ns

    def _measure_truth(self) -> FloatArray:
        return np.append(self._plant.state(), self._plant.pole_mass_kg)


class Pushes:
    """The force of random pushes over time; see `PushConfig`."""

    def __init__(self, config: PushConfig, generator: np.random.Generator) -> None:
        self._config = config
        self._generator = generator
        self._force_n = 0.0
        self._end_s = 0.0
        self._next_s = generator.exponential(config.interval_s)

    def force_n(self, now_s: float) -> float:
        """The force at `now_s`, which must not decrease from call to call."""
        if now_s >= self._next_s:
            self._force_n = self._config.force_n * self._generator.standard_normal()
            self._end_s = self._next_s + self._config.duration_s
            self._next_s += self._generator.exponential(self._config.interval_s)
        return self._force_n if now_s < self._end_s else 0.0


def _camera(config: CameraConfig, plant: CartPole, generator: np.random.Generator) -> EventCamera:
    pixels = make_pixels(config.pixels, config.width, config.height, generator)

    renderer = plant.renderer(config.rendering())
    if config.shutter and isinstance(renderer, RasterRenderer):
        return AdaptiveCamera("camera", renderer, pixels, config.shutter)
    return EventCamera("camera", renderer, pixels, config.period_ns)
