"""The safety gate: the last thing between a wanted command and a motor.

Nothing non-finite, out of range or faster than the slew limit leaves it. What it cannot make safe
it turns into a stop: from then on only the safe command leaves, approached within the slew limit,
until the gate is made anew. The safe command is rest, or the measured pose where one is held.
Learning never changes a limit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.runtime.config import Strict

FloatArray = npt.NDArray[np.float64]


class GateSpec(Strict):
    """Limits of each command element, in the command's own unit.

    `rest` is the command that means stop (no torque, or the pose to hold); `slew_per_s` bounds
    how fast a command may change; `labels` names the elements with their units, for reports
    ("force, N").
    """

    low: list[float] = Field(min_length=1)
    high: list[float]
    rest: list[float]
    slew_per_s: list[float] | None = None
    labels: list[str] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> GateSpec:
        size = len(self.low)
        for name in ("high", "rest", "slew_per_s", "labels"):
            values = getattr(self, name)
            if values is not None and len(values) != size:
                raise ValueError(f"{name}: {len(values)} entries, but low has {size}")
        for n, (low, rest, high) in enumerate(zip(self.low, self.rest, self.high, strict=True)):
            if not low <= rest <= high:
                raise ValueError(f"element {n}: need low <= rest <= high")
        if self.slew_per_s is not None and min(self.slew_per_s) <= 0:
            raise ValueError("slew_per_s: must be above 0")
        return self


class Gate:
    """Makes every command safe; see the module.

    Attributes:
        stopped: why the gate stopped, or None while it has not.
        hold: the measured pose that a stop holds, shape (command_size,); None: it goes to rest.
        last: the last command that left, shape (command_size,).
        clipped: commands that a range limit changed.
        slewed: commands that the slew limit changed.
    """

    def __init__(self, spec: GateSpec, start: FloatArray | None = None) -> None:
        """`start` is where the robot stands, in the command's unit; without it, at rest."""
        self._low, self._high, self._rest = (
            np.array(values, dtype=np.float64) for values in (spec.low, spec.high, spec.rest)
        )
        self._slew_per_s = None if spec.slew_per_s is None else np.array(spec.slew_per_s)
        self.last = self._between(self._rest if start is None else start)
        self.hold: FloatArray | None = None
        self.stopped: str | None = None
        self.clipped = 0
        self.slewed = 0

    @property
    def rest(self) -> FloatArray:
        """The command that means stop, shape (command_size,)."""
        return self._rest.copy()

    @property
    def safe(self) -> FloatArray:
        """The command that a stop leads to: the held pose, within the range, or rest."""
        return self.rest if self.hold is None else self._between(self.hold)

    def guard(self, wanted: npt.NDArray[Any], duration_s: float) -> FloatArray:
        """The safe command nearest to `wanted` for the next `duration_s`; shape (command_size,)."""
        fault = self.stopped or self._fault(wanted)
        if fault:
            self.stopped = fault
            wanted = self.safe
        in_range = self._between(wanted)
        self.clipped += in_range.tolist() != wanted.tolist()
        safe = in_range
        if self._slew_per_s is not None:
            reach = self._slew_per_s * duration_s
            safe = _between(self.last - reach, in_range, self.last + reach)
            self.slewed += safe.tolist() != in_range.tolist()
        self.last = safe
        return safe

    def allows(
        self, command: npt.NDArray[Any], before: FloatArray | None = None, duration_s: float = 0.0
    ) -> bool:
        """Whether `command` may leave: of the right shape, finite, in range, and no further from
        `before`, that of the step before, than the slew limit lets it in `duration_s`.
        """
        if command.shape != self._rest.shape:
            return False
        low, high = self._low, self._high
        if before is not None and self._slew_per_s is not None:
            reach = self._slew_per_s * duration_s
            low, high = np.maximum(low, before - reach), np.minimum(high, before + reach)
        return bool((low <= command).all() and (command <= high).all())

    def stop(self, reason: str) -> None:
        """From now on let only the safe command out. The first reason is kept."""
        self.stopped = self.stopped or reason

    def _between(self, wanted: npt.NDArray[Any]) -> FloatArray:
        return _between(self._low, wanted, self._high)

    def _fault(self, wanted: npt.NDArray[Any]) -> str | None:
        if wanted.shape != self._rest.shape:
            return f"command has shape {wanted.shape}, expected {self._rest.shape}"
        if not all(map(math.isfinite, wanted.tolist())):
            return f"command element {int(np.argmin(np.isfinite(wanted)))} is not finite"
        return None


# Commands are short: lists compare in a tenth of the time that arrays take, and two calls of NumPy
# take half of what np.clip does.
def _between(low: FloatArray, values: npt.NDArray[Any], high: FloatArray) -> FloatArray:
    limited: FloatArray = np.minimum(np.maximum(values, low), high)
    return limited
