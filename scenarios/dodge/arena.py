"""The arena in PyBullet: a quadrotor that hovers, balls, and posts that stand or walk about."""

from __future__ import annotations

from math import radians, sin, tan
from pathlib import Path

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import LightSpec, RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

G_M_S2 = 9.81
SIDE_PX, FIELD_OF_VIEW_DEG = 64, 46.0
FOCAL_PX = SIDE_PX / 2 / tan(radians(FIELD_OF_VIEW_DEG) / 2)
#: The camera looks up a little: thrown balls come from above.
CAMERA_M, LOOKS_UP_DEG = (0.16, 0.0, 0.0), 10.0
POSTS_M = ((8.0, 2.2, 0.6), (8.0, -1.3, 0.9))
#: The walker's way: distance, height, reach to either side, and how often a second.
WALK_M, WALK_HEIGHT_M, WALK_REACH_M, WALK_HZ = 7.0, 0.6, 2.5, 0.08
AWAY_M = (-10.0, 0.0, 0.0)
LEVEL = (0.0, 0.0, 0.0, 1.0)
#: The flight controller: attitude (rad/s and damping), place ahead and height (rad/s).
ATTITUDE_RAD_S, ATTITUDE_DAMPING, HOLD_RAD_S = 35.0, 0.8, 5.0
MOST_THRUST_G = 2.5

pybullet = bullet()


