"""`reflexarc tune`: what it leaves and prints, and what it refuses."""

import json

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
