"""R14: asking costs nothing."""

import time

import numpy as np

from reflexarc.runtime.ask import ask

WINDOW_S = 0.4


def test_a_hundred_requests_a_second(hold, heard, count, measured):
    robot = hold(
        "--set",
        "daemon.deadman_ms=1000",
        "--set",
        "daemon.overload.after_ms=60000",
        "--set",
        "daemon.stale_ms=2000",
    )
    heard(robot, "-> ready")
    windows = count(8, 60)
    requests, ratios, alone_us = 0, [], []
    for _ in range(windows):  # in turn, so that both meet the same neighbours on this machine
        _, alone = look(WINDOW_S, 1 / WINDOW_S)
        asked, busy = look(WINDOW_S, 100)
        requests += asked
        alone_us.append(alone)
        ratios.append(busy / alone)
    assert requests > 20 * WINDOW_S * windows  # it is a load
    after = ask("slide", "status")
    assert after["state"] == "ready"
    assert after["records_lost"] == 0  # every tick was seen by who answers
    assert robot.poll() is None
    # What asking costs is in every pair of windows, what the machine takes in some.
    p50, p99 = np.quantile(ratios, 0.1, axis=0)
    assert p50 <= 1.05
    assert p99 <= 1.05
    measured(
        f"{requests} status requests at 100/s, all answered, in {windows} pairs of windows with "
        f"and without: busy p50/p99 {ratio(np.median(ratios, axis=0))} times that without "
        f"(lowest tenth {ratio((p50, p99))}), which is {ratio(np.median(alone_us, axis=0))} us"
    )


def ratio(pair):
    return "/".join(f"{value:.3g}" for value in pair)


def look(seconds, per_second):
    """Ask for so long; how often, and p50 and p99 of how busy the ticks were meanwhile."""
    first = ask("slide", "status")["ticks"]
    begin, requests = time.monotonic(), 0
    due = begin
    while due < begin + seconds:
        ask("slide", "status")
        requests += 1
        due = max(due + 1 / per_second, time.monotonic() - 0.1)
        time.sleep(max(0, due - time.monotonic()))
    last = ask("slide", "status")["ticks"] - first
    busy = ask("slide", "status", last=last)["busy_us"]
    return requests, np.array([busy["p50"], busy["p99"]])
