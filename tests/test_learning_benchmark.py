"""The random plants are those described, and the benchmark of learning on them can tell."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason=f"{BENCHMARKS} is absent")


@pytest.fixture
def plants(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("randomplant")


@pytest.fixture
def learning(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("learning")


def driven(plants, seeds, copies=1, steps=700):
    """Angles and readings of plants of 3 joints that get their path as the command."""
    path = plants.draw_path(3, seeds)
    world = plants.RandomPlants(plants.draw_forces(path, seeds), seeds, copies)
    shown = [world.step(np.repeat(q[:, None], copies, axis=1)) for q in path.q[:steps]]
    return world.q, np.array(shown)


def test_a_seed_is_the_same_plant_whatever_stands_beside_it(plants):
    alone, among = driven(plants, [7]), driven(plants, [3, 7, 9])
    np.testing.assert_array_equal(alone[0][0], among[0][1])
    np.testing.assert_array_equal(alone[1][:, 0], among[1][:, 1])
    assert not np.allclose(among[0][0], among[0][1])


def test_copies_share_their_noise(plants):
    q, shown = driven(plants, [7], copies=2)
    np.testing.assert_array_equal(q[:, 0], q[:, 1])
    np.testing.assert_array_equal(shown[:, :, 0], shown[:, :, 1])


def test_forces_are_those_of_the_equation(plants):
    forces = plants.draw_forces(plants.draw_path(2, [4]), [4])
    q = np.array([0.3, -0.2])
    a, c, d = (getattr(forces, key)[0, 0] for key in "acd")
    z = c + d * q
    wanted = [
        a[k] + sum(forces.b[0, j, k] * z[j] + forces.b[0, 2 + j, k] * np.sin(z[j]) for j in (0, 1))
        for k in (0, 1)
    ]
    np.testing.assert_allclose(forces.at(q[None, None])[0, 0], wanted)


@pytest.mark.parametrize("joints", [1, 5, 15])
def test_motors_can_hold_every_plant_on_its_path(plants, joints):
    path = plants.draw_path(joints, range(4))
    forces = plants.draw_forces(path, range(4))
    needed = path.rate.swapaxes(0, 1) - forces.at(path.q.swapaxes(0, 1))
    assert 1.0 < np.abs(needed).max() <= 8.0


def test_paths_have_the_size_they_are_said_to_have(plants):
    path = plants.draw_path(2, range(400))
    np.testing.assert_allclose((path.q.std(), path.rate.std()), plants.path_rms(2), rtol=0.05)
    slope = np.gradient(path.q, plants.DT_S, axis=0)
    np.testing.assert_allclose(slope[1:-1], path.rate[1:-1], atol=1e-3)


def test_the_wanted_reading_is_what_a_plant_on_its_path_shows(plants, monkeypatch):
    """The noiseless sensors of a plant that is put onto its path show path.sensed."""
    monkeypatch.setattr(plants, "NOISE", 0.0)
    path = plants.draw_path(2, [1, 2])
    world = plants.RandomPlants(plants.draw_forces(path, [1, 2]), [1, 2])
    for step in range(600):
        there = path.q[step + 1][:, None]
        world.q[:] = there - plants.DT_S * world.forces.at(there)  # what the step will add
        shown = world.step(np.zeros_like(world.q))
    np.testing.assert_allclose(shown[:, 0], path.sensed[600], atol=2e-4)


def test_recovery_is_counted_in_trials_since_the_return(learning):
    again = np.array([[9.0, 5.0], [6.0, 1.05], [4.9, 1.0], [1.2, 1.0], [1.0, 1.0], [1.0, 1.0]])
    errors = np.concatenate((np.ones((12, 2)), again))
    told = learning.recovery(errors, 6)
    assert told["level_rad"] == [1.0, 1.0, 1.0]
    assert told["forgetting"][0] == pytest.approx(np.sqrt(45), abs=1e-4)
    assert told["half_time_trials"][0] == 1.5  # 2 and 1
    assert told["recovered_trials"][0] == 2.5  # 4 and 1
    assert (told["most_trials_to_recover"], told["never_recovered"]) == (4, 0)


def test_who_never_recovers_is_counted(learning):
    errors = np.concatenate((np.ones((6, 2)), [[9.0, 9.0], [9.0, 1.0], [9.0, 1.0]]))
    told = learning.recovery(errors, 3)
    assert (told["most_trials_to_recover"], told["never_recovered"]) == (3, 1)


def test_learning_helps(tmp_path):
    """A quick run: three plants of one joint."""
    options = "--sizes 1 --joints 1 --seeds 3 --training 2 --periods 3 --trials 3 --picture"
    picture = tmp_path / "learning.png"
    command = [sys.executable, str(BENCHMARKS / "learning.py"), *options.split(), str(picture)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    size, continual = told["sizes"]["1"], told["continual"]
    assert size["over_frozen"]["adaptive"][2] < 0.6
    assert size["over_frozen"]["taught_then_frozen"][2] < 0.6
    assert size["over_pid"]["adaptive"][0] < 1.0
    assert size["lost"] == dict.fromkeys(size["lost"], 0)
    assert continual["adaptive"]["forgetting"][0] > 1.0
    by_trial = [each[0] for each in continual["error_by_trial_rad"]["adaptive"]]
    assert by_trial[8] < by_trial[6]
    assert picture.stat().st_size > 10_000