class Arena:
    """A quadrotor at the origin that faces along x; y is to its left, z up.

    Use `close` to give the physics server back.

    Args:
        step_s: length of one physics step.
        top_speed_m_s, top_tilt_deg: limits of the flight controller.
        window: whether to show it on the display.
    """

    BALLS = ("white_ball.urdf", "grey_ball.urdf")

    def __init__(
        self, step_s: float, top_speed_m_s: float, top_tilt_deg: float, window: bool = False
    ) -> None:
        self._client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        self._in = {"physicsClientId": self._client}
        self._top_m_s, self._most_m_s2 = top_speed_m_s, G_M_S2 * tan(radians(top_tilt_deg))
        pybullet.setTimeStep(step_s, **self._in)
        pybullet.setGravity(0, 0, -G_M_S2, **self._in)
        self._drone = self._load("quadrotor.urdf", (0.0, 0.0, 0.0), fixed=False)
        self._mass_kg, _, inertia, *_ = pybullet.getDynamicsInfo(self._drone, -1, **self._in)
        self._inertia = np.array(inertia)
        self._balls = [self._load(file, self._rest(k), False) for k, file in enumerate(self.BALLS)]
        self._walker = self._load("post.urdf", AWAY_M)
        for place in POSTS_M:
            self._load("post.urdf", place)
        for body in (self._drone, *self._balls):
            pybullet.changeDynamics(body, -1, linearDamping=0, angularDamping=0, **self._in)

    def step(self, wanted_m: float) -> None:
        """Let one physics step pass, in which the quadrotor flies towards y = `wanted_m`."""
        self._fly(wanted_m)
        pybullet.stepSimulation(**self._in)

    def drone(self) -> FloatArray:
        """Side y (m), its speed (m/s), roll (rad) and roll rate (rad/s), shape (4,)."""
        place, turn = pybullet.getBasePositionAndOrientation(self._drone, **self._in)
        speed, spin = pybullet.getBaseVelocity(self._drone, **self._in)
        roll = pybullet.getEulerFromQuaternion(turn)[0]
        return np.array([place[1], speed[1], roll, spin[0]])

    def ball(self, k: int) -> FloatArray:
        """x, y, z (m) and the speed along them (m/s) of a ball, shape (6,)."""
        place, _ = pybullet.getBasePositionAndOrientation(self._balls[k], **self._in)
        speed, _ = pybullet.getBaseVelocity(self._balls[k], **self._in)
        return np.array([*place, *speed])

    def touched(self, k: int) -> bool:
        """Whether a ball touched the quadrotor in the last step."""
        return bool(pybullet.getContactPoints(self._drone, self._balls[k], **self._in))

    def throw(self, k: int, from_m: FloatArray, speed_m_s: FloatArray) -> None:
        """Let a ball fly from a place."""
        self._put(self._balls[k], tuple(from_m))
        pybullet.resetBaseVelocity(self._balls[k], tuple(speed_m_s), (0, 0, 0), **self._in)

    def hold_back(self, k: int) -> None:
        """Keep a ball where nobody sees it."""
        self._put(self._balls[k], self._rest(k))
        pybullet.resetBaseVelocity(self._balls[k], (0, 0, 0), (0, 0, 0), **self._in)

    def walk(self, now_s: float) -> None:
        """Put the walker to where it is at `now_s`."""
        across_m = WALK_REACH_M * sin(2 * np.pi * WALK_HZ * now_s)
        self._put(self._walker, (WALK_M, across_m, WALK_HEIGHT_M))

    def renderer(self) -> RasterRenderer:
        """What draws the view of the camera on the quadrotor's nose."""
        spec = RendererSpec(
            width=SIDE_PX,
            height=SIDE_PX,
            near_m=0.02,
            lens=LensSpec(field_of_view_deg=FIELD_OF_VIEW_DEG),
            light=LightSpec(to_light=(-1.0, 0.3, 1.0), ambient=0.8, background=0.2),
        )
        nose = Link(self._drone, -1)
        ahead = (CAMERA_M[0] + 1.0, 0.0, CAMERA_M[2] + tan(radians(LOOKS_UP_DEG)))
        mount = Mount(MountSpec(position_m=CAMERA_M, target_m=ahead), nose)
        return RasterRenderer(spec, Scene(self._client, also=[nose]), mount)

    def onlooker(self) -> RasterRenderer:
        """What draws the quadrotor from behind, for people."""
        spec = RendererSpec(
            width=192,
            height=128,
            lens=LensSpec(field_of_view_deg=50.0),
            light=LightSpec(to_light=(-1.0, 0.3, 1.0), ambient=0.8, background=0.45),
        )
        mount = Mount(MountSpec(position_m=(-1.8, 0.0, 0.7), target_m=(1.0, 0.0, 0.1)))
        return RasterRenderer(spec, Scene(self._client), mount)

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self._client >= 0:
            pybullet.disconnect(**self._in)
            self._client = -1

    def _load(self, file: str, place: tuple[float, ...], fixed: bool = True) -> int:
        path = str(Path(__file__).with_name(file))
        return int(pybullet.loadURDF(path, place, useFixedBase=fixed, **self._in))

    def _put(self, body: int, place: tuple[float, ...]) -> None:
        pybullet.resetBasePositionAndOrientation(body, place, LEVEL, **self._in)

    def _rest(self, k: int) -> tuple[float, float, float]:
        return AWAY_M[0], float(k), AWAY_M[2]

    def _fly(self, wanted_m: float) -> None:
        """Thrust along the body's own axis, and the torque that turns it to where it is wanted."""
        place, turn = pybullet.getBasePositionAndOrientation(self._drone, **self._in)
        speed, spin = pybullet.getBaseVelocity(self._drone, **self._in)
        axes = np.reshape(pybullet.getMatrixFromQuaternion(turn), (3, 3))
        wanted = np.array([_hold(place[0], speed[0]), 0.0, G_M_S2 + _hold(place[2], speed[2])])
        wanted[1] = self._sidewards(wanted_m - place[1], speed[1])
        thrust_n = self._mass_kg * min(max(wanted @ axes[:, 2], 0.0), MOST_THRUST_G * G_M_S2)
        off_rad = _cross(axes[:, 2], wanted / np.linalg.norm(wanted))
        off_rad[2] -= 0.2 * axes[1, 0]  # keep facing along x
        rate = ATTITUDE_RAD_S
        turns = rate**2 * off_rad - 2 * ATTITUDE_DAMPING * rate * np.array(spin)
        torque = axes @ (self._inertia * (axes.T @ turns))
        world = pybullet.WORLD_FRAME
        force = (thrust_n * axes[:, 2]).tolist()
        pybullet.applyExternalForce(self._drone, -1, force, place, world, **self._in)
        pybullet.applyExternalTorque(self._drone, -1, torque.tolist(), world, **self._in)

    def _sidewards(self, off_m: float, speed_m_s: float) -> float:
        """Acceleration wanted: to the fastest speed from which half the tilt brakes in time."""
        brake_m_s = (2 * 0.4 * self._most_m_s2 * abs(off_m)) ** 0.5
        fastest = min(self._top_m_s, brake_m_s, abs(off_m) * HOLD_RAD_S)
        change_m_s = float(np.copysign(fastest, off_m)) - speed_m_s
        return float(np.clip(15.0 * change_m_s, -self._most_m_s2, self._most_m_s2))


def _hold(place_m: float, speed_m_s: float) -> float:
    """Acceleration that brings a place back to 0, critically damped."""
    return -(HOLD_RAD_S**2) * place_m - 2 * HOLD_RAD_S * speed_m_s


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """NumPy's takes ten times as long for three numbers."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
