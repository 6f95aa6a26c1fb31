import struct
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.batch import EVENT, SPIKE, Batch, Schema
from reflexarc.runtime.errors import WireError
from reflexarc.runtime.wire import HEADER_BYTES, decode, encode, max_count

U64 = st.integers(0, 2**64 - 1)
NAMES = st.from_regex(r"[a-z0-9_-]{1,15}", fullmatch=True)


@st.composite
def batches(draw):
    schema = draw(st.sampled_from(Schema))
    count = draw(st.integers(0, 9))
    raw = draw(st.binary(min_size=count * schema.dtype.itemsize, max_size=count * 32))
    values = np.frombuffer(raw[: count * schema.dtype.itemsize], schema.dtype).copy()
    if schema is Schema.EVENTS:
        values["on"] = values["on"].view(np.uint8) % 2
    first, last = sorted(draw(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2)))
    return Batch(draw(NAMES), schema, values, first, last, *(draw(U64) for _ in range(4)))


def same(one, other):
    assert one.values.dtype == other.values.dtype
    assert one.values.tobytes() == other.values.tobytes()
    empty = np.empty(0, one.schema.dtype)
    assert replace(one, values=empty).__repr__() == replace(other, values=empty).__repr__()


def example(count=3):
    values = np.zeros(count, EVENT)
    values["t"] = np.arange(count)
    values["on"] = True
    return Batch("camera", Schema.EVENTS, values, 0, 1000, seq=7, dropped=2)


def sealed(frame):
    """`frame` with a checksum that fits its content."""
    body = frame[: HEADER_BYTES - 4] + bytes(4) + frame[HEADER_BYTES:]
    return body[: HEADER_BYTES - 4] + struct.pack("<I", zlib.crc32(body)) + body[HEADER_BYTES:]


def patched(offset, data):
    frame = encode(example())
    return sealed(frame[:offset] + data + frame[offset + len(data) :])


@given(batches())
def test_a_batch_comes_back_as_it_was(batch):
    same(decode(encode(batch)), batch)
    same(decode(memoryview(bytearray(encode(batch)))), batch)


def test_a_frame_is_laid_out_as_documented():
    frame = encode(Batch("joint", Schema.READINGS, np.array([1.5]), 1, 2, 3, 4, 5, 6))
    assert HEADER_BYTES == 80
    assert frame[:24] == b"RFLX\x01\x00\x02\x00joint" + bytes(11)
    assert struct.unpack_from("<6q", frame, 24) == (4, 3, 1, 2, 5, 6)
    assert struct.unpack_from("<I", frame, 72) == (1,)
    assert frame[80:] == struct.pack("<d", 1.5)


def test_decoding_copies_nothing_and_gives_nothing_to_write_to():
    frame = bytearray(encode(example()))
    values = decode(memoryview(frame)).values
    assert not values.flags.writeable
    frame[HEADER_BYTES] = 99
    assert values["t"][0] == 99


def test_a_strided_array_is_sent_as_what_it_shows():
    values = np.arange(10.0)[::3]
    assert decode(encode(Batch("x", Schema.READINGS, values))).values.tolist() == [0, 3, 6, 9]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(WireError):
        decode(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_behind_a_good_magic_and_checksum_never_raise_anything_else(data):
    frame = sealed((b"RFLX\x01\x00" + data).ljust(HEADER_BYTES, b"\0"))
    with suppress(WireError):
        assert encode(decode(frame)) == frame


@given(batches(), st.data())
def test_every_flipped_bit_is_noticed(batch, data):
    frame = bytearray(encode(batch))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError):
        decode(bytes(frame))


@given(batches(), st.data())
def test_every_truncation_and_extension_is_noticed(batch, data):
    frame = encode(batch)
    with pytest.raises(WireError):
        decode(frame[: data.draw(st.integers(0, len(frame) - 1))])
    with pytest.raises(WireError):
        decode(frame + data.draw(st.binary(min_size=1, max_size=20)))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "0 bytes long"),
        (patched(0, b"NOPE"), "begins with"),
        (patched(4, b"\x02\x00"), "version 2"),
        (patched(6, b"\x63\x00"), "unknown schema 99"),
        (patched(8, b"CAMERA"), "not the name"),
        (patched(8, bytes(16)), "not the name"),
        (patched(8, b"cam\0ra"), "not the name"),
        (patched(8, b"c\xe4mera"), "not the name"),
        (patched(72, b"\x04"), "not 4 values of EVENTS"),
        (patched(40, b"\xff" * 7 + b"\x7f"), "ends before it begins"),
        (patched(HEADER_BYTES + 12, b"\x02"), "polarity"),
        (encode(example())[:-1] + b"\0", "checksum"),
    ],
)
def test_a_refusal_says_why_in_one_line(frame, reason):
    with pytest.raises(WireError, match=reason) as refusal:
        decode(frame)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stream": "Camera"}, "a-z"),
        ({"stream": ""}, "a-z"),
        ({"stream": "a" * 16}, "a-z"),
        ({"stream": "cam\n"}, "a-z"),
        ({"seq": -1}, "stream 'camera'"),
        ({"dropped": 2**64}, "stream 'camera'"),
        ({"t_first_ns": 1001}, "ends before it begins"),
    ],
)
def test_what_no_frame_can_hold_is_not_encoded(change, reason):
    with pytest.raises(WireError, match=reason):
        encode(replace(example(), **change))


def test_the_largest_frame_is_taken_and_one_more_value_is_not():
    most = max_count(Schema.SPIKES)
    largest = Batch("spikes", Schema.SPIKES, np.zeros(most, SPIKE))
    assert len(decode(encode(largest)).values) == most
    with pytest.raises(WireError, match="at most"):
        encode(replace(largest, values=np.zeros(most + 1, SPIKE)))
