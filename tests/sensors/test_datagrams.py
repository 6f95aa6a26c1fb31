"""Camera events from UDP: what others send, and what is wrong."""

import socket
from typing import Any

import faery
import numpy as np
import numpy.typing as npt
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import ConfigError
from reflexarc.sensors.datagrams import Datagrams

Events = npt.NDArray[Any]
FAERY = {"t64": "t64_x16_y16_on8", "t32": "t32_x16_y15_on1"}


def sample(count: int = 2000, first_us: int = 7000) -> Events:
    random = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = first_us + np.sort(random.integers(0, 50_000, count))
    events["t"][0] = first_us
    events["x"], events["y"] = random.integers(0, 64, count), random.integers(0, 48, count)
    events["on"] = random.integers(0, 2, count)
    return events


def spif(events: Events, timed: bool = True) -> bytes:
    word = events["x"].astype("<u4") << 16 | events["on"].astype("<u4") << 15 | events["y"]
    if not timed:
        return bytes((word | np.uint32(1 << 31)).tobytes())
    return bytes(np.stack([word, events["t"].astype("<u4")], axis=1).astype("<u4").tobytes())


def sent(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for data in datagrams:
            out.sendto(data, ("127.0.0.1", port))


def received(source: Datagrams, count: int) -> Events:
    """At least so many events, or what comes within a second of silence."""
    parts, silent = [np.zeros(0, EVENT)], 0
    while sum(map(len, parts)) < count and silent < 20:
        parts.append(source.receive())
        silent = 0 if len(parts[-1]) else silent + 1
    return np.concatenate(parts)


def listening(encoding: Any = "t64", size: tuple[int, int] = (64, 48)) -> Datagrams:
    return Datagrams("127.0.0.1", 0, encoding, size)


@pytest.mark.parametrize("encoding", FAERY)
def test_what_faery_sends_is_read(encoding: Any) -> None:
    events = sample()
    stream = faery.events_stream_from_array(events, dimensions=(64, 48))
    with listening(encoding) as source:
        stream.to_udp(source.address, format=FAERY[encoding], events_per_packet=40)
        found = received(source, len(events))
    events["t"] -= 7000
    np.testing.assert_array_equal(found, events)
    assert (source.malformed, source.outside, source.overrun) == (0, 0, 0)


def test_timed_words_of_spif_are_read() -> None:
    events = sample(60)
    with listening("spif") as source:
        sent(source.address[1], spif(events[:30]), spif(events[30:]))
        found = received(source, 60)
    events["t"] -= 7000
    np.testing.assert_array_equal(found, events)


def test_words_of_spif_without_time_have_that_of_their_arrival() -> None:
    events = sample(40)
    with listening("spif") as source:
        sent(source.address[1], spif(events[:20], timed=False))
        first = received(source, 20)
        sent(source.address[1], spif(events[20:], timed=False))
        second = received(source, 20)
    assert set(first["t"]) == {0}
    assert 0 < second["t"].min() <= second["t"].max() < 10_000_000
    np.testing.assert_array_equal(np.concatenate([first, second])["x"], events["x"])


@pytest.mark.parametrize("encoding", ["t32", "spif"])
def test_times_of_32_bits_may_start_anew(encoding: Any) -> None:
    events = sample(600, first_us=2**32 - 20_000)
    short = {"t": events["t"].astype("<u4"), "x": events["x"].astype("<u2")}
    y_on = (events["y"] << 1 | events["on"]).astype("<u2")
    rows = np.rec.fromarrays([short["t"], short["x"], y_on])
    parts = np.array_split(np.arange(600), 11)
    data = [spif(events[part]) if encoding == "spif" else rows[part].tobytes() for part in parts]
    with listening(encoding) as source:
        sent(source.address[1], *data)
        found = received(source, 600)
    np.testing.assert_array_equal(found["t"], events["t"] - events["t"][0])


def test_a_step_back_is_held_and_a_sender_that_starts_anew_goes_on() -> None:
    first, again = sample(10), sample(10)
    back = sample(1)
    with listening() as source:
        sent(source.address[1], first.tobytes(), back.tobytes())
        found = received(source, 11)
        assert found["t"][-1] == found["t"][-2] == first["t"][-1] - 7000
        late = sample(1, first_us=3_000_000)
        sent(source.address[1], late.tobytes(), again.tobytes())
        found = received(source, 11)
    assert found["t"][0] == 3_000_000 - 7000
    np.testing.assert_array_equal(found["t"][1:] - found["t"][0], again["t"] - again["t"][0])


def test_what_is_wrong_is_counted() -> None:
    events = sample(10)
    events["x"][3] = 64
    with listening() as source:
        sent(source.address[1], b"", events.tobytes()[:-1], events.tobytes(), b"noise")
        found = received(source, 9)
        source.receive()
    assert len(found) == 9
    assert (source.malformed, source.outside) == (3, 1)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("t64", b"x" * 14), ("t32", b"x" * 9), ("spif", b"x" * 6), ("spif", b"\0" * 12), ("t32", b"")],
)
def test_a_datagram_that_ends_inside_an_event_is_none(encoding: Any, data: bytes) -> None:
    with listening(encoding) as source:
        sent(source.address[1], data)
        assert len(source.receive()) == 0
        assert source.malformed == 1


def test_a_polarity_that_is_no_bit_is_made_one() -> None:
    data = bytearray(sample(2).tobytes())
    data[12] = 0xFE
    with listening() as source:
        sent(source.address[1], bytes(data))
        assert received(source, 2).view(np.uint8)[12] == 0


def test_a_sensor_may_be_said_to_be_larger_than_any_event_can_lie() -> None:
    with listening(size=(70_000, 70_000)) as source:
        sent(source.address[1], sample(3).tobytes())
        assert len(received(source, 3)) == 3


def test_what_the_socket_has_no_room_for_is_counted() -> None:
    data = sample(4000).tobytes()
    with listening() as source:
        sent(source.address[1], *[data] * 2000)
        found = received(source, 10**9)
        sent(source.address[1], data)  # the count comes with the next
        received(source, 1)
        assert source.overrun > 0
        assert len(found) + 4000 * source.overrun == 4000 * 2000


def test_an_address_that_cannot_be_had_is_named() -> None:
    with listening() as source, pytest.raises(ConfigError, match="cannot listen there"):
        Datagrams("127.0.0.1", source.address[1], "t64", (64, 48))
