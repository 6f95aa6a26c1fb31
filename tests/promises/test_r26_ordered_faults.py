"""R26: faults can be ordered, and a checker finds what they break."""

import dataclasses
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import yaml

from reflexarc.runtime.clock import LockstepClock, WallClock
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.faultcheck import check, check_run, log_path, read_log
from reflexarc.runtime.faults import FaultsSpec, FaultyPlant
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant

TICKS = 150
STREAMS = ("camera", "state")


def random_schedule(random):
    """Up to six faults of every kind."""
    schedule = []
    for _ in range(random.integers(1, 7)):
        stream, at_s = str(random.choice(STREAMS)), round(random.uniform(0, 0.14), 4)
        window = {"from_s": at_s, "until_s": at_s + 0.05}
        chance = {"stream": stream, "probability": float(random.choice([0.05, 0.3, 1.0]))}
        schedule.append(
            random.choice(
                [
                    {"kind": "drop", **chance, **window},
                    {"kind": "duplicate", **chance, **window},
                    {"kind": "corrupt", **chance, **window},
                    {"kind": "reorder", **chance, **window},
                    {"kind": "delay", **chance, **window, "ticks": int(random.integers(1, 30))},
                    {"kind": "clock_step", "stream": stream, "at_s": at_s, "step_s": 0.5},
                    {"kind": "clock_step", "stream": stream, "at_s": at_s, "step_s": -0.5},
                    {"kind": "kill", "at_s": at_s},
                ]
            )
        )
    return {"seed": int(random.integers(1000)), "schedule": schedule}


def run_with(folder, faults, ticks=TICKS, clock=LockstepClock):
    """The ticks of the small scenario under `faults`, its plant and its scenario."""
    scenario = Scenario.load(str(folder))
    gate, seen = scenario.make_gate(), []
    spec, period_ns = FaultsSpec.model_validate(faults), scenario.spec.period_ns
    world = LocalPlant(scenario.make_world(scenario.spec.seed), gate.rest)
    plant = FaultyPlant(world, spec, period_ns, None)
    loop = Loop(clock(period_ns), plant, scenario.make_policy(), gate, listeners=[seen.append])
    try:
        loop.run(ticks)
    except LinkError:
        assert gate.stopped
        assert world._command.tolist() == gate.rest.tolist()
    return seen, plant, scenario


def violations(seen, plant, scenario):
    log = [*plant.log, *plant.totals()]
    return check(seen, log, scenario.spec.gate, scenario.spec.period_ns)


def test_no_schedule_breaks_what_is_promised(slide_folder, count, measured):
    random, schedules, struck, broken = np.random.default_rng(26), count(40, 500), Counter(), 0
    for _ in range(schedules):
        seen, plant, scenario = run_with(slide_folder, random_schedule(random))
        found = violations(seen, plant, scenario)
        assert found == []
        broken += len(found)
        struck += plant.counts()
        killed = plant.counts()["kill"]
        assert killed or len(seen) == TICKS
    assert set(struck) == {"drop", "duplicate", "corrupt", "reorder", "delay", "kill"}
    measured(
        f"{schedules} random schedules, {sum(struck.values())} faults "
        f"({', '.join(f'{n} {kind}' for kind, n in sorted(struck.items()))}, clocks stepped): "
        f"{broken} violations"
    )


def test_the_same_schedule_is_the_same_fault(slide_folder):
    faults = random_schedule(np.random.default_rng(1))
    faults["schedule"] = [{"kind": "corrupt", "stream": "camera", "probability": 0.2}]
    first, one, _ = run_with(slide_folder, faults)
    second, other, _ = run_with(slide_folder, faults)
    assert one.log == other.log
    assert [t.command.tobytes() for t in first] == [t.command.tobytes() for t in second]
    _, third, _ = run_with(slide_folder, {**faults, "seed": 999})
    assert third.log != one.log


def test_stalls_are_missed_ticks(slide_folder, measured):
    stall = [{"kind": "stall", "at_s": 0.01 * n, "for_s": 0.0105} for n in (1, 4, 7)]
    seen, plant, scenario = run_with(slide_folder, {"schedule": stall}, ticks=100, clock=WallClock)
    assert violations(seen, plant, scenario) == []
    gaps = np.diff([tick.now_ns for tick in seen]) // scenario.spec.period_ns - 1
    assert sum(gaps >= 10) >= 3
    measured(f"3 stalls of 10.5 T in real time: {gaps.sum()} ticks reported as missed")


