"""`reflexarc attach recording` beside `reflexarc run gaze`: every event is accounted for."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reflexarc.runtime.recording import Recording

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

REAL = Path(__file__).parents[2].parent / "shared" / "events"
ATTACH = ("attach", "recording")


@pytest.fixture(scope="module")
def circling(tmp_path_factory):
    """The recording that the scenario can make: two seconds of a ball that circles."""
    path = tmp_path_factory.mktemp("events") / "ball.es"
    make = [sys.executable, "-P", "-m", "reflexarc.scenarios.gaze.make_recording", str(path)]
    subprocess.run(make, check=True)
    return path


def test_the_head_follows_what_moves(gaze, reflexarc, circling, tmp_path, seen):
    loop = gaze("lockstep", 2)
    fed = json.loads(reflexarc(*ATTACH, circling, "--speed", "max", "--json", check=0).stdout)
    code, output, _ = loop.ends()
    assert code == 0
    assert fed["events"] > 50_000
    assert seen() == (fed["events"], 0)
    summary = json.loads(output)
    assert set(summary["baseline_score"]) == {"centroid"}
    for policy in ("network", "centroid"):
        truth = Recording.open(tmp_path / "out" / f"{policy}.mcap").series("truth")
        angle = np.pi * truth.t_ns * 1e-9
        settled = truth.t_ns > 0.5e9
        # It looks to the left in positive pan: away from where x grows. The filters lag a little.
        for n, wanted in ((0, -np.cos(angle - 0.4)), (1, np.sin(angle - 0.4))):
            assert np.corrcoef(truth.values[settled, n], wanted[settled])[0, 1] > 0.9, policy
            assert 0.2 < np.abs(truth.values[settled, n]).max() < 0.8, policy
    replayed = json.loads(reflexarc("replay", "out/network.mcap", "--json", check=0).stdout)
    assert replayed["identical"]


def test_in_real_time_every_event_is_seen_or_counted_as_dropped(gaze, reflexarc, circling, seen):
    loop = gaze("wall", 3)
    fed = json.loads(reflexarc(*ATTACH, circling, "--speed", "2", "--json", check=0).stdout)
    assert loop.ends()[0] == 0
    events, dropped = seen()
    assert (events + dropped, dropped) == (fed["events"], fed["dropped"])
    assert fed["duration_s"] > 0.9
    assert reflexarc("replay", "out/network.mcap").returncode == 0


def test_feeders_that_do_not_fit_are_refused_and_the_next_is_heard(
    gaze, reflexarc, start, circling
):
    loop = gaze("wall", 1000)
    large = circling.with_name("silent.txt")
    large.write_text("0.5 700 3 1\n0.6 701 3 0\n")
    for args, code, message in (
        ((circling, "--stream", "eye"), 1, "no loop 'gaze' waits for stream 'eye'; it waits for: "),
        ((circling, "--to", "other"), 1, "no loop 'other' waits for stream 'camera'; start it"),
        ((large,), 2, "its sensor has 1280x720 pixels, the loop's 640x480 (assumed where"),
        ((large, "--size", "640x480"), 2, "an event at (700, 3) lies outside 640x480"),
    ):
        done = reflexarc(*ATTACH, *args)
        assert (done.returncode, done.stdout) == (code, "")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    endless = start(*ATTACH, circling, "--loop", "--speed", "max", "--json")
    loop.send(signal.SIGINT)
    code, output, error = endless.ends()
    assert (code, output) == (1, "")
    assert "loop" in error
    assert error.count("\n") == 1
    assert loop.ends()[0] == 130


@pytest.mark.parametrize("speed", ["1", "max"])
def test_after_a_killed_feeder_another_may_come(gaze, reflexarc, start, circling, speed):
    loop = gaze("wall", 1000)
    first = start(*ATTACH, circling, "--loop", "--speed", speed)
    second = start(*ATTACH, circling, "--speed", "max", "--json")
    first.send(signal.SIGKILL)
    first.ends()
    code, output, _ = second.ends()
    assert code == 0
    assert json.loads(output)["dropped"] == 0
    loop.send(signal.SIGINT)
    assert loop.ends()[0] == 130


def test_in_lockstep_a_killed_feeder_ends_the_run(gaze, start, circling):
    loop = gaze("lockstep", 5)
    feeder = start(*ATTACH, circling, "--loop")
    loop.says("network: 1.0 of 5 s", error=True)
    feeder.send(signal.SIGKILL)
    code, output, error = loop.ends()
    assert (code, output) == (1, "")
    assert error.endswith("reflexarc: stream 'camera': its feeder went away before the end\n")


def test_ctrl_c_ends_a_loop_that_waits_for_its_first_event(gaze, tmp_path):
    loop = gaze("lockstep", 1000)
    loop.says("network: 1000 s", error=True)
    loop.send(signal.SIGINT)
    code, output, _ = loop.ends()
    assert code == 130
    assert json.loads(output)["ticks"] == 0
    assert (tmp_path / "out" / "report.html").exists()


def test_the_camera_of_another_run_is_played(gaze, reflexarc, seen):
    reflexarc("run", "pole-balance", "--seconds", "0.5", "--out", "pole", check=0)
    loop = gaze("lockstep", 0.5)
    options = ("--speed", "max", "--json")
    fed = json.loads(reflexarc(*ATTACH, "pole/network.mcap", *options, check=0).stdout)
    assert loop.ends()[0] == 0
    assert 0 < seen()[0] <= fed["events"]
    done = reflexarc(*ATTACH, "pole/network.mcap", "--stream", "rail")
    assert done.returncode == 2
    assert "no camera events called 'rail'; it has: camera" in done.stderr


@pytest.mark.skipif(not REAL.exists(), reason="no recordings of real cameras in ../shared/events")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("davis346.aedat4", ["--speed", "4"]),
        ("evt2_gen3_640x480.raw", ["--size", "640x480"]),
    ],
)
def test_recordings_of_real_cameras(gaze, reflexarc, name, options, seen):
    loop = gaze("wall", 4)
    fed = json.loads(reflexarc(*ATTACH, REAL / name, *options, "--json", check=0).stdout)
    assert loop.ends()[0] == 0
    events, dropped = seen()
    assert (events + dropped, dropped) == (fed["events"], fed["dropped"])
    assert json.loads(reflexarc("replay", "out/network.mcap", "--json", check=0).stdout)[
        "identical"
    ]
