"""A small scenario of its own, made of real parts: a sliding mass seen by readings and events."""

from types import SimpleNamespace

import pytest

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant


@pytest.fixture
def record_slide(slide_folder):
    """A function that runs the scenario in lockstep and records it.

    It returns the scenario, the loop, the ticks as the loop's listeners saw them, the path and
    the recorder's summary.
    """

    def record(path, policy_name="network", *, settings=(), ticks=None, **options):
        scenario = Scenario.load(str(slide_folder), settings)
        gate, score, seen = scenario.make_gate(), scenario.make_score(0), []
        if policy_name == "network":
            policy = scenario.make_policy()
        else:
            policy = scenario.make_baseline(policy_name, 0)
        plant = LocalPlant(scenario.make_world(scenario.spec.seed), gate.rest)

        def keep_score(tick):
            score.update(tick.batches[-1].values, tick.now_ns)
            seen.append(tick)

        with Recorder(path, scenario, policy_name, score=score, **options) as recorder:
            clock = LockstepClock(scenario.spec.period_ns)
            loop = Loop(clock, plant, policy, gate, listeners=[keep_score, recorder])
            loop.run(ticks or scenario.ticks)
            summary = recorder.close(policy)
        return SimpleNamespace(
            scenario=scenario, policy=policy, loop=loop, ticks=seen, path=path, summary=summary
        )

    return record
