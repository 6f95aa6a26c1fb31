"""One run of a scenario whose score is to be asked for more than its value.

score = played(scenario, policy, seed)
"""

from __future__ import annotations

from collections.abc import Sequence

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Listener, Loop, Tick
from reflexarc.runtime.policy import Policy
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant, Score

#: The network's two policies, and the setting of each.
NETWORK = {"learning": "learning=true", "frozen": "learning=false"}


def made(name: str, scenario: str, settings: Sequence[str], seed: int) -> tuple[Scenario, Policy]:
    """The scenario for the policy `name`: the network learning or frozen, or a baseline."""
    loaded = Scenario.load(scenario, [*settings, NETWORK.get(name, "learning=false")])
    policy = loaded.make_policy() if name in NETWORK else loaded.make_baseline(name, seed)
    return loaded, policy


def played(
    scenario: Scenario, policy: Policy, seed: int, listeners: Sequence[Listener] = ()
) -> tuple[Score, Loop]:
    """Run `policy` in lockstep until the score says that the task is over, or the time is."""
    score, gate = scenario.make_score(seed), scenario.make_gate()
    assert score is not None
    plant = LocalPlant(scenario.make_world(seed), gate.rest)

    def go_on(tick: Tick) -> bool:
        truth = next(batch for batch in tick.batches if batch.stream == "truth")
        return score.update(truth.values, tick.now_ns)

    clock = LockstepClock(scenario.spec.period_ns)
    loop = Loop(clock, plant, policy, gate, listeners=listeners)
    try:
        loop.run(scenario.ticks, go_on)
    finally:
        plant.close()
    return score, loop
