"""The pitch in PyBullet: paddle, balls, a passer-by, and the stand that carries the camera."""

from __future__ import annotations

from math import sin
from pathlib import Path

import numpy as np

from reflexarc.actuators.motor import JointMotor
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.scenarios.goalie.view import (
    CAMERA_M,
    FIELD_OF_VIEW_DEG,
    HEIGHT_PX,
    TARGET_M,
    WIDTH_PX,
)
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import LightSpec, RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

BALL_RADIUS_M = 0.03
PADDLE_MASS_KG = 0.15
PADDLE_HALF_M = 0.06
#: As far as the drive lets the paddle go to either side.
FURTHEST_M = 0.22
BOUNCE = 0.6
#: Where balls and the passer-by wait, out of sight.
AWAY_M = (0.0, -5.0, BALL_RADIUS_M)
#: The passer-by's way: distance from the goal, reach to either side, and how often a second.
PASSING_M, PASSING_REACH_M, PASSING_HZ = 1.4, 0.7, 0.6
UPRIGHT = (0.0, 0.0, 0.0, 1.0)

pybullet = bullet()


class Pitch:
    """A goal of 0.5 m, its paddle and two balls, in a physics server of its own.

    Use `close` to give the server back.

    Args:
        step_s: length of one physics step.
        top_speed_m_s, acceleration_m_s2: limits of the paddle's drive.
        window: whether to show it on the display.
    """

    BALLS = 2

    def __init__(
        self, step_s: float, top_speed_m_s: float, acceleration_m_s2: float, window: bool = False
    ) -> None:
        self._client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        self._in = {"physicsClientId": self._client}
        self._step_s = step_s
        self._top_m_s, self._most_m_s2 = top_speed_m_s, acceleration_m_s2
        pybullet.setTimeStep(step_s, **self._in)
        pybullet.setGravity(0, 0, -9.81, **self._in)
        floor = pybullet.createCollisionShape(pybullet.GEOM_PLANE, **self._in)
        ground = pybullet.createMultiBody(baseCollisionShapeIndex=floor, **self._in)
        # unseen: the camera's background is the floor
        pybullet.changeVisualShape(ground, -1, rgbaColor=(0, 0, 0, 0), **self._in)
        self._paddle = self._load("goalie.urdf", (0.0, 0.0, 0.0))
        self._motor = self._free_slide()
        self._balls = [self._load("ball.urdf", (k * 0.5, *AWAY_M[1:])) for k in range(self.BALLS)]
        self._bouncy()
        self._passer_by = self._load("passer_by.urdf", AWAY_M)
        self._stand = pybullet.createMultiBody(basePosition=CAMERA_M, **self._in)

    def step(self, wanted_m: float) -> None:
        """Let one physics step pass, in which the paddle goes towards `wanted_m`."""
        within_m = min(max(wanted_m, -FURTHEST_M), FURTHEST_M)
        self._motor.apply(self._force_n(within_m))
        pybullet.stepSimulation(**self._in)

    def paddle(self) -> FloatArray:
        """Place (m) and speed (m/s) of the paddle, shape (2,)."""
        return np.array(pybullet.getJointState(self._paddle, 0, **self._in)[:2])

    def ball(self, k: int) -> FloatArray:
        """x, y (m) and speed along both (m/s) of a ball, shape (4,)."""
        place, _ = pybullet.getBasePositionAndOrientation(self._balls[k], **self._in)
        speed, _ = pybullet.getBaseVelocity(self._balls[k], **self._in)
        return np.array([*place[:2], *speed[:2]])

    def shoot(self, k: int, from_m: tuple[float, float], speed_m_s: tuple[float, float]) -> None:
        """Let a ball roll from a place on the ground, without slip."""
        self._put(self._balls[k], (*from_m, BALL_RADIUS_M))
        spin = (-speed_m_s[1] / BALL_RADIUS_M, speed_m_s[0] / BALL_RADIUS_M, 0.0)
        pybullet.resetBaseVelocity(self._balls[k], (*speed_m_s, 0.0), spin, **self._in)

    def take_away(self, k: int) -> None:
        """Put a ball where nobody sees it."""
        self._put(self._balls[k], (k * 0.5, *AWAY_M[1:]))
        pybullet.resetBaseVelocity(self._balls[k], (0, 0, 0), (0, 0, 0), **self._in)

    def pass_by(self, now_s: float | None) -> None:
        """Move the passer-by to where he is at `now_s`; None takes him away."""
        if now_s is None:
            self._put(self._passer_by, AWAY_M)
        else:
            across_m = PASSING_REACH_M * sin(2 * np.pi * PASSING_HZ * now_s)
            self._put(self._passer_by, (across_m, PASSING_M, 0.0))

    def move_camera(self, aside_m: float) -> None:
        """Put the camera's stand so far to the right of where it should be."""
        place = (CAMERA_M[0] + aside_m, *CAMERA_M[1:])
        self._put(self._stand, place)

    def renderer(self) -> RasterRenderer:
        """What draws the camera's view."""
        spec = RendererSpec(
            width=WIDTH_PX,
            height=HEIGHT_PX,
            near_m=0.1,
            lens=LensSpec(field_of_view_deg=FIELD_OF_VIEW_DEG),
            light=LightSpec(to_light=(0.2, -0.4, 1.0), ambient=0.7, background=0.2),
        )
        stand = Link(self._stand, -1)
        ahead = (0.0, TARGET_M[1] - CAMERA_M[1], TARGET_M[2] - CAMERA_M[2])
        mount = MountSpec(position_m=(0.0, 0.0, 0.0), target_m=ahead)
        return RasterRenderer(spec, Scene(self._client, also=[stand]), Mount(mount, stand))

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self._client >= 0:
            pybullet.disconnect(**self._in)
            self._client = -1

    def _load(self, file: str, place: tuple[float, ...]) -> int:
        path = str(Path(__file__).with_name(file))
        fixed = file != "ball.urdf"
        return int(pybullet.loadURDF(path, place, useFixedBase=fixed, **self._in))

    def _free_slide(self) -> JointMotor:
        """The drive of the paddle, without the brake that PyBullet gives every joint."""
        brake = pybullet.VELOCITY_CONTROL
        pybullet.setJointMotorControl2(self._paddle, 0, brake, force=0, **self._in)
        pybullet.changeDynamics(self._paddle, 0, linearDamping=0, jointDamping=0, **self._in)
        return JointMotor(self._client, self._paddle, 0, PADDLE_MASS_KG * self._most_m_s2)

    def _bouncy(self) -> None:
        for body, link in [(self._paddle, 0), *((ball, -1) for ball in self._balls)]:
            pybullet.changeDynamics(body, link, restitution=BOUNCE, **self._in)
        for ball in self._balls:
            pybullet.changeDynamics(
                ball,
                -1,
                linearDamping=0,
                angularDamping=0,
                rollingFriction=0,
                maxJointVelocity=1000,  # a ball at 3 m/s already turns at PyBullet's 100 rad/s
                **self._in,
            )

    def _put(self, body: int, place: tuple[float, ...]) -> None:
        pybullet.resetBasePositionAndOrientation(body, place, UPRIGHT, **self._in)

    def _force_n(self, wanted_m: float) -> float:
        """A position servo: the fastest speed from which the drive can still brake in time."""
        place_m, speed_m_s = self.paddle()
        off_m = wanted_m - place_m
        brake_m_s = (2 * 0.8 * self._most_m_s2 * abs(off_m)) ** 0.5
        fastest = min(self._top_m_s, brake_m_s, abs(off_m) / (5 * self._step_s))
        change_m_s = np.copysign(fastest, off_m) - speed_m_s
        return float(PADDLE_MASS_KG * change_m_s / self._step_s)
