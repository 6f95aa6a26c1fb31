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
