"""`reflexarc tune`: what it leaves and prints, and what it refuses."""

import json
import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
pytest.importorskip("cmaes", reason="cmaes is not installed: extra 'tune'")


def test_it_leaves_its_search_and_a_config_that_the_scenario_takes(reflexarc, tmp_path):
    short = (
        "--tries",
        "3",
        "--seeds",
        "1",
        "--set",
        "seconds=0.1",
        "--set",
        "world.config.camera=null",
    )
    done = reflexarc("tune", "pole-balance", "lqr", *short, "--out", "t", "--json", check=0)
    found = json.loads(done.stdout)
    assert len(found["tried"]) == 3
    assert found["tried"][0]["values"]["force_weight"] == 0.1
    assert json.loads((tmp_path / "t" / "tuning.json").read_text()) == found
    assert (tmp_path / "t" / "tuning.png").read_bytes().startswith(b"\x89PNG")
    setting = f"baselines.lqr.config={json.dumps(found['config'])}"
    reflexarc("show", "pole-balance", "--set", setting, check=0)


def cpu_s(pid):
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_interrupted_it_ends_with_its_workers(start, processes, wait_for, tmp_path):
    long = ("--set", "seconds=1000", "--set", "world.config.changes=[]", "--out", "t")
    tuning = start("tune", "reach-payload", "pid", "--tries", "2", "--seeds", "2", *long)

    def working():
        workers = [pid for pid, line in processes().items() if "spawn_main" in line]
        # starting takes each about one second of its processor, a run a hundred
        return workers and all(cpu_s(pid) > 2.5 for pid in workers)

    wait_for(working, "workers in the middle of a run")
    tuning.send(signal.SIGTERM)
    code, _, error = tuning.ends()
    assert code == 130
    assert error.splitlines()[-1] == "reflexarc: interrupted"
    assert processes() == {}
    assert not (tmp_path / "t" / "tuning.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pole-balance", "nobody"), "no baseline 'nobody'; there are: lqr, pd-events"),
        (("gaze", "centroid"), "baselines.centroid declares nothing to tune"),
        (("pole-balance", "lqr", "--tries", "0"), "must be 1 or more"),
        (("pole-balance", "lqr", "--out", "/dev/null/x"), "/dev/null/x: cannot make this folder"),
    ],
)
def test_what_it_cannot_tune_is_one_line(reflexarc, tmp_path, arguments, words):
    done = reflexarc("tune", *arguments, check=2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
