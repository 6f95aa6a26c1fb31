"""Dodge: its world, its score, its baselines and its network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.network import Linear
from reflexarc.runtime.nirfile import read
from reflexarc.runtime.policy import Policy
from reflexarc.runtime.save import save
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.scenarios.dodge import build_network
from reflexarc.scenarios.dodge.baselines import Truth, TruthConfig
from reflexarc.scenarios.dodge.score import Handled, HandledConfig
from reflexarc.scenarios.dodge.world import Dodge, DodgeConfig, Throws, ThrowsConfig

MS = 1_000_000
TICK_NS = 2 * MS
#: As arena.py, which needs PyBullet.
FOCAL_PX, MIDDLE_PX = 75.4, 31.5


@contextmanager
def world(seed: int = 0, **config: Any) -> Iterator[Dodge]:
    made = Dodge(DodgeConfig.model_validate({"pixels": None} | config), seed)
    try:
        yield made
    finally:
        made.close()


def look(plant: Dodge, until_ns: int, wanted_m: float = 0.0) -> dict[str, Any]:
    """The values of each stream."""
    return {b.stream: b.values for b in plant.advance(until_ns, np.array([wanted_m]))}


class TestDodge(WorldContract):
    """A ball flies: the first is thrown at 0.5 s, so that the ticks are longer."""

    period_ns = 15 * MS

    def make_world(self, seed: int) -> Dodge:
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        made = Scenario.load("dodge").make_world(seed)
        assert isinstance(made, Dodge)
        return made


# The world.


@pytest.mark.usefixtures("_needs_pybullet")
def test_it_hovers_and_goes_aside_and_back_within_its_limits() -> None:
    wanted = [0.0] * 50 + [0.5] * 300 + [0.0] * 400
    with world(throws={"interval_s": 100.0, "from_x_m": [90.0, 99.0]}) as plant:
        truths = np.array(
            [look(plant, (n + 1) * TICK_NS, to_m)["truth"] for n, to_m in enumerate(wanted)]
        )
    side_m, _, roll_rad, _ = truths[:, :4].T
    assert np.abs(side_m[:50]).max() < 1e-3
    assert side_m[190] > 0.25  # 0.28 s after the command: a ball's and its own half width
    assert side_m[349] == pytest.approx(0.5, abs=0.03)
    assert side_m.max() < 0.56
    assert side_m[-1] == pytest.approx(0.0, abs=0.03)
    assert 40 < np.degrees(np.abs(roll_rad).max()) < 55


@pytest.mark.usefixtures("_needs_pybullet")
@pytest.mark.parametrize(("passing", "touches"), [(0.0, True), (1.0, False)])
def test_balls_meet_a_quadrotor_at_rest_or_pass(passing: float, touches: bool) -> None:
    for seed in range(3):
        with world(seed, throws={"passing": passing}) as plant:
            seen = [look(plant, (n + 1) * TICK_NS) for n in range(700)]
        truths = np.array([each["truth"] for each in seen])
        assert truths[:, 4].max() == 1
        assert bool(truths[:, 5].max()) is touches
        assert bool(truths[:, 6].max()) is touches
        assert bool(max(each["body"][0] for each in seen)) is touches


@pytest.mark.usefixtures("_needs_pybullet")
def test_changes_come_at_their_times() -> None:
    changes = [
        {"at_s": 0.1, "set": {"walker": True}},
        {"at_s": 0.2, "set": {"walker": False}},
    ]
    with world(pixels={}, changes=changes) as plant:
        counts = [len(look(plant, (n + 1) * 10 * MS)["camera"]) for n in range(45)]
    assert sum(counts[:10]) == 0
    assert sum(counts[10:20]) > 100
    assert sum(counts[22:]) == 0


@pytest.mark.usefixtures("_needs_pybullet")
def test_grey_balls_are_harder_to_see() -> None:
    seen = {}
    for colour in ("white", "grey"):
        config = {"pixels": {}, "changes": [{"at_s": 0.0, "set": {"balls": colour}}]}
        with world(**config) as plant:
            seen[colour] = sum(len(look(plant, (n + 1) * 10 * MS)["camera"]) for n in range(80))
    assert 0 < 2 * seen["grey"] < seen["white"]


def test_throws_depend_on_the_seed_and_arrive_where_they_say() -> None:
    def drawn(seed: int) -> list[Any]:
        throws = Throws(ThrowsConfig(), np.random.default_rng(seed))
        return [throw for n in range(5000) if (throw := throws.due(n * 0.01))]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    for throw in drawn(1):
        takes_s = throw.from_m[0] / -throw.speed_m_s[0]
        aside_m = throw.from_m[1] + throw.speed_m_s[1] * takes_s
        drop_m = throw.from_m[2] + throw.speed_m_s[2] * takes_s - 9.81 * takes_s**2 / 2
        assert drop_m == pytest.approx(0.0, abs=1e-9)
        assert 6.0 <= -throw.speed_m_s[0] <= 10.0
        assert abs(aside_m) <= 0.2 if throw.meets else 0.6 <= abs(aside_m) <= 1.2
    assert 0.1 < np.mean([not throw.meets for throw in drawn(1)]) < 0.6


# The score.


def truth_of(side_m: float, number: int, meets: bool, touched: bool) -> np.ndarray:
    return np.array([side_m, 0, 0, 0, number, meets, touched, 3.0, 0.1, 0, -6.0, 0, 0])


@pytest.mark.parametrize(
    ("side_m", "meets", "touched", "handled"),
    [
        (0.5, True, False, 1.0),
        (0.5, True, True, 0.0),
        (0.0, False, False, 1.0),
        (0.2, False, False, 0.0),
        (0.1, False, True, 0.0),
    ],
)
def test_a_ball_is_handled(side_m: float, meets: bool, touched: bool, handled: float) -> None:
    score = Handled(HandledConfig(), 0)
    score.update(truth_of(0.0, 1, meets, False), 0)
    score.update(truth_of(side_m, 1, meets, touched), TICK_NS)
    assert list(score.trials) == []
    score.update(truth_of(0.0, 0, False, False), 2 * TICK_NS)
    assert list(score.trials) == [handled]
    assert score.met == [meets]
    assert score.value == 100 * handled


# The policies.


def test_truth_leaves_the_side_where_the_ball_comes_and_no_other() -> None:
    def wanted(y_m: float, speed_y: float) -> float:
        truth = truth_of(0.0, 1, True, False)
        truth[[8, 11]] = y_m, speed_y
        truth[10] = -10.0  # in 0.3 s
        batch = Batch("truth", Schema.READINGS, truth, 0, 0)
        return float(Truth(TruthConfig(), 0).control([batch], 0)[0])

    assert wanted(0.1, 0.0) == -0.5
    assert wanted(-0.1, 0.0) == 0.5
    assert wanted(0.8, -3.0) == 0.5  # it will pass at -0.1
    assert wanted(0.8, 0.0) == 0.0


def disc(passes_m: float, arrives_s: float, fine: int = 8) -> np.ndarray:
    """Share of each pixel that a ball at 8 m/s, from straight ahead, covers; 64 x 64."""
    far_m = 8.0 * arrives_s
    column = MIDDLE_PX - FOCAL_PX * passes_m / far_m  # to the left is positive
    at = (np.arange(64 * fine) + 0.5) / fine - 0.5
    inside = np.hypot(at - column, at[:, None] - MIDDLE_PX) < FOCAL_PX * 0.1 / far_m
    return inside.reshape(64, fine, 64, fine).mean(axis=(1, 3))


def crossing(before: np.ndarray, after: np.ndarray, at_ns: int) -> np.ndarray:
    """Events of pixels that a bright ball has covered or left, ten for a whole one."""
    change = np.round(10 * after).astype(int) - np.round(10 * before).astype(int)
    y, x = np.nonzero(change)
    events = np.zeros(len(x), EVENT)
    events["t"], events["x"], events["y"], events["p"] = at_ns // 1000, x, y, change[y, x] > 0
    return np.repeat(events, np.abs(change[y, x]))


def greatest(policy: Policy, passes_m: float, until_s: float = 0.2) -> float:
    """The command furthest from 0 while an ideal ball comes, up to `until_s` before it is there.

    The ball is seen from 0.6 s before on; it does not appear out of nothing.
    """
    commands = [0.0]
    before = disc(passes_m, 0.6)
    for tick in range(round((0.6 - until_s) * 500)):
        now_ns = tick * TICK_NS
        after = disc(passes_m, 0.6 - (tick + 1) * 2e-3)
        events = crossing(before, after, now_ns)
        before = after
        batches = [
            Batch("camera", Schema.EVENTS, events, now_ns, now_ns, tick),
            Batch("body", Schema.READINGS, np.array([0.0, 0.0, 1.0]), now_ns, now_ns, tick),
        ]
        inputs = policy.encode(batches, now_ns, now_ns + TICK_NS)
        outputs = policy.think(inputs, now_ns + TICK_NS)
        commands.append(float(policy.decode(outputs, now_ns, now_ns + TICK_NS)[0]))
    return max(commands, key=abs)


@pytest.mark.parametrize("policy", ["network", "contact"])
def test_they_dodge_to_the_other_side(policy: str) -> None:
    scenario = Scenario.load("dodge")
    for passes_m in (-0.15, 0.15):
        made = scenario.make_policy() if policy == "network" else scenario.make_baseline(policy, 0)
        command = greatest(made, passes_m)
        assert abs(command) >= 0.4
        assert np.sign(command) == -np.sign(passes_m)


@pytest.mark.parametrize("passes_m", [-1.0, 1.0])
@pytest.mark.parametrize("policy", ["network", "contact"])
def test_they_let_pass_what_passes(policy: str, passes_m: float) -> None:
    scenario = Scenario.load("dodge")
    made = scenario.make_policy() if policy == "network" else scenario.make_baseline(policy, 0)
    assert greatest(made, passes_m) == 0.0


def struck(learning: bool) -> float:
    """What has been learnt of a strike of 10 ms."""
    policy = Scenario.load("dodge", [f"learning={learning}".lower()]).make_policy()
    for tick in range(50):
        now_ns = tick * TICK_NS
        body = np.array([float(tick in range(10, 15)), 0.0, 1.0])
        batch = Batch("body", Schema.READINGS, body, now_ns, now_ns, tick)
        policy.think(policy.encode([batch], now_ns, now_ns + TICK_NS), now_ns + TICK_NS)
    return float(policy.program.weights("cares")[0, 0])


def test_a_strike_teaches_caution() -> None:
    taught = build_network.LEARNING_RATE * build_network.STRIKE_COSTS * build_network.ALWAYS_HZ
    assert struck(learning=True) == pytest.approx(taught * 0.010, rel=0.05)
    assert struck(learning=False) == 0.0


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    save(build_network.build(), tmp_path / "network.yaml")
    shipped = SHIPPED / "dodge"
    assert (tmp_path / "network.yaml").read_text() == (shipped / "network.yaml").read_text()
    written, there = read(tmp_path / "network.nir"), read(shipped / "network.nir")
    assert list(written.nodes) == list(there.nodes)
    for name, node in there.nodes.items():
        if isinstance(node, Linear):
            again = written.nodes[name]
            assert isinstance(again, Linear)
            np.testing.assert_allclose(again.weight, node.weight, atol=1e-9)


def handled(policy: Policy, seconds: float) -> tuple[float, int]:
    """Per cent of the balls handled, and how many there were."""
    every_one_meets = "world.config.throws.passing=0"
    scenario = Scenario.load("dodge", [f"seconds={seconds}", every_one_meets])
    score, gate = scenario.make_score(0), scenario.make_gate()
    assert score is not None
    plant = LocalPlant(scenario.make_world(0), gate.rest)

    def go_on(tick: Tick) -> bool:
        truth = next(batch for batch in tick.batches if batch.stream == "truth")
        return score.update(truth.values, tick.now_ns)

    Loop(LockstepClock(scenario.spec.period_ns), plant, policy, gate).run(scenario.ticks, go_on)
    plant.close()
    return score.value, len(score.trials)


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_network_does_better_than_a_quadrotor_at_rest(resting_policy: Any) -> None:
    resting, balls = handled(resting_policy(np.zeros(1)), 5.0)
    flying, as_many = handled(Scenario.load("dodge").make_policy(), 5.0)
    assert min(balls, as_many) >= 2
    assert resting == 0.0
    assert flying >= 60.0
