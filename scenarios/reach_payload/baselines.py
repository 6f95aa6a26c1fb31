"""What a roboticist would use: computed torque with PD feedback, and with PID."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.reach_payload.arm import JOINTS, TORQUE_LIMIT_N_M, NominalArm


class ComputedTorqueConfig(Strict):
    """Gains per rad, per rad/s, and per rad s.

    `integral` says what is summed: the error, which the model then turns into torque, or the
    torque of the feedback (a disturbance's own unit), `ki / kp` of it a second.
    """

    kp_per_s2: float = Field(default=400.0, gt=0)
    kd_per_s: float = Field(default=40.0, ge=0)
    ki_per_s3: float = Field(default=0.0, ge=0)
    integral: Literal["error", "torque"] = "torque"


class ComputedTorque(Controller):
    """Computed torque with PD or PID feedback; the model is nominal.

    torque = M(q) (q_wanted'' + kp e + kd e') + C(q, q') + g(q) + the integral.
    """

    Config: ClassVar[type[Strict]] = ComputedTorqueConfig

    def __init__(self, config: ComputedTorqueConfig, seed: int) -> None:
        del seed
        self._config = config
        self._nominal = NominalArm()
        weakref.finalize(self, self._nominal.close)
        self._sum = np.zeros(JOINTS)
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """The torques in N m, shape (7,)."""
        seen = {batch.stream: batch.values for batch in batches}
        angle, rate = seen["joints"][:JOINTS], seen["joints"][JOINTS:]
        wanted, wanted_rate, acceleration = seen["wanted"].reshape(3, JOINTS)
        config = self._config
        error = wanted - angle
        asked = config.kp_per_s2 * error + config.kd_per_s * (wanted_rate - rate)
        elapsed_s, self._last_ns = (now_ns - self._last_ns) * 1e-9, now_ns
        if config.integral == "error":
            self._sum += elapsed_s * config.ki_per_s3 * error
            return self._nominal.torque(angle, rate, acceleration + asked + self._sum)
        torque = self._nominal.torque(angle, rate, acceleration + asked)
        if config.ki_per_s3:
            feedback = torque - self._nominal.torque(angle, rate, acceleration)
            self._sum += elapsed_s * config.ki_per_s3 / config.kp_per_s2 * feedback
            np.clip(self._sum, -TORQUE_LIMIT_N_M, TORQUE_LIMIT_N_M, out=self._sum)
        return torque + self._sum
