"""The benchmark compares like with like."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS, HARNESS = ROOT / "benchmarks", ROOT.parent / "shared/peers"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason=f"{BENCHMARKS} is absent")


def compared(key, taken):
    return runpy.run_path(str(BENCHMARKS / "peers.py"))["compared"](key, taken)


def runs(key, *values, rate_hz=5.0):
    return [{key: value, "rate_hz": rate_hz, "disturbed": False} for value in values]


def test_ratio_is_to_the_fastest_peer_by_medians():
    taken = {
        "reflexarc": runs("p50", 2.0, 1.0, 9.0),
        "slow": runs("p50", 50.0, 50.0, 50.0),
        "fast": runs("p50", 8.0, 1.0, 9.0),
    }
    result = compared("p50", taken)
    assert (result["fastest_peer"], result["ratio"]) == ("fast", 4.0)


def test_more_events_a_second_are_better():
    taken = {"reflexarc": runs("mev_s", 800.0), "a": runs("mev_s", 80.0), "b": runs("mev_s", 200.0)}
    result = compared("mev_s", taken)
    assert (result["fastest_peer"], result["ratio"]) == ("b", 4.0)


def test_a_peer_at_another_rate_is_void():
    taken = {
        "reflexarc": runs("p50", 2.0),
        "fast": runs("p50", 4.0, rate_hz=5.3),
        "slow": runs("p50", 8.0, rate_hz=5.2),
    }
    result = compared("p50", taken)
    assert result["void"] == ["fast"]
    assert (result["fastest_peer"], result["ratio"]) == ("slow", 4.0)
    assert "ratio" not in compared("p50", {**taken, "slow": taken["fast"]})


@pytest.mark.parametrize("indent", [None, 2])
def test_the_object_a_run_ends_with_is_read(indent):
    quietly = runpy.run_path(str(BENCHMARKS / "peers.py"))["quietly"]
    found = {"a": {"b": [1, {"c": 2}]}}
    text = "hello {there}\n" + json.dumps(found, indent=indent)
    result = quietly([sys.executable, "-c", f"print({text!r})"])
    assert result == {**found, "disturbed": result["disturbed"]}


def test_a_run_that_fails_ends_the_benchmark_with_its_last_line():
    quietly = runpy.run_path(str(BENCHMARKS / "peers.py"))["quietly"]
    with pytest.raises(SystemExit, match="exit code 1: NameError: name 'x' is not defined"):
        quietly([sys.executable, "-c", "x"])


@pytest.mark.parametrize(
    ("net", "n", "k", "dt_ms"),
    [
        ("cuba", 4000, 80, 0.1),
        ("coba", 4000, 80, 0.1),
        ("brunel", 10_000, 1000, 0.1),
        ("brunel_stdp", 40_000, 1000, 0.1),
        ("loop", 1000, 100, 1.0),
        ("loop", 10_000, 100, 0.1),
    ],
)
def test_numbers_are_those_of_the_peers(net, n, k, dt_ms):
    if not HARNESS.exists():
        pytest.skip(f"{HARNESS} is absent")
    theirs = runpy.run_path(str(HARNESS / "netspec.py"))["get"](net, n, k, dt_ms)
    ours = runpy.run_path(str(BENCHMARKS / "networks.py"))["spec"](net, n, k, dt_ms)
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.parametrize(
    "options",
    [
        ["tput", "cuba", "--n", "400", "--k", "8", "--ms", "100", "--warm", "10"],
        ["tput", "coba", "--n", "400", "--k", "8", "--ms", "100", "--warm", "10"],
        ["tput", "brunel_stdp", "--n", "400", "--k", "100", "--ms", "50", "--warm", "10"],
        ["loop", "loop", "--n", "1000", "--k", "100", "--dt", "1.0", "--steps", "200"],
    ],
    ids=" ".join,
)
def test_every_network_fires(options):
    command = [sys.executable, str(BENCHMARKS / "driver.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 1.0 < json.loads(done.stdout)["rate_hz"] < 100.0


def test_pixels_are_measured_per_pixel_and_frame():
    pytest.importorskip("reflexarc.ext.pixels")
    script = [sys.executable, BENCHMARKS / "pixels.py", "--width=40", "--height=24", "--frames=9"]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["pixels"] == 960
    assert found["still/clean"]["reflexarc"]["events_per_frame"] == 0
    assert found["moving/clean"]["reflexarc"]["events_per_frame"] > 1
    assert 0 < found["still/clean"]["reflexarc"]["ns_per_pixel"] < 1e4


def test_a_camera_is_compared_with_a_finer_one():
    pytest.importorskip("pybullet", reason="PyBullet is not installed")
    script = [sys.executable, BENCHMARKS / "fidelity.py", "--scene=cartpole", "--seconds=0.1"]
    done = subprocess.run(
        [*script, "--camera", "adaptive", "1"], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    default, one = found["cartpole"]["adaptive"], found["cartpole"]["1"]
    assert default["counts"] > 0.98 > one["counts"]
    assert default["events"] == pytest.approx(1, abs=0.05)
    leak = found["noise"]["davis346"]["leak"]
    assert leak["measured"] == pytest.approx(leak["declared"], rel=0.01)
