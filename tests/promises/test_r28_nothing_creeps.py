"""R28: nothing creeps."""

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import theilslopes

from reflexarc.runtime import ask

MIB = 1 << 20


def slope_mib_h(t_s, rss_bytes):
    """The median slope between any two samples (Theil and Sen), which one-off steps do not move."""
    return theilslopes(np.asarray(rss_bytes) / MIB, np.asarray(t_s) / 3600)[0]


def creeps(t_s, rss_bytes, limit_mib_h=1.0):
    """The gate: whether memory grows faster than the limit."""
    return slope_mib_h(t_s, rss_bytes) > limit_mib_h


@pytest.mark.parametrize("seed", range(5))
def test_the_gate_sees_a_leak_of_2_mib_an_hour(seed, measured):
    chance, t_s = np.random.default_rng(seed), np.arange(0, 1800, 2.0)
    noise = 40 * MIB + 0.3 * MIB * chance.standard_normal(len(t_s))
    noise[chance.integers(0, len(t_s)) :] += 0.1 * MIB  # a pool that grew once
    assert creeps(t_s, noise + 2 * MIB * t_s / 3600)
    assert not creeps(t_s, noise)
    if seed == 0:
        measured("the gate fails seeded leaks of 2 MiB/h under noise and passes the noise alone")


def sample(pids):
    """Resident bytes, open descriptors and threads of processes, each summed."""
    return [sum(figures) for figures in zip(*map(sample_one, pids), strict=True)]


def sample_one(pid):
    folder = Path(f"/proc/{pid}")
    resident = int((folder / "statm").read_text().split()[1]) * 4096
    return resident, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))


def test_a_running_daemon_stays_as_it_is(hold, heard, count, measured):
    heard(process := hold(), "-> ready")
    ask.ask("slide", "arm")
    heard(process, "-> running")
    long_s, warm_s = count(7, 1800), count(1, 60)
    pids = process.pid, ask.ask("slide", "status")["companion_pid"]
    facts = ask.follow("slide")
    begun_s, samples = time.monotonic(), []
    while (t_s := time.monotonic() - begun_s - warm_s) < long_s:
        next(facts)  # one a second and the lines of the log
        if t_s > 0:
            samples.append((t_s, *sample(pids)))
    facts.close()
    t_s, rss, fds, threads = (np.array(column) for column in zip(*samples, strict=True))
    assert len(set(fds)) == len(set(threads)) == 1
    grown_mib = (rss[-1] - rss[0]) / MIB
    if long_s >= 1800:
        assert not creeps(t_s, rss)
        said = f"{slope_mib_h(t_s, rss):+.2f} MiB/h"
    else:
        assert grown_mib <= 2  # the companion's memory of ticks still fills
        said = f"{grown_mib:+.2f} MiB (too short for a slope)"
    measured(f"{t_s[-1]:.0f} s: memory {said}, {fds[0]} descriptors and {threads[0]} threads")
