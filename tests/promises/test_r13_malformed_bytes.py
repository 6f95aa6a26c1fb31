"""R13: malformed bytes are never fatal."""

import ctypes
import mmap
import struct
import zlib

import numpy as np
import pytest
import zmq

from reflexarc.ext.ring import FrameRing
from reflexarc.runtime.batch import EVENT, SPIKE, Batch, Schema
from reflexarc.runtime.bus import Control, Subscriber
from reflexarc.runtime.clock import monotonic_ns, perf_ns
from reflexarc.runtime.errors import WireError
from reflexarc.runtime.wire import HEADER_BYTES, MAX_FRAME_BYTES, decode, encode

SEALED_SHARE = 0.3


def good_frames(random):
    values = {
        Schema.EVENTS: np.zeros(5, EVENT),
        Schema.READINGS: random.normal(size=4),
        Schema.SPIKES: np.zeros(3, SPIKE),
        Schema.COMMAND: random.normal(size=2),
    }
    frames = [encode(Batch("some", schema, some, 1, 2)) for schema, some in values.items()]
    return [*frames, encode(Control(op="hello", text="x").batch())]


def seal(frame):
    """Give `frame` a checksum that fits, so that what is behind the check is reached."""
    body = frame[: HEADER_BYTES - 4] + bytes(4) + frame[HEADER_BYTES:]
    return body[: HEADER_BYTES - 4] + struct.pack("<I", zlib.crc32(body)) + body[HEADER_BYTES:]


def mutations(random, frames):
    """Endless damaged frames: flipped, cut, grown, spliced; some with a fitting checksum."""
    while True:
        frame = bytearray(frames[random.integers(len(frames))])
        match random.integers(5):
            case 0:
                for at in random.integers(0, len(frame), random.integers(1, 9)):
                    frame[at] ^= 1 << random.integers(8)
            case 1:
                del frame[random.integers(len(frame)) :]
            case 2:
                frame += random.bytes(random.integers(1, 40))
            case 3:
                begin, size = random.integers(0, HEADER_BYTES - 8), random.integers(1, 9)
                frame[begin : begin + size] = random.bytes(size)
            case 4:
                frame = bytearray(random.bytes(random.integers(0, 200)))
        if len(frame) >= HEADER_BYTES and random.random() < SEALED_SHARE:
            frame = seal(bytes(frame))
        yield bytes(frame)


def test_the_decoder_raises_one_error_and_no_other(count, measured):
    random = np.random.default_rng(13)
    cases, refused, harmless = count(50_000, 1_000_000), 0, 0
    frames = good_frames(random)
    for frame, _ in zip(mutations(random, frames), range(cases), strict=False):
        try:
            batch = decode(frame)
        except WireError as error:
            refused += 1
            assert "\n" not in str(error)
            continue
        # With a fitting checksum a changed value is a value; what is accepted is well formed.
        assert encode(batch) == frame
        if batch.schema is Schema.CONTROL:
            try:
                Control.parse(batch)
            except WireError:
                refused += 1
                continue
        harmless += 1
    assert refused + harmless == cases
    assert refused > cases // 2
    measured(f"{cases} damaged frames: {refused} refused, {harmless} well formed, 0 other errors")


def guarded(size):
    """`size` bytes before a page that may not be touched: who reads beyond them is killed."""
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    libc = ctypes.CDLL(None, use_errno=True)
    guard = ctypes.c_void_p(begin + mmap.PAGESIZE)
    assert libc.mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return memoryview(pages)[mmap.PAGESIZE - size : mmap.PAGESIZE]


def test_a_damaged_ring_is_an_error_and_never_outside_its_memory(count, measured):
    """The compiled reader: its memory ends at a page that may not be touched."""
    random, cases, damaged = np.random.default_rng(31), count(20_000, 300_000), 0
    frame = bytes(range(48))
    memory = guarded(FrameRing.HEADER_BYTES + 256)
    for _ in range(cases):
        ring = FrameRing(memory, create=True)
        for _ in range(3):
            ring.push(frame)
        for at in random.integers(0, len(memory), random.integers(1, 6)):
            memory[at] = random.integers(256)
        try:
            for _ in range(4):
                ring.pop()
            ring.push(frame)
        except ValueError:
            damaged += 1
    assert damaged
    measured(f"{cases} damaged rings: {damaged} noticed, 0 crashes")


def test_bad_messages_do_not_slow_the_loop_or_hide_the_good_ones(tmp_path, count, measured):
    random, total = np.random.default_rng(33), count(10_000, 100_000)
    endpoint = f"ipc://{tmp_path}/socket"
    bad = [frame for frame, _ in zip(mutations(random, [bytes(80)]), range(500), strict=False)]
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.sndhwm = 0
    socket.bind(endpoint)
    with Subscriber(endpoint) as subscriber:
        socket.recv()
        sent, seen, took_ns, deadline_ns = 0, 0, [], monotonic_ns() + 60_000_000_000
        while subscriber.malformed < total:
            assert monotonic_ns() < deadline_ns
            while sent < min(total, subscriber.malformed + 500):
                socket.send(bad[sent % len(bad)])
                sent += 1
                if sent % 1000 == 0:
                    values = np.array([float(sent)])
                    socket.send(encode(Batch("good", Schema.READINGS, values, seq=sent // 1000)))
            begin = perf_ns()
            seen += len(subscriber.take())
            took_ns.append(perf_ns() - begin)
        while subscriber.received < total // 1000:
            assert monotonic_ns() < deadline_ns
        seen += len(subscriber.take())
    socket.close(0)
    assert subscriber.malformed == total
    assert seen == total // 1000
    measured(
        f"{total} bad messages among {seen} good ones: all counted, none lost; "
        f"take p50/p99 {'/'.join(f'{q * 1e-3:.0f}' for q in np.percentile(took_ns, [50, 99]))} us"
    )


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1, MAX_FRAME_BYTES + 1])
def test_sizes_outside_the_format_are_refused(size):
    with pytest.raises(WireError, match="bytes long"):
        decode(bytes(size))
