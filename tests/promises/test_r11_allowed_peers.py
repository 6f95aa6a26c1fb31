"""R11: only allowed peers."""

import os
import socket
import stat
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import yaml
import zmq

from reflexarc.runtime import door as door_module
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.bus import Control, Pair, Publisher, Subscriber
from reflexarc.runtime.clock import monotonic_ns, pause
from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.keys import Curve, make_keys, read_public, read_secret
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.wire import encode

ANYWHERE = "tcp://127.0.0.1:*"


@pytest.fixture
def sides(tmp_path):
    """Keys of a world and a loop that know each other, and of somebody else."""
    world, loop, other = (make_keys(tmp_path, name) for name in ("world", "loop", "other"))

    def curve(own, *allowed):
        return Curve(*read_secret(own[1]), frozenset(read_public(files[0]) for files in allowed))

    return curve(world, loop), curve(loop, world), curve(other, world)


@pytest.fixture
def lines(monkeypatch):
    """What the door complains of, with the time it did."""
    told = []
    monkeypatch.setattr(
        door_module.complaints, "_tell", lambda line: told.append((monotonic_ns(), line))
    )
    monkeypatch.setattr(door_module.complaints, "_causes", {})
    monkeypatch.setattr(door_module.complaints, "counts", {})
    return told


def message(number):
    return Batch("state", Schema.READINGS, np.array([float(number)]), seq=number)


def until(condition, seconds=10.0):
    deadline_ns = monotonic_ns() + round(seconds * 1e9)
    while not condition():
        assert monotonic_ns() < deadline_ns
        pause(0.002)


def test_peers_that_know_each_other_talk(sides):
    world_keys, loop_keys, _ = sides
    with (
        Pair(ANYWHERE, bind=True, curve=world_keys) as world,
        Pair(world.endpoint, bind=False, curve=loop_keys) as loop,
    ):
        loop.send(message(1))
        assert world.receive(5).values[0] == 1
        world.send(message(2))
        assert loop.receive(5).values[0] == 2
    with (
        Publisher(ANYWHERE, curve=world_keys) as publisher,
        Subscriber(publisher.endpoint, curve=loop_keys) as subscriber,
    ):
        assert publisher.wait_for_subscriber(5)
        publisher.send(message(3))
        until(lambda: subscriber.received == 1)


def test_the_end_of_an_allowed_peer_is_noticed(sides):
    world_keys, loop_keys, _ = sides
    with Pair(ANYWHERE, bind=True, curve=world_keys) as world:
        with Pair(world.endpoint, bind=False, curve=loop_keys) as loop:
            loop.send(message(1))
            assert world.receive(5).values[0] == 1
        with pytest.raises(LinkError, match="gone away"):
            world.receive(5)


class Intruder:
    """One connection to a world that does not know it; it sends a good frame if it can."""

    def __init__(self, kind, endpoint, other):
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.raw = kind == "garbage"
        if self.raw:
            self.socket = socket.create_connection((host, int(port)))
            self.socket.sendall(np.random.default_rng(11).bytes(200))
            return
        self.socket = zmq.Context.instance().socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.reconnect_ivl = 60_000
        if kind == "wrong key":
            self.socket.curve_publickey, self.socket.curve_secretkey = other.public, other.secret
            (self.socket.curve_serverkey,) = other.allowed
        elif kind == "wrong server":
            self.socket.curve_publickey, self.socket.curve_secretkey = other.public, other.secret
            self.socket.curve_serverkey = other.public
        self.socket.connect(endpoint)
        with suppress(zmq.Again):  # it may have been turned away already
            self.socket.send(encode(message(666)), zmq.NOBLOCK)

    def close(self):
        self.socket.close()


def test_strangers_deliver_nothing_and_are_all_logged(sides, lines, count, measured):
    world_keys, loop_keys, other_keys = sides
    kinds = ("wrong key", "wrong server", "no key", "garbage")
    total, delivered = count(40, 1000), 0
    with Pair(ANYWHERE, bind=True, curve=world_keys) as world:
        strangers, late_ns = world._strangers, []
        for n in range(total):
            begin_ns, before = monotonic_ns(), strangers.turned_away
            intruder = Intruder(kinds[n % 4], world.endpoint, other_keys)
            while strangers.turned_away == before:
                delivered += world.receive(0.01) is not None
                assert monotonic_ns() - begin_ns < 10_000_000_000
            late_ns.append(monotonic_ns() - begin_ns)
            intruder.close()
        assert world.malformed == delivered == 0
        # Whoever is allowed is still welcome, and heard.
        with Pair(world.endpoint, bind=False, curve=loop_keys) as loop:
            loop.send(Control(op="hello"))
            assert world.receive(5) == Control(op="hello")
    assert strangers.turned_away == total
    door_module.complaints.flush(now=True)
    assert (
        sum(door_module.complaints.counts.values()) == total + door_module.complaints.counts["key"]
    )
    assert door_module.complaints.counts["key"] == total // 4
    # A line a second for each cause at most, and one at once for the first.
    seconds = (lines[-1][0] - lines[0][0]) * 1e-9
    assert len(lines) <= 2 * (seconds + 2)
    assert max(late_ns) < 1_500_000_000
    measured(
        f"{total} connects with a wrong key, for a wrong server, without a key, and of garbage: "
        f"{delivered} delivered, {strangers.turned_away} turned away and counted in "
        f"{len(lines)} log lines, the slowest after {max(late_ns) * 1e-6:.0f} ms"
    )


