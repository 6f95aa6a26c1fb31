"""R17: a hung loop is noticed."""

import os
import signal
import socket
from contextlib import contextmanager

import pytest

#: The watchdog's time; a ping is due every half of it.
WATCHDOG_S = 1.0


@contextmanager
def watched(hold, tmp_path):
    """A daemon that is ready, as its service manager hears it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        usec = str(round(WATCHDOG_S * 1e6))
        process = hold(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=usec)
        assert manager.recv(4096).startswith(b"READY=1")
        yield manager, process


def assert_silent(manager):
    """No ping comes within the watchdog's time, but for what was on its way."""
    _drain(manager)
    manager.settimeout(WATCHDOG_S)
    with pytest.raises(TimeoutError):
        manager.recv(4096)
    manager.settimeout(20)


def next_but_pings(manager):
    while (said := manager.recv(4096)) == b"WATCHDOG=1":
        pass
    return said


def test_pings_stop_with_the_loop_and_come_back(hold, tmp_path, count, measured):
    hangs = count(2, 20)
    with watched(hold, tmp_path) as (manager, process):
        for _ in range(hangs):
            assert manager.recv(4096) == b"WATCHDOG=1"
            process.send_signal(signal.SIGSTOP)
            assert_silent(manager)
            process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        assert next_but_pings(manager) == b"STOPPING=1"
        assert process.wait(20) == 0
    measured(f"{hangs} hangs: no ping in the watchdog's time, pings again once the loop went on")


#: How a call of the world hangs while the test wants it: it burns the processor, or it waits.
HANGS = {
    "spins": "while os.path.exists({flag!r}): pass",
    "waits": "os.path.exists({flag!r}) and open({pipe!r}).read()",
}


@pytest.mark.parametrize("way", HANGS)
def test_pings_stop_when_a_part_of_the_loop_hangs(
    way, hold, slide_folder, tmp_path, count, measured
):
    hangs, flag, pipe = count(1, 20), tmp_path / "hang", tmp_path / "pipe"
    os.mkfifo(pipe)
    code = slide_folder / "world.py"
    head = "    def advance(self, until_ns, command):\n"
    hang = HANGS[way].format(flag=str(flag), pipe=str(pipe))
    code.write_text("import os\n" + code.read_text().replace(head, f"{head}        {hang}\n"))
    with watched(hold, tmp_path) as (manager, process):
        for _ in range(hangs):
            assert manager.recv(4096) == b"WATCHDOG=1"
            flag.touch()
            assert_silent(manager)
            flag.unlink()
            if way == "waits":
                pipe.write_text("go on")
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert process.poll() is None
    measured(f"{hangs} times a world {way} inside the tick: no ping, pings again once it went on")


def _drain(manager):
    """What was sent before the process stood still."""
    manager.settimeout(0.05)
    try:
        while True:
            manager.recv(4096)
    except TimeoutError:
        pass
