import os
import socket

import pytest

from reflexarc.runtime.notify import Notifier

MS = 1_000_000


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """The service manager's socket and the environment it gives."""
    address = str(tmp_path / "notify")
    if request.param == "abstract":
        address = f"@reflexarc-{os.getpid()}-{request.node.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(address.replace("@", "\0", 1))
        yield listener, {"NOTIFY_SOCKET": address}


def test_states_are_lines_of_one_message(manager):
    listener, environment = manager
    notifier = Notifier(environment)
    notifier.tell("READY=1", "STATUS=all well")
    assert listener.recv(100) == b"READY=1\nSTATUS=all well"
    notifier.close()


def test_pings_come_at_half_the_interval(manager):
    listener, environment = manager
    notifier = Notifier(environment | {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())})
    for k in range(1, 201):
        notifier.ping(k * MS)
    for _ in range(4):
        assert listener.recv(100) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        listener.recv(100)
    notifier.close()


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"},
                 {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}]
)  # fmt: skip
def test_nobody_asked_for_pings(manager, watchdog):
    listener, environment = manager
    notifier = Notifier(environment | watchdog)
    notifier.ping(10**12)
    with pytest.raises(BlockingIOError):
        listener.recv(100)
    notifier.close()


def test_a_manager_that_is_full_or_gone_does_not_matter(manager):
    listener, environment = manager
    notifier = Notifier(environment)
    for _ in range(10_000):
        notifier.tell("WATCHDOG=1")
    listener.close()
    notifier.tell("WATCHDOG=1")
    notifier.close()


def test_without_a_manager_nothing_is_said():
    notifier = Notifier({"WATCHDOG_USEC": "1000"})
    assert notifier.interval_ns is None
    notifier.tell("READY=1")
    notifier.close()