def test_a_publisher_gives_nothing_to_strangers(sides, lines):
    world_keys, loop_keys, other_keys = sides
    with (
        Publisher(ANYWHERE, curve=world_keys) as publisher,
        Subscriber(publisher.endpoint, curve=other_keys) as deaf,
        Subscriber(publisher.endpoint, curve=loop_keys) as heard,
    ):
        assert publisher.wait_for_subscriber(5)
        publisher.send(message(1))
        until(lambda: heard.received == 1)
        until(lambda: any("unknown key" in line for _, line in lines))
        until(lambda: any("turned away" in line for _, line in lines))
        assert deaf.received == 0


def test_keys_are_made_once_and_are_private(tmp_path, measured):
    folder = tmp_path / "keys"
    folder.mkdir()
    before = os.umask(0)
    try:
        command = [sys.executable, "-m", "reflexarc", "keys", "robot", "--out", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        os.umask(before)
    files = sorted(folder.iterdir())
    assert done.stdout.split() == [str(folder / "robot.public"), str(folder / "robot.secret")]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    public, secret = read_secret(folder / "robot.secret")
    assert read_public(folder / "robot.public") == public
    assert zmq.curve_public(secret) == public
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "exists" in again.stderr
    measured("reflexarc keys: two files of mode 0600 under umask 0, never overwritten")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path, mode):
    _, secret = make_keys(tmp_path, "robot")
    secret.chmod(mode)
    with pytest.raises(ConfigError, match="others can read this secret"):
        read_secret(secret)


GOOD = {"endpoint": "tcp://192.0.2.1:5555", "secret": "loop.secret", "allow": ["world.public"]}


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ({"endpoint": "tcp://192.0.2.1:5555"}, "needs secret and allow"),
        ({"endpoint": "tcp://*:5555"}, "needs secret and allow"),
        ({"endpoint": "tcp://0.0.0.0:5555"}, "needs secret and allow"),
        ({"endpoint": "tcp://[::]:5555"}, "needs secret and allow"),
        ({"endpoint": "tcp://127.0.0.1.evil.org:5555"}, "needs secret and allow"),
        ({**GOOD, "allow": []}, "give both"),
        ({**GOOD, "secret": None}, "give both"),
        ({**GOOD, "secret": "nobody.secret"}, "secret: .*no such file"),
        ({**GOOD, "secret": "world.public"}, "secret: .*holds no secret key"),
        ({**GOOD, "allow": ["nobody.public"]}, "allow: .*no such file"),
        ({**GOOD, "allow": ["scenario.yaml"]}, "allow: .*scenario.yaml:"),
    ],
)
def test_an_endpoint_beyond_this_machine_needs_keys(slide_folder, link, reason):
    for name in ("world", "loop"):
        make_keys(slide_folder, name)
    file = slide_folder / "scenario.yaml"
    said = yaml.safe_load(file.read_text())
    said["world"] |= {"process": "served", "link": link}
    file.write_text(yaml.safe_dump(said))
    with pytest.raises(ConfigError, match=rf"scenario.yaml:\d+: world.link.*{reason}") as caught:
        Scenario.load(str(slide_folder))
    assert "\n" not in str(caught.value)


def test_a_world_is_reached_with_keys(slide_folder, tmp_path):
    """Two commands with two secrets, over TCP, in lockstep: as in one process."""
    for name in ("world", "loop"):
        make_keys(slide_folder, name)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = slide_folder / "scenario.yaml"
    said = yaml.safe_load(file.read_text())
    link = {**GOOD, "endpoint": f"tcp://127.0.0.1:{port}"}
    said["world"] |= {"process": "served", "link": link}
    del said["baselines"]
    file.write_text(yaml.safe_dump(said))
    command = [sys.executable, "-m", "reflexarc"]
    theirs = ["--set=world.link.secret=world.secret", "--set=world.link.allow=[loop.public]"]
    world = subprocess.Popen([*command, "world", str(slide_folder), *theirs, "--once"])
    try:
        out = tmp_path / "out"
        run = [*command, "run", str(slide_folder), "--headless", "--out", str(out)]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert world.wait(10) == 0
    finally:
        world.kill()
        world.wait()
