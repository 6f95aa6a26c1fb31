"""The quadrotor in PyBullet: four rotors that lag, a battery that sags, wind, and an autopilot."""

from __future__ import annotations

from math import exp
from pathlib import Path

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import LightSpec, RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

GRAVITY_M_S2 = 9.81
MASS_KG = 0.5
INERTIA_KG_M2: FloatArray = np.array([2.5e-3, 2.5e-3, 4.5e-3])
#: Of the middle over the feet; the camera looks down from 1 cm below the middle.
LEG_M, CAMERA_BELOW_M = 0.06, 0.01
#: Rotors in the frame of the body, and as many newtons as one gives with a full battery.
ROTORS_M: FloatArray = np.array(
    [[0.085, 0.085, 0], [-0.085, 0.085, 0], [-0.085, -0.085, 0], [0.085, -0.085, 0]]
)
ROTOR_LIMIT_N = 2.0 * MASS_KG * GRAVITY_M_S2 / 4
MOTOR_TAU_S = 0.04
#: Force of the air over the speed through it.
DRAG_KG_S = 0.15
SIZE_PX, FIELD_OF_VIEW_DEG = 64, 70.0
#: The autopilot: back to the middle (1/s^2, 1/s), at most this steep, and upright (1/s^2, 1/s).
HOLD_PER_S2, HOLD_PER_S, STEEPEST = 1.0, 2.0, 0.35
UPRIGHT_PER_S2, UPRIGHT_PER_S = 150.0, 20.0
#: Force on a rotor for a torque about x and y (1 / (4 arms)).
_LEVER_PER_M = 1.0 / (4 * 0.085)

pybullet = bullet()


