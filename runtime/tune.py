"""Tuning a baseline: a search over the keys that its scenario declares.

    tuning = tune("pole-balance", "pd-events", settings=[], tries=200, seeds=4, tell=print)

The search is CMA-ES (Hansen 2016, arXiv:1604.00772, as in the package `cmaes`) in the box that the
scenario gives, from what it ships, on worlds of their own; what was found is then judged on others,
those that `reflexarc run --compare` uses first. It is the same at every call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reflexarc.runtime import plots
from reflexarc.runtime.clock import date_utc
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError, MissingPartError
from reflexarc.runtime.interval import Interval, interval
from reflexarc.runtime.launch import run_policy
from reflexarc.runtime.network import FloatArray
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.report import write_result
from reflexarc.runtime.scenario import RangeSpec, Scenario, value_at, with_value
from reflexarc.runtime.workers import workers

#: The first seed of the worlds that are tuned on; those of a comparison lie far below.
FIRST_SEED = 1_000_000
JUDGED_ON = 10
#: A third of the box: the search sees all of it at first.
STEP = 0.3


class Tried(Strict):
    """Numbers by key, and their mean score over the worlds."""

    values: dict[str, float]
    score: float


class Tuning(Strict):
    """What `reflexarc tune` leaves as tuning.json.

    Attributes:
        tried: every setting in order; the first is what is shipped.
        shipped, tuned: scores of the first and of the best on worlds that were not tuned on.
        config: the baseline's configuration with the best.
    """

    scenario: str
    baseline: str
    date: str
    unit: str
    ranges: dict[str, RangeSpec]
    tried: list[Tried]
    shipped: Interval
    tuned: Interval
    config: dict[str, Any]

    @property
    def best(self) -> Tried:
        """The best on the worlds that were tuned on; of equals the first."""
        return _best(self.tried)

    def lines(self) -> list[str]:
        """For people: what was gained, and what to write into the scenario."""
        said = yaml.safe_dump({"config": self.config}, default_flow_style=None, sort_keys=False)
        return [
            f"{self.scenario}, {self.baseline}: {len(self.tried)} settings tried",
            f"  {self.unit}, {JUDGED_ON} other worlds: shipped {self.shipped}, tuned {self.tuned}",
            *(f"  {line}" for line in said.rstrip().splitlines()),
        ]


def tune(
    name: str,
    baseline: str,
    settings: Sequence[str],
    tries: int,
    seeds: int,
    tell: Callable[[str], None],
) -> Tuning:
    """Search for the best numbers of `baseline`, trying `tries` settings on `seeds` worlds each.

    `tell` hears of each generation.

    Raises:
        ConfigError: the scenario is wrong, has no such baseline or no score, or declares nothing
            to tune.
        MissingPartError: the package `cmaes` is not installed.
    """
    scenario = _tunable(name, baseline, settings)
    box = _Box(scenario.spec.baselines[baseline].tune)
    shipped = scenario.resolved()["baselines"][baseline]["config"]
    with workers(tries * seeds) as pool:
        judge = _Judge(pool, name, settings, baseline, shipped)
        tried = _search(judge, box, box.values_of(shipped), tries, seeds, tell)
        best, first = _best(tried), scenario.spec.seed
        others = range(first, first + JUDGED_ON)
        before, after = judge.scores([tried[0].values, best.values], others)
    score = scenario.make_score(0)
    return Tuning(
        scenario=scenario.spec.name,
        baseline=baseline,
        date=date_utc(),
        unit=score.unit if score else "",
        ranges=box.ranges,
        tried=tried,
        shipped=interval(before),
        tuned=interval(after),
        config=_changed(shipped, best.values),
    )


def write_tuning(tuning: Tuning, out: Path) -> dict[str, Path]:
    """Leave tuning.json and tuning.png in `out`; as `write_result`."""
    return write_result(tuning, plots.tuning(tuning), out, "tuning", "tuning")


def run_settings(name: str, settings: Sequence[str], baseline: str, seed: int) -> float:
    """The score of a baseline in one world."""
    scenario = Scenario.load(name, [*settings, f"seed={seed}", "mode=lockstep"])
    score = run_policy(scenario, baseline, None, Silent()).score
    assert score is not None
    return score


def _tunable(name: str, baseline: str, settings: Sequence[str]) -> Scenario:
    scenario = Scenario.load(name, settings)
    known = scenario.spec.baselines
    where = scenario.spec.name
    if baseline not in known:
        raise ConfigError(f"{where}: no baseline '{baseline}'; there are: {', '.join(known)}")
    if not known[baseline].tune:
        raise ConfigError(
            f"{where}: baselines.{baseline} declares nothing to tune; say what under 'tune'"
        )
    if scenario.spec.score is None or scenario.spec.attach:
        raise ConfigError(f"{where}: tuning needs a score, and no attached stream")
    return scenario


def _search(
    judge: _Judge,
    box: _Box,
    shipped: Mapping[str, float],
    tries: int,
    seeds: int,
    tell: Callable[[str], None],
) -> list[Tried]:
    """Every setting tried, in order."""
    worlds = range(FIRST_SEED, FIRST_SEED + seeds)
    tried = judge.judged([dict(shipped)], worlds)
    tell(f"as shipped: {tried[0].score:.2f}")
    search = _cma(box.place_of(shipped))
    while len(tried) < tries and not search.should_stop():
        places = [search.ask() for _ in range(search.population_size)]
        found = judge.judged([box.values_at(place) for place in places], worlds)
        search.tell([(place, -each.score) for place, each in zip(places, found, strict=True)])
        tried += found[: tries - len(tried)]
        tell(f"{len(tried)} of {tries} tried: best {_best(tried).score:.2f}")
    return tried


def _best(tried: Sequence[Tried]) -> Tried:
    """Of equals the first."""
    return max(tried, key=lambda each: each.score)


def _cma(place: FloatArray) -> Any:
    """The search from a place in the unit cube."""
    try:
        from cmaes import CMA
    except ImportError:
        raise MissingPartError(
            "tuning needs cmaes, which is not installed: pip install 'reflexarc[tune]'"
        ) from None
    bounds = np.tile([0.0, 1.0], (len(place), 1))
    return CMA(mean=np.clip(place, 0.05, 0.95), sigma=STEP, bounds=bounds, seed=1)


class _Box:
    """Numbers by key, seen as places in the unit cube."""

    def __init__(self, ranges: Mapping[str, RangeSpec]) -> None:
        self.ranges = dict(ranges)

    def values_of(self, config: Mapping[str, Any]) -> dict[str, float]:
        """The numbers as a configuration has them."""
        return {key: float(value_at(config, key)) for key in self.ranges}

    def place_of(self, values: Mapping[str, float]) -> FloatArray:
        """Shape (keys,)."""
        return np.array([_place(span, values[key]) for key, span in self.ranges.items()])

    def values_at(self, place: FloatArray) -> dict[str, float]:
        """Rounded to what a person would write: 4 digits."""
        spans = zip(self.ranges.items(), place, strict=True)
        return {key: float(f"{_value(span, float(at)):.4g}") for (key, span), at in spans}


def _place(span: RangeSpec, value: float) -> float:
    low, high = span.low, span.high
    if span.log:
        low, high, value = log(low), log(high), log(max(value, low))
    return (value - low) / (high - low)


def _value(span: RangeSpec, place: float) -> float:
    if span.log:
        return exp(log(span.low) + place * (log(span.high) - log(span.low)))
    return span.low + place * (span.high - span.low)


class _Judge:
    """Runs settings of a baseline in worlds, as many at a time as there are cores."""

    def __init__(
        self, pool: Pool, name: str, settings: Sequence[str], baseline: str, config: Any
    ) -> None:
        self._pool, self._name, self._settings = pool, name, tuple(settings)
        self._baseline, self._config = baseline, config

    def judged(self, many: Sequence[Mapping[str, float]], seeds: Sequence[int]) -> list[Tried]:
        """Each of `many` settings with its mean score."""
        scores = self.scores(many, seeds)
        return [
            Tried(values=dict(values), score=float(np.mean(each)))
            for values, each in zip(many, scores, strict=True)
        ]

    def scores(
        self, many: Sequence[Mapping[str, float]], seeds: Sequence[int]
    ) -> list[list[float]]:
        """The score of each of `many` settings in each world."""
        jobs = [
            (self._name, (*self._settings, self._setting(values)), self._baseline, seed)
            for values in many
            for seed in seeds
        ]
        flat = self._pool.starmap(run_settings, jobs, chunksize=1)
        return [flat[k : k + len(seeds)] for k in range(0, len(flat), len(seeds))]

    def _setting(self, values: Mapping[str, float]) -> str:
        config = json.dumps(_changed(self._config, values))
        return f"baselines.{self._baseline}.config={config}"


def _changed(config: Any, values: Mapping[str, float]) -> Any:
    for key, value in values.items():
        config = with_value(config, key, value)
    return config
