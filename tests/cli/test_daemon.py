"""`reflexarc daemon` as a service manager and a user have it, in processes of its own."""

import json
import os
import re
import signal
import socket
import stat

import pytest

from reflexarc.runtime.checkpoint import decode

#: A busy machine may stop a process for longer than a tick may take.
PATIENT = ("--rt=off", "--set=daemon.tick_limit_ms=5000", "--set=daemon.deadman_ms=1000")


@pytest.fixture
def folder(tmp_path, slide_folder):
    return tmp_path


@pytest.fixture
def environment(environment, tmp_path):
    return environment | {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def daemon(start, reflexarc):
    """Start a daemon and wait until it is ready."""

    def begin(*options, until="-> ready"):
        started = start("daemon", "slide", *PATIENT, *options)
        started.says(until, error=True)
        return started

    return begin


@pytest.fixture
def status(reflexarc):
    return lambda: json.loads(reflexarc("status", "--json", check=0).stdout)


def checkpoints(tmp_path):
    return sorted((tmp_path / "state" / "reflexarc" / "slide").glob("*.ckpt"))


def test_a_day_of_a_robot(folder, daemon, reflexarc, status, tmp_path, processes):
    robot = daemon()
    assert status()["state"] == "ready"
    assert status()["learning"] == {"wanted": True, "on": False}
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    found = status()
    assert found["state"] == "running"
    assert found["learning"]["on"]
    assert found["streams"]["state"]["alive"]
    assert not found["hung"]
    reflexarc("learning", "off", check=0)
    assert "seen: 6 x 4" in reflexarc("weights", check=0).stdout
    kept = reflexarc("checkpoint", check=0).stdout.strip()
    assert checkpoints(tmp_path) == [tmp_path / kept]
    reflexarc("stop", check=0)
    robot.says("-> safe-stopped", error=True)
    assert status()["reason"] == "stop was asked for"
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    robot.send(signal.SIGTERM)
    code, output, error = robot.ends()
    assert (code, output) == (0, "")
    assert "ended: SIGTERM" in error
    assert len(checkpoints(tmp_path)) == 2
    assert processes() == {}
    assert list((tmp_path / "reflexarc" / "slide").iterdir()) == []


def test_the_control_socket_is_private(folder, daemon, tmp_path):
    daemon()
    path = tmp_path / "reflexarc" / "slide" / "control"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_second_daemon_names_the_first(folder, daemon, reflexarc):
    robot = daemon()
    done = reflexarc("daemon", "slide")
    assert done.returncode == 3
    assert f"process {robot.process.pid}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_killed_daemon_can_be_started_again_and_remembers(
    folder, daemon, reflexarc, wait_for, processes, tmp_path
):
    robot = daemon()
    fresh = json.loads(reflexarc("weights", "--json", check=0).stdout)
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    reflexarc("stop", check=0)
    robot.says("-> safe-stopped", error=True)
    learnt = json.loads(reflexarc("weights", "--json", check=0).stdout)
    assert learnt != fresh
    kept = reflexarc("checkpoint", check=0).stdout.strip()
    before = decode((tmp_path / kept).read_bytes(), kept)
    robot.send(signal.SIGKILL)
    robot.ends()
    again = daemon(until="goes on from the checkpoint of")
    again.says("-> ready", error=True)
    assert json.loads(reflexarc("weights", "--json", check=0).stdout) == learnt
    kept = reflexarc("checkpoint", check=0).stdout.strip()
    after = decode((tmp_path / kept).read_bytes(), kept)
    assert after.header.program_ns > before.header.program_ns
    again.send(signal.SIGTERM)
    assert again.ends()[0] == 0
    wait_for(lambda: not processes(), "the end of both companions")


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told(folder, start, reflexarc, environment, tmp_path, abstract):
    address = f"@reflexarc-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        manager.settimeout(20)
        environment |= {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
        robot = start("daemon", "slide", *PATIENT)
        assert manager.recv(4096).startswith(b"READY=1")
        assert manager.recv(4096) == b"WATCHDOG=1"
        robot.send(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", next_but_pings(manager))
        assert next_but_pings(manager) == b"READY=1"
        robot.send(signal.SIGSTOP)
        manager.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                assert manager.recv(4096) == b"WATCHDOG=1"
        manager.settimeout(20)
        robot.send(signal.SIGCONT)
        robot.send(signal.SIGTERM)
        assert next_but_pings(manager) == b"STOPPING=1"
        assert robot.ends()[0] == 0


def next_but_pings(manager):
    while (said := manager.recv(4096)) == b"WATCHDOG=1":
        pass
    return said


def test_a_broken_file_changes_nothing_and_a_good_one_all(folder, daemon, reflexarc, status):
    robot = daemon()
    file = folder / "slide" / "scenario.yaml"
    good = file.read_text()
    for broken, reason in (
        ("period_ns: 1000000", "period_ns: 2000000"),
        ("slew_per_s:", "slew_pers:"),
        ("nets/slide.yaml", "nets/missing.yaml"),
    ):
        file.write_text(good.replace(broken, reason))
        done = reflexarc("reload")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "scenario.yaml" in done.stderr or "missing" in done.stderr
    file.write_text(good.replace("- 3.0", "- 1.0").replace("- -3.0", "- -1.0"))
    reflexarc("reload", check=0)
    assert status()["state"] == "ready"
    robot.send(signal.SIGINT)
    assert robot.ends()[0] == 0


def test_another_network_begins_afresh_and_the_first_one_is_remembered(
    folder, daemon, reflexarc, status
):
    robot = daemon()
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    first = status()["network"]
    file = folder / "slide" / "nets" / "slide.yaml"
    good = file.read_text()
    file.write_text(good + "spike_area: 0.5\n")
    reflexarc("reload", check=0)
    robot.says("no checkpoint of this network", error=True)
    assert status()["network"] != first
    assert status()["state"] == "running"
    file.write_text(good)
    reflexarc("reload", check=0)
    robot.says("goes on from the checkpoint of", error=True)
    assert status()["network"] == first
    assert status()["state"] == "running"


def test_what_was_left_is_remembered_before_it_is_on_the_disk(
    folder, daemon, reflexarc, status, tmp_path
):
    robot = daemon()
    first = status()["network"]
    shelf = tmp_path / "state" / "reflexarc" / "slide"
    shelf.rmdir()  # as if the disk never came to it
    file = folder / "slide" / "nets" / "slide.yaml"
    good = file.read_text()
    for _ in range(2):
        file.write_text(good + "spike_area: 0.5\n")
        reflexarc("reload", check=0)
        robot.says("no checkpoint: No such file", error=True)
        file.write_text(good)
        reflexarc("reload", check=0)
        robot.says("goes on from where it was left", error=True)
        assert status()["network"] == first


def test_real_time_that_is_refused(folder, reflexarc):
    done = reflexarc("daemon", "slide", "--rt=require", "--set", "daemon.rt.cpu=4000")
    assert done.returncode == 4
    assert "real time refused" in done.stderr.splitlines()[-1]


def test_nobody_is_there(reflexarc):
    done = reflexarc("status")
    assert done.returncode == 1
    assert "no daemon runs" in done.stderr
    done = reflexarc("arm", "slide")
    assert "no daemon 'slide' runs" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_file_names_file_line_and_key(folder, reflexarc):
    file = folder / "slide" / "scenario.yaml"
    file.write_text(file.read_text() + "daemon: {overload: {high: 2}}\n")
    done = reflexarc("daemon", "slide")
    assert done.returncode == 2
    assert re.search(r"scenario.yaml:\d+: daemon.overload.high: .*less than or equal", done.stderr)


def test_a_unit_can_be_had(reflexarc):
    text = reflexarc("unit", check=0).stdout
    assert "Type=notify" in text
    assert "@PYTHON@" not in text


def test_malformed_requests_are_answered(folder, daemon, status, tmp_path):
    daemon()
    for said in (b"\n", b"[1]\n", b"{}\n", b"\xff\n", b'{"verb": "fly"}\n', b"[" * 50_000 + b"\n"):
        assert not ask_raw(tmp_path, said)["ok"]
    assert "at most" in ask_raw(tmp_path, b"x" * 100_000)["error"]
    assert status()["state"] == "ready"


def ask_raw(tmp_path, said):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(tmp_path / "reflexarc" / "slide" / "control"))
        client.sendall(said)
        return json.loads(client.makefile().readline())


def test_a_killed_companion_comes_back(folder, daemon, reflexarc, status, wait_for):
    robot = daemon()
    reflexarc("arm", check=0)
    os.kill(status()["companion_pid"], signal.SIGKILL)
    robot.says("the companion died and was started again", error=True)
    wait_for(lambda: reflexarc("status", "--json").returncode == 0, "the new companion")
    assert status()["state"] == "running"
