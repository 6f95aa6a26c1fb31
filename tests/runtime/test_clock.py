import pytest

from reflexarc.runtime import clock as clock_module
from reflexarc.runtime.clock import LockstepClock, WallClock

MS = 1_000_000


@pytest.fixture
def machine(monkeypatch):
    """A machine whose time only moves when told to, or while it sleeps (a little too long)."""

    class Machine:
        now_ns = 5_000
        sleeps = 0

        def sleep(self, seconds):
            self.sleeps += 1
            self.now_ns += round(seconds * 1e9) + 70_000

    machine = Machine()
    monkeypatch.setattr(clock_module, "monotonic_ns", lambda: machine.now_ns)
    monkeypatch.setattr(clock_module.time, "sleep", machine.sleep)
    return machine


def test_lockstep_counts_ticks():
    clock = LockstepClock(2 * MS)
    clock.start()
    for expected in (0, 2 * MS, 4 * MS):
        assert clock.now_ns == expected
        clock.wait()
    assert clock.overruns == 0


def test_wall_waits_for_absolute_deadlines_and_does_not_drift(machine):
    clock = WallClock(MS)
    clock.start()
    for _ in range(1000):
        machine.now_ns += 300_000  # work
        clock.wait()
    assert clock.now_ns == 1000 * MS
    assert machine.now_ns - 5_000 == pytest.approx(1000 * MS, abs=100_000)
    assert clock.overruns == 0


def test_a_wall_clock_may_begin_in_the_past(machine):
    clock = WallClock(MS)
    clock.start(machine.now_ns - 2 * MS - MS // 2)
    assert clock.late_ns == 2 * MS + MS // 2
    clock.wait()
    assert (clock.now_ns, clock.overruns) == (3 * MS, 2)


@pytest.mark.parametrize(("stall", "missed"), [(0.5, 0), (1.0, 0), (1.2, 1), (3.5, 3), (50.2, 50)])
def test_every_missed_deadline_is_counted_once_and_never_caught_up(machine, stall, missed):
    clock = WallClock(MS)
    clock.start()
    machine.now_ns += round(stall * MS)
    clock.wait()
    assert clock.overruns == missed
    assert clock.now_ns == (missed + 1) * MS
    before = machine.sleeps
    for _ in range(3):
        clock.wait()  # no burst: each of these waits
    assert machine.sleeps == before + 3
    assert clock.overruns == missed


def test_only_one_module_reads_the_wall_clock():
    from pathlib import Path

    root = Path(clock_module.__file__).parents[1]
    folders = ("actuators", "ext", "runtime", "scenarios", "sensors")
    sources = [path for folder in folders for path in (root / folder).rglob("*.py*")]
    readers = [
        path.name
        for path in sources
        if path.suffix in {".py", ".pyx"}
        and ("import time\n" in (text := path.read_text()) or "datetime" in text)
    ]
    assert readers == ["clock.py"]
