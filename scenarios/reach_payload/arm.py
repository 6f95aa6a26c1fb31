"""The arm in PyBullet: a KUKA LBR iiwa, motors that lag, a load at its hand and dry friction."""

from __future__ import annotations

from collections import deque
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.physics import bullet

JOINTS = 7
_ALL = list(range(JOINTS))
HAND = 6
GRAVITY_M_S2 = 9.81
#: What the motors of an LBR iiwa 14 give.
TORQUE_LIMIT_N_M: FloatArray = np.array([320.0, 320.0, 176.0, 176.0, 110.0, 40.0, 40.0])
#: What a geared rotor adds to a link's inertia about its joint's axis, as a ring.
#: PyBullet knows no rotors; without them the wrist is far too light for the load.
ROTOR_KG_M2: FloatArray = np.array([0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1])
#: Dry friction of worn joints; a share of it is what a change of the world sets.
FRICTION_N_M: FloatArray = np.array([8.0, 8.0, 5.0, 5.0, 1.0, 1.0, 0.2])
#: The load is a ball of this radius around the centre of the hand.
LOAD_RADIUS_M = 0.06


class NominalArm:
    """What the arm's maker knows of it: rigid links, an empty hand, no friction.

    A physics server of its own in which nothing moves. Use `close` to give it back.
    """

    def __init__(self) -> None:
        self._bullet = bullet()
        self._client = self._bullet.connect(self._bullet.DIRECT)
        self._in = {"physicsClientId": self._client}
        self._bullet.setGravity(0, 0, -GRAVITY_M_S2, **self._in)
        self._body = load_arm(self._client)

    def torque(self, angle: FloatArray, rate: FloatArray, acceleration: FloatArray) -> FloatArray:
        """Torque (N m) that gives this acceleration (rad/s^2) in this state; all of shape (7,)."""
        found = self._bullet.calculateInverseDynamics(
            self._body, angle.tolist(), rate.tolist(), acceleration.tolist(), **self._in
        )
        return np.array(found)

    def hand(self, angle: FloatArray) -> FloatArray:
        """Where the centre of the hand is at these angles, in m, shape (3,)."""
        for joint, at in enumerate(angle.tolist()):
            self._bullet.resetJointState(self._body, joint, at, **self._in)
        return hand_of(self._bullet, self._body, self._in)

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self._client >= 0:
            self._bullet.disconnect(**self._in)
            self._client = -1


class Arm:
    """The arm itself, in a physics server of its own. Use `close` to give it back.

    Args:
        step_s: length of one physics step.
        delay_s: from a command to the motors, rounded to whole steps.
        motor_tau_s: time constant with which torques follow the command then.
        angle: where it stands at first, shape (7,); it is at rest there, its motors holding it.
        window: whether to show it on the display.
    """

    def __init__(
        self,
        step_s: float,
        delay_s: float,
        motor_tau_s: float,
        angle: FloatArray,
        window: bool = False,
    ) -> None:
        self._bullet = bullet()
        self.client = self._bullet.connect(self._bullet.GUI if window else self._bullet.DIRECT)
        self._in = {"physicsClientId": self.client}
        self._bullet.setTimeStep(step_s, **self._in)
        self._bullet.setGravity(0, 0, -GRAVITY_M_S2, **self._in)
        self.body = load_arm(self.client)
        for joint, at in enumerate(angle.tolist()):
            self._bullet.resetJointState(self.body, joint, at, **self._in)
        self._share = 1.0 - exp(-step_s / motor_tau_s)
        still = [0.0] * JOINTS
        held = self._bullet.calculateInverseDynamics(
            self.body, angle.tolist(), still, still, **self._in
        )
        self._torque_n_m = np.array(held)
        self._under_way = deque([self._torque_n_m] * round(delay_s / step_s))
        self._hand_kg, _, self._hand_kg_m2 = self._bullet.getDynamicsInfo(
            self.body, HAND, **self._in
        )[:3]
        self.payload_kg, self.friction = 0.0, 0.0
        self.set_friction(0.0)

    def set_payload(self, mass_kg: float) -> None:
        """Put a load into the hand, or take it away."""
        load_kg_m2 = 0.4 * mass_kg * LOAD_RADIUS_M**2
        self._bullet.changeDynamics(
            self.body,
            HAND,
            mass=self._hand_kg + mass_kg,
            localInertiaDiagonal=[each + load_kg_m2 for each in self._hand_kg_m2],
            **self._in,
        )
        self.payload_kg = mass_kg

    def set_friction(self, share: float) -> None:
        """Dry friction, `share` of FRICTION_N_M: a brake that gives way beyond it."""
        self._bullet.setJointMotorControlArray(
            self.body,
            _ALL,
            self._bullet.VELOCITY_CONTROL,
            targetVelocities=[0.0] * JOINTS,
            forces=(share * FRICTION_N_M).tolist(),
            **self._in,
        )
        self.friction = share

    def step(self, torque_n_m: FloatArray) -> None:
        """Let one physics step pass while the motors follow the command, shape (7,)."""
        self._under_way.append(torque_n_m)
        asked = self._under_way.popleft()
        within = np.minimum(np.maximum(asked, -TORQUE_LIMIT_N_M), TORQUE_LIMIT_N_M)
        self._torque_n_m = self._torque_n_m + self._share * (within - self._torque_n_m)
        self._bullet.setJointMotorControlArray(
            self.body,
            _ALL,
            self._bullet.TORQUE_CONTROL,
            forces=self._torque_n_m.tolist(),
            **self._in,
        )
        self._bullet.stepSimulation(**self._in)

    def state(self) -> FloatArray:
        """True angles (rad), then true rates (rad/s), shape (14,)."""
        states = self._bullet.getJointStates(self.body, _ALL, **self._in)
        return np.array([each[0] for each in states] + [each[1] for each in states])

    def hand(self) -> FloatArray:
        """Where the centre of the hand is, in m, shape (3,)."""
        return hand_of(self._bullet, self.body, self._in)

    def close(self) -> None:
        """Give back the physics server. May be called twice."""
        if self.client >= 0:
            self._bullet.disconnect(**self._in)
            self.client = -1


def load_arm(client: int) -> int:
    """The LBR iiwa of pybullet_data with rotors and without damping; its body."""
    import pybullet_data

    pybullet = bullet()
    file = Path(pybullet_data.getDataPath()) / "kuka_iiwa" / "model.urdf"
    body: int = pybullet.loadURDF(
        str(file),
        useFixedBase=True,
        flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
        physicsClientId=client,
    )
    for joint, rotor_kg_m2 in enumerate(ROTOR_KG_M2.tolist()):
        link = np.array(pybullet.getDynamicsInfo(body, joint, physicsClientId=client)[2])
        ring = rotor_kg_m2 * np.array([0.5, 0.5, 1.0])
        pybullet.changeDynamics(
            body,
            joint,
            localInertiaDiagonal=(link + ring).tolist(),
            linearDamping=0,
            angularDamping=0,
            jointDamping=0,
            physicsClientId=client,
        )
    return body


def hand_of(pybullet: Any, body: int, client: dict[str, int]) -> FloatArray:
    """The centre of the hand as the joints now stand."""
    return np.array(pybullet.getLinkState(body, HAND, computeForwardKinematics=1, **client)[0])
