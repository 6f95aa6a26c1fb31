"""`reflexarc attach` to a running daemon, and `reflexarc detach` from it."""

import json
import signal
import socket

import pytest
import yaml

#: A busy machine may stop a process for longer than a tick may take, or a feeder for a while.
PATIENT = ("--rt=off", "--set", "daemon.tick_limit_ms=5000")
FEED = ("attach", "camera", "--fake", "bar", "--to", "slide")


@pytest.fixture
def environment(environment, tmp_path):
    return environment | {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def daemon(slide_folder, start):
    """Start a daemon whose camera "eye" is attached."""

    def begin(*, essential, **attach):
        file = slide_folder / "scenario.yaml"
        content = yaml.safe_load(file.read_text())
        content["encoders"][0] |= {"stream": "eye", "width": 320, "height": 240, "cell_px": 240}
        content["attach"] = [{"stream": "eye", "width": 320, "height": 240, **attach}]
        content["period_ns"] = 20_000_000
        content["daemon"] = {
            "streams": {"eye": {"essential": essential, "stale_ms": 1000}, "state": {"quiet": True}}
        }
        file.write_text(yaml.safe_dump(content))
        sidecar = slide_folder / "nets" / "slide.yaml"
        sidecar.write_text(sidecar.read_text().replace("0.001", "0.02"))
        robot = start("daemon", "slide", *PATIENT)
        robot.says("-> ready", error=True)
        return robot

    return begin


@pytest.fixture
def status(reflexarc):
    return lambda: json.loads(reflexarc("status", "--json", check=0).stdout)


def test_a_stream_that_is_not_essential_comes_and_goes(daemon, start, reflexarc, status, wait_for):
    robot = daemon(essential=False)
    reflexarc("arm", check=0)
    robot.says("-> degraded", error=True)
    for _ in range(2):
        feeder = start(*FEED, "--stream", "eye")
        robot.says("degraded -> running", error=True)
        wait_for(lambda: status()["streams"]["eye"]["attached"], "the stream")
        reflexarc("detach", "eye", "--from", "slide", check=0)
        code, _, error = feeder.ends()
        assert code == 1
        assert "'eye' was detached" in error
        robot.says("running -> degraded", error=True)
        wait_for(lambda: not status()["streams"]["eye"]["attached"], "its end")
    assert status()["event_to_command_us"]["p999"] > 0
    robot.send(signal.SIGTERM)
    assert robot.ends()[0] == 0


def test_without_an_essential_stream_the_robot_stops_until_it_is_armed_again(
    daemon, start, reflexarc, status, wait_for
):
    robot = daemon(essential=True)
    start(*FEED, "--stream", "eye")
    wait_for(lambda: status()["streams"]["eye"]["alive"], "the stream")
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    reflexarc("detach", "eye", check=0)
    assert "'eye' has been silent" in robot.says("-> stopping", error=True)
    robot.says("-> safe-stopped", error=True)
    start(*FEED, "--stream", "eye")
    wait_for(lambda: status()["streams"]["eye"]["alive"], "the stream to be back")
    assert status()["state"] == "safe-stopped"
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)


def test_what_cannot_be_detached_is_one_line(daemon, reflexarc):
    daemon(essential=False)
    for stream, words in (
        ("eye", "detach: nobody feeds stream 'eye'"),
        ("sonar", "detach: no attached stream 'sonar'; there are: eye"),
    ):
        done = reflexarc("detach", stream)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert "no daemon 'gaze' runs" in reflexarc("detach", "eye", "--from", "gaze", check=1).stderr


def test_a_feeder_on_another_machine_comes_encrypted(
    daemon, start, reflexarc, status, slide_folder
):
    for who in ("loop", "camera"):
        reflexarc("keys", who, check=0)
    port = free_port()
    near, far = ({"endpoint": f"tcp://127.0.0.1:{port}"} for _ in range(2))
    near |= {"secret": "../loop.secret", "allow": ["../camera.public"]}
    far |= {"secret": "camera.secret", "allow": ["loop.public"]}
    (slide_folder.parent / "robot.yaml").write_text(yaml.safe_dump(far))
    robot = daemon(essential=False, link=near)
    reflexarc("arm", check=0)
    start("attach", "camera", "--fake", "bar", "--to", "robot.yaml", "--stream", "eye")
    robot.says("-> running", error=True)
    assert status()["streams"]["eye"]["attached"]
    reflexarc("detach", "eye", "--from", "slide", check=0)
    robot.says("running -> degraded", error=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
