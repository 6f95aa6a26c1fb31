"""R28: nothing creeps."""

import shutil
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


@pytest.fixture
def leaky(slide_folder):
    """A function that makes a second scenario, whose world leaks so much an hour, at 200 Hz."""

    def make(mib_h):
        folder = shutil.copytree(slide_folder, slide_folder.parent / "leaky")
        leak = f"""    def advance(self, until_ns, command):
        while len(LEAK) * 1_000_000_000 < until_ns:
            LEAK.append(bytearray({round(mib_h * MIB / 3600)}))
"""
        code = folder / "world.py"
        head = "    def advance(self, until_ns, command):\n"
        code.write_text("LEAK = []\n" + code.read_text().replace(head, leak))
        for file, old, new in (
            ("scenario.yaml", "name: slide", "name: leaky"),
            ("scenario.yaml", "period_ns: 1000000", "period_ns: 5000000"),
            ("nets/slide.yaml", "0.001", "0.005"),
        ):
            path = folder / file
            path.write_text(path.read_text().replace(old, new))

    return make


def begin(hold, heard, name):
    """Start a daemon and let it run; the processes that it consists of."""
    heard(process := hold(name=name), "-> ready")
    ask.ask(name, "arm")
    heard(process, "-> running")
    return process.pid, ask.ask(name, "status")["companion_pid"]


def test_a_running_daemon_stays_as_it_is_and_one_that_leaks_is_seen(
    hold, heard, leaky, count, measured
):
    long_s, warm_s, leak_mib_h = count(6, 1800), count(1, 60), count(3600, 2)
    leaky(leak_mib_h)
    sound, leaking = begin(hold, heard, "slide"), begin(hold, heard, "leaky")
    facts = ask.follow("slide")
    begun_s, samples, leaked = time.monotonic(), [], []
    while (t_s := time.monotonic() - begun_s - warm_s) < long_s:
        next(facts)  # one a second and the lines of the log
        if t_s > 0:
            samples.append((t_s, *sample(sound)))
            leaked.append(sample(leaking)[0])
    facts.close()
    t_s, rss, fds, threads = (np.array(column) for column in zip(*samples, strict=True))
    assert len(set(fds)) == len(set(threads)) == 1
    if long_s >= 1800:
        assert not creeps(t_s, rss)
        assert creeps(t_s, leaked)
        said = f"{slope_mib_h(t_s, rss):+.2f} MiB/h"
    else:  # too short for a slope
        grown_mib = (rss[-1] - rss[0]) / MIB
        assert grown_mib <= 2  # the companion's memory of ticks still fills
        assert creeps(t_s, leaked, leak_mib_h / 2)
        said = f"{grown_mib:+.2f} MiB"
    measured(
        f"{t_s[-1]:.0f} s: memory {said}, {fds[0]} descriptors and {threads[0]} threads; beside it "
        f"a daemon that leaks {leak_mib_h} MiB/h: {slope_mib_h(t_s, leaked):+.2f} MiB/h, seen"
    )
