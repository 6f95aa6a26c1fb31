import gc
import json
import os
import subprocess
import sys

from reflexarc.runtime.realtime import RtSpec, no_collector, prepare

#: Without rights: no capability, no limit above what anybody has.
DROPPED = """
import json, os, resource, sys
from reflexarc.runtime.realtime import RtSpec, prepare
for name in ("RLIMIT_MEMLOCK", "RLIMIT_RTPRIO"):
    number = getattr(resource, name, 14)
    resource.setrlimit(number, (0, 0))
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    got = prepare(sys.argv[1], RtSpec())
    print(json.dumps([got.priority, got.locked, got.line()]))
except PermissionError as error:
    print(json.dumps([error.exit_code, str(error)]))
"""


def without_rights(wish):
    done = subprocess.run(
        [sys.executable, "-P", "-c", DROPPED, wish],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_without_rights_try_takes_what_there_is():
    priority, locked, line = without_rights("try")
    assert (priority, locked) == (0, False)
    assert "refused: SCHED_FIFO 50: " in line
    assert "mlockall: " in line
    assert "\n" not in line


def test_without_rights_require_is_refused():
    code, message = without_rights("require")
    assert code == 4
    assert message.startswith("real time refused: SCHED_FIFO 50: ")
    assert "LimitRTPRIO" in message


WITH = """
import json, os
from reflexarc.runtime.realtime import RtSpec, page_faults, prepare
before = os.sched_getscheduler(0)
got = prepare("try", RtSpec(priority=7, cpu=min(os.sched_getaffinity(0))))
child = os.popen("chrt -p $$ 2>/dev/null").read()
print(json.dumps([got.priority, got.locked, got.cpu, os.sched_getscheduler(0) & 0xFF, child]))
"""


def test_what_is_got_is_true():
    done = subprocess.run([sys.executable, "-c", WITH], capture_output=True, text=True, check=True)
    priority, _, cpu, policy, child = json.loads(done.stdout)
    assert (policy == os.SCHED_FIFO) is (priority == 7)
    assert cpu == min(os.sched_getaffinity(0))
    assert "SCHED_FIFO" not in child  # children are ordinary processes


def test_off_asks_for_nothing():
    got = prepare("off", RtSpec(cpu=4000))
    assert got.refused == ()
    assert got.line() == "real time: no priority, memory not locked, any core"


def test_the_collector_rests():
    with no_collector():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
