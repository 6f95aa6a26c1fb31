"""R1: the loop keeps rate and phase."""

import ctypes
import subprocess

import numpy as np
import pytest

from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime import clock as clock_module
from reflexarc.runtime.clock import WallClock, monotonic_ns
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.world import Controller, Plant

RATES_HZ = (100, 500, 1000, 2000)
#: Waits for absolute deadlines and notes how late it woke: what this machine can do at best.
BARE_LOOP = r"""
#define _GNU_SOURCE
#include <time.h>
#include <stdint.h>
void bare_loop(int64_t period_ns, int64_t ticks, int64_t *late_ns) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t deadline = t.tv_sec * 1000000000LL + t.tv_nsec;
    for (int64_t k = 0; k < ticks; k++) {
        deadline += period_ns;
        struct timespec until = {deadline / 1000000000LL, deadline % 1000000000LL};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0)) {}
        clock_gettime(CLOCK_MONOTONIC, &t);
        late_ns[k] = t.tv_sec * 1000000000LL + t.tv_nsec - deadline;
    }
}
"""


class Watch(Plant):
    """Notes when each tick begins."""

    def __init__(self):
        self.began_ns = []

    def observe(self, now_ns):
        self.began_ns.append((now_ns, clock_module.monotonic_ns()))
        return []

    def act(self, command):
        pass


class Rest(Controller):
    def __init__(self):
        pass

    def control(self, batches, now_ns):
        return np.zeros(1)


def run_loop(period_ns, ticks):
    """The clock, and loop time and machine time of each tick's begin, shape (ticks, 2)."""
    clock, watch = WallClock(period_ns), Watch()
    gate = Gate(GateSpec(low=[-1.0], high=[1.0], rest=[0.0]))
    end_ns = ticks * period_ns
    loop = Loop(clock, watch, ConventionalPolicy(Rest()), gate)
    loop.run(ticks, go_on=lambda tick: tick.until_ns < end_ns)
    return clock, np.array(watch.began_ns)


@pytest.fixture(scope="module")
def bare_loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    (folder / "bare.c").write_text(BARE_LOOP)
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", folder / "bare.so", folder / "bare.c"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(folder / "bare.so"))

    def run(period_ns, ticks):
        late_ns = np.zeros(ticks, np.int64)
        library.bare_loop(
            ctypes.c_int64(period_ns), ctypes.c_int64(ticks), ctypes.c_void_p(late_ns.ctypes.data)
        )
        return late_ns

    return run


def percentiles_us(late_ns):
    p50, p99 = np.percentile(late_ns, [50, 99]) * 1e-3
    return f"{p50:.0f}/{p99:.0f} us"


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_in_virtual_time_the_grid_is_exact(rate_hz, monkeypatch):
    class Machine:
        now_ns = 5_000

        def sleep(self, seconds):
            self.now_ns += round(seconds * 1e9) + 60_000  # it always oversleeps

    machine = Machine()
    monkeypatch.setattr(clock_module, "monotonic_ns", lambda: machine.now_ns)
    monkeypatch.setattr(clock_module.time, "sleep", machine.sleep)
    period_ns = 1_000_000_000 // rate_hz
    clock, began_ns = run_loop(period_ns, ticks=60 * rate_hz)
    assert len(began_ns) == 60 * rate_hz
    assert clock.overruns == 0
    late_ns = began_ns[:, 1] - 5_000 - began_ns[:, 0]
    assert late_ns[0] == 0
    assert set(late_ns[1:]) == {60_000}  # never the sum of what was overslept


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_in_real_time_the_phase_is_kept(rate_hz, bare_loop, count, measured):
    period_ns, seconds = 1_000_000_000 // rate_hz, count(0.5, 60)
    ticks = round(seconds * rate_hz)
    clock, began_ns = run_loop(period_ns, ticks)
    bare_ns = bare_loop(period_ns, min(ticks, 10 * rate_hz))
    late_ns = began_ns[:, 1] - began_ns[0, 1] - began_ns[:, 0]
    # Early would be a fault of ours at any load, and so would a tick that nobody accounts for.
    assert late_ns.min() >= -200_000
    assert len(began_ns) + clock.overruns == began_ns[-1, 0] // period_ns + 1
    # What this machine keeps from the loop is seen in the worst tenth; drift is seen in all.
    tenth = len(late_ns) // 10
    drift_ns = np.percentile(late_ns[-tenth:], 10) - np.percentile(late_ns[1 : tenth + 1], 10)
    assert abs(drift_ns) < 1_000_000
    passed_ns = np.percentile(late_ns[-tenth:], 10) + began_ns[-1, 0]
    grid_hz = (began_ns[-1, 0] // period_ns) / (passed_ns * 1e-9)
    assert grid_hz == pytest.approx(rate_hz, rel=0.005)
    measured(
        f"{rate_hz} Hz for {seconds:g} s: {len(began_ns)} ticks and {clock.overruns} overruns, "
        f"drift {drift_ns * 1e-3:.0f} us, late p50/p99 {percentiles_us(late_ns)} "
        f"(bare C loop {percentiles_us(bare_ns)})"
    )


def test_the_watch_sees_a_loop_that_drifts(monkeypatch):
    """The measure is not blind: a clock that sleeps for a period each time is caught."""

    def wait(self):
        self._tick += 1
        clock_module.pause(self.period_ns * 1e-9)

    monkeypatch.setattr(WallClock, "wait", wait)
    began = monotonic_ns()
    _, began_ns = run_loop(1_000_000, 300)
    assert monotonic_ns() - began > 300_000_000
    late_ns = began_ns[:, 1] - began_ns[0, 1] - began_ns[:, 0]
    assert np.percentile(late_ns[-30:], 10) - np.percentile(late_ns[1:31], 10) > 1_000_000
