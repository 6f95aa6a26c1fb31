"""The stage and its rod in PyBullet, and the stands that carry the cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.scenarios.pencil.model import GRAVITY_M_S2, LENGTH_M
from reflexarc.scenarios.pencil.view import (
    CAMERAS_M,
    FIELD_OF_VIEW_DEG,
    HEIGHT_PX,
    WIDTH_PX,
    mount,
)
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.mount import Mount
from reflexarc.sensors.renderer import LightSpec, RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

SLIDES, LEANS, PLATE, ROD = (0, 1), (2, 3), 1, 3
#: The drives stop here, on either side of the middle.
FURTHEST_M = 0.08
#: What the drives may push with: they are as stiff as screws.
DRIVE_N = 500.0

pybullet = bullet()


class Stage:
    """A rod on an x-y stage whose drives follow a wanted acceleration, in a server of its own.

    A lean is positive towards positive x or y. Use `close` to give the server back.

    Args:
        step_s: length of one physics step.
        lean_rad: how the rod leans at the start, shape (2,); everything is at rest.
        top_speed_m_s, acceleration_m_s2: limits of each drive.
        window: whether to show it on the display.
    """

    def __init__(
        self,
        step_s: float,
        lean_rad: FloatArray,
        top_speed_m_s: float,
        acceleration_m_s2: float,
        window: bool = False,
    ) -> None:
        self._client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        self._in = {"physicsClientId": self._client}
        self._step_s = step_s
        self._top_m_s, self._most_m_s2 = top_speed_m_s, acceleration_m_s2
        self._speed_m_s = np.zeros(2)
        pybullet.setTimeStep(step_s, **self._in)
        pybullet.setGravity(0, 0, -GRAVITY_M_S2, **self._in)
        file = str(Path(__file__).with_name("pencil.urdf"))
        inertia = pybullet.URDF_USE_INERTIA_FROM_FILE
        self._body = pybullet.loadURDF(file, useFixedBase=True, flags=inertia, **self._in)
        for joint in (*SLIDES, *LEANS):
            pybullet.changeDynamics(
                self._body, joint, linearDamping=0, angularDamping=0, jointDamping=0, **self._in
            )
        for joint, lean in zip(LEANS, lean_rad, strict=True):
            pybullet.resetJointState(self._body, joint, float(lean), **self._in)
            # without the brake that PyBullet gives every joint
            brake = pybullet.VELOCITY_CONTROL
            pybullet.setJointMotorControl2(self._body, joint, brake, force=0, **self._in)
        self._stands = {
            axis: pybullet.createMultiBody(basePosition=place, **self._in)
            for axis, place in CAMERAS_M.items()
        }

    def step(self, acceleration_m_s2: FloatArray) -> None:
        """Let one physics step pass under a wanted acceleration, shape (2,)."""
        wanted = np.clip(acceleration_m_s2, -self._most_m_s2, self._most_m_s2)
        speed = self._speed_m_s + wanted * self._step_s
        self._speed_m_s = np.clip(speed, -self._top_m_s, self._top_m_s)
        place = self.state()[:2]
        outwards = (np.abs(place) >= FURTHEST_M) & (place * self._speed_m_s > 0)
        self._speed_m_s[outwards] = 0.0
        pybullet.setJointMotorControlArray(
            self._body,
            SLIDES,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=self._speed_m_s.tolist(),
            forces=[DRIVE_N, DRIVE_N],
            **self._in,
        )
        pybullet.stepSimulation(**self._in)

    def tap(self, force_n: FloatArray) -> None:
        """Push the rod with a force along x and y, shape (2,), at three quarters of its height.

        It acts during the next physics step.
        """
        pybullet.applyExternalForce(
            self._body,
            ROD,
            (*force_n.tolist(), 0.0),
            self._at(0.75 * LENGTH_M),
            pybullet.WORLD_FRAME,
            **self._in,
        )

    def state(self) -> FloatArray:
        """Place (m), speed (m/s), lean (rad), its rate (rad/s), each along x and y; shape (8,)."""
        x, y, lean_x, lean_y = pybullet.getJointStates(self._body, (*SLIDES, *LEANS), **self._in)
        slides, leans = np.array([x[:2], y[:2]]), np.array([lean_x[:2], lean_y[:2]])
        return np.concatenate((slides.T.ravel(), leans.T.ravel()))

    def turn_cameras(self, angle_rad: float) -> None:
        """Turn both cameras about their line of sight: an upright rod seems to lean that far."""
        turns = {"x": (0.0, 1.0, 0.0), "y": (-1.0, 0.0, 0.0)}
        for axis, stand in self._stands.items():
            turn = pybullet.getQuaternionFromAxisAngle(turns[axis], -angle_rad)
            pybullet.resetBasePositionAndOrientation(stand, CAMERAS_M[axis], turn, **self._in)

    def renderers(self) -> dict[str, RasterRenderer]:
        """What draws the views of the two cameras, by the axis that they see."""
        spec = RendererSpec(
            width=WIDTH_PX,
            height=HEIGHT_PX,
            near_m=0.1,
            lens=LensSpec(field_of_view_deg=FIELD_OF_VIEW_DEG),
            light=LightSpec(to_light=(0.0, 0.0, 1.0), ambient=0.6, background=1.0),
        )
        links = {axis: Link(stand, -1) for axis, stand in self._stands.items()}
        self._show_plate(0.0)  # a screen before it hides it from the cameras
        scene = Scene(self._client, also=list(links.values()))
        self._show_plate(1.0)
        return {
            axis: RasterRenderer(spec, scene, Mount(mount(axis), link))
            for axis, link in links.items()
        }

    @property
    def client(self) -> int:
        """Of PyBullet, for pictures of the whole."""
        return int(self._client)

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self._client >= 0:
            pybullet.disconnect(**self._in)
            self._client = -1

    def _show_plate(self, alpha: float) -> None:
        colour = (0.6, 0.6, 0.6, alpha)
        pybullet.changeVisualShape(self._body, PLATE, rgbaColor=colour, **self._in)

    def _at(self, along_m: float) -> tuple[float, ...]:
        """Where the point of the rod at this distance from its foot is."""
        state = pybullet.getLinkState(self._body, ROD, computeForwardKinematics=1, **self._in)
        turn = np.reshape(pybullet.getMatrixFromQuaternion(state[5]), (3, 3))
        return tuple((np.array(state[4]) + along_m * turn[:, 2]).tolist())
