"""The goalie: its world, its score, its baselines and its network."""

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
from reflexarc.scenarios.goalie import build_network, view
from reflexarc.scenarios.goalie.baselines import Tracker, TrackerConfig, Truth, TruthConfig
from reflexarc.scenarios.goalie.score import Blocked, BlockedConfig
from reflexarc.scenarios.goalie.world import Goalie, GoalieConfig, Shots, ShotsConfig

MS = 1_000_000
CENTRE = np.zeros(2)
#: A world without a camera, and without shots unless asked for.
BLIND: dict[str, Any] = {"pixels": None, "balls": 0}


@contextmanager
def world(seed: int = 0, **config: Any) -> Iterator[Goalie]:
    made = Goalie(GoalieConfig.model_validate(config), seed)
    try:
        yield made
    finally:
        made.close()


def look(plant: Goalie, until_ns: int, command: Any = CENTRE) -> dict[str, Any]:
    """The values of each stream."""
    return {batch.stream: batch.values for batch in plant.advance(until_ns, command)}


def change(at_s: float, **said: Any) -> dict[str, Any]:
    return {"at_s": at_s, "set": said}


class TestGoalie(WorldContract):
    """A ball is on its way: the first shot comes at 0.5 s, so that the ticks are longer."""

    period_ns = 15 * MS

    def make_world(self, seed: int) -> Goalie:
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        made = Scenario.load("goalie").make_world(seed)
        assert isinstance(made, Goalie)
        return made


# The camera's geometry.


def test_pixels_and_places_are_inverse() -> None:
    x, y = np.meshgrid(np.linspace(-0.2, 0.2, 5), np.linspace(0.0, 2.0, 5))
    back = view.to_place(*view.to_pixel(x, y, 0.03), 0.03)
    np.testing.assert_allclose(back, (x, y), atol=1e-12)


@pytest.mark.usefixtures("_needs_pybullet")
def test_events_are_where_the_geometry_says() -> None:
    with world(balls=1) as plant:
        off_px = []
        for n in range(90):
            seen = look(plant, (n + 1) * 10 * MS)
            _, x, y, _, speed_y = ball = seen["truth"][7:]  # the first shot is the second ball's
            events = seen["camera"]
            if ball[0] and y > 0.3 and speed_y < 0 and len(events):
                at = view.to_pixel(x, y - speed_y * 0.005, 0.03)  # half of the tick ago
                off_px.append((events["x"].mean() - at[0], events["y"].mean() - at[1]))
    assert len(off_px) > 10
    assert np.abs(np.mean(off_px, axis=0)).max() < 1.5


# The world.


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_paddle_keeps_its_limits_and_arrives() -> None:
    with world(**BLIND) as plant:
        states = np.array(
            [look(plant, (n + 1) * MS, np.array([0.15, 0.05]))["paddle"] for n in range(600)]
        )
    place, speed = states.T
    assert place[-1] == pytest.approx(0.2, abs=0.002)  # the sum of both commands
    assert place.max() < 0.205
    assert speed.max() == pytest.approx(1.5, rel=0.02)
    assert np.abs(np.diff(speed)).max() / 1e-3 == pytest.approx(15.0, rel=0.05)


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_ball_is_stopped_by_the_paddle_alone() -> None:
    ends = {}
    for paddle_m in (0.0, 0.2):
        config = BLIND | {"balls": 1, "shots": {"from_x_m": 0.0, "at_x_m": 0.0}}
        score = Blocked(BlockedConfig(), 0)
        with world(**config) as plant:
            for n in range(1600):
                truth = look(plant, (n + 1) * MS, np.array([paddle_m, 0.0]))["truth"]
                score.update(truth, (n + 1) * MS)
        ends[paddle_m] = list(score.trials)
    assert ends == {0.0: [1.0], 0.2: [0.0]}


@pytest.mark.usefixtures("_needs_pybullet")
def test_changes_come_at_their_times() -> None:
    shoved = [change(0.1, passer_by=True), change(0.2, passer_by=False)]
    shoved += [change(0.3, camera_aside_m=0.08)]
    with world(balls=0, pixels={}, changes=shoved) as plant:
        seen = [len(look(plant, (n + 1) * 10 * MS)["camera"]) for n in range(40)]
    busy = [n for n, count in enumerate(seen) if count]
    assert {10, 15, 19} <= set(busy) <= {*range(10, 22), *range(30, 32)}
    assert set(busy) & {30, 31}


