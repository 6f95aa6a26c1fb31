"""The world: a pan-tilt head in PyBullet. What it looks at comes from an attached event camera."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from reflexarc.actuators.motor import JointServo
from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.world import World
from reflexarc.sensors.joints import JointReadings


class PanTiltConfig(Strict):
    """The head's physics and drives."""

    physics_period_ns: int = Field(default=1_000_000, ge=100_000, le=10_000_000)
    top_speed_rad_s: float = Field(default=6.0, gt=0, le=100)
    torque_limit_n_m: float = Field(default=1.0, gt=0, le=100)


class PanTilt(World):
    """A head on two position-controlled joints.

    The command is the wanted pan (positive to the left) and tilt (positive upwards) in rad.
    Streams: `truth` (pan and tilt in rad, their rates in rad/s). The seed changes nothing.
    """

    Config: ClassVar[type[Strict]] = PanTiltConfig
    command_size: ClassVar[int] = 2
    truth: ClassVar[tuple[str, ...]] = (
        "pan, rad",
        "tilt, rad",
        "pan rate, rad/s",
        "tilt rate, rad/s",
    )

    def __init__(self, config: PanTiltConfig, seed: int) -> None:
        self._bullet = pybullet = bullet()
        self._client = pybullet.connect(pybullet.DIRECT)
        pybullet.setTimeStep(config.physics_period_ns * 1e-9, physicsClientId=self._client)
        file = Path(__file__).with_name("pan_tilt.urdf")
        body = pybullet.loadURDF(str(file), useFixedBase=True, physicsClientId=self._client)
        self._servos = [
            JointServo(self._client, body, joint, config.top_speed_rad_s, config.torque_limit_n_m)
            for joint in (0, 1)
        ]
        self._period_ns = config.physics_period_ns
        self._now_ns = 0
        self._truth = JointReadings("truth", self._measure)

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Hold the wanted angles until `until_ns`; the true ones."""
        for servo, angle in zip(self._servos, command, strict=True):
            servo.aim(float(angle))
        while self._now_ns < until_ns:
            self._bullet.stepSimulation(physicsClientId=self._client)
            self._now_ns += self._period_ns
        return [self._truth.read(until_ns)]

    def close(self) -> None:
        """Give back the physics server."""
        if self._client >= 0:
            self._bullet.disconnect(physicsClientId=self._client)
            self._client = -1

    def _measure(self) -> FloatArray:
        states = [servo.measure() for servo in self._servos]
        return np.array([angle for angle, _ in states] + [rate for _, rate in states])
