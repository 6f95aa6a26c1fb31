"""The world: a car on a closed lane whose steering wears and whose lane is replaced by another."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.scenarios.lane_keep.track import Track, TrackConfig
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.joints import JointReadings
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import LightSpec, RendererSpec

if TYPE_CHECKING:
    from reflexarc.scenarios.lane_keep.car import Car

#: How far ahead along the centre line the stream `path` looks.
AHEAD_M: FloatArray = np.linspace(0.2, 1.6, 8)
#: A car is further than this from the centre line, as a share of the half width: it is off.
OFF = 1.0


class CameraConfig(Strict):
    """The event camera on the car: a picture every `period_ns`."""

    width: int = Field(default=64, ge=8, le=128)
    height: int = Field(default=32, ge=8, le=128)
    period_ns: int = Field(default=10_000_000, ge=1_000_000)
    field_of_view_deg: float = Field(default=45.0, ge=10, le=120)
    pixels: PixelSpec = PixelSpec()


class Settings(Strict):
    """What may change while the world runs; what is not named stays.

    `steering_bias_rad` is what the steering adds to every command (above 0: to the left);
    `steering_gain` is what it makes of one.
    """

    steering_bias_rad: float | None = Field(default=None, ge=-0.5, le=0.5)
    steering_gain: float | None = Field(default=None, gt=0, le=2)
    track: TrackConfig | None = None


class Change(Strict):
    """`set` these values at `at_s`."""

    at_s: float = Field(ge=0)
    set: Settings


class LaneKeepConfig(Strict):
    """Car, lane, camera and what changes. Without `camera` nothing is rendered.

    `window` shows the car on the display.
    """

    physics_period_ns: int = Field(default=5_000_000, ge=500_000, le=10_000_000)
    speed_m_s: float = Field(default=1.5, gt=0, le=5)
    half_width_m: float = Field(default=0.3, gt=0.1, le=2)
    track: TrackConfig
    camera: CameraConfig | None = CameraConfig()
    changes: list[Change] = Field(default_factory=list)
    window: bool = False


class LaneKeep(World):
    """A car that drives round a lane at a constant speed.

    Command: the steering angle, rad, shape (1,); above 0 turns left. The seed draws where the car
    starts and how the camera's pixels differ. A car that leaves the lane is put back into its
    middle where it left. Streams: `camera` (events), `lane` (offset from the middle over the half
    width, above 0: too far left; its change a second), `path` (x forward and y to the left, in m,
    of the centre line at AHEAD_M, seen from the rear axle), `truth`.
    """

    Config: ClassVar[type[Strict]] = LaneKeepConfig
    command_size: ClassVar[int] = 1
    truth: ClassVar[tuple[str, ...]] = (
        "offset, share of half width",
        "heading off the lane, rad",
        "way, laps",
        "times off the lane",
        "steering bias, rad",
    )

    def __init__(self, config: LaneKeepConfig, seed: int) -> None:
        from reflexarc.scenarios.lane_keep.car import Car

        starts, pixels = np.random.default_rng(seed).spawn(2)
        self._config = config
        self._now_ns = 0
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._bias_rad, self._gain = 0.0, 1.0
        self._laps, self._times_off = 0.0, 0
        self.car = Car(config.physics_period_ns * 1e-9, config.half_width_m, config.window)
        self._enter(config.track, share=starts.uniform(), left=starts.uniform(-0.3, 0.3))
        self._camera = _camera(config.camera, self.car, pixels) if config.camera else None
        self._streams = [
            JointReadings("lane", self._measure_lane),
            JointReadings("path", self._look_ahead),
            JointReadings("truth", self._measure),
        ]

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Hold the steering angle `command` (rad, shape (1,)) until `until_ns`; all streams."""
        while self._now_ns < until_ns:
            self._change()
            if self._camera and self._camera.due(self._now_ns):
                self._camera.expose(self._now_ns)
            steering_rad = self._gain * float(command[0]) + self._bias_rad
            self.car.step(steering_rad, self._config.speed_m_s)
            self._now_ns += self._config.physics_period_ns
        self._follow()
        batches = [stream.read(until_ns) for stream in self._streams]
        if self._camera:
            batches.insert(0, self._camera.read(until_ns))
        return batches

    def close(self) -> None:
        """Give back the physics server."""
        self.car.close()

    def _change(self) -> None:
        """Whatever is due."""
        while self._changes and self._changes[-1].at_s <= self._now_ns * 1e-9:
            settings = self._changes.pop().set
            if settings.steering_bias_rad is not None:
                self._bias_rad = settings.steering_bias_rad
            if settings.steering_gain is not None:
                self._gain = settings.steering_gain
            if settings.track is not None:
                self._enter(settings.track, self._spot.along_m / self._track.length_m)

    def _enter(self, track: TrackConfig, share: float, left: float = 0.0) -> None:
        """Put the car on a track, at a share of its length and an offset in half widths."""
        self._track = Track(track)
        self.car.mark(self._track)
        self._put(share * self._track.length_m, left * self._config.half_width_m)

    def _put(self, along_m: float, left_m: float = 0.0) -> None:
        x, y, heading = self._track.place(along_m, left_m)
        self.car.put(x, y, heading, self._config.speed_m_s)
        self._spot = self._track.spot(x, y)

    def _follow(self) -> None:
        """Count the way; put a car that has left the lane back into it."""
        x, y, _ = self.car.pose()
        before_m, self._spot = self._spot.along_m, self._track.spot(x, y)
        length_m = self._track.length_m
        gone_m = (self._spot.along_m - before_m + length_m / 2) % length_m - length_m / 2
        self._laps += gone_m / length_m
        if abs(self._spot.left_m) > OFF * self._config.half_width_m:
            self._times_off += 1
            self._put(self._spot.along_m)

    def _measure_lane(self) -> FloatArray:
        sideways = np.array([-np.sin(self._spot.heading_rad), np.cos(self._spot.heading_rad)])
        half_m = self._config.half_width_m
        return np.array([self._spot.left_m, sideways @ self.car.speed()]) / half_m

    def _look_ahead(self) -> FloatArray:
        x, y, heading = self.car.pose()
        ahead = self._track.ahead(self._spot.along_m, AHEAD_M)
        turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
        return np.ravel((ahead - (x, y)) @ turn)

    def _measure(self) -> FloatArray:
        off_rad = float(np.angle(np.exp(1j * (self.car.pose()[2] - self._spot.heading_rad))))
        share = self._spot.left_m / self._config.half_width_m
        return np.array([share, off_rad, self._laps, self._times_off, self._bias_rad])


def _camera(config: CameraConfig, car: Car, generator: np.random.Generator) -> EventCamera:
    spec = RendererSpec(
        width=config.width,
        height=config.height,
        most_triangles=12,  # the car: out of its own view
        near_m=0.1,
        lens=LensSpec(field_of_view_deg=config.field_of_view_deg),
        light=LightSpec(to_light=(0.0, 0.0, 1.0), ambient=0.6, background=0.2),
    )
    pixels = make_pixels(config.pixels, config.width, config.height, generator)
    return EventCamera("camera", car.renderer(spec), pixels, config.period_ns)
