"""Datagrams decoded in C, beside the rules in a few lines of Python."""

import socket
import struct
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.ext.datagrams import DatagramReader
from reflexarc.runtime.batch import EVENT

WIDTH, HEIGHT = 64, 48
ARRIVAL_US = 77_000_000
DAY_US = 86_400_000_000
TURN_US = 1 << 32
#: Steps between the times of events: on, back, a new start, far ahead.
STEPS = st.one_of(
    st.integers(0, 5000),
    st.integers(-900_000, 0),
    st.integers(-(10**7), -(10**6)),
    st.integers(0, 2**31),
    st.integers(DAY_US, 2 * DAY_US),
)
EVENTS = st.lists(
    st.tuples(STEPS, st.integers(0, 80), st.integers(0, 60), st.booleans()), min_size=1, max_size=9
)


@contextmanager
def reading(encoding):
    """A reader, and a function that gives it datagrams and returns what is in them."""
    out, into = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with out, into:
        into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 1000))
        reader = DatagramReader(into.fileno(), encoding, WIDTH, HEIGHT)

        def read(*datagrams):
            for data in datagrams:
                out.send(data)
            assert reader.wait() == len(datagrams)
            return reader.take(ARRIVAL_US)

        yield reader, read


def packed(encoding, t_us, x, y, on):
    if encoding == "t64":
        return struct.pack("<QHHB", t_us % (1 << 64), x, y, on)
    if encoding == "t32":
        return struct.pack("<IHH", t_us % TURN_US, x, y << 1 | on)
    if encoding == "spif":
        return struct.pack("<II", x << 16 | on << 15 | y, t_us % TURN_US)
    return struct.pack("<I", 1 << 31 | x << 16 | on << 15 | y)


class Rules:
    """What the stream's time is, as `Datagrams.receive` says it."""

    def __init__(self, encoding):
        self.short = encoding != "t64"
        self.begin = self.before = None
        self.last = 0

    def stream_us(self, sent_us):
        if self.begin is None:
            self.begin = self.before = sent_us
        if self.short:
            sent_us += self.before // TURN_US * TURN_US
            sent_us += TURN_US if sent_us - self.before < -TURN_US // 2 else 0
        self.before = sent_us
        t_us = sent_us - self.begin
        if not -1_000_000 <= t_us - self.last <= DAY_US:
            self.begin += t_us - self.last
            t_us = self.last
        self.last = max(self.last, t_us)
        return self.last


@settings(max_examples=200)
@given(
    st.sampled_from(["t64", "t32", "spif", "spif without time"]),
    st.integers(0, 2**40),
    st.lists(EVENTS, min_size=1, max_size=5),
)
def test_it_decodes_as_the_rules_say(encoding, t_us, parts):
    rules, expected, outside, datagrams = Rules(encoding), [], 0, []
    for part in parts:
        data = b""
        for step, x, y, on in part:
            # Steps of a day are beyond 32 bits, where only half a turn back is one ahead.
            t_us = max(0, t_us + (step if encoding == "t64" else max(-(10**7), step % 2**31)))
            data += packed(encoding, t_us, x, y, on)
            if x >= WIDTH or y >= HEIGHT:
                outside += 1
                continue
            sent_us = ARRIVAL_US if encoding == "spif without time" else t_us
            sent_us = sent_us if encoding == "t64" else sent_us % TURN_US
            expected.append((rules.stream_us(sent_us), x, y, on))
        datagrams.append(data)
    with reading(encoding.partition(" ")[0]) as (reader, read):
        found = read(*datagrams)
        assert (reader.malformed, reader.outside, reader.overrun) == (0, outside, 0)
    np.testing.assert_array_equal(found, np.array(expected, EVENT))


@given(st.sampled_from(["t64", "t32", "spif"]), st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_whatever_break_it_or_the_order_of_time(encoding, datagrams):
    with reading(encoding) as (reader, read):
        found = read(*datagrams) if datagrams else reader.take(0)
    assert (np.diff(found["t"].astype(np.int64)) >= 0).all()
    assert (found["x"] < WIDTH).all()
    assert (found["y"] < HEIGHT).all()
    assert found["p"].view(np.uint8).max(initial=0) <= 1
    size = {"t64": 13, "t32": 8, "spif": 4}[encoding]
    whole = [data for data in datagrams if data and len(data) % size == 0]
    if encoding == "spif":
        whole = [data for data in whole if data[3] >> 7 or len(data) % 8 == 0]
    assert reader.malformed == len(datagrams) - len(whole)


def test_one_event_from_far_ahead_does_not_take_the_stream_along():
    with reading("t64") as (_, read):
        found = read(*(packed("t64", t_us, 1, 1, 1) for t_us in (10, 1 << 63, 20, 30)))
    assert found["t"].tolist() == [0, 0, 0, 10]


def test_silence_gives_nothing_and_what_was_taken_is_not_given_again():
    with reading("t32") as (reader, read):
        assert len(read(packed("t32", 5, 1, 1, 1))) == 1
        assert len(reader.take(0)) == 0
        assert reader.wait() == 0
        assert len(reader.take(0)) == 0


def test_more_datagrams_than_one_call_takes_wait_for_the_next():
    out, into = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with out, into:
        out.setblocking(False)
        sent = 0
        try:
            while True:
                out.send(packed("t64", sent, 1, 1, 1))
                sent += 1
        except BlockingIOError:
            pass
        into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 1000))
        reader, found = DatagramReader(into.fileno(), "t64", WIDTH, HEIGHT), []
        while reader.wait():
            found += reader.take(0)["t"].tolist()
    assert found == list(range(sent))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="encoding 't16': one of t64, t32, spif"):
        DatagramReader(0, "t16", 1, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        DatagramReader(-1, "t64", 1, 1).wait()
