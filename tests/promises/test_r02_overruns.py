"""R2: every overrun is seen once, and none is caught up in a burst."""

import numpy as np
import pytest

from reflexarc.actuators.gate import Gate, GateSpec
from reflexarc.runtime import clock as clock_module
from reflexarc.runtime.clock import WallClock
from reflexarc.runtime.complaints import Complaints
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.overruns import Overruns
from reflexarc.runtime.policy import ConventionalPolicy
from reflexarc.runtime.world import Controller, NoPlant

PERIOD_NS = 1_000_000
WORK_NS = 300_000


class Machine:
    """A machine whose time only moves with the loop's work, while it sleeps, and in stalls."""

    def __init__(self, monkeypatch):
        self.now_ns = 0
        monkeypatch.setattr(clock_module, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(clock_module.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.now_ns += round(seconds * 1e9)


class Stalling(Controller):
    """A controller whose tick number k takes `stalls[k]` longer."""

    def __init__(self, machine, stalls_ns):
        self.machine, self.stalls_ns, self.calls = machine, stalls_ns, 0
        self.began_ns = []

    def control(self, batches, now_ns):
        self.began_ns.append(self.machine.now_ns)
        self.machine.now_ns += WORK_NS + self.stalls_ns.get(self.calls, 0)
        self.calls += 1
        return np.zeros(1)


def run(machine, stalls_ns, ticks, listeners):
    """The loop afterwards, and the machine's time at each tick."""
    gate = Gate(GateSpec(low=[-1.0], high=[1.0], rest=[0.0]))
    controller = Stalling(machine, stalls_ns)
    policy = ConventionalPolicy(controller)
    loop = Loop(WallClock(PERIOD_NS), NoPlant(), policy, gate, listeners=listeners)
    loop.run(ticks)
    return loop, controller.began_ns


def test_injected_stalls_are_reported_tick_for_tick(monkeypatch, count, measured):
    machine, random = Machine(monkeypatch), np.random.default_rng(2)
    ticks = count(20_000, 1_000_000)
    lengths = random.choice([1.0, 3.5, 50.0], ticks // 100)
    places = random.choice(ticks - 1, len(lengths), replace=False)
    stalls_ns = {int(at): round(n * PERIOD_NS) for at, n in zip(places, lengths, strict=True)}
    # A stall of n periods after 0.3 of one misses as many deadlines as lie in 0.3 + n.
    injected = sum((WORK_NS + stall_ns) // PERIOD_NS for stall_ns in stalls_ns.values())
    seen, lines = [], []
    complaints = Complaints(lines.append, now_ns=lambda: machine.now_ns)
    overruns = Overruns(PERIOD_NS, complaints)
    loop, began_ns = run(machine, stalls_ns, ticks, [seen.append, overruns])
    gaps = np.diff([tick.now_ns for tick in seen]) // PERIOD_NS - 1
    assert loop.clock.overruns == overruns.missed == gaps.sum() == injected
    assert complaints.counts["overrun"] == injected
    assert (gaps > 0).sum() == len(stalls_ns)
    # No burst: after a stall too, every tick waits for its deadline.
    assert np.diff(began_ns).min() >= PERIOD_NS
    assert len(lines) <= machine.now_ns // 1_000_000_000 + 1
    measured(
        f"{len(stalls_ns)} stalls of 1, 3.5 and 50 periods in {ticks} ticks: {injected} deadlines "
        f"missed, {overruns.missed} reported, {len(lines)} log lines in "
        f"{machine.now_ns * 1e-9:.0f} s"
    )


@pytest.mark.parametrize(
    ("periods", "missed"), [(0.0, 0), (0.6, 0), (1.0, 1), (3.5, 3), (50.0, 50)]
)
def test_one_stall(monkeypatch, periods, missed):
    machine, lines = Machine(monkeypatch), []
    overruns = Overruns(PERIOD_NS, Complaints(lines.append, now_ns=lambda: machine.now_ns))
    loop, _ = run(machine, {5: round(periods * PERIOD_NS)}, 20, [overruns])
    assert loop.clock.overruns == overruns.missed == missed
    assert len(lines) == (missed > 0)
