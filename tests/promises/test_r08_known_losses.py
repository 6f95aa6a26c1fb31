"""R8: losses are known at the receiver.

It counts from the first frame that it sees (what came before it joined is no loss), and knows of
one when a later frame arrives: here the first and the last arrive whole.
"""

import numpy as np
import pytest

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import Continuity, Inbox
from reflexarc.runtime.errors import WireError
from reflexarc.runtime.wire import decode, encode

VALUES = 3


def frames(count, epoch):
    for seq in range(count):
        values = np.full(VALUES, float(seq))
        yield encode(Batch("state", Schema.READINGS, values, seq, seq, seq=seq, epoch=epoch))


def faulty(sent, random):
    """What arrives of `sent`: some lost, twice, or damaged."""
    first, *body, last = sent
    yield first
    for frame in body:
        match random.choice(["good", "lost", "twice", "damaged"], p=[0.85, 0.05, 0.05, 0.05]):
            case "good":
                yield frame
            case "twice":
                yield from (frame, frame)
            case "damaged":
                at = random.integers(len(frame))
                yield frame[:at] + bytes([frame[at] ^ 1 << random.integers(8)]) + frame[at + 1 :]
    yield last


def receive(arriving, capacity, random):
    """Batches taken, and how many frames and values were reported lost."""
    numbers, inbox = Continuity(), Inbox(capacity)
    taken, lost_frames = [], 0
    for frame in arriving:
        try:
            batch = decode(frame)
        except WireError:
            continue
        missing = numbers.missing(batch)
        if missing >= 0:
            lost_frames += missing
            inbox.put(batch)
        if random.random() < 0.1:
            taken += inbox.take()
    return taken + inbox.take(), lost_frames


@pytest.mark.parametrize("capacity", [4, 1000])
def test_received_and_reported_lost_make_what_was_sent(capacity, count, measured):
    random, runs, sent = np.random.default_rng(8), count(100, 2000), 500
    received = overflown = missing = 0
    for run in range(runs):
        arriving = faulty(list(frames(sent, epoch=run + 1)), random)
        batches, lost_frames = receive(arriving, capacity, random)
        lost_values = sum(batch.dropped for batch in batches)
        assert len(batches) + lost_values // VALUES + lost_frames == sent
        assert [batch.seq for batch in batches] == sorted({batch.seq for batch in batches})
        received, missing = received + len(batches), missing + lost_frames
        overflown += lost_values // VALUES
    assert missing
    assert bool(overflown) == (capacity == 4)
    measured(
        f"{runs} runs with lost, repeated and damaged frames, room for {capacity}: {received} "
        f"received + {missing} lost on the way + {overflown} overwritten = {runs * sent} sent"
    )
