import os
import signal
import stat
import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
import zmq

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import (
    Claim,
    Continuity,
    Control,
    Inbox,
    Pair,
    Publisher,
    Subscriber,
    check_endpoint,
    runtime_dir,
)
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import ConfigError, LinkError, WireError
from reflexarc.runtime.wire import encode


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/socket"


def reading(number=0, stream="joint", seq=0, epoch=0, dropped=0):
    values = np.array([number], np.float64)
    return Batch(stream, Schema.READINGS, values, seq=seq, epoch=epoch, dropped=dropped)


def collect(subscriber, count):
    batches, deadline_ns = [], monotonic_ns() + 10_000_000_000
    while len(batches) < count:
        batches += subscriber.take()
        assert monotonic_ns() < deadline_ns, f"only {len(batches)} of {count} batches came"
    return batches


def test_the_runtime_directory_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = os.umask(0)
    try:
        directory = runtime_dir("robot-1")
    finally:
        os.umask(before)
    assert directory == tmp_path / "reflexarc" / "robot-1"
    for made in (directory, directory.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert runtime_dir("robot-1") == directory


def test_without_a_session_directory_the_temporary_one_serves(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert runtime_dir("robot") == tmp_path / f"reflexarc-{os.geteuid()}" / "robot"


def test_a_runtime_directory_that_others_can_enter_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "reflexarc").mkdir()
    (tmp_path / "reflexarc").chmod(0o755)
    with pytest.raises(ConfigError, match="mode 0700"):
        runtime_dir("robot")


def test_a_runtime_directory_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "reflexarc").touch()
    with pytest.raises(ConfigError, match="reflexarc: cannot be made: File exists"):
        runtime_dir("robot")


def test_a_lock_behind_a_link_is_refused(endpoint, tmp_path):
    (tmp_path / "socket.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="lock: cannot be made"):
        Claim(endpoint)


def test_a_runtime_directory_behind_a_link_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "reflexarc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="others could reach"):
        runtime_dir("robot")


@pytest.mark.parametrize("name", ["", "../up", "Robot", "a b", "a" * 33, "robot\n"])
def test_a_loop_has_a_plain_name(name):
    with pytest.raises(ConfigError, match="a-z"):
        runtime_dir(name)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("tcp://192.168.1.2:5555", "other machines could reach it"),
        ("tcp://*:5555", "other machines could reach it"),
        ("tcp://127.0.0.1.evil.org:1", "other machines could reach it"),
        ("inproc://x", "not an endpoint"),
        ("camera", "not an endpoint"),
        ("ipc:///nowhere/socket", "No such file"),
        (f"ipc:///{'a' * 107}", "shorten it"),
    ],
)
def test_an_endpoint_that_may_not_be_used_is_refused(endpoint, reason):
    with pytest.raises(ConfigError, match=reason):
        check_endpoint(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "tcp://localhost:1", "tcp://[::1]:1"])
def test_loopback_is_allowed(endpoint):
    check_endpoint(endpoint)


def test_a_claim_names_its_owner_and_ends_with_it(endpoint):
    code = f"from reflexarc.runtime.bus import Claim; import signal; Claim({endpoint!r}); "
    owner = subprocess.Popen(
        [sys.executable, "-c", f"{code} print('held', flush=True); signal.pause()"],
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"in use by process {owner.pid}"):
            Claim(endpoint)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    Claim(endpoint).close()


def test_a_closed_claim_leaves_nothing(endpoint, tmp_path):
    Pair(endpoint, bind=True).close()
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_one_clear_line():
    with Publisher("tcp://127.0.0.1:*") as first:
        with pytest.raises(ConfigError, match="in use; choose another port") as refusal:
            Pair(first.endpoint, bind=True)
        assert "\n" not in str(refusal.value)


def test_messages_cross_a_pair_both_ways(endpoint):
    with Pair(endpoint, bind=True) as one, Pair(endpoint, bind=False) as other:
        other.send(reading(1))
        one.send(Control(op="credit", count=7))
        assert one.receive(5).values.tolist() == [1]
        assert other.receive(5) == Control(op="credit", count=7)
        assert one.receive() is None


def test_sending_to_nobody_ends_at_its_deadline(endpoint):
    with (
        Pair(endpoint, bind=True) as pair,
        pytest.raises(LinkError, match=r"within 0\.05 s"),
    ):
        pair.send(reading(), timeout_s=0.05)


def test_what_a_peer_sent_last_is_received_before_its_end_is_noticed(endpoint):
    with Pair(endpoint, bind=True) as one:
        with Pair(endpoint, bind=False) as other:
            other.send(reading(1))
            other.send(reading(2))
        assert [one.receive(5).values[0] for _ in range(2)] == [1, 2]
        with pytest.raises(LinkError, match="gone away"):
            one.receive(5)


def test_a_second_peer_is_not_heard_and_does_not_disturb(endpoint):
    with Pair(endpoint, bind=True) as one, Pair(endpoint, bind=False) as other:
        other.send(reading(1))
        assert one.receive(5).values[0] == 1
        with (
            Pair(endpoint, bind=False) as third,
            pytest.raises(LinkError, match="is it running, and free"),
        ):
            third.greet(Control(op="hello"), 0.3)
        other.send(reading(2))
        assert one.receive(5).values[0] == 2
        assert one.receive(0.1) is None


