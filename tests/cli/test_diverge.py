"""`reflexarc diverge`: two recordings in, an object and a picture out; wrong ones in one line."""

import json


def test_lockstep_and_wall_on_one_seed(slide_folder, reflexarc, tmp_path):
    for mode in ("lockstep", "wall"):
        reflexarc(
            "run", "slide/scenario.yaml", "--mode", mode, "--headless", "--out", mode, check=0
        )
    recordings = [f"{mode}/network.mcap" for mode in ("lockstep", "wall")]
    done = reflexarc("diverge", *recordings, "--out", "both", "--json", check=0)
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "both" / "diverge.json").read_text())
    assert (tmp_path / "both" / "diverge.png").read_bytes().startswith(b"\x89PNG")
    assert [run["mode"] for run in found["runs"]] == ["lockstep", "wall"]
    for run, mode in zip(found["runs"], ("lockstep", "wall"), strict=True):
        summary = json.loads((tmp_path / mode / "summary.json").read_text())
        assert run["event_to_command"] == summary["event_to_command"]
        assert run["ticks"] + run["lost"] == summary["ticks"]
    baseline = reflexarc("diverge", recordings[0], "lockstep/p.mcap", check=2)
    assert "policy p, but lockstep/network.mcap has network" in baseline.stderr
    assert len(baseline.stderr.splitlines()) == 1
