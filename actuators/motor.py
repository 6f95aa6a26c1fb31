"""The motor of a simulated joint."""

from __future__ import annotations


class JointMotor:
    """Applies a force (prismatic joint, newtons) or torque (revolute, newton metres) to a joint.

    Args:
        client: physics client of PyBullet.
        body: identifier of the body in that client.
        joint: index of the joint.
        limit: largest magnitude; more is cut off, as a real drive does.
    """

    def __init__(self, client: int, body: int, joint: int, limit: float) -> None:
        import pybullet

        self._bullet = pybullet
        self._client = client
        self._body = body
        self._joint = joint
        self.limit = limit

    def apply(self, force: float) -> None:
        """Apply `force` during the next physics step only."""
        self._bullet.setJointMotorControl2(
            self._body,
            self._joint,
            self._bullet.TORQUE_CONTROL,
            force=min(max(force, -self.limit), self.limit),
            physicsClientId=self._client,
        )


class JointServo:
    """Drives a revolute joint to a wanted angle (rad), with the joint's own measurement.

    Args:
        client: physics client of PyBullet.
        body: identifier of the body in that client.
        joint: index of the joint.
        top_speed_rad_s: the fastest it turns.
        torque_limit_n_m: the strongest it pulls.
    """

    def __init__(
        self, client: int, body: int, joint: int, top_speed_rad_s: float, torque_limit_n_m: float
    ) -> None:
        import pybullet

        self._bullet = pybullet
        self._client = client
        self._body = body
        self._joint = joint
        self._top_speed_rad_s = top_speed_rad_s
        self._torque_limit_n_m = torque_limit_n_m

    def aim(self, angle_rad: float) -> None:
        """From now on go to `angle_rad` and hold it."""
        self._bullet.setJointMotorControl2(
            self._body,
            self._joint,
            self._bullet.POSITION_CONTROL,
            targetPosition=angle_rad,
            force=self._torque_limit_n_m,
            maxVelocity=self._top_speed_rad_s,
            physicsClientId=self._client,
        )

    def measure(self) -> tuple[float, float]:
        """Angle in rad and rate in rad/s."""
        state = self._bullet.getJointState(self._body, self._joint, physicsClientId=self._client)
        return state[0], state[1]
