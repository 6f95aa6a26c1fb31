"""R16: reload is all or nothing."""

import random

import pytest

from reflexarc.runtime import ask


@pytest.fixture
def running(hold, heard, slide_folder):
    """A daemon that runs, and the file that it reads."""
    process = hold()
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
    reloads = count(5, 100)
    ticks = after["ticks"]
    for number in range(reloads):
        limit = 3 - 0.001 * (number + 1)
        file.write_text(good.replace("- 3.0", f"- {limit}").replace("- -3.0", f"- {-limit}"))
        assert ask.ask("slide", "reload")["state"] == "running"
    last = status()
    assert (last["pid"], last["state"]) == (before["pid"], "running")
    assert last["ticks"] > ticks
    held = last["ticks"] - ticks
    missed = last["overruns"] - after["overruns"]
    alone, quiet = missed_alone(held)
    measured(
        f"{files} broken files refused in one line, the robot running on; {reloads} good reloads "
        f"in {held} ticks: {missed} missed ({alone} in {quiet} ticks without a reload)"
    )


def missed_alone(ticks):
    """How many ticks the machine itself takes, of so many or more without a reload."""
    before = last = ask.ask("slide", "status")
    for _ in ask.follow("slide"):  # something once a second
        last = ask.ask("slide", "status")
        if last["ticks"] - before["ticks"] >= ticks:
            break
    return last["overruns"] - before["overruns"], last["ticks"] - before["ticks"]
