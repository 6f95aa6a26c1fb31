"""The rod on its stage: the world, its score, its baselines and its network."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.launch import launch
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.network import Linear
from reflexarc.runtime.nirfile import read
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.progress import progress_on
from reflexarc.runtime.replay import replay
from reflexarc.runtime.save import save
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.scenarios.pencil import build_network, view
from reflexarc.scenarios.pencil.baselines import LineTracker, Pd, PdConfig
from reflexarc.scenarios.pencil.model import linear_plant
from reflexarc.scenarios.pencil.noise import BackgroundActivity
from reflexarc.scenarios.pencil.score import Standing, StandingConfig
from reflexarc.scenarios.pencil.world import Delay, Pencil, PencilConfig, Taps, TapsConfig

MS = 1_000_000
STILL = np.zeros(2)
BLIND: dict[str, Any] = {"pixels": None}


@contextmanager
def world(seed: int = 0, **config: Any) -> Iterator[Pencil]:
    made = Pencil(PencilConfig.model_validate(config), seed)
    try:
        yield made
    finally:
        made.close()


def truths(plant: Pencil, ticks: int, command: Any = STILL) -> np.ndarray:
    """Truth at the end of every tick of 2 ms, shape (ticks, 8)."""
    held = np.array(command, dtype=float)
    return np.array([plant.advance((n + 1) * 2 * MS, held)[-1].values for n in range(ticks)])


class TestPencil(WorldContract):
    """The rod falls, so that there are events."""

    period_ns = 20 * MS

    def make_world(self, seed: int) -> Pencil:
        pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")
        made = Scenario.load("pencil").make_world(seed)
        assert isinstance(made, Pencil)
        return made


# The world.


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_rod_falls_with_its_time_constant() -> None:
    # near upright the lean is lean_0 cosh(t / tau), tau^2 = 1 / A[3, 2]
    with world(initial_lean_rad=0.002, **BLIND) as plant:
        state = truths(plant, 150)
    rate = np.sqrt(linear_plant()[0][3, 2])
    expected = state[0, 4:6] / np.cosh(rate * 0.002) * np.cosh(rate * 0.3)
    np.testing.assert_allclose(state[-1, 4:6], expected, rtol=0.02)


@pytest.mark.usefixtures("_needs_pybullet")
def test_acceleration_moves_stage_and_rod_as_the_linear_model_says() -> None:
    with world(initial_lean_rad=0.0, **BLIND) as plant:
        state = truths(plant, 10, (2.0, -1.0))
    turning = -linear_plant()[1][3, 0]
    np.testing.assert_allclose(state[-1, 2:4], [0.04, -0.02], rtol=1e-6)
    np.testing.assert_allclose(state[-1, 6:8], -turning * state[-1, 2:4], rtol=0.03)


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_drives_keep_their_limits() -> None:
    with world(initial_lean_rad=0.0, top_speed_m_s=0.3, acceleration_m_s2=5.0, **BLIND) as plant:
        state = truths(plant, 300, (15.0, 0.0))
    speed = state[:, 2]
    assert speed.max() == pytest.approx(0.3, rel=1e-6)
    assert np.diff(speed[:20]).max() == pytest.approx(0.01, rel=0.01)
    assert state[-1, 0] == pytest.approx(0.08, abs=0.001)  # the end of the stage


@pytest.mark.usefixtures("_needs_pybullet")
def test_commands_act_after_the_latency() -> None:
    with world(initial_lean_rad=0.0, latency_ns=10 * MS, **BLIND) as plant:
        speed = truths(plant, 10, (2.0, 0.0))[:, 2]
    assert not speed[:5].any()
    assert speed[5:].all()


def test_a_delay_hands_commands_on_in_order() -> None:
    delay = Delay(3)
    for now in range(3):
        delay.put(np.full(2, now), now)
    assert [delay.get(now)[0] for now in (2, 3, 5)] == [0, 0, 2]


@pytest.mark.usefixtures("_needs_pybullet")
def test_events_lie_on_the_line_that_the_geometry_gives() -> None:
    with world(initial_lean_rad=0.05, pixels={"preset": "ideal"}) as plant:
        off_m = []
        for n in range(120):
            *cameras, truth = plant.advance((n + 1) * 2 * MS, np.array([1.0, -1.0]))
            for axis, camera in enumerate(cameras):
                place, lean = truth.values[axis], truth.values[4 + axis]
                x, z = view.on_plane(camera.values["x"], camera.values["y"])
                off_m.append(x - place - np.tan(lean) * z)
    off = np.concatenate(off_m)
    assert len(off) > 1000
    assert abs(off.mean()) < 0.001
    assert np.abs(off).max() < 0.012  # half of the rod and a pixel


@pytest.mark.usefixtures("_needs_pybullet")
def test_changes_come_at_their_times() -> None:
    changes = [
        {"at_s": 0.1, "set": {"noise_hz": 20.0}},
        {"at_s": 0.2, "set": {"noise_hz": 0.0}},
        {"at_s": 0.3, "set": {"camera_turn_rad": 0.1}},
    ]
    with world(initial_lean_rad=0.0, pixels={"preset": "ideal"}, changes=changes) as plant:
        seen = [len(plant.advance((n + 1) * 10 * MS, STILL)[0].values) for n in range(40)]
    busy = [n for n, count in enumerate(seen) if count]
    assert set(busy) <= {*range(9, 21), 29, 30}
    assert set(range(11, 20)) <= set(busy)
    assert set(busy) & {29, 30}


@pytest.mark.usefixtures("_needs_pybullet")
def test_turned_cameras_see_an_upright_rod_lean() -> None:
    changes = [{"at_s": 0.0, "set": {"camera_turn_rad": 0.1}}]
    fallen = {}
    for turn in ([], changes):
        lines = [LineTracker(200.0, 0.05), LineTracker(200.0, 0.05)]
        with world(initial_lean_rad=0.0, pixels={"preset": "ideal"}, changes=turn) as plant:
            for n in range(100):
                command = np.full(2, 2.0 * np.sin(n / 8))
                *cameras, _ = plant.advance((n + 1) * 2 * MS, command)
                for line, camera in zip(lines, cameras, strict=True):
                    line.update(camera.values)
        fallen[len(turn)] = [line.place_and_slope[1] for line in lines]
    np.testing.assert_allclose(np.subtract(fallen[1], fallen[0]), 0.1, atol=0.02)


def test_taps_depend_on_the_seed_and_keep_their_impulse() -> None:
    def drawn(seed: int) -> np.ndarray:
        taps = Taps(TapsConfig(interval_s=0.5), np.random.default_rng(seed))
        taps.most_n_s = 1e-3
        return np.array([taps.force_n(n * 1e-3) for n in range(5000)])

    assert (drawn(1) == drawn(1)).all()
    assert (drawn(1) != drawn(2)).any()
    strength = np.hypot(*drawn(1).T)
    assert 0.01 < strength.max() <= 1e-3 / 0.02
    assert 0.015 < (strength > 0).mean() < 0.07


def test_noise_has_its_rate_and_comes_in_order_of_time() -> None:
    noise = BackgroundActivity(48, 48, np.random.default_rng(1))
    events = np.zeros(3, EVENT)
    events["t"] = [10, 500, 1000]
    assert noise.among(events, 0, MS) is events
    noise.rate_hz = 100.0
    both = noise.among(events, 0, MS)
    assert len(both) == pytest.approx(3 + 230, abs=60)
    assert (np.diff(both["t"].astype(int)) >= 0).all()
    assert both["t"].min() >= 1
    assert both["t"].max() <= 1000
    assert both["x"].max() < 48


# Score and baselines.


def test_score_counts_the_middle_and_ends_with_the_fall() -> None:
    score = Standing(StandingConfig(most_lean_rad=0.5, within_m=0.02), 0)
    at = np.zeros(8)
    assert score.update(at, 1000 * MS)
    at[1] = 0.03
    assert score.update(at, 2000 * MS)
    at[5] = -0.6
    assert not score.update(at, 3000 * MS)
    assert score.value == pytest.approx(1.0)
    assert score.stood_s == pytest.approx(2.0)


def test_the_tracker_finds_a_line_among_noise() -> None:
    generator = np.random.default_rng(1)
    tracker = LineTracker(150.0, 0.015)
    row = generator.integers(0, 48, 40_000)
    column = generator.integers(0, 48, 40_000)
    x, z = view.on_plane(column, row)
    near = np.abs(x - 0.01 - 0.1 * z) < 0.004
    events = np.zeros(40_000, EVENT)
    events["x"], events["y"] = column, row
    kept = events[near | (generator.random(40_000) < 0.02)]
    for part in np.array_split(kept, 40):
        tracker.update(part)
    place, slope = tracker.place_and_slope
    assert place + 0.1 * slope == pytest.approx(0.02, abs=0.002)
    assert slope == pytest.approx(0.1, abs=0.03)


def stood(seconds: float, baseline: str | None, *settings: str) -> tuple[float, float, Any]:
    """Seconds stood, seconds in the middle, and the policy afterwards."""
    scenario = Scenario.load("pencil", [f"seconds={seconds}", *settings])
    policy = scenario.make_baseline(baseline, 0) if baseline else scenario.make_policy()
    score, gate = scenario.make_score(0), scenario.make_gate()
    assert isinstance(score, Standing)
    plant = LocalPlant(scenario.make_world(0), gate.rest)

    def go_on(tick: Tick) -> bool:
        truth = next(batch for batch in tick.batches if batch.stream == "truth")
        return score.update(truth.values, tick.now_ns)

    Loop(LockstepClock(scenario.spec.period_ns), plant, policy, gate).run(scenario.ticks, go_on)
    plant.close()
    return score.stood_s, score.value, policy


@pytest.mark.usefixtures("_needs_pybullet")
@pytest.mark.parametrize("baseline", ["pd-line", "pid-line"])
def test_baselines_hold_the_rod(baseline: str) -> None:
    assert stood(2.0, baseline)[1] > 1.9


@pytest.mark.usefixtures("_needs_pybullet")
def test_pd_on_the_truth_holds_the_rod_and_none_drops_it() -> None:
    blind = "world.config.pixels=null"
    assert stood(2.0, "pd-truth", blind)[1] > 1.9
    none = "baselines.pd-truth.config={gains: [0, 0, 0, 0]}"
    assert stood(2.0, "pd-truth", blind, none)[0] < 1.0


def test_pd_serves_both_axes_alike() -> None:
    from reflexarc.runtime.batch import Batch, Schema

    truth = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    batch = Batch("truth", Schema.READINGS, truth)
    wanted = Pd(PdConfig(gains=[2.0, 3.0, 5.0, 7.0]), 0).control([batch], 0)
    assert wanted.tolist() == [2.0, 3.0]


# The network.


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    save(build_network.build(), tmp_path / "network.yaml")
    shipped = SHIPPED / "pencil"
    assert (tmp_path / "network.yaml").read_text() == (shipped / "network.yaml").read_text()
    written, there = read(tmp_path / "network.nir"), read(shipped / "network.nir")
    assert list(written.nodes) == list(there.nodes)
    for name, node in there.nodes.items():
        if isinstance(node, Linear):
            again = written.nodes[name]
            assert isinstance(again, Linear)
            # decoders come from a linear solver, which may round differently elsewhere
            np.testing.assert_allclose(again.weight, node.weight, rtol=1e-5, atol=1e-7)


def test_an_event_counts_by_its_distance_and_far_ones_do_not() -> None:
    exceeded = np.concatenate(([0.0], build_network.influences())).cumsum()
    middle = (build_network.STEPS_M[1:] + build_network.STEPS_M[:-1]) / 2
    counted = middle * np.exp(-0.5 * (middle / build_network.BESIDE_M) ** 2)
    np.testing.assert_allclose(exceeded, [0.0, *counted, 0.0], atol=1e-12)


def test_prediction_moves_the_state_as_the_plant_does() -> None:
    a, _ = build_network.discrete()
    share = 1 - np.exp(-build_network.PERIOD_S)
    scale = build_network.STATE_SCALE
    state = np.array([0.01, 0.1, 0.05, -0.2])
    layer = state / scale
    layer = layer + share * (build_network.prediction() @ layer - layer)
    np.testing.assert_allclose(layer * scale, a @ state, rtol=1e-9)


@pytest.mark.usefixtures("_needs_pybullet")
def test_the_network_holds_the_rod_under_taps_and_noise() -> None:
    changes = "world.config.changes=[{at_s: 0.5, set: {tap_n_s: 0.0005, noise_hz: 5}}]"
    held, middle, _ = stood(3.0, None, changes)
    assert held > 2.9
    assert middle > 2.0


@pytest.mark.usefixtures("_needs_pybullet")
def test_learning_brings_the_rod_back_when_the_cameras_are_turned() -> None:
    changes = "world.config.changes=[{at_s: 0.5, set: {camera_turn_rad: 0.04}}]"
    _, frozen, _ = stood(5.0, None, changes, "learning=false")
    _, learnt, policy = stood(5.0, None, changes)
    assert isinstance(policy, NetworkPolicy)
    assert policy.program.weights("adapts_x").any()
    assert learnt > frozen + 1.0


@pytest.mark.usefixtures("_needs_pybullet")
def test_a_recording_holds_all_of_the_network_and_replays(tmp_path: Path) -> None:
    scenario = Scenario.load("pencil", ["seconds=0.2", "baselines={}"])
    names = [file.name for file in scenario.network_files]
    assert names == ["network.yaml", "network.nir", "network.npz"]
    launch(scenario, tmp_path, progress_on(io.StringIO()))
    assert replay(tmp_path / "network.mcap").identical


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("world.config.latency_ns=-1", "latency_ns: input should be greater than or equal to 0"),
        ("world.config.changes=[{at_s: 1, set: {tap: 1}}]", "changes: unknown key"),
        ("score.config={within_m: 0}", "score.config: input should be greater than 0"),
    ],
)
def test_wrong_values_are_one_line(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.load("pencil", [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
