import mmap
import subprocess
import sys
from collections import deque
from contextlib import suppress
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.ext import ring
from reflexarc.ext.ring import EventRing, FrameRing
from reflexarc.runtime.batch import EVENT


def events(*times):
    values = np.zeros(len(times), EVENT)
    values["t"] = times
    values["x"] = np.arange(len(times))
    values["on"] = True
    return values


def test_the_compiled_module_uses_its_header():
    assert EventRing.__basicsize__ > object.__basicsize__
    assert ring.EVENT == EVENT


def test_events_come_out_as_they_went_in():
    events_ring = EventRing(8)
    events_ring.push(events(1, 2, 3))
    events_ring.push(events(4))
    taken, dropped = events_ring.pop_all()
    assert taken.dtype == EVENT
    assert taken["t"].tolist() == [1, 2, 3, 4]
    assert taken["x"].tolist() == [0, 1, 2, 0]
    assert taken["on"].all()
    assert (dropped, len(events_ring)) == (0, 0)


def test_pop_until_includes_its_limit_and_leaves_the_rest():
    events_ring = EventRing(8)
    events_ring.push(events(1, 2, 3, 4))
    assert events_ring.pop_until(2)[0]["t"].tolist() == [1, 2]
    assert len(events_ring) == 2
    assert events_ring.pop_until(2)[0].size == 0


def test_the_oldest_events_give_way_and_are_counted_once():
    events_ring = EventRing(3)
    events_ring.push(events(1, 2))
    events_ring.push(events(3, 4, 5, 6, 7))
    taken, dropped = events_ring.pop_all()
    assert taken["t"].tolist() == [5, 6, 7]
    assert dropped == 4
    assert events_ring.pop_all()[1] == 0
    assert events_ring.lost == 4


@given(st.integers(1, 7), st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=30))
def test_event_ring_behaves_as_a_bounded_deque(capacity, actions):
    events_ring, model, clock, lost = EventRing(capacity), deque(maxlen=capacity), 0, 0
    for action in actions:
        if action is None:
            taken, dropped = events_ring.pop_all()
            assert (taken["t"].tolist(), dropped) == (list(model), lost)
            model.clear()
            lost = 0
        else:
            times = range(clock, clock + action)
            lost += max(0, len(model) + action - capacity)
            model.extend(times)
            events_ring.push(events(*times))
            clock += action
    assert len(events_ring) == len(model)


def test_what_one_thread_pushes_another_takes_or_counts():
    events_ring = EventRing(100)
    sender = Thread(target=lambda: [events_ring.push(events(*range(7))) for _ in range(3000)])
    sender.start()
    seen = 0
    while sender.is_alive():
        taken, dropped = events_ring.pop_until(100)
        seen += len(taken) + dropped
    sender.join()
    taken, dropped = events_ring.pop_all()
    assert seen + len(taken) + dropped == 21000


def test_wrong_values_are_refused():
    with pytest.raises(TypeError, match="1-d array"):
        EventRing(1).push(np.zeros(2))
    with pytest.raises(ValueError, match="at least 1 event"):
        EventRing(0)


def frame_ring(room=64):
    return FrameRing(bytearray(FrameRing.HEADER_BYTES + room), create=True)


def test_frames_come_out_whole_and_in_order():
    frames = frame_ring()
    assert frames.push(b"one")
    assert frames.push(b"")
    assert frames.push(bytearray(b"three"))
    assert frames.pending == 3 + 5 + 3 * 8
    assert [frames.pop() for _ in range(4)] == [b"one", b"", b"three", None]
    assert (frames.lost, frames.pending) == (0, 0)


def test_a_full_frame_ring_loses_what_comes_and_counts_it():
    frames = frame_ring(64)
    assert frames.push(bytes(40))
    assert not frames.push(bytes(40))
    assert not frames.push(bytes(65))
    assert frames.lost == 2
    assert frames.pop() == bytes(40)
    assert frames.push(bytes(56))
    assert frames.pop() == bytes(56)


