"""The cart and its pole in PyBullet: state, forces, and what a camera on the cart sees."""

from __future__ import annotations

from math import cos, sin
from pathlib import Path

import numpy as np

from reflexarc.actuators.motor import JointMotor
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.scenarios.pole_balance.model import GRAVITY_M_S2, POLE_LENGTH_M, POLE_WIDTH_M
from reflexarc.scenarios.pole_balance.view import (
    CAMERA_DISTANCE_M,
    CAMERA_HEIGHT_M,
    CAMERA_ROLL_RAD,
)
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import Renderer, RendererSpec, make_renderer
from reflexarc.sensors.scene import Link, Scene

SLIDE, HINGE = 0, 1

pybullet = bullet()


class CartPole:
    """A cart of 1 kg on a frictionless rail and a uniform pole, in a physics server of its own.

    Positive tilt leans towards positive x. Use `close` to give the server back.

    Args:
        step_s: length of one physics step.
        pole_mass_kg: mass of the pole.
        tilt_rad: tilt at the start; everything is at rest.
        force_limit_n: largest force of the motor on the cart.
        window: whether to show the plant on the display.
    """

    def __init__(
        self,
        step_s: float,
        pole_mass_kg: float,
        tilt_rad: float,
        force_limit_n: float,
        window: bool = False,
    ) -> None:
        self._client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        client = {"physicsClientId": self._client}
        pybullet.setTimeStep(step_s, **client)
        pybullet.setGravity(0, 0, -GRAVITY_M_S2, **client)
        self._body = pybullet.loadURDF(
            str(Path(__file__).with_name("cartpole.urdf")), useFixedBase=True, **client
        )
        for joint in (SLIDE, HINGE):
            self._free(joint)
        self.motor = JointMotor(self._client, self._body, SLIDE, force_limit_n)
        pybullet.resetJointState(self._body, HINGE, tilt_rad, **client)
        self.pole_mass_kg = pole_mass_kg
        self.set_pole_mass(pole_mass_kg)

    def _free(self, joint: int) -> None:
        """Take away the friction and the holding motor that PyBullet gives every joint."""
        pybullet.setJointMotorControl2(
            self._body,
            joint,
            pybullet.VELOCITY_CONTROL,
            force=0,
            physicsClientId=self._client,
        )
        pybullet.changeDynamics(
            self._body,
            joint,
            linearDamping=0,
            angularDamping=0,
            jointDamping=0,
            physicsClientId=self._client,
        )

    def set_pole_mass(self, mass_kg: float) -> None:
        """Make the pole lighter or heavier; it stays uniform, so its inertia follows."""
        across = mass_kg * (POLE_LENGTH_M**2 + POLE_WIDTH_M**2) / 12
        along = mass_kg * POLE_WIDTH_M**2 / 6
        pybullet.changeDynamics(
            self._body,
            HINGE,
            mass=mass_kg,
            localInertiaDiagonal=(across, across, along),
            physicsClientId=self._client,
        )
        self.pole_mass_kg = mass_kg

    def push(self, force_n: float) -> None:
        """Push the middle of the pole along x during the next physics step."""
        pybullet.applyExternalForce(
            self._body,
            HINGE,
            (force_n, 0, 0),
            (0, 0, 0),
            pybullet.LINK_FRAME,
            physicsClientId=self._client,
        )

    def step(self) -> None:
        """Let one physics step pass."""
        pybullet.stepSimulation(physicsClientId=self._client)

    def state(self) -> FloatArray:
        """Cart position (m) and velocity (m/s), tilt (rad) and its rate (rad/s), shape (4,)."""
        slide, hinge = pybullet.getJointStates(
            self._body, (SLIDE, HINGE), physicsClientId=self._client
        )
        return np.array([slide[0], slide[1], hinge[0], hinge[1]])

    def renderer(self, spec: RendererSpec) -> Renderer:
        """What draws the view of the camera on the cart."""
        cart = Link(self._body, SLIDE)
        mount = MountSpec(
            position_m=(0.0, -CAMERA_DISTANCE_M, CAMERA_HEIGHT_M),
            target_m=(0.0, 0.0, CAMERA_HEIGHT_M),
            up=(sin(CAMERA_ROLL_RAD), 0.0, cos(CAMERA_ROLL_RAD)),
        )
        return make_renderer(spec, Scene(self._client, also=[cart]), Mount(mount, cart))

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self._client >= 0:
            pybullet.disconnect(physicsClientId=self._client)
            self._client = -1
