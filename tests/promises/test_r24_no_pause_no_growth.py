"""R24: no collector pause and no growth in the tick."""

import gc
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.complaints import Complaints
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.overruns import Overruns
from reflexarc.runtime.realtime import no_collector
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant


def slide_loop(folder, listeners=()):
    scenario = Scenario.load(str(folder))
    gate = scenario.make_gate()
    plant = LocalPlant(scenario.make_world(0), gate.rest)
    clock = LockstepClock(scenario.spec.period_ns)
    listeners = [Overruns(clock.period_ns, Complaints(print)), *listeners]
    return Loop(clock, plant, scenario.make_policy(), gate, listeners=listeners)


def go_on(loop, ticks):
    for _ in range(ticks):
        loop.tick()
        loop.clock.wait()


def grown_bytes(loop, blocks, ticks):
    """How much the memory of Python and NumPy grew in each of `blocks` of `ticks` ticks."""
    go_on(loop, 1000)  # whatever is made once has been made
    grown = []
    tracemalloc.start()
    try:
        for _ in range(blocks):
            before = tracemalloc.get_traced_memory()[0]
            go_on(loop, ticks)
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    return grown


def in_silence(folder, ticks):
    """Growth of 6 blocks of `ticks` ticks, and how often the collector ran."""
    collections = []
    loop = slide_loop(folder)
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    with no_collector():
        collections.clear()  # the one before the first tick
        grown = grown_bytes(loop, 6, ticks)
        return {"grown": grown, "collections": len(collections)}


def test_the_collector_never_runs_and_nothing_grows(slide_folder, count, measured):
    # in a process of its own: threads that other tests have left would count as growth
    ticks = count(2000, 10_000)
    command = [sys.executable, "-P", __file__, str(slide_folder), str(ticks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    grown = found["grown"]
    assert found["collections"] == 0
    # The first block settles caches, and a block may end with a few hundred bytes in flight;
    # growth that goes on is in every block.
    assert min(grown) <= 0
    measured(
        f"6 times {ticks} ticks of a learning network: {found['collections']} collections, "
        f"{min(grown)} bytes net at best, {max(grown)} at worst"
    )


def test_a_leak_of_one_object_a_tick_is_seen(slide_folder):
    leak = []
    loop = slide_loop(slide_folder, [lambda tick: leak.append(tick.number)])
    with no_collector():
        assert min(grown_bytes(loop, 3, 2000)) > 0


if __name__ == "__main__":
    print(json.dumps(in_silence(Path(sys.argv[1]), int(sys.argv[2]))))
