"""R7: a slow or dead listener never touches the loop."""

import resource
from pathlib import Path

import numpy as np
import pytest
import zmq

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import HIGH_WATER, Continuity, Publisher, Subscriber
from reflexarc.runtime.clock import monotonic_ns, pause, perf_ns
from reflexarc.runtime.wire import decode

PERIOD_NS = 1_000_000
VALUES = np.zeros(32)


@pytest.fixture
def endpoint(tmp_path):
    tmp_path.chmod(0o700)
    return f"ipc://{tmp_path}/socket"


def send(publisher, ticks, first=0):
    """Send one batch a tick, `t_last_ns` its number; how long each call took."""
    took_ns = np.zeros(ticks, np.int64)
    for tick in range(first, first + ticks):
        batch = Batch("state", Schema.READINGS, VALUES, tick * PERIOD_NS, tick * PERIOD_NS)
        begin = perf_ns()
        publisher.send(batch)
        took_ns[tick - first] = perf_ns() - begin
    return took_ns


def resident_kib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def stalled_socket(endpoint):
    """A listener that subscribes and then reads nothing."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.rcvhwm = HIGH_WATER
    socket.rcvtimeo = 2000
    socket.subscribe(b"")
    socket.connect(endpoint)
    return socket


def test_a_stalled_listener_costs_nothing_and_its_losses_are_counted(endpoint, count, measured):
    ticks = count(20_000, 60_000)  # 60 s at 1 kHz, sent without the pauses between
    with Publisher(endpoint) as publisher:
        alone_ns = send(publisher, 2000)
        slow = stalled_socket(endpoint)
        assert publisher.wait_for_subscriber(5)
        filled = 3 * HIGH_WATER  # both queues and the socket's buffers are full by then
        send(publisher, filled)
        before_kib = resident_kib()
        with_ns = send(publisher, ticks, filled)
        grown_kib = resident_kib() - before_kib
        # It wakes up: what it still has is read, and what is missing is known to the message.
        received, lost, numbers = 0, 0, Continuity()
        while received + lost < filled + ticks:
            try:
                batch = decode(slow.recv())
            except zmq.Again:
                send(publisher, 1, filled + ticks)  # a number beyond the gap shows how wide it is
                filled += 1
                continue
            lost += numbers.missing(batch)
            received += 1
        slow.close(0)
    assert received + lost == filled + ticks
    assert lost > ticks // 2
    assert grown_kib <= 8 * 1024
    # A wait would be seen in the mean, which no neighbour on this machine can hide.
    assert with_ns.mean() < 1_000_000
    measured(
        f"{ticks} messages to a stalled listener: send p50/p99 "
        f"{'/'.join(f'{q * 1e-3:.0f}' for q in np.percentile(with_ns, [50, 99]))} us (alone "
        f"{'/'.join(f'{q * 1e-3:.0f}' for q in np.percentile(alone_ns, [50, 99]))} us), memory "
        f"+{grown_kib / 1024:.1f} MiB, {received} received + {lost} known lost = "
        f"{received + lost} sent"
    )


def test_a_listener_that_resumes_gets_what_is_newest(endpoint, measured):
    """Its own thread receives all the while: what waits in the inbox is never old."""
    with Publisher(endpoint) as publisher, Subscriber(endpoint, capacity=2) as subscriber:
        assert publisher.wait_for_subscriber(5)
        send(publisher, 500)
        deadline_ns = monotonic_ns() + 10_000_000_000
        while subscriber.received < 500:
            assert monotonic_ns() < deadline_ns
            pause(0.001)
        batch, last = subscriber.take()
    age_ticks = 499 - batch.t_last_ns // PERIOD_NS
    assert age_ticks <= 1
    assert last.t_last_ns == 499 * PERIOD_NS
    assert batch.dropped == 498 * len(VALUES)
    measured(f"after 500 ticks of sleep the first message is {age_ticks} ticks old")


def test_a_listener_that_dies_is_forgotten(endpoint, measured):
    with Publisher(endpoint) as publisher:
        for _ in range(10):
            dying = stalled_socket(endpoint)
            assert publisher.wait_for_subscriber(5)
            send(publisher, 100)
            dying.close(0)
        before_kib = resident_kib()
        took_ns = send(publisher, 20_000)
        grown_kib = resident_kib() - before_kib
    assert grown_kib <= 8 * 1024
    assert took_ns.mean() < 1_000_000
    measured(f"10 listeners died: memory +{grown_kib / 1024:.1f} MiB in 20,000 messages")
