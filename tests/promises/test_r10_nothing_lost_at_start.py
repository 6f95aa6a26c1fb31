"""R10: nothing is lost at the start."""

import numpy as np

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import Control, Pair, Publisher, Subscriber
from reflexarc.runtime.clock import monotonic_ns

MESSAGES = 100


def numbered(number):
    return Batch("state", Schema.READINGS, np.array([float(number)]), number, number, seq=number)


def collect(subscriber):
    """The numbers of `MESSAGES` batches."""
    numbers, deadline_ns = [], monotonic_ns() + 10_000_000_000
    while len(numbers) < MESSAGES:
        numbers += [int(batch.values[0]) for batch in subscriber.take()]
        assert monotonic_ns() < deadline_ns, f"only {len(numbers)} came"
    return numbers


def test_a_publisher_loses_none_of_the_first(tmp_path, count, measured):
    restarts, lost = count(20, 200), 0
    for n in range(restarts):
        endpoint = f"ipc://{tmp_path}/publisher"
        # In either order: who binds first must not matter.
        if n % 2:
            subscriber, publisher = Subscriber(endpoint), Publisher(endpoint)
        else:
            publisher, subscriber = Publisher(endpoint), Subscriber(endpoint)
        with publisher, subscriber:
            assert publisher.wait_for_subscriber(5)
            for number in range(MESSAGES):
                publisher.send(numbered(number))
            assert collect(subscriber) == list(range(MESSAGES))
            lost += subscriber.lost_frames
    assert lost == 0
    measured(f"{restarts} restarts of a publisher: {lost} of the first {MESSAGES} messages lost")


def test_a_pair_loses_none_of_the_first(tmp_path, count, measured):
    restarts, endpoint = count(20, 200), f"ipc://{tmp_path}/pair"
    for _ in range(restarts):
        with Pair(endpoint, bind=False) as loop, Pair(endpoint, bind=True) as world:
            loop.send(Control(op="hello"), 5)
            assert world.receive(5).op == "hello"
            world.send(Control(op="ready"))
            assert loop.receive(5).op == "ready"
            for number in range(MESSAGES):
                loop.send(numbered(number))
            came = [world.receive(5).seq for _ in range(MESSAGES)]
            assert came == list(range(MESSAGES))
    measured(f"{restarts} restarts of a pair: 0 of the first {MESSAGES} messages lost")
