"""Lane-keep: its track and car, its world, its score, its baselines and a network that learns."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.launch import run_policy
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.replay import replay
from reflexarc.runtime.save import save
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.world import World
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.scenarios.lane_keep import build_network
from reflexarc.scenarios.lane_keep.baselines import (
    Braitenberg,
    BraitenbergConfig,
    Pid,
    PidConfig,
    PurePursuit,
    PurePursuitConfig,
)
from reflexarc.scenarios.lane_keep.score import TRIAL_NS, Offset
from reflexarc.scenarios.lane_keep.track import Track, TrackConfig
from reflexarc.scenarios.lane_keep.world import AHEAD_M, LaneKeep, LaneKeepConfig

PERIOD_NS = 10_000_000
CIRCLE: dict[str, Any] = {"radius_m": 2.0}
BEAN: dict[str, Any] = {"radius_m": 2.2, "waves": [{"lobes": 3, "height": 0.2, "phase": 0.5}]}
STRAIGHT = np.zeros(1)


@contextmanager
def world(track: dict[str, Any] = CIRCLE, seed: int = 0, **config: Any) -> Iterator[LaneKeep]:
    """A world without a camera unless one is asked for."""
    said = {"camera": None, "track": track} | config
    made = LaneKeep(LaneKeepConfig.model_validate(said), seed)
    try:
        yield made
    finally:
        made.close()


def drive(plant: LaneKeep, ticks: int, steering: Any = None, begin: int = 0) -> list[Any]:
    """The values of each stream, tick by tick; without `steering` pure pursuit drives."""
    pursuit = PurePursuit(PurePursuitConfig(), 0)
    command, seen = STRAIGHT, []
    for tick in range(begin, begin + ticks):
        batches = plant.advance((tick + 1) * PERIOD_NS, command)
        command = pursuit.control(batches, 0) if steering is None else steering
        seen.append({batch.stream: batch.values for batch in batches})
    return seen


class TestLaneKeepContract(WorldContract):
    period_ns = PERIOD_NS

    def make_world(self, seed: int) -> World:
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        return Scenario.load("lane-keep").make_world(seed)


# The track.


def test_a_track_without_waves_is_a_circle() -> None:
    track = Track(TrackConfig.model_validate(CIRCLE))
    assert track.length_m == pytest.approx(4 * np.pi, rel=1e-6)
    assert track.tightest_m == pytest.approx(2.0, rel=1e-3)
    assert track.place(0.0) == pytest.approx((2.0, 0.0, np.pi / 2), abs=1e-6)


@pytest.mark.parametrize("clockwise", [False, True])
@given(share=st.floats(0, 1), left_m=st.floats(-0.4, 0.4))
def test_spots_and_places_are_inverse(clockwise: bool, share: float, left_m: float) -> None:
    track = Track(TrackConfig.model_validate(BEAN | {"clockwise": clockwise}))
    x, y, heading = track.place(share * track.length_m, left_m)
    spot = track.spot(x, y)
    off_m = (spot.along_m - share * track.length_m) % track.length_m
    # the centre line is known every cm
    assert min(off_m, track.length_m - off_m) < 0.02
    assert spot.left_m == pytest.approx(left_m, abs=1e-3)
    assert np.cos(spot.heading_rad - heading) > 0.999


def test_a_clockwise_track_turns_right() -> None:
    for clockwise, sign in ((False, 1.0), (True, -1.0)):
        track = Track(TrackConfig.model_validate(BEAN | {"clockwise": clockwise}))
        turned = np.angle(np.exp(1j * np.diff(track.headings))).sum()
        assert turned == pytest.approx(sign * 2 * np.pi, abs=0.02)


# The world.


@pytest.mark.usefixtures("_needs_pybullet")
@pytest.mark.parametrize("steering_rad", [-0.15, 0.15])
def test_the_car_turns_as_a_bicycle_does(steering_rad: float) -> None:
    from reflexarc.scenarios.lane_keep.car import WHEELBASE_M, Car

    car = Car(0.005, half_width_m=0.3)
    try:
        car.put(0.0, 0.0, 0.0, 1.5)
        headings = []
        for _ in range(200):
            car.step(steering_rad, 1.5)
            headings.append(car.pose()[2])
        speed_m_s = float(np.hypot(*car.speed()))
    finally:
        car.close()
    turned = np.unwrap(headings)
    assert speed_m_s == pytest.approx(1.5, rel=0.1)
    rate_rad_s = (turned[-1] - turned[99]) / 0.5
    assert rate_rad_s == pytest.approx(speed_m_s * np.tan(steering_rad) / WHEELBASE_M, rel=0.1)


@pytest.mark.usefixtures("_needs_pybullet")
def test_it_counts_laps_and_sees_the_lane() -> None:
    with world(BEAN) as plant:
        seen = drive(plant, 1200)
    truth = np.array([each["truth"] for each in seen])
    assert 1.0 < truth[-1, 2] < 1.3
    assert truth[-1, 3] == 0
    lane = np.array([each["lane"] for each in seen])
    np.testing.assert_array_equal(lane[:, 0], truth[:, 0])
    moved = (lane[2:, 0] - lane[:-2, 0]) / 0.02
    assert np.corrcoef(moved[50:], lane[51:-1, 1])[0, 1] > 0.9
    # the point ahead is where the car comes to be
    x, y = seen[300]["path"].reshape(-1, 2)[0]
    assert np.hypot(x, y) == pytest.approx(AHEAD_M[0], abs=0.05)


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_car_that_leaves_the_lane_is_put_back_and_counted() -> None:
    with world() as plant:
        truth = np.array([each["truth"] for each in drive(plant, 200, np.array([-0.3]))])
    offset, times_off = truth[:, 0], truth[:, 3]
    back = np.flatnonzero(np.diff(times_off)) + 1
    assert len(back) >= 2
    assert np.abs(offset).max() <= 1.0
    assert np.abs(offset[back]).max() < 0.05
    assert (offset[back - 1] < -0.8).all()


@pytest.mark.usefixtures("_needs_pybullet")
@pytest.mark.parametrize("bias_rad", [-0.1, 0.1])
def test_a_steering_bias_comes_at_its_time_and_pulls_aside(bias_rad: float) -> None:
    changes = [{"at_s": 1.0, "set": {"steering_bias_rad": bias_rad}}]
    with world(changes=changes) as plant, world() as other:
        bent = np.array([each["truth"] for each in drive(plant, 300)])
        sound = np.array([each["truth"] for each in drive(other, 300)])
    np.testing.assert_array_equal(bent[:100, :4], sound[:100, :4])
    assert bent[99, 4] == 0.0
    assert bent[-1, 4] == bias_rad
    assert np.sign(bent[-1, 0] - sound[-1, 0]) == np.sign(bias_rad)


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_weak_steering_does_less() -> None:
    changes = [{"at_s": 0.0, "set": {"steering_gain": 0.5}}]
    with world(changes=changes) as plant, world() as other:
        weak = drive(plant, 40, np.array([0.2]))[-1]["truth"][1]
        half = drive(other, 40, np.array([0.1]))[-1]["truth"][1]
    assert weak == pytest.approx(half, abs=1e-9)


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_new_track_comes_at_its_time() -> None:
    changes = [{"at_s": 1.0, "set": {"track": CIRCLE | {"clockwise": True}}}]
    with world(changes=changes, camera={}) as plant:
        before = drive(plant, 100, np.array([0.16]))
        after = drive(plant, 100, np.array([-0.16]), begin=100)
        off = drive(plant, 100, np.array([0.16]), begin=200)
    times_off = [part[-1]["truth"][3] for part in (before, after, off)]
    assert times_off[0] == times_off[1] == 0
    assert times_off[2] > 0
    assert abs(after[0]["truth"][0]) < 0.05  # it begins in the middle
    assert sum(len(each["camera"]) for each in after) > 1000  # the camera sees the new borders


@pytest.mark.usefixtures("_needs_pybullet")
def test_seeds_draw_starts_and_pixels() -> None:
    with world(seed=1) as one, world(seed=2) as two:
        first, other = (drive(plant, 1)[0]["truth"] for plant in (one, two))
    assert first[0] != other[0]
    assert max(abs(first[0]), abs(other[0])) < 0.35


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("world.config.track.radius_m=0.1", "track.radius_m"),
        ("world.config.track.waves=[{lobes: 3, height: 0.9}]", r"track.waves: .* equal to 0.5"),
        ("world.config.changes=[{at_s: 1, set: {steering_gain: 0}}]", "changes: .* greater than 0"),
    ],
)
def test_wrong_worlds_are_told_in_one_line(key: str, where: str) -> None:
    pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
    with pytest.raises(ConfigError, match=where) as caught:
        Scenario.load("lane-keep", [key]).make_world(0)
    assert "\n" not in str(caught.value)


# The score.


def truth(offset: float, laps: float = 0.0, times_off: int = 0) -> np.ndarray:
    return np.array([offset, 0.0, laps, times_off, 0.0])


def test_the_score_is_the_mean_offset() -> None:
    score = Offset(Strict(), 0)
    assert score.value == 0.0
    for tick, offset in enumerate((0.1, -0.3)):
        assert score.update(truth(offset), tick * PERIOD_NS)
    assert score.value == pytest.approx(-20.0)


def test_laps_know_whether_they_were_clean() -> None:
    score = Offset(Strict(), 0)
    for second, (laps, off) in enumerate([(0.5, 0), (1.01, 0), (1.5, 1), (2.0, 1), (3.1, 1)]):
        score.update(truth(0.1 * second, laps, off), second * 1_000_000_000)
    assert [lap.clean for lap in score.laps] == [True, False, True]
    assert [lap.ended_s for lap in score.laps] == [1.0, 3.0, 4.0]
    assert [lap.begun_s for lap in score.laps] == [0.0, 1.0, 3.0]
    assert score.laps[1].offset == pytest.approx(0.25)


def test_trials_are_ten_seconds() -> None:
    score = Offset(Strict(), 0)
    for tick in range(1, 5):
        score.update(truth(0.1 * tick), tick * TRIAL_NS // 2)
    assert list(score.trials) == pytest.approx([-15.0, -35.0])


# The policies.


def reading(stream: str, *values: float) -> Batch:
    return Batch(stream, Schema.READINGS, np.array(values), 0, 0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_pure_pursuit_drives_the_circle_through_the_point(side: float) -> None:
    angle = AHEAD_M / 2.0  # along a circle of 2 m
    path = np.column_stack((2 * np.sin(angle), side * 2 * (1 - np.cos(angle))))
    steering = PurePursuit(PurePursuitConfig(), 0).control([reading("path", *path.ravel())], 0)
    assert steering == pytest.approx([side * np.arctan(0.325 / 2.0)], rel=1e-2)


def test_pid_steers_back_sums_and_does_not_wind_up() -> None:
    pid = Pid(PidConfig(kp_rad=0.5, kd_rad_s=0.1, ki_rad_per_s=1.0), 0)
    assert pid.control([reading("lane", 0.2, 0.3)], 0) == pytest.approx([-0.13])
    assert pid.control([reading("lane", 0.2, 0.0)], 500_000_000) == pytest.approx([-0.2])
    pid.control([reading("lane", 1.0, 0.0)], 60_000_000_000)
    assert pid.control([reading("lane", 0.0, 0.0)], 60_000_000_000) == pytest.approx([-0.4])


def burst(column: int, now_ns: int) -> Batch:
    """Events in the lower rows, in one column of cells."""
    events = np.zeros(48, EVENT)
    events["t"] = now_ns // 1000
    events["x"], events["y"] = 4 * column + 1, np.arange(48) % 12 + 20
    return Batch("camera", Schema.EVENTS, events, now_ns, now_ns)


@pytest.mark.parametrize(("near", "sign"), [(0.5, -1.0), (-0.5, 1.0)])
def test_a_vehicle_turns_away_from_what_it_fears(near: float, sign: float) -> None:
    vehicle = Braitenberg(BraitenbergConfig(near=near, far=near), 0)
    for tick in range(50):
        steering = vehicle.control([burst(1, tick * PERIOD_NS)], tick * PERIOD_NS)
    assert np.sign(steering[0]) == sign


def rewarded(policy: NetworkPolicy, offset: float) -> np.ndarray:
    """Weights of the left and the right motor neuron after a second with events at one place."""
    for tick in range(100):
        now_ns = tick * PERIOD_NS
        batches = [burst(3, now_ns), reading("lane", offset, 0.0)]
        inputs = policy.encode(batches, now_ns, now_ns + PERIOD_NS)
        policy.think(inputs, now_ns + PERIOD_NS)
    sides = [policy.program.weights(f"sees_{side}") for side in ("left", "right")]
    return np.stack(sides).reshape(2, build_network.ROWS, build_network.COLUMNS)


@pytest.mark.parametrize("offset", [-0.5, 0.5])
def test_reward_strengthens_what_steers_back(offset: float) -> None:
    left, right = rewarded(Scenario.load("lane-keep").make_policy(), offset)
    first = build_network.FIRST_WEIGHT
    # too far left (above 0): events that came then shall turn it right
    assert np.sign(right[6, 3] - right[6, 8]) == np.sign(offset)
    assert np.sign(left[6, 3] - left[6, 8]) == -np.sign(offset)
    assert left[6, 8] == right[6, 8] == np.float32(first)  # what saw nothing has learnt nothing


def test_a_frozen_network_learns_nothing() -> None:
    policy = Scenario.load("lane-keep", ["learning=false"]).make_policy()
    assert (rewarded(policy, 0.5) == np.float32(build_network.FIRST_WEIGHT)).all()


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    save(build_network.build(), tmp_path / "network.yaml")
    for name in ("network.yaml", "network.npz"):
        written, there = tmp_path / name, SHIPPED / "lane_keep" / name
        assert written.exists() == there.exists()
    shipped = SHIPPED / "lane_keep" / "network.yaml"
    assert (tmp_path / "network.yaml").read_text() == shipped.read_text()


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_recording_holds_all_of_the_network_and_replays(tmp_path: Path) -> None:
    scenario = Scenario.load("lane-keep", ["seconds=1.0"])
    assert [path.suffix for path in scenario.network_files] == [".yaml", ".nir", ".npz"]
    run_policy(scenario, "network", tmp_path / "run.mcap", Silent())
    assert replay(tmp_path / "run.mcap").identical


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_bus_changes_nothing() -> None:
    """The world in a process of its own."""
    scores = [
        run_policy(Scenario.load("lane-keep", settings), "network", None, Silent()).score
        for settings in (["seconds=2.0"], ["seconds=2.0", "world.process=own"])
    ]
    assert scores[0] == scores[1] != 0


@pytest.mark.usefixtures("_needs_pybullet")
def test_it_learns_to_keep_the_lane_within_a_minute() -> None:
    run = run_policy(Scenario.load("lane-keep", ["seconds=60.0"]), "network", None, Silent())
    untrained = -np.mean(run.trials[:2])
    trained = -np.mean(run.trials[4:])
    assert untrained > 25
    assert trained < 15
