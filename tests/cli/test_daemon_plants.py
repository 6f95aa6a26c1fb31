"""`reflexarc daemon` with a robot's own drivers, and with a world in another process that dies."""

import json
import os
import signal
from itertools import pairwise

import pytest
import yaml

ROBOT = '''
import json
import os
from pathlib import Path

import numpy as np
from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.config import Strict
from reflexarc.runtime.world import Device


class Slide(Device):
    """A real slide would move; this one writes down what it is told."""

    class Config(Strict):
        log: str

    def __init__(self, config, seed):
        self.file, self.seq, self.x = Path(config.log).open("w"), 0, 0.25

    def observe(self, now_ns):
        self.seq += 1
        if Path("unplugged").exists():
            raise OSError(5, "Input/output error")
        return [Batch("state", Schema.READINGS, np.array([self.x]), now_ns, now_ns, self.seq)]

    def act(self, command):
        self.x += 0.001 * float(command[0])
        self.file.write(json.dumps(command.tolist()) + "\\n")
        self.file.flush()
'''

#: A busy machine may stop a process for longer than a tick may take.
PATIENT = ("--rt=off", "--set=daemon.tick_limit_ms=5000", "--set=daemon.deadman_ms=1000")


@pytest.fixture
def environment(environment, tmp_path):
    return environment | {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def edit(slide_folder):
    """Change the scenario's file."""

    def change(**keys):
        file = slide_folder / "scenario.yaml"
        content = yaml.safe_load(file.read_text())
        content.update(keys)
        for key in [key for key, value in keys.items() if value is None]:
            del content[key]
        file.write_text(yaml.safe_dump(content))
        return content

    return change


def test_a_robot_of_ones_own(slide_folder, edit, start, reflexarc, tmp_path):
    (slide_folder / "robot.py").write_text(ROBOT)
    content = edit(world=None, mode="wall", score=None, baselines=None)
    edit(
        robot={"code": "robot.py:Slide", "config": {"log": str(tmp_path / "frames")}},
        encoders=[content["encoders"][1]],
    )
    robot = start("daemon", "slide/scenario.yaml", *PATIENT)
    robot.says("-> ready", error=True)
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    (tmp_path / "unplugged").touch()
    said = robot.says("-> stopping", error=True)
    assert "observe: OSError: [Errno 5] Input/output error" in said
    robot.says("-> safe-stopped", error=True)
    refused = reflexarc("arm")
    assert refused.returncode == 1
    assert "not while a part fails" in refused.stderr
    (tmp_path / "unplugged").unlink()
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    robot.send(signal.SIGTERM)
    assert robot.ends()[0] == 0
    frames = [json.loads(line)[0] for line in (tmp_path / "frames").read_text().splitlines()]
    assert any(frames)
    assert frames[-5:] == [0.0] * 5
    assert max(abs(b - a) for a, b in pairwise(frames)) <= 0.2 + 1e-9


def test_a_safety_stop_may_end_the_daemon(slide_folder, edit, start, reflexarc, tmp_path):
    (slide_folder / "robot.py").write_text(ROBOT)
    content = edit(world=None, mode="wall", score=None, baselines=None)
    edit(
        robot={"code": "robot.py:Slide", "config": {"log": str(tmp_path / "frames")}},
        encoders=[content["encoders"][1]],
        daemon={"after_stop": "exit"},
    )
    robot = start("daemon", "slide/scenario.yaml", *PATIENT)
    robot.says("-> ready", error=True)
    (tmp_path / "unplugged").touch()
    assert robot.ends()[0] == 5


def test_a_world_that_is_killed_comes_back(
    slide_folder, edit, start, reflexarc, processes, wait_for
):
    edit(world={"code": "world.py:Slide", "process": "own"}, period_ns=5_000_000)
    sidecar = slide_folder / "nets" / "slide.yaml"
    sidecar.write_text(sidecar.read_text().replace("0.001", "0.005"))
    robot = start("daemon", "slide", *PATIENT, "--set", "daemon.stale_ms=100")
    robot.says("-> ready", error=True)
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    # Number 0; number 1 may be in reserve already.
    [world] = [pid for pid, line in processes().items() if "-0 --once" in line]
    os.kill(world, signal.SIGKILL)
    robot.says("-> stopping", error=True)
    robot.says("-> safe-stopped", error=True)

    def alive():
        status = json.loads(reflexarc("status", "--json", check=0).stdout)
        stopped = status["state"] == "safe-stopped"  # it says how it is five times a second
        return stopped and all(stream["alive"] for stream in status["streams"].values())

    while not alive():
        pass
    reflexarc("arm", check=0)
    robot.says("-> running", error=True)
    robot.send(signal.SIGTERM)
    assert robot.ends()[0] == 0
    # The reader of a world that was killed ends by itself, when it finds nobody there.
    wait_for(lambda: processes() == {}, "all processes to end")


def test_keys_that_do_not_fit(slide_folder, edit, reflexarc):
    for keys, complaint in (
        ({"daemon": {"streams": {"sonar": {}}}}, "daemon.streams.sonar: no encoder listens"),
        (
            {"daemon": {"pose": {"stream": "state", "readings": [0, 1]}}},
            "daemon.pose.readings: 2 entries, but a command has 1",
        ),
        ({"daemon": {"deadman_ms": 1.0}}, "daemon.deadman_ms: "),
        ({"daemon": None, "period_ns": 60_000_000}, "period_ns: at most half of the deadman's"),
    ):
        edit(**{key: value or {} if key == "daemon" else value for key, value in keys.items()})
        done = reflexarc("daemon", "slide")
        assert done.returncode == 2, done.stderr
        assert complaint in done.stderr
        assert "scenario.yaml:" in done.stderr
        assert done.stderr.count("\n") == 1
