"""`reflexarc run`: what it leaves, what it prints, and that a seed decides everything."""

import json

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

SHORT = ("run", "pole-balance", "--seconds", "0.3", "--headless")


def test_json_is_one_object_and_files_are_left(reflexarc, tmp_path):
    done = reflexarc(*SHORT, "--seed", "3", "--json", "--out", "out", check=0)
    summary = json.loads(done.stdout)
    assert summary["scenario"] == "pole-balance"
    assert (summary["seed"], summary["mode"], summary["learning"]) == (3, "lockstep", True)
    assert summary["score"] == pytest.approx(0.3, abs=0.01)
    assert set(summary["baseline_score"]) == {"lqr", "pd-events"}
    assert summary["ticks"] == 150
    assert summary["overruns"] == 0
    assert summary["spikes"] > 100
    assert summary["synaptic_events"] > 1000
    assert sum(summary["latency"]["share"].values()) == pytest.approx(1, abs=0.01)
    for path in summary["files"].values():
        assert (tmp_path / path).stat().st_size > 0
    assert (tmp_path / "out" / "report.html").exists()
    assert not list(tmp_path.rglob("*.part"))
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary


def test_plain_lines_when_piped(reflexarc):
    done = reflexarc(*SHORT, "--out", "out", check=0)
    lines = done.stdout.splitlines()
    assert lines[0] == "network: 0.3 s"
    assert any(line.startswith("network: done, 0.30 s balanced") for line in lines)
    assert any(line.split()[:2] == ["lqr", "0.30"] for line in lines)
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(reflexarc):
    def digests(seed, out):
        reflexarc(*SHORT, "--seed", seed, "--out", out, check=0)
        result = json.loads(reflexarc("replay", f"{out}/network.mcap", "--json", check=0).stdout)
        return result["spikes_sha256"], result["commands_sha256"], result["weights_sha256"]

    first, again, other = digests(1, "a"), digests(1, "b"), digests(2, "c")
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_learning_off_freezes_the_weights(reflexarc):
    done = reflexarc(*SHORT, "--learning", "off", "--json", "--out", "out", check=0)
    summary = json.loads(done.stdout)
    assert summary["learning"] is False
    assert summary["runs"][0]["weight_updates"] == 0


def test_a_world_in_its_own_process_gives_the_same_bytes(reflexarc):
    own = (*SHORT, "--set", "world.process=own", "--out", "own")
    reflexarc(*own, check=0)
    reflexarc(*SHORT, "--out", "loop", check=0)
    one, two = (
        json.loads(reflexarc("replay", f"{out}/network.mcap", "--json", check=0).stdout)
        for out in ("own", "loop")
    )
    assert one["commands_sha256"] == two["commands_sha256"]
    assert one["spikes_sha256"] == two["spikes_sha256"]


def test_wall_mode_counts_ticks_and_overruns(reflexarc):
    done = reflexarc(*SHORT, "--mode", "wall", "--json", "--out", "out", check=0)
    network = json.loads(done.stdout)["runs"][0]
    assert network["ticks"] + network["overruns"] >= 149
    assert network["ticks"] > 0


def test_record_names_the_recording(reflexarc, tmp_path):
    done = reflexarc(*SHORT, "--record", "deep/my.mcap", "--out", "out", "--json", check=0)
    assert json.loads(done.stdout)["files"]["recording"].endswith("deep/my.mcap")
    assert (tmp_path / "deep" / "my.mcap").exists()


def test_a_broken_pole_mass_is_a_setting_that_is_named(reflexarc):
    done = reflexarc(*SHORT, "--set", "world.config.pole_mass_kg=-1")
    assert done.returncode == 2
    assert done.stderr.startswith("reflexarc: --set world.config.pole_mass_kg: ")
    assert done.stderr.count("\n") == 1