def test_malformed_messages_are_counted_and_passed_over(endpoint):
    with Pair(endpoint, bind=True) as one, Pair(endpoint, bind=False) as other:
        for frame in (b"", b"nonsense", encode(reading())[:-1]):
            other._socket.send(frame)
        not_json = Batch("control", Schema.CONTROL, np.frombuffer(b'{"op": 1}', np.uint8))
        other.send(not_json)
        other.send(reading(5))
        assert one.receive(5).values[0] == 5
        assert one.malformed == 4


def test_a_greeting_stops_when_its_check_says_so(endpoint):
    def check():
        raise LinkError("it ended")

    with Pair(endpoint, bind=False) as pair, pytest.raises(LinkError, match="it ended"):
        pair.greet(Control(op="hello"), 5, check)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"op": "sing"}', b'{"op": "bye", "more": 1}', b'{"op": "end", "count": -1}'],
)
def test_a_control_message_is_strict(text):
    with pytest.raises(WireError, match="malformed control message"):
        Control.parse(Batch("control", Schema.CONTROL, np.frombuffer(text, np.uint8)))


def test_none_of_the_first_hundred_messages_is_lost(endpoint):
    with Publisher(endpoint) as publisher, Subscriber(publisher.endpoint) as subscriber:
        assert publisher.wait_for_subscriber(5)
        for number in range(100):
            publisher.send(reading(number))
        batches = collect(subscriber, 100)
        assert [batch.values[0] for batch in batches] == list(range(100))
        assert [batch.seq for batch in batches] == list(range(100))
        assert (subscriber.lost_frames, subscriber.malformed) == (0, 0)


def test_a_publisher_waits_for_a_subscriber_no_longer_than_it_is_told(endpoint):
    with Publisher(endpoint) as publisher:
        assert not publisher.wait_for_subscriber(0.05)


def test_every_subscriber_is_waited_for(endpoint):
    with Publisher(endpoint) as publisher, Subscriber(endpoint), Subscriber(endpoint) as second:
        assert publisher.wait_for_subscriber(5)
        assert publisher.wait_for_subscriber(5)
        publisher.send(reading(7))
        assert collect(second, 1)[0].values[0] == 7


def test_a_subscriber_that_falls_behind_keeps_the_newest_and_counts_the_rest(endpoint):
    with Publisher(endpoint) as publisher, Subscriber(endpoint, capacity=4) as subscriber:
        assert publisher.wait_for_subscriber(5)
        for number in range(50):
            publisher.send(reading(number))
        seen = dropped = 0
        while seen + dropped < 50:
            batches = subscriber.take()
            seen += len(batches)
            dropped += sum(batch.dropped for batch in batches)
        assert batches[-1].values[0] == 49


def test_a_subscriber_finds_gaps_repeats_and_garbage(endpoint):
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.bind(endpoint)
    with Subscriber(endpoint) as subscriber:
        socket.recv()
        for seq in (0, 1, 4, 4, 5):
            socket.send(encode(reading(seq, seq=seq, dropped=10 * (seq == 4))))
        socket.send(b"garbage")
        socket.send(encode(reading(6, seq=6)))
        batches = collect(subscriber, 5)
        assert [batch.dropped for batch in batches] == [0, 0, 12, 0, 0]
        assert (subscriber.lost_frames, subscriber.malformed) == (2, 2)
    socket.close(0)


def test_a_sender_that_restarts_is_followed_from_its_first_number():
    continuity = Continuity()
    sequence = [(1, 5), (1, 6), (2, 0), (2, 3), (2, 3)]
    missing = [continuity.missing(reading(epoch=epoch, seq=seq)) for epoch, seq in sequence]
    assert missing == [0, 0, 0, 2, -1]


def test_the_inbox_tells_each_stream_what_it_lost():
    inbox = Inbox(3)
    for seq in range(4):
        inbox.put(reading(seq, "a", seq=seq, dropped=1))
        inbox.put(reading(seq, "b", seq=seq))
    assert [(batch.stream, batch.seq, batch.dropped) for batch in inbox.take()] == [
        ("b", 2, 2),
        ("a", 3, 1 + 3 * 2),
        ("b", 3, 0),
    ]
    assert inbox.take() == []


def test_what_an_inbox_has_lost_waits_for_the_next_of_its_stream():
    inbox = Inbox(1)
    inbox.put(reading(stream="a"))
    inbox.put(reading(stream="b"))
    assert [batch.dropped for batch in inbox.take()] == [0]
    inbox.put(reading(stream="a"))
    assert [batch.dropped for batch in inbox.take()] == [1]


def test_an_inbox_between_two_threads_loses_nothing_uncounted():
    inbox = Inbox(10)
    sender = Thread(target=lambda: [inbox.put(reading()) for _ in range(5000)])
    sender.start()
    seen = 0
    while sender.is_alive():
        seen += sum(1 + batch.dropped for batch in inbox.take())
    sender.join()
    assert seen + sum(1 + batch.dropped for batch in inbox.take()) == 5000
