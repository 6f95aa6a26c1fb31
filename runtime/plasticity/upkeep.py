"""Rules that keep the synapses of an edge in order, beside a rule of its weights or alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reflexarc.ext.rules import KERNELS
from reflexarc.runtime.plasticity.rule import KernelRule, Rule

#: What is the edge's and not the rule's.
_OF_EDGE = ("w_min", "w_max", "sign", "frozen", "precision")


class Upkeep(Rule):
    """Base of rules that go round the sources of an edge and look after the synapses of each.

    Every source is visited once each `period_s` (to the nearest clock step, at least one), as many
    in one step as in another, whether it spikes or not. A visit first has done to the weights what
    the edge's rule of the weights owes them, but for what time alone does since the latest spike.

    Bounds, sign, frozen and precision are the edge's: where another rule of the edge changes its
    weights they are that rule's, and this one need not repeat them.
    """

    period_s: float = Field(gt=0)
    precision: Literal["double", "single"] = "double"

    def period_steps(self, dt_s: float) -> int:
        """The period in clock steps."""
        return max(1, round(self.period_s / dt_s))


class Held(KernelRule):
    """No rule of the weights: they are delivered as they are, and an `Upkeep` may change them."""

    @property
    def kernel(self) -> object:
        """The capsule of its kernel."""
        return KERNELS["held"]

    @property
    def decays_s(self) -> Sequence[float]:
        """None."""
        return ()

    @property
    def window_s(self) -> float:
        """It has no past."""
        return 0.0

    def parameters(self, dt_s: float) -> Sequence[float]:
        """None."""
        return ()


def holding(rule: Upkeep) -> Held:
    """What delivers the weights of an edge that only `rule` and others of its kind look after."""
    return Held(rule="none", **{key: getattr(rule, key) for key in _OF_EDGE})


def agreed(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules of an edge, with what is the edge's the same in all that change its weights."""
    leader = _leader(rules)
    shared = {key: getattr(leader, key) for key in _OF_EDGE if hasattr(leader, key)}
    return tuple(
        rule.model_copy(update=shared) if isinstance(rule, Upkeep) else rule for rule in rules
    )


def contradiction(rules: Sequence[Rule], k: int) -> tuple[str, str] | None:
    """What rule `k` of an edge says otherwise than the edge has it, as (key, problem)."""
    leader, rule = _leader(rules), rules[k]
    if leader is None or not isinstance(rule, Upkeep):
        return None
    for key in sorted(rule.model_fields_set.intersection(_OF_EDGE)):
        value = getattr(leader, key, None)
        if value is not None and getattr(rule, key) != value:
            return key, f"{leader.rule} of the same edge has {value}; leave it out here"
    return None


def _leader(rules: Sequence[Rule]) -> Rule | None:
    """The rule whose bounds are the edge's: that of its weights, or the first that keeps it."""
    weights = [rule for rule in rules if rule.role == "weights"]
    kept = [rule for rule in rules if isinstance(rule, Upkeep)]
    return next(iter([*weights, *kept]), None)
