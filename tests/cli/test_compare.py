"""`reflexarc run --compare`: the same figures as runs one by one, and what it refuses."""

import json

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

# so far from upright that policies differ within the time, and seeds too
HARD = ("--seconds", "0.6", "--set", "world.config.initial_tilt_rad=0.6", "--headless")


def test_it_is_the_runs_of_each_seed_side_by_side(reflexarc, tmp_path):
    done = reflexarc(
        "run", "pole-balance", *HARD, "--compare", "--seeds", "2", "--seed", "7", "--json",
        "--out", "all", check=0,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["seeds"] == [7, 8]
    assert found == json.loads((tmp_path / "all" / "compare.json").read_text())
    assert (tmp_path / "all" / "compare.png").read_bytes().startswith(b"\x89PNG")
    one = reflexarc("run", "pole-balance", *HARD, "--seed", "7", "--json", "--out", "one", check=0)
    alone = json.loads(one.stdout)
    scores = {each["policy"]: each["scores"][0] for each in found["policies"]}
    assert all(one != other for one, other in (each["scores"] for each in found["policies"][:2]))
    assert scores.pop("learning") == alone["score"]
    assert scores["frozen"] != alone["score"]
    assert {name: scores[name] for name in alone["baseline_score"]} == alone["baseline_score"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("pole-balance", "--seeds", "0"), "--seeds must be 1 or more"),
        (("pole-balance", "--learning", "on"), "runs learning on and off"),
        (("gaze",), "gaze: compare needs a score"),
        (("pole-balance", "--out", "/dev/null/x"), "/dev/null/x: cannot make this folder"),
        (("pole-balance", "--set", "seed=x"), "seed"),
    ],
)
def test_what_it_cannot_compare_is_one_line(reflexarc, tmp_path, options, words):
    done = reflexarc("run", *options, "--compare", check=2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
