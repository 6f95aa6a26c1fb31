"""Ctrl-C, SIGTERM, a kill and a full disk in the middle of `reflexarc run`."""

import json
import resource
import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

#: Far more than a test waits for.
LONG = ("run", "pole-balance", "--headless", "--seconds", "1000", "--out", "out")


def begun(wait_for, tmp_path):
    """Wait until the companion has written the first part of the recording."""
    part = tmp_path / "out" / "network.mcap.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 0, part)


@pytest.mark.parametrize("place", ["loop", "own"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_its_report(
    start, reflexarc, wait_for, processes, tmp_path, place, number
):
    run = start(*LONG, "--json", "--set", f"world.process={place}")
    begun(wait_for, tmp_path)
    # the readers of graphs, one of each process that has read one, stand by
    working = [line for line in processes().values() if "runtime.confined" not in line]
    assert len(working) == (2 if place == "loop" else 3)
    run.send(number)
    code, output, error = run.ends()
    assert code == 130
    assert "network: interrupted at" in error
    summary = json.loads(output)
    assert (summary["ended"], len(summary["runs"])) == ("interrupted", 1)
    assert processes() == {}
    assert not list(tmp_path.rglob("*.part"))
    assert "interrupted" in (tmp_path / "out" / "report.html").read_text()
    replayed = json.loads(reflexarc("replay", "out/network.mcap", "--json", check=0).stdout)
    assert replayed["ticks"] == summary["ticks"] > 0


def test_interrupted_in_a_baseline_is_interrupted(start):
    run = start("run", "pole-balance", "--headless", "--seconds", "3", "--out", "out")
    run.says("lqr: 3 s")
    run.send(signal.SIGINT)
    assert run.ends()[0] == 130


@pytest.mark.parametrize("place", ["loop", "own"])
def test_a_killed_run_leaves_a_recording_and_no_process(
    start, reflexarc, wait_for, processes, tmp_path, place
):
    run = start(*LONG, "--set", f"world.process={place}")
    begun(wait_for, tmp_path)
    run.send(signal.SIGKILL)
    code, _, error = run.ends()
    assert (code, error) == (-signal.SIGKILL, "")
    wait_for(lambda: not processes(), "the companions' end")
    assert not list(tmp_path.rglob("*.part"))
    replayed = json.loads(reflexarc("replay", "out/network.mcap", "--json", check=0).stdout)
    assert replayed["notes"] == ["the recording was cut short: the recording process died"]


def test_without_memory_for_the_recording(reflexarc, tmp_path):
    limit = (1 << 20, 1 << 20)
    done = reflexarc(*LONG, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert done.returncode == 2
    assert "out/network.mcap: no ring of" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk(tmp_path, environment, processes):
    """In a mount namespace of its own, where `out` is a disk of 256 KiB."""
    (tmp_path / "out").mkdir()
    separate = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=256k none out"
    if not shutil.which("unshare") or subprocess.run([*separate, mount], cwd=tmp_path).returncode:
        pytest.skip("no disk can be mounted here")
    script = f'{mount} && "$@"; code=$?; ls -A out; exit $code'
    done = subprocess.run(
        [*separate, script, "sh", sys.executable, "-P", "-m", "reflexarc", *LONG, "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.endswith("network.mcap: not recorded: No space left on device; then run again")
    assert done.stdout == ""
    assert processes() == {}
