"""The car in PyBullet: the racecar of pybullet_data on a lane with dashed borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet
from reflexarc.scenarios.lane_keep.track import Track
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

#: Joints of the racecar's URDF; its wheels, and the distance between its axles.
REAR_WHEELS, FRONT_WHEELS, HINGES = (2, 3), (5, 7), (4, 6)
WHEEL_RADIUS_M, WHEELBASE_M = 0.05, 0.325
#: The base, in the middle of the rear axle, is so far above the ground.
RIDE_M = 0.05
#: Rubber. The rear wheels share no differential: stronger motors make the car slip in bends.
GRIP, WHEEL_TORQUE_N_M = 1.0, 0.3
HINGE_TORQUE_N_M, HINGE_SPEED_RAD_S = 10.0, 8.0
#: A dash of the border and the gap after it; half its width and height.
DASH_M, GAP_M, DASH_HALF_M = 0.2, 0.2, (0.02, 0.001)
#: PyBullet takes no more shapes in one body.
SHAPES = 16
CAMERA = MountSpec(position_m=(0.35, 0.0, 0.40), target_m=(1.05, 0.0, 0.0))


class Car:
    """The car on its lane, in a physics server of its own. Use `close` to give it back.

    Args:
        step_s: length of one physics step.
        half_width_m: of the lane, to the middle of its borders.
        window: whether to show it on the display.
    """

    def __init__(self, step_s: float, half_width_m: float, window: bool = False) -> None:
        import pybullet_data

        self._bullet = bullet()
        self.client = self._bullet.connect(self._bullet.GUI if window else self._bullet.DIRECT)
        self._in = {"physicsClientId": self.client}
        self._half_width_m = half_width_m
        self._bullet.setTimeStep(step_s, **self._in)
        self._bullet.setGravity(0, 0, -9.81, **self._in)
        floor = self._bullet.createCollisionShape(self._bullet.GEOM_PLANE, **self._in)
        ground = self._bullet.createMultiBody(baseCollisionShapeIndex=floor, **self._in)
        # unseen: the camera's background is the ground
        self._bullet.changeVisualShape(ground, -1, rgbaColor=(0, 0, 0, 0), **self._in)
        file = Path(pybullet_data.getDataPath()) / "racecar" / "racecar.urdf"
        self._car = self._bullet.loadURDF(str(file), **self._in)
        self._dashes: list[int] = []
        for wheel in REAR_WHEELS + FRONT_WHEELS:
            self._bullet.changeDynamics(self._car, wheel, lateralFriction=GRIP, **self._in)
        for wheel in FRONT_WHEELS:  # PyBullet brakes joints unless told not to
            brake = self._bullet.VELOCITY_CONTROL
            self._bullet.setJointMotorControl2(self._car, wheel, brake, force=0, **self._in)

    def step(self, steering_rad: float, speed_m_s: float) -> None:
        """Let one physics step pass while the servos hold a steering angle (left: above 0)."""
        self._bullet.setJointMotorControlArray(
            self._car,
            REAR_WHEELS,
            self._bullet.VELOCITY_CONTROL,
            targetVelocities=[speed_m_s / WHEEL_RADIUS_M] * len(REAR_WHEELS),
            forces=[WHEEL_TORQUE_N_M] * len(REAR_WHEELS),
            **self._in,
        )
        for hinge in HINGES:
            self._bullet.setJointMotorControl2(
                self._car,
                hinge,
                self._bullet.POSITION_CONTROL,
                targetPosition=steering_rad,
                force=HINGE_TORQUE_N_M,
                maxVelocity=HINGE_SPEED_RAD_S,
                **self._in,
            )
        self._bullet.stepSimulation(**self._in)

    def pose(self) -> FloatArray:
        """x, y (m) of the middle of the rear axle and the heading (rad), shape (3,)."""
        (x, y, _), turn = self._bullet.getBasePositionAndOrientation(self._car, **self._in)
        return np.array([x, y, self._bullet.getEulerFromQuaternion(turn)[2]])

    def speed(self) -> FloatArray:
        """Along x and y, m/s, shape (2,)."""
        return np.array(self._bullet.getBaseVelocity(self._car, **self._in)[0][:2])

    def put(self, x: float, y: float, heading_rad: float, speed_m_s: float) -> None:
        """Put the car on the ground, wheels straight, rolling."""
        turn = self._bullet.getQuaternionFromEuler((0, 0, heading_rad))
        self._bullet.resetBasePositionAndOrientation(self._car, (x, y, RIDE_M), turn, **self._in)
        along = (speed_m_s * np.cos(heading_rad), speed_m_s * np.sin(heading_rad), 0)
        self._bullet.resetBaseVelocity(self._car, along, (0, 0, 0), **self._in)
        for wheel in REAR_WHEELS + FRONT_WHEELS:
            spin = speed_m_s / WHEEL_RADIUS_M
            self._bullet.resetJointState(self._car, wheel, 0, spin, **self._in)
        for hinge in HINGES:
            self._bullet.resetJointState(self._car, hinge, 0, 0, **self._in)

    def mark(self, track: Track) -> None:
        """Draw the borders of `track` in place of those there are."""
        for body in self._dashes:
            self._bullet.removeBody(body, **self._in)
        places = dashes(track, self._half_width_m)
        self._dashes = [self._draw(places[k : k + SHAPES]) for k in range(0, len(places), SHAPES)]

    def renderer(self, spec: RendererSpec) -> RasterRenderer:
        """What draws the view of the camera on the car."""
        base = Link(self._car, -1)
        scene = Scene(self.client, also=[base], most_triangles=spec.most_triangles)
        return RasterRenderer(spec, scene, Mount(CAMERA, base))

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self.client >= 0:
            self._bullet.disconnect(**self._in)
            self.client = -1

    def _draw(self, places: FloatArray) -> int:
        """A body that is seen and nothing more: a dash at each x, y, heading, shape (n, 3)."""
        count = len(places)
        shape = self._bullet.createVisualShapeArray(
            shapeTypes=[self._bullet.GEOM_BOX] * count,
            halfExtents=[(DASH_M / 2, *DASH_HALF_M)] * count,
            visualFramePositions=[(x, y, 0) for x, y, _ in places],
            visualFrameOrientations=[
                self._bullet.getQuaternionFromEuler((0, 0, heading)) for *_, heading in places
            ],
            rgbaColors=[(1, 1, 1, 1)] * count,
            **self._in,
        )
        return int(self._bullet.createMultiBody(baseVisualShapeIndex=shape, **self._in))


def dashes(track: Track, half_width_m: float) -> FloatArray:
    """x, y (m) and heading (rad) of the dashes of both borders, shape (n, 3)."""
    count = round(track.length_m / (DASH_M + GAP_M))
    # the sides alternate, so that something comes by all the time
    sides = [(half_width_m, 0.0), (-half_width_m, 0.5)]
    along = track.length_m / count
    return np.array(
        [track.place((k + late) * along, left) for left, late in sides for k in range(count)]
    )
