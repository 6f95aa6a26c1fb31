"""A scenario's policies side by side: the network learning, the same frozen, and the baselines.

comparison = compare("pole-balance", settings=[], seeds=range(10), tell=print)

Every policy meets the same worlds: one for each seed. In lockstep the seeds are run by as many
processes as there are cores, and the figures do not depend on how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from reflexarc.runtime import plots
from reflexarc.runtime.clock import date_utc
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.interval import Interval, interval
from reflexarc.runtime.launch import RunResult, run_policy
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.record import NETWORK
from reflexarc.runtime.report import write_result
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers

LEARNING, FROZEN = "learning", "frozen"


class PolicyScores(Strict):
    """What one policy scored.

    Attributes:
        policy: "learning" or "frozen" (the network), or the name of a baseline.
        scores: by seed.
        score: their mean and its 95 % interval.
        lead: by how much the learning network scored more on the same seed; None for itself.
        trials: by seed, the score of each trial where the task is one of several.
        stopped: runs that the safety gate ended.
        spikes_hz, synaptic_events_hz: of the network, a simulated second.
    """

    policy: str
    scores: list[float]
    score: Interval
    lead: Interval | None
    trials: list[list[float]]
    stopped: int
    spikes_hz: float
    synaptic_events_hz: float


class Comparison(Strict):
    """What `reflexarc run NAME --compare` leaves as compare.json.

    Attributes:
        changes_s: when the world is changed while it runs.
    """

    scenario: str
    date: str
    seconds: float
    unit: str
    seeds: list[int]
    changes_s: list[float]
    policies: list[PolicyScores]

    def lines(self) -> list[str]:
        """For people: a table."""
        head = f"{self.scenario}, {len(self.seeds)} seeds, {self.seconds:g} s: {self.unit}"
        width = max(len(each.policy) for each in self.policies)
        rows = [
            f"  {each.policy:<{width}}  {each.score}"
            + (f"  learning leads by {each.lead}" if each.lead else "")
            + (f"  ({each.stopped} safety stops)" if each.stopped else "")
            for each in self.policies
        ]
        return [f"{head}, mean [95 % interval]", *rows]


def compare(
    name: str, settings: Sequence[str], seeds: Sequence[int], tell: Callable[[str], None]
) -> Comparison:
    """Run every policy of the scenario `name` on every one of `seeds`; `tell` hears of each seed.

    Raises:
        ConfigError: the scenario is wrong, keeps no score or is fed by other processes.
    """
    scenario = Scenario.load(name, settings)
    if scenario.spec.score is None:
        raise ConfigError(f"{scenario.spec.name}: compare needs a score; the scenario keeps none")
    if scenario.spec.attach:
        raise ConfigError(f"{scenario.spec.name}: what is attached cannot be had twice to compare")
    found: dict[int, list[RunResult]] = {}
    for seed, results in _on_all(name, settings, seeds, wall=scenario.spec.mode == "wall"):
        found[seed] = results
        scores = ", ".join(f"{result.policy} {result.score:.2f}" for result in results)
        tell(f"seed {seed}: {scores}")
    return _comparison(scenario, [found[seed] for seed in seeds], seeds)


def write_comparison(comparison: Comparison, out: Path) -> dict[str, Path]:
    """Leave compare.json and compare.png in `out`; as `write_result`."""
    return write_result(comparison, plots.comparison(comparison), out, "comparison", "compare")


def _on_all(
    name: str, settings: Sequence[str], seeds: Sequence[int], *, wall: bool
) -> Iterator[tuple[int, list[RunResult]]]:
    """The results of each seed as they come; in wall time one after the other."""
    run = partial(run_seed, name, tuple(settings))
    if wall:
        yield from map(run, seeds)
        return
    with workers(len(seeds)) as pool:
        yield from pool.imap_unordered(run, seeds)


def run_seed(name: str, settings: Sequence[str], seed: int) -> tuple[int, list[RunResult]]:
    """Every policy of the scenario `name` on one seed.

    Raises:
        KeyboardInterrupt: interrupted.
    """
    results = []
    for label, learning in ((LEARNING, "true"), (FROZEN, "false")):
        scenario = Scenario.load(name, [*settings, f"seed={seed}", f"learning={learning}"])
        results.append(_run(scenario, NETWORK).model_copy(update={"policy": label}))
    results += [_run(scenario, baseline) for baseline in scenario.spec.baselines]
    return seed, results


def _run(scenario: Scenario, policy: str) -> RunResult:
    result = run_policy(scenario, policy, None, Silent())
    if result.ended == "interrupted":
        raise KeyboardInterrupt
    return result


def _comparison(
    scenario: Scenario, found: Sequence[Sequence[RunResult]], seeds: Sequence[int]
) -> Comparison:
    by_policy = [list(results) for results in zip(*found, strict=True)]
    learning = by_policy[0]
    return Comparison(
        scenario=scenario.spec.name,
        date=date_utc(),
        seconds=scenario.spec.seconds,
        unit=learning[0].unit,
        seeds=list(seeds),
        changes_s=scenario.changes_s,
        policies=[_policy_scores(results, learning) for results in by_policy],
    )


def _policy_scores(results: Sequence[RunResult], learning: Sequence[RunResult]) -> PolicyScores:
    scores = _scores(results)
    itself = results[0].policy == LEARNING
    ahead = [one - other for one, other in zip(_scores(learning), scores, strict=True)]
    seconds = sum(result.seconds for result in results)
    return PolicyScores(
        policy=results[0].policy,
        scores=scores,
        score=interval(scores),
        lead=None if itself else interval(ahead),
        trials=[result.trials for result in results],
        stopped=sum(result.ended == "gate" for result in results),
        spikes_hz=sum(result.spikes for result in results) / seconds,
        synaptic_events_hz=sum(result.synaptic_events for result in results) / seconds,
    )


def _scores(results: Iterable[RunResult]) -> list[float]:
    return [result.score for result in results if result.score is not None]
