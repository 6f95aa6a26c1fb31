"""R23: real-time set-up is loud."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reflexarc.runtime import ask

#: Takes rights away, or keeps them; asks; says what it got and what the kernel says of it.
ASK = """
import ctypes, json, os, resource, sys
from reflexarc.runtime.realtime import RtSpec, prepare
wish, dropped = sys.argv[1], sys.argv[2] == "dropped"
if dropped:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    resource.setrlimit(14, (0, 0))  # RLIMIT_RTPRIO
    if os.geteuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    got = prepare(wish, RtSpec(priority=7))
except PermissionError as error:
    print(json.dumps({"code": error.exit_code, "line": str(error)}))
    raise SystemExit
status = open("/proc/self/status").read()
locked_kb = int(status.partition("VmLck:")[2].split()[0])
print(json.dumps({
    "line": got.line(), "priority": got.priority, "locked": got.locked,
    "fifo": os.sched_getscheduler(0) & 0xFF == os.SCHED_FIFO, "locked_kb": locked_kb,
}))
"""

TICKS = """
import sys
from reflexarc.runtime.clock import WallClock
from reflexarc.runtime.realtime import RtSpec, no_collector, page_faults, prepare
from reflexarc.runtime.scenario import Scenario
import numpy as np
seconds = float(sys.argv[1])
got = prepare("try", RtSpec())
clock, work = WallClock(1_000_000), np.zeros(10_000)
clock.start()
with no_collector():
    while clock.now_ns < 1_000_000_000:
        work += 1.0; clock.wait()
    before = page_faults()
    while clock.now_ns < (1 + seconds) * 1e9:
        work += 1.0; clock.wait()
    print(int(got.locked), page_faults() - before)
"""


def child(code, *arguments):
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("rights", ["dropped", "kept"])
def test_what_was_got_is_said_in_one_line(rights, measured):
    found = json.loads(child(ASK, "try", rights))
    assert "\n" not in found["line"]
    assert found["fifo"] is (found["priority"] == 7)
    assert (found["locked_kb"] > 0) is found["locked"]
    assert ("refused: " in found["line"]) is not (found["fifo"] and found["locked"])
    if rights == "dropped":
        assert not found["fifo"]
        assert not found["locked"]
    measured(f"rights {rights}: {found['line']}")


def test_what_is_required_and_refused_ends_it(measured):
    found = json.loads(child(ASK, "require", "dropped"))
    assert found["code"] == 4
    assert found["line"].startswith("real time refused: SCHED_FIFO 7: ")
    measured("required without rights: exit code 4 and one line")


def test_no_page_is_fetched_in_a_tick(count, measured):
    seconds = count(3, 10)
    locked, faults = map(int, child(TICKS, str(seconds)).split())
    assert faults == 0
    measured(
        f"{faults} page faults in {seconds} s of ticks of 1 ms, "
        f"memory {'locked' if locked else 'not locked: refused here'}"
    )


def faults(pid):
    """Minor and major page faults of a process so far (proc(5), stat, fields 10 and 12)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[7]), int(fields[9])


def test_the_daemon_itself_fetches_no_page(hold, heard, count, measured):
    seconds, daemon = count(3, 10), hold("--rt=try")
    heard(daemon, "-> ready")
    ask.ask("slide", "arm")
    heard(daemon, "-> running")
    looks = [before := faults(daemon.pid)]
    facts, quiet = ask.follow("slide"), 0
    # Warm is who fetched nothing for a second; then the count begins.
    while quiet < seconds:
        next(line for line in facts if "log" not in line)
        looks.append(now := faults(daemon.pid))
        quiet, before = quiet + 1 if now == before else 0, now
        assert len(looks) < 10 * seconds + 20
    facts.close()
    assert daemon.poll() is None
    measured(f"the daemon: 0 page faults in {quiet} s, after {len(looks) - 1 - quiet} s of warm-up")
