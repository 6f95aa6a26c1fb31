"""What a roboticist would use: thrust in proportion to the error of a constant divergence."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reflexarc.runtime.batch import Batch
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.world import Controller

#: The gate's limits: an integral does not grow where they hold the command.
LIMIT_G = 0.8


class ConstantDivergenceConfig(Strict):
    """`thrust = kp e + integral of ki e`, e = divergence - wanted, as far as the filter lets it.

    Attributes:
        source: the divergence of the events, or the true one, which no robot has.
    """

    source: Literal["events", "truth"] = "events"
    wanted_per_s: float = Field(default=0.8, gt=0)
    kp_g_s: float = Field(default=0.3, ge=0)
    ki_g: float = Field(default=0.0, ge=0)
    tau_s: float = Field(default=0.02, gt=0)


class ConstantDivergence(Controller):
    """Keeps the divergence constant (Herisse et al. 2012; de Croon 2016): P, or PI."""

    Config: ClassVar[type[Strict]] = ConstantDivergenceConfig

    def __init__(self, config: ConstantDivergenceConfig, seed: int) -> None:
        del seed
        self._config = config
        self._divergence = self._sum_g = 0.0
        self._last_ns = 0

    def control(self, batches: Sequence[Batch], now_ns: int) -> FloatArray:
        """Thrust over the weight less 1, shape (1,)."""
        config = self._config
        seen = {batch.stream: batch.values for batch in batches}
        passed_s, self._last_ns = (now_ns - self._last_ns) * 1e-9, now_ns
        if not seen["flow"][2]:
            self._divergence = self._sum_g = 0.0
            return np.zeros(1)
        found = seen["flow"][0] if config.source == "events" else seen["truth"][2]
        self._divergence += (1.0 - exp(-passed_s / config.tau_s)) * (found - self._divergence)
        error = self._divergence - config.wanted_per_s
        wanted_g = config.kp_g_s * error + self._sum_g
        if abs(wanted_g) < LIMIT_G:
            self._sum_g += config.ki_g * error * passed_s
        return np.array([min(max(wanted_g, -LIMIT_G), LIMIT_G)])
