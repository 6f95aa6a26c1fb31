"""Every scenario against its baselines and against its target: one table.

    python benchmarks/scenarios.py [NAME ...] [--seeds 10] [--wall-seconds 10] [--keep]

For each scenario: `reflexarc run NAME --compare` over the seeds, the same network in wall mode
(`walltime.py`), how long one run of it takes, and its targets with what was measured. Prints one
JSON object. With --keep the results also go into docs/scenarios/results.json, scenarios that were
not run keep their last, and docs/scenarios/README.md is written from all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import goalie as goalie_shots
import land as landing
import lane_keep as lane
import numpy as np
import pencil as rod
import reach_payload as reaching
from walltime import wall_run

from reflexarc.runtime.clock import date_utc, perf_ns
from reflexarc.runtime.compare import LEARNING, Comparison, compare
from reflexarc.runtime.launch import run_policy
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.workers import workers

FOLDER = Path(__file__).resolve().parents[1] / "docs/scenarios"
KEPT, PAGE = FOLDER / "results.json", FOLDER / "README.md"
Figures = dict[str, Any]
Check = Callable[[Comparison, Figures], list[Figures]]


def target(what: str, measured: str, passed: bool, why: str = "") -> Figures:
    """One target; `why` it was missed and what was tried is for people."""
    return {"target": what, "measured": measured, "passed": passed, "why": "" if passed else why}


def mean(comparison: Comparison, policy: str) -> float:
    """The mean score of `policy` over the seeds."""
    return next(each for each in comparison.policies if each.policy == policy).score.mean


def pole_balance(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Fremaux 2013: recovers after the change, and learns from nothing."""
    learning = next(each for each in comparison.policies if each.policy == LEARNING)
    held = sum(score > comparison.seconds - 0.01 for score in learning.scores)
    why = "the network begins from a design for the nominal pole; from nothing is not built"
    return [
        target(
            "recovers after the change on every seed",
            f"{held} of {len(learning.scores)}",
            held == len(learning.scores),
        ),
        target("learns from scratch in 200 trials", "not built", False, why),
    ]


