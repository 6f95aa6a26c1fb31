"""R16: reload is all or nothing."""

import random
import time

import numpy as np
import pytest

from reflexarc.runtime import ask


@pytest.fixture
def running(hold, heard, slide_folder):
    """A daemon that runs, and the file that it reads."""
    # A machine that is busy with others must not look like a loop that is.
    calm = ("overload.after_ms=60000", "deadman_ms=1000", "stale_ms=2000")
    process = hold(*(f"--set=daemon.{setting}" for setting in calm))
    heard(process, "-> ready")
    ask.ask("slide", "arm")
    heard(process, "-> running")
    return process, slide_folder / "scenario.yaml"


def status():
    """Facts that are newer than this call: the loop tells them every 200 ms, `tail` every 1 s."""
    facts = ask.follow("slide")
    for _ in range(2):
        next(line for line in facts if "log" not in line)
    facts.close()
    return ask.ask("slide", "status")


def broken(good, number):
    """A file that is cut short, or has a wrong key, value, network or period."""
    chance = random.Random(number)
    wrong = (
        f"{good}\nno_such_key_{number}: 1\n",
        good.replace("period_ns: 1000000", f"period_ns: {2_000_000 + number}"),
        good.replace("slew_per_s:", f"slew_{number}:"),
        good.replace("nets/slide.yaml", f"nets/missing-{number}.yaml"),
        good[: chance.randrange(len(good) // 2)] + "\n{[",
    )
    return wrong[number % len(wrong)]


def test_broken_files_change_nothing_and_good_ones_all(running, count, measured):
    _, file = running
    good, before = file.read_text(), status()
    files = count(10, 50)
    for number in range(files):
        file.write_text(broken(good, number))
        with pytest.raises(ask.RefusedError) as refusal:
            ask.ask("slide", "reload")
        assert "\n" not in str(refusal.value)
    after = status()
    assert (after["network"], after["state"]) == (before["network"], "running")
    reloads, with_them, alone = count(5, 100), [], []
    for number in range(reloads):
        limit = 3 - 0.001 * (number + 1)
        file.write_text(good.replace("- 3.0", f"- {limit}").replace("- -3.0", f"- {-limit}"))
        begin = marks()
        assert ask.ask("slide", "reload")["state"] == "running"
        with_them.append(marks() - begin)
        # In turn, so that both meet the same neighbours on this machine.
        alone.append(without(with_them[-1][0]))
    last = status()
    assert (last["pid"], last["state"]) == (before["pid"], "running")
    ticks, missed = np.sum(with_them, axis=0)
    quiet, by_machine = np.sum(alone, axis=0)
    measured(
        f"{files} broken files refused in one line, the robot running on; {reloads} good reloads "
        f"in {ticks} ticks: {missed} missed ({by_machine} in {quiet} ticks without, in turn)"
    )


def marks():
    """Ticks and missed ticks so far; ticks that were missed count as both."""
    said = ask.ask("slide", "status")
    return np.array([said["ticks"] + said["overruns"], said["overruns"]])


def without(ticks):
    """`marks` over so many ticks or more without a reload."""
    begin = marks()
    while (passed := marks() - begin)[0] < ticks:
        time.sleep(0.05)
    return passed