class Quadrotor:
    """A quadrotor over a floor, in a physics server of its own. Use `close` to give it back.

    The autopilot keeps it upright and over the same place; how strongly the rotors lift is the
    command's. It is held where it was put until `release`, and again after `hold`.

    Args:
        step_s: length of one physics step.
        window: whether to show it on the display.

    Attributes:
        charge: what the battery leaves of the thrust that is asked for.
    """

    def __init__(self, step_s: float, window: bool = False) -> None:
        self.client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        self._in = {"physicsClientId": self.client}
        pybullet.setTimeStep(step_s, **self._in)
        pybullet.setGravity(0, 0, -GRAVITY_M_S2, **self._in)
        self._load("ground.urdf")
        self._body = self._load("quadrotor.urdf")
        pybullet.changeDynamics(self._body, -1, linearDamping=0, angularDamping=0, **self._in)
        self._share = 1.0 - exp(-step_s / MOTOR_TAU_S)
        self.charge = 1.0
        self.put(1.0)

    def put(self, height_m: float) -> None:
        """Hold it upright with its feet at this height, its rotors carrying its weight."""
        self._place = (0.0, 0.0, height_m + LEG_M)
        self._turn = (0.0, 0.0, 0.0, 1.0)
        self._lift_n = np.full(4, self.charge * MASS_KG * GRAVITY_M_S2 / 4)
        self._keep()

    def hold(self) -> None:
        """Hold it where it is."""
        self._place, self._turn = pybullet.getBasePositionAndOrientation(self._body, **self._in)
        self._keep()

    def release(self) -> None:
        """Let it fly."""
        self._held = False

    def step(self, climb_g: float, wind_m_s: FloatArray) -> None:
        """Let one physics step pass.

        Args:
            climb_g: thrust over that which carries its weight with a full battery, less 1.
            wind_m_s: speed of the air, shape (3,).
        """
        if self._held:
            return
        place, turn = pybullet.getBasePositionAndOrientation(self._body, **self._in)
        speed, spin = map(np.array, pybullet.getBaseVelocity(self._body, **self._in))
        body = np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3)
        torque = self._upright(np.array(place), speed, body, body.T @ spin)
        self._turn_rotors(MASS_KG * GRAVITY_M_S2 * (1.0 + climb_g), torque)
        y, x = self._lift_n @ ROTORS_M[:, 1], self._lift_n @ ROTORS_M[:, 0]
        moment = np.array([y, -x, torque[2]])
        force = body[:, 2] * self._lift_n.sum() + DRAG_KG_S * (wind_m_s - speed)
        pybullet.applyExternalForce(
            self._body, -1, force.tolist(), place, pybullet.WORLD_FRAME, **self._in
        )
        pybullet.applyExternalTorque(
            self._body, -1, (body @ moment).tolist(), pybullet.WORLD_FRAME, **self._in
        )
        pybullet.stepSimulation(**self._in)

    def height(self) -> tuple[float, float]:
        """Of the feet over the ground (m), and the speed upwards (m/s)."""
        place, _ = pybullet.getBasePositionAndOrientation(self._body, **self._in)
        if self._held:
            return place[2] - LEG_M, 0.0
        speed, _ = pybullet.getBaseVelocity(self._body, **self._in)
        return place[2] - LEG_M, speed[2]

    def renderer(self) -> RasterRenderer:
        """What draws the view straight down."""
        spec = RendererSpec(
            width=SIZE_PX,
            height=SIZE_PX,
            samples="1",  # the floor's texture is smoothed by its smaller copies
            lens=LensSpec(field_of_view_deg=FIELD_OF_VIEW_DEG),
            light=LightSpec(to_light=(0.0, 0.0, 1.0), ambient=0.5),
        )
        base = Link(self._body, -1)
        low = -CAMERA_BELOW_M
        mount = MountSpec(
            position_m=(0.0, 0.0, low - 0.02), target_m=(0.0, 0.0, low - 1.0), up=(1.0, 0.0, 0.0)
        )
        return RasterRenderer(spec, Scene(self.client, also=[base]), Mount(mount, base))

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self.client >= 0:
            pybullet.disconnect(**self._in)
            self.client = -1

    def _load(self, file: str) -> int:
        path = str(Path(__file__).with_name(file))
        fixed = file == "ground.urdf"
        inertia = pybullet.URDF_USE_INERTIA_FROM_FILE
        return int(pybullet.loadURDF(path, useFixedBase=fixed, flags=inertia, **self._in))

    def _keep(self) -> None:
        self._held = True
        pybullet.resetBasePositionAndOrientation(self._body, self._place, self._turn, **self._in)
        pybullet.resetBaseVelocity(self._body, (0, 0, 0), (0, 0, 0), **self._in)

    def _upright(
        self, place: FloatArray, speed: FloatArray, body: FloatArray, spin: FloatArray
    ) -> FloatArray:
        """Torque (N m, in the body's frame) towards upright, leaning back to the middle."""
        lean = -(HOLD_PER_S2 * place[:2] + HOLD_PER_S * speed[:2]) / GRAVITY_M_S2
        lean *= min(1.0, STEEPEST / max(float(np.hypot(*lean)), 1e-9))
        wanted = np.array([*lean, 1.0]) / np.sqrt(1.0 + lean @ lean)
        up = body.T @ wanted  # the wanted direction of up, seen from the body
        off = np.array([-up[1], up[0], 0.0])
        off[2] = body[0, 1] - body[1, 0]  # twice the sine of the heading
        return INERTIA_KG_M2 * (UPRIGHT_PER_S2 * off * [1.0, 1.0, 0.1] - UPRIGHT_PER_S * spin)

    def _turn_rotors(self, thrust_n: float, torque: FloatArray) -> None:
        """Share thrust and torque out to the rotors, which follow late and within limits."""
        asked = thrust_n / 4 + _LEVER_PER_M * (
            np.sign(ROTORS_M[:, 1]) * torque[0] - np.sign(ROTORS_M[:, 0]) * torque[1]
        )
        lifts = self.charge * np.minimum(np.maximum(asked, 0.0), ROTOR_LIMIT_N)
        self._lift_n = self._lift_n + self._share * (lifts - self._lift_n)