SABOTAGE = {
    "a frame vanished": lambda t: dataclasses.replace(t, batches=t.batches[1:]),
    "a frame came twice": lambda t: dataclasses.replace(t, batches=[*t.batches, t.batches[0]]),
    "NaN": lambda t: dataclasses.replace(t, command=np.array([np.nan])),
    "out of range": lambda t: dataclasses.replace(t, command=np.array([3.5])),
    "too fast": lambda t: dataclasses.replace(t, command=t.command + 0.5),
    "a cause to come": lambda t: dataclasses.replace(t, cause_ns=t.until_ns),
    "off the grid": lambda t: dataclasses.replace(t, now_ns=t.now_ns + 1),
}


@pytest.mark.parametrize("how", SABOTAGE)
def test_the_checker_is_not_blind(slide_folder, how):
    faults = {"schedule": [{"kind": "drop", "stream": "state", "probability": 0.1}]}
    seen, plant, scenario = run_with(slide_folder, faults)
    assert violations(seen, plant, scenario) == []
    at = next(n for n, tick in enumerate(seen) if n > 50 and len(tick.batches) == 3)
    seen[at] = SABOTAGE[how](seen[at])
    assert violations(seen, plant, scenario)


def test_the_checker_sees_a_tick_after_a_kill(slide_folder):
    seen, plant, scenario = run_with(slide_folder, {"schedule": [{"kind": "kill", "at_s": 0.05}]})
    assert len(seen) == 50
    plant.log[-1]["t_ns"] -= scenario.spec.period_ns
    assert "a tick followed" in violations(seen, plant, scenario)[0]


def reflexarc(*arguments, cwd):
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(cwd)}
    command = [sys.executable, "-m", "reflexarc", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_scenario_orders_faults_and_the_command_checks_them(slide_folder, tmp_path, measured):
    """From the YAML to the verdict, with a world in a process of its own that is killed."""
    tmp_path.chmod(0o700)
    file = slide_folder / "scenario.yaml"
    said = yaml.safe_load(file.read_text())
    del said["baselines"]
    schedule = [{"kind": "corrupt", "stream": "camera", "probability": 0.2}]
    file.write_text(yaml.safe_dump({**said, "faults": {"schedule": schedule}}))
    done = reflexarc("run", slide_folder, "--headless", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recording = tmp_path / "out/network.mcap"
    log = read_log(log_path(recording))
    assert sum(entry["kind"] == "corrupt" for entry in log) > 10
    assert check_run(recording) == []
    verdict = reflexarc("faults", recording, cwd=tmp_path)
    assert verdict.returncode == 0, verdict.stdout
    replayed = reflexarc("replay", recording, cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stdout

    said["world"]["process"] = "own"
    faults = {"schedule": [*schedule, {"kind": "kill", "at_s": 0.1}]}
    file.write_text(yaml.safe_dump({**said, "faults": faults}))
    killed = reflexarc("run", slide_folder, "--headless", "--out", "killed", cwd=tmp_path)
    assert killed.returncode == 1
    assert len(killed.stderr.splitlines()) == 1
    assert check_run(tmp_path / "killed/network.mcap") == []

    total = [line for line in log_path(recording).read_text().splitlines() if "total" in line]
    log_path(recording).write_text("\n".join(total))  # the losses stay, their causes are gone
    verdict = reflexarc("faults", recording, cwd=tmp_path)
    assert verdict.returncode == 1
    assert "missing without a fault" in verdict.stdout
    measured(
        "ordered in YAML, a world's process killed in its run: recorded, checked, 0 violations"
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "drop", "stream": "truth", "probability": 1.0}, "not a sensor of the world"),
        ({"kind": "drop", "stream": "state"}, "faults.schedule.0.*probability: required key"),
        ({"kind": "drop", "stream": "state", "probability": 2.0}, "less than or equal to 1"),
        ({"kind": "stall", "at_s": 0.1, "for_s": 0.1}, "a stall needs mode: wall"),
        ({"kind": "explode"}, "'explode' is not known"),
    ],
)
def test_what_cannot_be_ordered_is_refused(slide_folder, fault, reason):
    file = slide_folder / "scenario.yaml"
    said = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**said, "faults": {"schedule": [fault]}}))
    with pytest.raises(ConfigError, match=rf"scenario.yaml:\d+: .*{reason}"):
        Scenario.load(str(slide_folder))