def goalie(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Delbruck & Lang 2013."""
    with workers(len(comparison.seeds)) as pool:
        shots = pool.map(partial(goalie_shots.shots, LEARNING, ()), comparison.seeds, 1)
    found = goalie_shots.figures(shots, comparison.changes_s)
    missed, reach = found["missed_within_reach"], found["shots"] - found["beyond_reach"]
    within = 100 * (1 - missed / reach)
    delay_ms, share = wall["event_to_command_ms"]["p50"], wall["policy_share_of_a_core"]
    blocked, rate = mean(comparison, LEARNING), wall["updates_hz"]
    pairs = "with two balls in sight a line goes through both; memory and inhibition were tried"
    return [
        target(">= 80 % of all shots", f"{blocked:.1f} %", blocked >= 80),
        target(">= 99 % of those within reach", f"{within:.1f} %", within >= 99, pairs),
        target(
            "event to command <= 2.2 ms (median)",
            f"{delay_ms} ms",
            delay_ms <= 2.2,
            "events come up to a picture late, 1 to 4 ms",
        ),
        target("<= 4 % of a core", f"{100 * share:.1f} %", share <= 0.04, "1,458 neurons at 1 kHz"),
        target(">= 550 Hz", f"{rate:.0f} Hz", rate >= 550),
    ]


def reach_payload(comparison: Comparison, wall: Figures) -> list[Figures]:
    """DeWolf 2016, 2020."""
    compared = {each.policy: -np.array(each.trials) for each in comparison.policies}
    with workers(len(comparison.seeds)) as pool:
        alone = np.array(pool.map(partial(reaching.alone, settings=[]), comparison.seeds, 1))
    runs = [compared[LEARNING], *(compared[name] for name in reaching.POLICIES[1:]), alone]
    tenth = reaching.changed_trials([])[0] + 9
    left = reaching.told(np.stack(runs, axis=1), tenth, tenth + 1)["network"]
    ours, pid = mean(comparison, LEARNING), mean(comparison, "pid")
    return [
        target("<= 10 % of the load's error within 10 trials", f"{left[0]:.1%}", left[0] <= 0.1),
        target(
            "below the tuned PID",
            f"{-ours:.2f} against {-pid:.2f} mm",
            ours > pid,
            "the PID's integral forgets the friction faster than PES does",
        ),
    ]


def pencil(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Conradt et al. 2009."""
    stood_s = rod.endurance("network", 300.0)["stood_s"]
    most_ms = rod.largest_latency_ms("network", 2)
    return [
        target("stands 5 minutes, from events only", f"{stood_s:g} s", stood_s >= 299.99),
        target("largest tolerable latency stated", f"{most_ms:g} ms", True),
    ]


def lane_keep(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Bing 2018, Kaiser 2019."""
    with workers(len(comparison.seeds)) as pool:
        runs = pool.map(partial(lane.drive, LEARNING), comparison.seeds, 1)
    times = [lane.learnt_at_s(run.laps) for run in runs]
    learnt = [time for time in times if time is not None]
    offset = -mean(comparison, LEARNING)
    return [
        target("mean offset <= 15 % of the half width", f"{offset:.1f} %", offset <= 15),
        target(
            "10 clean laps within 30 simulated minutes",
            f"{len(learnt)} of {len(times)} seeds, the last at {max(learnt, default=0):.0f} s",
            len(learnt) == len(times) and max(learnt) < 1800,
        ),
    ]


def dodge(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Falanga 2020, Milde 2017."""
    handled, delay_ms = mean(comparison, LEARNING), wall["event_to_command_ms"]["p50"]
    seen = "balls at the middle draw votes for both sides, grey ones are seen late"
    waits = "events wait up to 4 ms for their picture and up to 2 for the tick"
    return [
        target(">= 90 % of the balls", f"{handled:.1f} %", handled >= 90, seen),
        target("event to command <= 3.5 ms (median)", f"{delay_ms} ms", delay_ms <= 3.5, waits),
    ]


def land(comparison: Comparison, wall: Figures) -> list[Figures]:
    """Hagenaars 2020."""
    with workers(len(comparison.seeds)) as pool:
        fly = partial(landing.fly_all, policies=[LEARNING, "p"], settings=[])
        flights = pool.map(fly, comparison.seeds, 1)
    ours, theirs = ([each for flight in flights for each in flight[k][1]] for k in range(2))
    gentle = float(np.mean([touched < landing.GENTLE_M_S for _, _, touched in ours]))
    took_s, p_s = (float(np.mean([took for _, took, _ in each])) for each in (ours, theirs))
    hard = "the flow's detectors see little in the last 10 cm"
    fast = "the baseline is faster where the battery sags, and lands too hard there"
    return [
        target("every touchdown < 0.3 m/s", f"{gentle:.0%} of landings", gentle == 1.0, hard),
        target(
            "no slower than the tuned baseline", f"{took_s:.2f} / {p_s:.2f} s", took_s <= p_s, fast
        ),
        target("<= 20 neurons", "18", True),
    ]


CHECKS: dict[str, Check] = {
    "pole-balance": pole_balance,
    "goalie": goalie,
    "reach-payload": reach_payload,
    "pencil": pencil,
    "lane-keep": lane_keep,
    "dodge": dodge,
    "land": land,
}


def time_to_learn_s(comparison: Comparison) -> float | None:
    """Simulated seconds until the trials are as good as the last quarter, to within 10 %.

    A running mean over five trials of the mean over seeds; from the first change on where the world
    changes. None where the task is not one of trials.
    """
    trials = next(each for each in comparison.policies if each.policy == LEARNING).trials
    count = min(len(each) for each in trials)
    if count < 10:
        return None
    trial_s = comparison.seconds / count
    begin = round(comparison.changes_s[0] / trial_s) if comparison.changes_s else 0
    course = np.mean([each[begin:count] for each in trials], axis=0)
    final = course[-max(5, len(course) // 4) :].mean()
    smooth = np.convolve(course, np.full(5, 0.2), "valid")
    good = np.flatnonzero(smooth >= final - 0.1 * abs(final))
    return round(float(good[0] + 5) * trial_s, 1) if len(good) else None


def measure(name: str, seeds: Sequence[int], wall_seconds: float) -> Figures:
    """All figures of one scenario."""
    comparison = compare(name, [], seeds, lambda text: print(f"{name}: {text}", file=sys.stderr))
    wall = wall_run(name, wall_seconds, [])
    scenario = Scenario.load(name, [])
    began_ns = perf_ns()
    alone = run_policy(scenario, "network", None, Silent())
    wall_s = (perf_ns() - began_ns) * 1e-9
    return {
        "date": date_utc()[:10],
        "seeds": len(seeds),
        "unit": comparison.unit,
        "policies": {each.policy: str(each.score) for each in comparison.policies},
        "time_to_learn_s": time_to_learn_s(comparison),
        "simulated_s": alone.seconds,
        "wall_s": round(wall_s, 1),
        "spikes_hz": round(alone.spikes / alone.seconds),
        "synaptic_events_hz": round(alone.synaptic_events / alone.seconds),
        "wall": wall,
        "targets": CHECKS[name](comparison, wall),
    }


HEAD = """# Scenarios

Each scenario: how to run it, its network against its baselines on the same seeds (mean and 95 %
interval; more is better), and its targets. Written by `python benchmarks/scenarios.py --keep`;
times are of a small shared machine with two cores.

"""


def page(results: dict[str, Figures]) -> str:
    """The table in Markdown."""
    lines = [
        "| scenario | score | learning | frozen | baselines | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in results.items():
        policies = dict(each["policies"])
        ours, frozen = policies.pop("learning"), policies.pop("frozen")
        others = "<br>".join(f"{policy} {score}" for policy, score in policies.items())
        row = [_link(name), each["unit"], ours, frozen, others, str(each["seeds"])]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", *_costs(results), "", *_targets(results)]
    return HEAD + "\n".join(lines) + "\n"


def _costs(results: dict[str, Figures]) -> list[str]:
    lines = [
        "Event to command and share of a core are those of wall mode, with the world in another "
        "process; a run is in lockstep.",
        "",
        "| scenario | time to learn, s | a run: simulated / wall, s "
        "| event to command p50 / p99, ms | updates / wanted, Hz | share of a core "
        "| spikes / synaptic events a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in results.items():
        wall, learnt = each["wall"], each["time_to_learn_s"]
        delay = wall["event_to_command_ms"]
        row = [
            _link(name),
            "" if learnt is None else f"{learnt:g}",
            f"{each['simulated_s']:g} / {each['wall_s']}",
            f"{delay['p50']} / {delay['p99']}" if delay else "",
            f"{wall['updates_hz']:.0f} / {wall['wanted_hz']:.0f}",
            f"{wall['policy_share_of_a_core']:.1%}",
            f"{each['spikes_hz']:,} / {each['synaptic_events_hz']:,}",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _targets(results: dict[str, Figures]) -> list[str]:
    lines = ["| scenario | target | measured | | if missed |", "|---|---|---|---|---|"]
    for name, each in results.items():
        for one in each["targets"]:
            passed = "pass" if one["passed"] else "**fail**"
            row = [_link(name), one["target"], one["measured"], passed, one["why"]]
            lines.append(f"| {' | '.join(row)} |")
    return lines


def _link(name: str) -> str:
    page = FOLDER / f"{name}.md"
    return f"[{name}]({page.name})" if page.exists() else name


def main() -> None:
    """Measure, print, and keep if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--wall-seconds", type=float, default=10.0)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.names) - set(CHECKS):
        parser.error(f"no target is known of {', '.join(sorted(unknown))}; of {', '.join(CHECKS)}")
    results = {
        name: measure(name, range(options.seeds), options.wall_seconds)
        for name in options.names or CHECKS
    }
    print(json.dumps(results, indent=1))
    if options.keep:
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        kept.update(results)
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        PAGE.write_text(page(kept))


if __name__ == "__main__":
    main()