@pytest.mark.usefixtures("_needs_pybullet")
def test_two_balls_come_from_their_time_on() -> None:
    config = BLIND | {"balls": 1, "changes": [change(1.0, balls=2)]}
    with world(**config) as plant:
        truths = np.array([look(plant, (n + 1) * 10 * MS)["truth"] for n in range(300)])
    numbers = truths[:, [2, 7]]
    both = (truths[:, [6, 11]] < 0).all(axis=1) & (numbers > 0).all(axis=1)
    assert numbers[:100].max() == 1
    assert not both[:100].any()
    assert both[100:].any()
    assert numbers.max() == 3


def test_shots_depend_on_the_seed_and_aim_at_the_goal() -> None:
    def drawn(seed: int) -> list[Any]:
        shots = Shots(ShotsConfig(), np.random.default_rng(seed), 2)
        return [shot for n in range(2000) for shot in shots.due(n * 0.01)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    for shot in drawn(1):
        arrives = shot.from_m[0] - shot.from_m[1] * shot.speed_m_s[0] / shot.speed_m_s[1]
        assert abs(arrives) <= 0.2
        assert 2.0 <= np.hypot(*shot.speed_m_s) <= 8.0
    assert [shot.number for shot in drawn(1)] == list(range(1, len(drawn(1)) + 1))


# The score.


def truth_of(paddle_m: float, *balls: tuple[float, ...]) -> np.ndarray:
    rows = [*balls, (0.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0)][:2]
    return np.concatenate(([paddle_m, 0.0], *rows))


@pytest.mark.parametrize(
    ("speed_m_s", "reachable"),
    # 0.2 m off the middle: 0.14 m of way for the paddle, in 0.1 s to 1.5 m/s and 0.0433 s at it
    [(2.0 / 0.146, True), (2.0 / 0.140, False)],
)
def test_reachable_is_what_full_acceleration_allows(speed_m_s: float, reachable: bool) -> None:
    score = Blocked(BlockedConfig(), 0)
    score.update(truth_of(0.0, (1, 0.2, 2.03, 0.0, -speed_m_s)), 0)
    score.update(truth_of(0.0, (1, 0.2, -0.07, 0.0, -speed_m_s)), 150 * MS)
    assert list(score.trials) == [0.0]
    assert score.reachable == [reachable]


def test_a_second_ball_counts_from_when_the_first_is_over() -> None:
    score = Blocked(BlockedConfig(), 0)
    first, second = (1, -0.2, 1.0, 0.0, -2.0), (2, 0.2, 1.03, 0.0, -2.0)
    score.update(truth_of(0.0, first, second), 0)
    score.update(truth_of(-0.2, (1, -0.2, 0.03, 0.0, 1.0), (2, 0.2, 0.10, 0.0, -2.0)), 480 * MS)
    score.update(truth_of(-0.1, (2, 0.2, -0.1, 0.0, -2.0)), 520 * MS)
    assert list(score.trials) == [1.0, 0.0]
    assert score.reachable == [True, False]
    assert score.value == 50.0


# The policies.


def test_truth_goes_to_the_ball_that_arrives_first() -> None:
    balls = (1, 0.1, 1.0, 0.0, -2.0), (2, -0.1, 1.9, 0.0, -8.0)
    batch = Batch("truth", Schema.READINGS, truth_of(0.0, *balls), 0, 0)
    wanted = Truth(TruthConfig(), 0).control([batch], 0)
    assert wanted == pytest.approx([-0.1, 0.0])


def rolling(x_m: float, slope: float, speed_m_s: float, at_s: float) -> np.ndarray:
    """Events of an ideal ball that comes nearer: ON at its lower edge, OFF at its upper one."""
    y = 2.0 - speed_m_s * at_s
    column, row = view.to_pixel(x_m + slope * (y - 0.03), y, 0.03)
    radius = 0.03 * view.pixels_per_metre(y, 0.03)
    events = np.zeros(8, EVENT)
    events["t"] = round(at_s * 1e6)
    events["x"] = np.round(column + np.tile([-0.5, 0.5], 4) * radius)
    events["p"] = np.repeat([True, False], 4)
    events["y"] = np.round(row + np.where(events["p"], 0.8, -0.8) * radius)
    return events


def follow(policy: Policy, x_m: float, slope: float, until_m: float = 0.4) -> float:
    """The place wanted when a ball at 3 m/s has come as near as `until_m`, in m."""
    wanted = CENTRE
    for tick in range(round((2.0 - until_m) / 3.0 / 1e-3)):
        now_ns = tick * MS
        events = rolling(x_m, slope, 3.0, tick * 1e-3)
        batches = [
            Batch("camera", Schema.EVENTS, events, now_ns, now_ns, tick),
            Batch("paddle", Schema.READINGS, np.zeros(2), now_ns, now_ns, tick),
        ]
        inputs = policy.encode(batches, now_ns, now_ns + MS)
        wanted = policy.decode(policy.think(inputs, now_ns + MS), now_ns, now_ns + MS)
    return float(wanted[0])


@pytest.mark.parametrize("x_m", [-0.15, 0.0, 0.15])
@pytest.mark.parametrize("slope", [-0.2, 0.2])
@pytest.mark.parametrize("policy", ["network", "tracker"])
def test_they_foresee_where_a_ball_arrives(policy: str, x_m: float, slope: float) -> None:
    scenario = Scenario.load("goalie")
    made = scenario.make_policy() if policy == "network" else scenario.make_baseline(policy, 0)
    # where it is then is 7 cm further to the side that it comes from
    assert follow(made, x_m, slope) == pytest.approx(x_m, abs=0.035)


def calibrated(policy: Policy, off_m: float) -> float:
    """The trim after the mark was seen `off_m` beside a paddle that goes to and fro."""
    wanted = CENTRE
    for tick in range(2000):
        now_ns = tick * MS
        felt_m = 0.15 * np.sin(2 * np.pi * tick * 1e-3)
        column, row = view.to_pixel(felt_m + off_m, -0.02, 0.09)
        events = np.zeros(2, EVENT)
        events["t"] = now_ns // 1000
        events["x"], events["y"] = np.round(column + np.array([-1, 1])), round(float(row))
        batches = [
            Batch("camera", Schema.EVENTS, events, now_ns, now_ns, tick),
            Batch("paddle", Schema.READINGS, np.array([felt_m, 0.0]), now_ns, now_ns, tick),
        ]
        inputs = policy.encode(batches, now_ns, now_ns + MS)
        wanted = policy.decode(policy.think(inputs, now_ns + MS), now_ns, now_ns + MS)
    return float(wanted[1])


@pytest.mark.parametrize("off_m", [-0.08, 0.0, 0.08])
@pytest.mark.parametrize("policy", ["network", "tracker"])
def test_they_learn_where_the_paddle_is_seen(policy: str, off_m: float) -> None:
    scenario = Scenario.load("goalie")
    made = scenario.make_policy() if policy == "network" else scenario.make_baseline(policy, 0)
    assert calibrated(made, off_m) == pytest.approx(-off_m, abs=0.015)


def test_a_frozen_network_learns_nothing() -> None:
    policy = Scenario.load("goalie", ["learning=false"]).make_policy()
    assert calibrated(policy, 0.08) == 0.0
    assert not policy.program.weights("trims").any()


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    save(build_network.build(), tmp_path / "network.yaml")
    shipped = SHIPPED / "goalie"
    assert (tmp_path / "network.yaml").read_text() == (shipped / "network.yaml").read_text()
    written, there = read(tmp_path / "network.nir"), read(shipped / "network.nir")
    assert list(written.nodes) == list(there.nodes)
    for name, node in there.nodes.items():
        if isinstance(node, Linear):
            again = written.nodes[name]
            assert isinstance(again, Linear)
            np.testing.assert_allclose(again.weight, node.weight, atol=1e-9)


def test_the_tracker_keeps_two_balls_apart() -> None:
    tracker = Tracker(TrackerConfig(), 0)
    for tick in range(500):
        both = [rolling(-0.1, 0.0, 3.0, tick * 1e-3), rolling(0.15, 0.0, 2.0, tick * 1e-3)]
        batch = Batch("camera", Schema.EVENTS, np.concatenate(both), 0, tick * MS, tick)
        wanted = tracker.control([batch], tick * MS)
    assert wanted[0] == pytest.approx(-0.1, abs=0.02)


def blocked(policy: Policy, seconds: float) -> tuple[float, int]:
    """Per cent of the shots blocked, and how many there were."""
    scenario = Scenario.load("goalie", [f"seconds={seconds}"])
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
def test_the_network_blocks_more_than_a_paddle_at_rest(resting_policy: Any) -> None:
    resting, shots = blocked(resting_policy(CENTRE), 6.0)
    playing, as_many = blocked(Scenario.load("goalie").make_policy(), 6.0)
    assert shots == as_many >= 4
    assert playing >= resting + 40
