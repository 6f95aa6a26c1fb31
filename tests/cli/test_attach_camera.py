"""`attach camera` and `attach dv`: events arrive, losses are counted, plugs are pulled."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "sensors" / "dvserver.py"
FAKE = ("attach", "camera", "--fake", "bar", "--json")


@pytest.mark.parametrize(("mode", "seconds"), [("lockstep", 4), ("wall", 6)])
def test_a_camera_is_unplugged_and_plugged_in_again(gaze, start, mode, seconds, seen):
    loop = gaze(mode, seconds)
    camera = start(*FAKE)
    camera.says("fake camera FAKE0001, 320x240", error=True)
    camera.says("M events/s, backlog", error=True)
    camera.send(signal.SIGUSR1)
    camera.says("has been unplugged; waiting for it to come back", error=True)
    camera.send(signal.SIGUSR1)
    camera.says("fake camera is back after", error=True)
    camera.says("M events/s", error=True)
    camera.send(signal.SIGTERM)
    code, output, error = camera.ends()
    assert code == 0, error
    fed = json.loads(output)
    made, rest = map(int, re.search(r"made (\d+) events; (\d+) lost at the end", error).groups())
    assert loop.ends()[0] == 0
    events, dropped = seen()
    assert fed["absences"] == 1
    assert events > 100_000
    assert events + dropped + rest == made
    assert (events + fed["dropped"], dropped) == (fed["events"], fed["lost"] + fed["dropped"])


def test_a_dv_server_feeds_the_loop(gaze, start, seen):
    pytest.importorskip("dv_processing", reason="the extra cameras is not installed")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline() == "serving\n"
        loop = gaze("lockstep", 2)
        dv = start("attach", "dv", f"127.0.0.1:{port}", "--json")
        dv.says("346x260", error=True)
        clients = 0
        while not clients:
            print("0", file=server.stdin, flush=True)
            clients = int(server.stdout.readline())
        for _ in range(20):
            print("1000", file=server.stdin, flush=True)
        dv.says("M events/s, backlog", error=True)
        dv.send(signal.SIGINT)
        code, output, error = dv.ends()
        assert code == 0, error
        assert json.loads(output)["events"] == 20_000
        assert loop.ends()[0] == 0
        assert seen() == (20_000, 0)
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(gaze, start, number):
    loop = gaze("wall", 4)
    camera = start(*FAKE)
    camera.says("M events/s", error=True)
    camera.send(number)
    code, output, error = camera.ends()
    assert code == 0, error
    assert json.loads(output)["events"] > 0
    loop.send(signal.SIGINT)
    loop.ends()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["camera"], 1, "no camera found"),
        (["camera", "--driver", "dv"], 1, "no camera found"),
        (["camera", "--driver", "x"], 2, "use one of neuromorphic, dv"),
        (["camera", "--fake", "bar", "--serial", "7"], 1, "there is: FAKE0001"),
        (["camera", "--fake", "nothing.es"], 2, "nothing.es: no such file"),
        (["dv", "127.0.0.1"], 2, "expected HOST:PORT"),
        (["dv", "127.0.0.1:1"], 1, "dv 127.0.0.1:1: cannot connect: Connection refused"),
    ],
)
def test_what_it_refuses_takes_one_line(reflexarc, args, code, message):
    if "--fake" not in args:
        pytest.importorskip("dv_processing", reason="the extra cameras is not installed")
        pytest.importorskip("neuromorphic_drivers", reason="the extra cameras is not installed")
    done = reflexarc("attach", *args, check=code)
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_says_what_is_there(reflexarc):
    done = reflexarc("attach", "camera", "--fake", "bar", "--list", check=0)
    assert done.stdout == "fake camera FAKE0001\n"
    listed = reflexarc("attach", "camera", "--fake", "bar", "--list", "--json", check=0).stdout
    assert json.loads(listed) == [{"name": "fake camera", "serial": "FAKE0001"}]


def test_a_server_that_is_none_of_dv_is_one_line(reflexarc):
    pytest.importorskip("dv_processing", reason="the extra cameras is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = reflexarc("attach", "dv", f"127.0.0.1:{server.getsockname()[1]}", check=1)
    assert "it says nothing; is it a DV server?" in done.stderr
    assert done.stderr.count("\n") == 1
