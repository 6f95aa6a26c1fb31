"""What rules that are defined by clock steps have in common."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import ClassVar

from pydantic import Field

from reflexarc.runtime.plasticity.rule import KernelRule


class SteppedRule(KernelRule):
    """A rule that acts once a clock step, after the step's spikes, as in Nengo.

    The weights of a step carry its spikes; then the activities take them up, and the change that
    they make is in force from the next step on. What arrives from one source at one step counts as
    one spike, whatever its value; an activity below 1e-9 spikes per second counts as silence. There
    are no dendritic delays and no exact mode. Weights may have either sign unless `sign` or the
    bounds say otherwise.
    """

    clocked_only: ClassVar[str] = "is defined by clock steps"

    w_min: float = -1e30
    dendritic_delay_s: float = Field(default=0.0, ge=0, le=0)

    @property
    def decays_s(self) -> Sequence[float]:
        """None: nothing is looked up between steps."""
        return ()

    @property
    def window_s(self) -> float:
        """No spike is looked back at."""
        return 0.0


def low_pass(tau_s: float, dt_s: float) -> tuple[float, float]:
    """Factor of a step and what a spike adds: exact for spikes of area 1 spread over the step."""
    keep = exp(-dt_s / tau_s)
    return keep, (1.0 - keep) / dt_s