@given(st.integers(64, 200), st.lists(st.one_of(st.binary(max_size=90), st.none()), max_size=60))
def test_frame_ring_behaves_as_a_bounded_queue(room, actions):
    frames, model, lost = frame_ring(room), deque(), 0
    for action in actions:
        if action is None:
            assert frames.pop() == (model.popleft() if model else None)
        elif sum(len(frame) + 8 for frame in (*model, action)) <= room:
            assert frames.push(action)
            model.append(action)
        else:
            assert not frames.push(action)
            lost += 1
    assert [frames.pop() for _ in model] == list(model)
    assert (frames.pop(), frames.lost) == (None, lost)


@given(st.binary(min_size=FrameRing.HEADER_BYTES + 64, max_size=400), st.booleans())
def test_a_damaged_frame_ring_is_an_error_and_never_a_crash(garbage, keep_head):
    buffer = bytearray(garbage)
    whole = bytearray(len(buffer))
    FrameRing(whole, create=True)
    buffer[: 64 if keep_head else 16] = whole[: 64 if keep_head else 16]
    frames = FrameRing(buffer)
    frames.push(b"something")
    with suppress(ValueError):
        while (frame := frames.pop()) is not None:
            assert len(frame) < len(garbage)


def test_a_buffer_that_is_no_ring_is_refused():
    with pytest.raises(ValueError, match="not a frame ring"):
        FrameRing(bytearray(1000))
    with pytest.raises(ValueError, match="needs at least"):
        FrameRing(bytearray(10), create=True)
    whole = bytearray(1000)
    FrameRing(whole, create=True)
    with pytest.raises(ValueError, match="more room than its buffer"):
        FrameRing(whole[:500])


def test_closing_gives_the_buffer_back():
    buffer = bytearray(1000)
    frames = FrameRing(buffer, create=True)
    frames.close()
    frames.close()
    buffer.extend(b"an exported buffer could not grow")
    with pytest.raises(ValueError, match="closed"):
        frames.push(b"late")


PRODUCER = """
import mmap, sys
from pathlib import Path
from reflexarc.ext.ring import FrameRing
with Path(sys.argv[1]).open("r+b") as file:
    frames = FrameRing(mmap.mmap(file.fileno(), 0))
pushed = 0
for n in range(20000):
    pushed += frames.push(n.to_bytes(4, "little") * (1 + n % 50))
print(pushed, frames.lost)
"""


def test_frames_cross_to_another_process_in_order_and_whole(tmp_path):
    path = tmp_path / "ring"
    path.write_bytes(bytes(FrameRing.HEADER_BYTES + 10_000))
    with path.open("r+b") as file:
        frames = FrameRing(mmap.mmap(file.fileno(), 0), create=True)
    producer = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(path)], stdout=subprocess.PIPE, text=True
    )
    numbers = []
    ended = False
    while not ended or frames.pending:
        ended = ended or producer.poll() is not None
        while (frame := frames.pop()) is not None:
            n = int.from_bytes(frame[:4], "little")
            assert frame == n.to_bytes(4, "little") * (1 + n % 50)
            numbers.append(n)
    pushed, lost = map(int, producer.communicate()[0].split())
    assert producer.returncode == 0
    assert numbers == sorted(set(numbers))
    assert (len(numbers), pushed + lost) == (pushed, 20000)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 4))))
def test_events_are_sound_in_order_within_their_time_and_on_the_sensor(rows):
    values = np.zeros(len(rows), EVENT)
    for name, column in zip(("t", "x", "y"), zip(*rows, strict=True), strict=False):
        values[name] = column
    times = [t for t, _, _ in rows]
    expected = times == sorted(times) and all(2 <= t <= 8 and x < 5 and y < 4 for t, x, y in rows)
    assert ring.are_sound(values, 2, 8, 5, 4) == expected


def test_a_polarity_is_a_bit():
    values = events(1, 2, 3)
    assert ring.have_polarities(values)
    assert ring.have_polarities(values[:0])
    values.view(np.uint8)[2 * EVENT.itemsize - 1] = 2
    assert not ring.have_polarities(values)
    with pytest.raises(TypeError, match="expected a 1-d array"):
        ring.have_polarities(np.zeros(1))
    with pytest.raises(ValueError, match="contiguous"):
        ring.have_polarities(values[::2])
