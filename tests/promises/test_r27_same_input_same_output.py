"""R27: the same input gives the same output."""

import json
import os
import subprocess
import sys

import pytest


def replay_in_fresh_process(path, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "reflexarc", "replay", str(path), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


SUMS = ("spikes_sha256", "commands_sha256", "weights_sha256")


@pytest.mark.parametrize("seed", [3, 4])
def test_three_replays_in_fresh_processes_are_identical(
    seed, record_slide, tmp_path, count, measured
):
    ticks = count(500, 20_000)
    run = record_slide(tmp_path / "run.mcap", settings=[f"seed={seed}"], ticks=ticks)
    results = [replay_in_fresh_process(run.path, hash_seed) for hash_seed in (1, 2, 3)]
    assert all(result["identical"] and result["ticks"] == ticks for result in results)
    for name in SUMS:
        assert len({result[name] for result in results}) == 1
    spikes = sum(len(tick.outputs["motor"]) for tick in run.ticks)
    assert spikes > ticks // 2
    measured(
        f"{ticks} ticks of a closed loop that learns, seed {seed}, {spikes} spikes: 3 replays in "
        "fresh processes identical in spikes, commands and weights"
    )


def test_another_seed_gives_other_spikes(record_slide, tmp_path):
    first, second = (
        record_slide(tmp_path / f"{seed}.mcap", settings=[f"seed={seed}"], ticks=200)
        for seed in (3, 4)
    )
    one, other = (
        b"".join(tick.outputs["motor"].tobytes() for tick in run.ticks) for run in (first, second)
    )
    assert one != other
