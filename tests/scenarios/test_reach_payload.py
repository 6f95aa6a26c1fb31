"""The reaching arm: its plant, its changes, its baselines, a network that learns the load."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.launch import RunResult, run_policy
from reflexarc.runtime.network import Linear
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.sidecar import load
from reflexarc.runtime.world import World
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.scenarios.reach_payload import build_network
from reflexarc.scenarios.reach_payload.arm import FRICTION_N_M, JOINTS, Arm, NominalArm
from reflexarc.scenarios.reach_payload.reaches import LOWEST_M, SHORTEST_M, Reaches, draw_targets
from reflexarc.scenarios.reach_payload.score import HandError
from reflexarc.scenarios.reach_payload.world import Reach, ReachConfig

PERIOD_NS = 1_000_000
FOLDER = SHIPPED / "reach_payload"
POSTURE = np.array([0.1, 0.6, 0.2, -1.4, 0.1, 1.0, 0.3])
LOADED = "world.config.changes=[{at_s: 0.0, set: {payload_kg: 3.0}}]"
QUIET: dict[str, Any] = {"angle_noise_rad": 0.0, "rate_noise_rad_s": 0.0}


@pytest.fixture(autouse=True)
def _needs_pybullet() -> None:
    pytest.importorskip("pybullet", reason="pybullet is not installed")


class TestReachContract(WorldContract):
    period_ns = PERIOD_NS

    def make_world(self, seed: int) -> World:
        return Reach(ReachConfig(), seed)


@contextmanager
def arm_at(angle: np.ndarray, delay_s: float = 0.0, motor_tau_s: float = 1e-6) -> Iterator[Arm]:
    made = Arm(PERIOD_NS * 1e-9, delay_s, motor_tau_s, angle)
    try:
        yield made
    finally:
        made.close()


def torque_for(angle: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    nominal = NominalArm()
    try:
        return nominal.torque(angle, np.zeros(JOINTS), acceleration)
    finally:
        nominal.close()


def test_the_nominal_model_is_that_of_the_empty_arm() -> None:
    wanted = np.array([1.0, -2.0, 0.5, 3.0, 1.0, 2.0, -4.0])
    with arm_at(POSTURE) as arm:
        arm.step(torque_for(POSTURE, wanted))
        np.testing.assert_allclose(arm.state()[JOINTS:], 1e-3 * wanted, rtol=1e-4)


def test_a_load_pulls_with_its_weight() -> None:
    # Virtual work: the torque on a joint is the weight times how the joint lifts the hand.
    lift = np.zeros(JOINTS)
    nominal = NominalArm()
    for joint in range(JOINTS):
        step = np.zeros(JOINTS)
        step[joint] = 1e-5
        lift[joint] = (nominal.hand(POSTURE + step) - nominal.hand(POSTURE - step))[2] / 2e-5
    nominal.close()
    held = torque_for(POSTURE, np.zeros(JOINTS)) + 3.0 * 9.81 * lift
    with arm_at(POSTURE) as arm:
        arm.set_payload(3.0)
        arm.step(held)
        assert np.abs(arm.state()[JOINTS:]).max() < 1e-5
        arm.set_payload(0.0)
        arm.step(held)
        assert np.abs(arm.state()[JOINTS:]).max() > 1e-3


def test_friction_holds_a_joint_up_to_its_limit() -> None:
    still = torque_for(POSTURE, np.zeros(JOINTS))
    first = np.eye(JOINTS)[0] * FRICTION_N_M[0]
    with arm_at(POSTURE) as arm:
        arm.set_friction(1.0)
        for _ in range(50):
            arm.step(still + 0.9 * first)
        assert np.abs(arm.state()[0] - POSTURE[0]) < 1e-4
        for _ in range(50):
            arm.step(still + 1.5 * first)
        assert np.abs(arm.state()[0] - POSTURE[0]) > 1e-3


def test_motors_follow_late_and_gradually() -> None:
    still = torque_for(POSTURE, np.zeros(JOINTS))
    push = still + 10.0 * np.eye(JOINTS)[0]
    with arm_at(POSTURE, delay_s=0.005, motor_tau_s=0.01) as arm:
        rates = []
        for _ in range(40):
            arm.step(push)
            rates.append(arm.state()[JOINTS])
    gains = np.diff(rates)
    assert np.abs(rates[4]) < 1e-6
    assert gains[4] > 1e-5
    # After one time constant 1 - 1/e of the push has arrived.
    assert gains[13] == pytest.approx((1 - np.exp(-1)) * gains[-1], rel=0.1)


def test_reaches_are_smooth_and_go_round() -> None:
    targets = np.random.default_rng(0).normal(size=(3, JOINTS))
    reaches = Reaches(targets, trial_s=2.0, move_s=1.2)
    np.testing.assert_array_equal(reaches.wanted(0).angle, targets[-1])
    for trial in range(5):
        rest = reaches.wanted(trial * 2_000_000_000 + 1_500_000_000)
        np.testing.assert_allclose(rest.angle, targets[trial % 3])
        assert not rest.rate.any()
    before, now, after = (reaches.wanted(2_400_000_000 + k * 100_000) for k in (-1, 0, 1))
    np.testing.assert_allclose((after.angle - before.angle) / 2e-4, now.rate, rtol=1e-5)
    np.testing.assert_allclose((after.rate - before.rate) / 2e-4, now.acceleration, rtol=1e-4)
    assert reaches.left_s(2_500_000_000) == pytest.approx(1.5)


def test_targets_come_from_the_seed_and_lie_apart() -> None:
    nominal = NominalArm()
    first, again, other = (
        draw_targets(4, nominal, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    hands = np.array([nominal.hand(each) for each in first])
    nominal.close()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.linalg.norm(hands - np.roll(hands, 1, axis=0), axis=1).min() >= SHORTEST_M
    assert hands[:, 2].min() >= LOWEST_M


def test_changes_happen_at_their_times() -> None:
    changes = [
        {"at_s": 0.02, "set": {"payload_kg": 3.0}},
        {"at_s": 0.04, "set": {"friction": 1.0}},
        {"at_s": 0.06, "set": {"payload_kg": 0.0}},
    ]
    world = Reach(ReachConfig.model_validate({"changes": changes, **QUIET}), 0)
    truths = [
        world.advance(tick * PERIOD_NS, np.zeros(JOINTS))[-1].values[-2:] for tick in range(80)
    ]
    world.close()
    payload, friction = np.array(truths).T
    assert set(payload[:21]) == {0.0}
    assert set(payload[21:61]) == {3.0}
    assert set(payload[61:]) == {0.0}
    assert set(friction[:41]) == {0.0}
    assert set(friction[41:]) == {1.0}


def test_the_shipped_scenario_says_the_same_as_its_parts() -> None:
    spec = Scenario.load("reach-payload").resolved()
    world, baselines = spec["world"]["config"], spec["baselines"]
    assert [change["at_s"] for change in world["changes"]] == [6.0, 30.0, 46.0]
    assert baselines["pd"]["config"]["ki_per_s3"] == 0
    assert spec["seconds"] % world["trial_s"] == 0


def test_a_move_longer_than_its_trial_is_one_line() -> None:
    with pytest.raises(ConfigError, match="move_s must not be above trial_s") as caught:
        Scenario.load("reach-payload", ["world.config.move_s=3"])
    assert "\n" not in str(caught.value)


def test_score_is_the_error_of_each_trial() -> None:
    score = HandError(HandError.Config(), 0)
    for tick in range(20):
        away_m = 0.003 if tick < 10 else 5.0
        truth = np.array([away_m, 0, 0, 0, 0, 0, 0.010 - tick % 10 * 1e-3, 0, 0])
        assert score.update(truth, tick * PERIOD_NS)
    np.testing.assert_allclose(score.trials, [-3.0, -1000.0])  # a lost arm counts as 1 m off
    assert score.value == pytest.approx(-501.5)


def test_a_score_of_nonsense_is_a_lost_arm() -> None:
    score = HandError(HandError.Config(), 0)
    score.update(np.full(9, np.nan), 0)
    assert score.value == pytest.approx(-1000.0)


def run(policy: str, seconds: float, *settings: str) -> RunResult:
    scenario = Scenario.load("reach-payload", [f"seconds={seconds}", *settings])
    return run_policy(scenario, policy, None, Silent())


def test_every_trial_is_scored() -> None:
    assert len(run("pd", 1.0, "world.config.trial_s=0.25", "world.config.move_s=0.2").trials) == 4


def test_frozen_the_network_is_the_controller_it_stands_beside() -> None:
    gains = Scenario.load("reach-payload").resolved()["world"]["config"]["controller"]
    same = [f"baselines.pd.config.{key}={value}" for key, value in gains.items()]
    settings = (LOADED, "learning=false", *same)
    frozen, pd = (run(name, 0.5, *settings).score for name in ("network", "pd"))
    assert frozen == pytest.approx(pd, rel=1e-9)


def test_learning_makes_the_error_a_fraction() -> None:
    frozen, learning = (
        run("network", 6.0, LOADED, f"learning={on}").trials for on in ("false", "true")
    )
    assert learning[-1] > 0.3 * frozen[-1]  # both are minus mm
    assert frozen[-1] == pytest.approx(frozen[0], rel=0.5)


def test_an_integral_takes_the_load_up() -> None:
    pd, pid = (run(name, 4.0, LOADED).trials for name in ("pd", "pid"))
    assert pid[-1] > 0.5 * pd[-1]


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    written, shipped = build_network.build(), load(FOLDER / "network.yaml")
    assert list(written.nodes) == list(shipped.nodes)
    assert written.plasticity == shipped.plasticity
    for name, node in shipped.nodes.items():
        again = written.nodes[name]
        if isinstance(node, Linear):
            assert isinstance(again, Linear)
            np.testing.assert_allclose(again.weight, node.weight)
    adapts = shipped.nodes["adapts"]
    assert isinstance(adapts, Linear)
    assert not adapts.weight.any()


def ports(policy: NetworkPolicy, world: World, ticks: range, torque: np.ndarray) -> list[bytes]:
    """What leaves the network while it moves the arm, by tick; `torque` is the first command."""
    left = []
    for tick in ticks:
        now_ns, until_ns = tick * PERIOD_NS, (tick + 1) * PERIOD_NS
        inputs = policy.encode(world.advance(now_ns, torque), now_ns, until_ns)
        torque = policy.decode(policy.think(inputs, until_ns), now_ns, until_ns)
        left.append(torque.tobytes())
    return left


def test_what_was_learnt_survives_a_restart(tmp_path: Path) -> None:
    scenario = Scenario.load("reach-payload", [LOADED])
    whole, first, second = (scenario.make_policy() for _ in range(3))
    straight, stopped = scenario.make_world(0), scenario.make_world(0)
    rest = np.zeros(JOINTS)
    expected = ports(whole, straight, range(1000), rest)
    begun = ports(first, stopped, range(600), rest)
    np.savez(tmp_path / "checkpoint.npz", **first.program.state())
    del first
    with np.load(tmp_path / "checkpoint.npz") as file:
        second.program.restore(dict(file))
    assert second.program.weights("adapts").any()
    rest = np.frombuffer(begun[-1])
    assert begun + ports(second, stopped, range(600, 1000), rest) == expected
    straight.close()
    stopped.close()
