"""The world: an arm that reaches from target to target while its load and its friction change."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import World
from reflexarc.scenarios.reach_payload.arm import JOINTS, Arm, NominalArm
from reflexarc.scenarios.reach_payload.reaches import Reaches, draw_targets
from reflexarc.sensors.joints import JointReadings


class Settings(Strict):
    """What may change while the world runs: a load at the hand; dry friction (see FRICTION_N_M)."""

    payload_kg: float | None = Field(default=None, ge=0, le=20)
    friction: float | None = Field(default=None, ge=0, le=10)


class Change(Strict):
    """`set` these values at `at_s`; what is not named stays."""

    at_s: float = Field(ge=0)
    set: Settings


class ControllerConfig(Strict):
    """Feedback of the arm's own controller: per rad of error, and per rad/s."""

    kp_per_s2: float = Field(default=400.0, ge=0)
    kd_per_s: float = Field(default=40.0, ge=0)


class ReachConfig(Strict):
    """Plant, task, and noise of the sensors (standard deviation of each reading).

    `targets` is how many different ones there are; reaches go round them.
    """

    physics_period_ns: int = Field(default=1_000_000, ge=100_000, le=10_000_000)
    delay_s: float = Field(default=0.010, ge=0, le=1)
    motor_tau_s: float = Field(default=0.010, gt=0)
    angle_noise_rad: float = Field(default=2e-4, ge=0)
    rate_noise_rad_s: float = Field(default=0.02, ge=0)
    targets: int = Field(default=4, ge=2, le=1000)
    trial_s: float = Field(default=2.0, gt=0)
    move_s: float = Field(default=1.2, gt=0)
    controller: ControllerConfig = ControllerConfig()
    changes: list[Change] = Field(default_factory=list)
    window: bool = False

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.move_s > self.trial_s:
            raise ValueError("move_s must not be above trial_s")
        return self


class Reach(World):
    """A KUKA LBR iiwa that torques (N m, shape (7,)) drive along a wanted motion.

    Streams: `joints` (sensed angles in rad, then rates in rad/s), `wanted` (angles, rates,
    accelerations), `nominal` (torques of the arm's own controller, which knows nothing of load and
    friction: 7 that its model needs for the wanted acceleration, then 7 of its feedback) and
    `truth`.
    """

    Config: ClassVar[type[Strict]] = ReachConfig
    command_size: ClassVar[int] = JOINTS
    truth: ClassVar[tuple[str, ...]] = (
        "hand x, m",
        "hand y, m",
        "hand z, m",
        "wanted x, m",
        "wanted y, m",
        "wanted z, m",
        "trial left, s",
        "payload, kg",
        "friction, share",
    )

    def __init__(self, config: ReachConfig, seed: int) -> None:
        targets, self._noise = np.random.default_rng(seed).spawn(2)
        self._config = config
        self._nominal = NominalArm()
        drawn = draw_targets(config.targets, self._nominal, targets)
        self._reaches = Reaches(drawn, config.trial_s, config.move_s)
        self.arm = Arm(
            config.physics_period_ns * 1e-9,
            config.delay_s,
            config.motor_tau_s,
            drawn[-1],
            config.window,
        )
        self._changes = sorted(config.changes, key=lambda change: change.at_s, reverse=True)
        self._now_ns = 0
        self._spread = np.repeat((config.angle_noise_rad, config.rate_noise_rad_s), JOINTS)
        self._sensed = np.zeros(2 * JOINTS)
        self._wanted = self._reaches.wanted(0)
        self._streams = [
            JointReadings("joints", lambda: self._sensed),
            JointReadings("wanted", lambda: np.concatenate(self._wanted)),
            JointReadings("nominal", self._control),
            JointReadings("truth", self._measure),
        ]

    def advance(self, until_ns: int, command: FloatArray) -> list[Batch]:
        """Hold the torques `command` (N m, shape (7,)) until `until_ns`; joints, wanted, nominal,
        truth.
        """
        while self._now_ns < until_ns:
            self._change()
            self.arm.step(command)
            self._now_ns += self._config.physics_period_ns
        noise = self._spread * self._noise.standard_normal(2 * JOINTS)
        self._sensed = self.arm.state() + noise
        self._wanted = self._reaches.wanted(self._now_ns)
        return [stream.read(until_ns) for stream in self._streams]

    def close(self) -> None:
        """Give back the physics servers."""
        self.arm.close()
        self._nominal.close()

    def _change(self) -> None:
        """Whatever is due."""
        while self._changes and self._changes[-1].at_s <= self._now_ns * 1e-9:
            settings = self._changes.pop().set
            if settings.payload_kg is not None:
                self.arm.set_payload(settings.payload_kg)
            if settings.friction is not None:
                self.arm.set_friction(settings.friction)

    def _control(self) -> FloatArray:
        """Computed torque (Luh, Walker & Paul 1980), its two parts apart, shape (14,)."""
        gains, wanted = self._config.controller, self._wanted
        angle, rate = self._sensed[:JOINTS], self._sensed[JOINTS:]
        asked = gains.kp_per_s2 * (wanted.angle - angle) + gains.kd_per_s * (wanted.rate - rate)
        model = self._nominal.torque(angle, rate, wanted.acceleration)
        both = self._nominal.torque(angle, rate, wanted.acceleration + asked)
        return np.concatenate((model, both - model))

    def _measure(self) -> FloatArray:
        seen = np.concatenate((self.arm.hand(), self._nominal.hand(self._wanted.angle)))
        left_s = self._reaches.left_s(self._now_ns)
        return np.append(seen, (left_s, self.arm.payload_kg, self.arm.friction))
