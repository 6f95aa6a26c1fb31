"""Scenarios as Gymnasium environments: its own checks, and the same task as the loop's."""

import warnings

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed: extra 'gym'")
pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from reflexarc.runtime.clock import LockstepClock  # noqa: E402
from reflexarc.runtime.environment import ScenarioEnv  # noqa: E402
from reflexarc.runtime.errors import ConfigError  # noqa: E402
from reflexarc.runtime.loop import Loop  # noqa: E402
from reflexarc.runtime.scenario import Scenario  # noqa: E402
from reflexarc.runtime.world import LocalPlant  # noqa: E402

ID = "reflexarc/pole-balance-v0"


@pytest.fixture
def env():
    made = gymnasium.make(ID)
    yield made
    made.close()


def test_it_keeps_gymnasiums_contract(env):
    with warnings.catch_warnings():
        # forces are in newtons, readings have no bounds: both are meant
        warnings.simplefilter("ignore", UserWarning)
        check_env(env.unwrapped, skip_render_check=True)


def test_its_streams_are_those_that_the_network_sees(env):
    observation, info = env.reset(seed=3)
    assert set(observation) == {"camera", "rail"}
    assert observation["camera"].shape == (2, 48, 64)
    assert env.action_space.high.tolist() == [60.0]
    assert info["truth"].shape[0] >= 4


def test_a_controller_does_the_same_in_it_as_in_the_loop(env):
    scenario = Scenario.load("pole-balance")
    commands, seen = [], []

    def note(tick):
        commands.append(tick.command.copy())
        events = [b.values for b in tick.batches if b.stream == "camera"]
        truth = next(b.values.copy() for b in tick.batches if b.stream == "truth")
        seen.append((truth, sum(map(len, events))))

    plant = LocalPlant(scenario.make_world(5), scenario.make_gate().rest)
    loop = Loop(
        LockstepClock(scenario.spec.period_ns),
        plant,
        scenario.make_baseline("pd-events", 5),
        scenario.make_gate(),
        listeners=[note],
    )
    loop.run(200)
    plant.close()

    observation, info = env.reset(seed=5)
    reward = 0.0
    for k, command in enumerate(commands):
        truth, events = seen[k]
        np.testing.assert_array_equal(info["truth"], truth)
        assert observation["camera"].sum() == events
        observation, gained, over, cut_off, info = env.step(command)
        reward += gained
        assert (over, cut_off) == (False, False)
    assert reward == pytest.approx(info["score"]) == pytest.approx(0.4)


def test_the_episode_ends_with_the_task_and_is_cut_off_by_the_time():
    env = ScenarioEnv("pole-balance", ["seconds=0.01"])
    env.reset(seed=0)
    endings = [env.step(env.action_space.low * 0)[2:4] for _ in range(5)]
    assert endings == [(False, False)] * 4 + [(False, True)]
    env.close()
    env = ScenarioEnv("pole-balance", ["world.config.initial_tilt_rad=0.39"])
    env.reset(seed=0)
    over = [env.step(np.array([-60.0]))[2] for _ in range(300)]
    assert any(over)
    env.close()


def test_a_seed_decides_and_no_seed_draws_another_world(env):
    first = env.reset(seed=1)[1]["truth"]
    other = env.reset()[1]["truth"]
    again = env.reset(seed=1)[1]["truth"]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_is_no_environment_is_said():
    with pytest.raises(ConfigError, match="gaze: an environment needs a score"):
        ScenarioEnv("gaze")
    assert not any("gaze" in name for name in gymnasium.registry)


def test_a_step_without_a_world_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before"):
        ScenarioEnv("pole-balance").step(np.zeros(1))
