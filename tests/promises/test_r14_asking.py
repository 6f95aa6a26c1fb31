"""R14: asking costs nothing."""

import time

from reflexarc.runtime.ask import ask


def test_a_hundred_requests_a_second(hold, heard, count, measured):
    seconds = count(3, 30)
    robot = hold(
        "--set",
        "daemon.deadman_ms=1000",
        "--set",
        "daemon.overload.after_ms=60000",
        "--set",
        "daemon.stale_ms=2000",
    )
    heard(robot, "-> ready")
    alone = look_for(seconds, 1)
    asked = look_for(seconds, 100)
    assert asked["requests"] > 20 * seconds  # it is a load
    assert asked["state"] == "ready"
    assert asked["records_lost"] == 0  # every tick was seen by who answers
    assert robot.poll() is None
    measured(
        f"{asked['requests']} status requests in {seconds} s, all answered: busy p50/p99 "
        f"{asked['busy']} us (alone {alone['busy']} us)"
    )


def look_for(seconds, per_second):
    """Ask for so long; the last answer, how often, and how busy the ticks were."""
    begin, requests = time.monotonic(), 0
    due = begin
    while due < begin + seconds:
        answer = ask("slide", "status")
        assert answer["ok"]
        requests += 1
        due = max(due + 1 / per_second, time.monotonic() - 0.1)
        time.sleep(max(0, due - time.monotonic()))
    busy = answer["busy_us"]
    return {**answer, "requests": requests, "busy": f"{busy['p50']:.0f}/{busy['p99']:.0f}"}
