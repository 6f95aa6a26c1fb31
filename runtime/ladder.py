"""The overload ladder: what is given up, in order, when ticks take too long."""

from __future__ import annotations

from enum import IntEnum

from pydantic import Field, model_validator

from reflexarc.runtime.config import Strict


class Step(IntEnum):
    """How much is given up; each step keeps what the ones before gave up."""

    NOTHING = 0
    LEARNING = 1
    SENSORS = 2  # the streams that are not essential
    SPIKES = 3  # those beyond `spikes_per_tick` of each port
    STOP = 4


class OverloadSpec(Strict):
    """When the loop sheds work.

    Load is the part of the period that a tick is busy; a tick that overran has load 1. One step up
    once it has been above `high` for `after_ms`; one step down once it has been below `low` for
    `recover_s`.
    """

    high: float = Field(default=0.9, gt=0, le=1)
    low: float = Field(default=0.6, gt=0, le=1)
    after_ms: float = Field(default=100.0, gt=0, le=60_000)
    recover_s: float = Field(default=2.0, gt=0, le=3600)
    spikes_per_tick: int = Field(default=1000, ge=0)

    @model_validator(mode="after")
    def _hysteresis(self) -> OverloadSpec:
        if self.low >= self.high:
            raise ValueError("low: must be below high")
        return self


class Ladder:
    """Where the loop stands on the ladder.

    Attributes:
        step: now.
        spent_ns: time spent on each step, in the order of `Step`.
        climbs: steps up so far.
    """

    def __init__(self, spec: OverloadSpec) -> None:
        self.step = Step.NOTHING
        self.spent_ns = [0] * len(Step)
        self.climbs = 0
        self._spec = spec
        self._now_ns: int | None = None
        self._hot_ns: int | None = None  # since when the load has been high
        self._cool_ns: int | None = None  # since when it has been low

    def update(self, load: float, now_ns: int) -> Step:
        """Take in the load of the tick that ended at `now_ns`; the step from now on."""
        if self._now_ns is not None:
            self.spent_ns[self.step] += now_ns - self._now_ns
        self._now_ns = now_ns
        self._hot_ns = _since(self._hot_ns, now_ns, load > self._spec.high)
        self._cool_ns = _since(self._cool_ns, now_ns, load < self._spec.low)
        if self._hot_ns is not None and now_ns - self._hot_ns >= self._spec.after_ms * 1e6:
            if self.step < Step.STOP:
                self.step, self.climbs = Step(self.step + 1), self.climbs + 1
            self._hot_ns = None
        elif self._cool_ns is not None and now_ns - self._cool_ns >= self._spec.recover_s * 1e9:
            self.step = Step(max(0, self.step - 1))
            self._cool_ns = None
        return self.step

    def reset(self) -> None:
        """Begin again at the foot, as after a stop; what was counted stays."""
        self.step = Step.NOTHING
        self._hot_ns = self._cool_ns = None


def _since(before_ns: int | None, now_ns: int, true: bool) -> int | None:
    """Since when something has been true without a break."""
    if not true:
        return None
    return now_ns if before_ns is None else before_ns
