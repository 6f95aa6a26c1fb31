import json
import os

import numpy as np
import pytest

from reflexarc.runtime.hatch import OUT_BYTES, PIECE, TEXT, TICK, TICK_RECORD, Hatch, HatchEnd


@pytest.fixture
def ends():
    with Hatch() as hatch:
        yield hatch, HatchEnd(*hatch.descriptors)


def taken(end):
    frames = []
    while (frame := end.take()) is not None:
        frames.append((frame[:1], frame[1:]))
    return frames


def test_records_and_texts_go_through(ends):
    hatch, end = ends
    hatch.record(1, 2, 3, 4, -1, 6)
    hatch.tell(log="a line")
    assert [kind for kind, _ in taken(end)] == [TICK]
    hatch.flush()
    assert os.eventfd_read(end.wake) == 1
    [(kind, content)] = taken(end)
    assert (kind, json.loads(content)) == (TEXT, {"log": "a line"})
    assert TICK_RECORD.size == 48


def test_requests_come_back(ends):
    hatch, end = ends
    assert hatch.request() is None
    assert end.ask(verb="arm", number=3)
    assert hatch.request() == {"verb": "arm", "number": 3}


def test_a_snapshot_goes_through_in_pieces_over_ticks(ends):
    hatch, end = ends
    arrays = [np.arange(1_000_000), np.zeros(0), np.arange(6.0).reshape(2, 3).T]
    hatch.hand(arrays)
    received, flushes = b"", 0
    while hatch.busy:
        hatch.flush()
        flushes += 1
        for kind, content in taken(end):
            assert kind == PIECE
            received += content
    assert flushes > 5
    assert received == b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def test_a_companion_that_stalls_costs_records_and_nothing_else(ends):
    hatch, end = ends
    count = OUT_BYTES // 50
    for k in range(count):
        hatch.record(k, 0, 0, 0, 0, 0)
    hatch.tell(log="late" * 50)
    hatch.flush()
    assert hatch.lost > 0
    assert hatch.busy
    frames = taken(end)
    assert len(frames) == count - hatch.lost
    hatch.flush()
    assert json.loads(taken(end)[0][1]) == {"log": "late" * 50}
