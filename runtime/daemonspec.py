"""What the section `daemon:` of a robot.yaml may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reflexarc.runtime.config import Strict
from reflexarc.runtime.ladder import OverloadSpec
from reflexarc.runtime.realtime import RtSpec

#: The least silence that counts as one, and the periods that it spans at least.
STALE_MS, STALE_PERIODS = 20.0, 3


class StreamSpec(Strict):
    """How one stream is watched.

    `stale_ms` (default: that of the daemon) is how long it may be silent; with `quiet` it may be
    for ever. Without an essential stream the robot stops; without another the loop is degraded.
    """

    essential: bool = True
    stale_ms: float | None = Field(default=None, gt=0, le=60_000)
    quiet: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> StreamSpec:
        if self.quiet and self.stale_ms is not None:
            raise ValueError("quiet: such a stream has no stale_ms; keep one of them")
        return self


class PoseSpec(Strict):
    """Where the measured pose stands, for robots that are commanded by pose.

    `readings` of `stream` (READINGS) are the elements of the pose, in the order and unit of the
    command. Robots that are commanded by force or speed have none: to them the rest command of the
    gate is the safe one.
    """

    stream: str
    readings: list[int] = Field(min_length=1)


class CheckpointSpec(Strict):
    """What was learnt is kept in `folder`, every `every_s` and at the end; the newest `keep`.

    Default: $STATE_DIRECTORY, or reflexarc/NAME in $XDG_STATE_HOME or ~/.local/state.
    """

    folder: str | None = None
    every_s: float = Field(default=60.0, ge=0.1, le=86_400)
    keep: int = Field(default=3, ge=1, le=1000)


class DaemonSpec(Strict):
    """How a daemon holds the loop.

    Attributes:
        deadman_ms: an actuator that hears nothing for so long goes to rest by itself.
        stale_ms: how long a stream may be silent (default: 3 periods, at least 20 ms).
        tick_limit_ms: a tick that takes longer hangs, and is broken off (default: as stale_ms).
        streams: those that are watched otherwise than by default.
        after_stop: whether a safety stop waits for `arm`, or ends the daemon with exit code 5.
    """

    deadman_ms: float = Field(default=100.0, ge=10, le=1000)
    stale_ms: float | None = Field(default=None, gt=0, le=60_000)
    tick_limit_ms: float | None = Field(default=None, gt=0, le=60_000)
    streams: dict[str, StreamSpec] = Field(default_factory=dict)
    pose: PoseSpec | None = None
    overload: OverloadSpec = OverloadSpec()
    checkpoints: CheckpointSpec = CheckpointSpec()
    rt: RtSpec = RtSpec()
    after_stop: Literal["wait", "exit"] = "wait"

    def stale_ns(self, period_ns: int) -> int:
        """How long a stream may be silent where nothing else is said."""
        if self.stale_ms is not None:
            return round(self.stale_ms * 1e6)
        return max(STALE_PERIODS * period_ns, round(STALE_MS * 1e6))

    def tick_limit_ns(self, period_ns: int) -> int:
        """How long a tick may take before it counts as hung."""
        if self.tick_limit_ms is not None:
            return round(self.tick_limit_ms * 1e6)
        return self.stale_ns(period_ns)
