"""The pole-balance world, its score and its baselines."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.launch import launch
from reflexarc.runtime.progress import progress_on
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import Controller
from reflexarc.scenarios.pole_balance.baselines import (
    LineTracker,
    Lqr,
    LqrConfig,
    PdConfig,
    PdFromEvents,
)
from reflexarc.scenarios.pole_balance.model import linear_plant, lqr_gain
from reflexarc.scenarios.pole_balance.score import Balanced, BalancedConfig
from reflexarc.scenarios.pole_balance.world import PoleBalance, PoleBalanceConfig

PERIOD_NS = 2_000_000
QUIET: dict[str, Any] = {"pushes": None, "camera": None}


@pytest.fixture(autouse=True)
def _needs_pybullet() -> None:
    pytest.importorskip("pybullet", reason="pybullet is not installed")


@contextmanager
def world(seed: int = 0, **config: Any) -> Iterator[PoleBalance]:
    made = PoleBalance(PoleBalanceConfig.model_validate(config), seed)
    try:
        yield made
    finally:
        made.close()


def truths(plant: PoleBalance, ticks: int, force_n: float = 0.0) -> np.ndarray:
    """Truth at the end of every tick, shape (ticks, 5)."""
    force = np.array([force_n])
    return np.array([plant.advance((n + 1) * PERIOD_NS, force)[-1].values for n in range(ticks)])


@pytest.mark.parametrize("mass_kg", [0.5, 4.0])
def test_pole_falls_with_its_time_constant(mass_kg: float) -> None:
    # near upright the tilt is tilt_0 cosh(t / tau), tau^2 = 1 / A[3, 2]
    with world(pole_mass_kg=mass_kg, initial_tilt_rad=0.001, **QUIET) as plant:
        state = truths(plant, 300)
    a, _ = linear_plant(mass_kg)
    t_s = 0.6
    start = state[0, 2] / np.cosh(np.sqrt(a[3, 2]) * 0.002)
    assert state[-1, 2] == pytest.approx(start * np.cosh(np.sqrt(a[3, 2]) * t_s), rel=0.01)


def test_force_moves_cart_and_pole_as_the_linear_model_says() -> None:
    with world(initial_tilt_rad=0.0, **QUIET) as plant:
        state = truths(plant, 10, force_n=1.0)
    _, b = linear_plant()
    assert state[-1, 1] == pytest.approx(b[1, 0] * 0.02, rel=0.02)
    assert state[-1, 3] == pytest.approx(b[3, 0] * 0.02, rel=0.02)


def test_mass_changes_while_running() -> None:
    changes = [{"at_s": 0.02, "set": {"pole_mass_kg": 4.0}}]
    with world(initial_tilt_rad=0.0, changes=changes, **QUIET) as plant:
        masses = truths(plant, 20)[:, 4]
    assert list(masses[:9]) == [0.5] * 9
    assert list(masses[10:]) == [4.0] * 10


def test_energy_is_kept_without_forces() -> None:
    with world(initial_tilt_rad=0.3, **QUIET, physics_period_ns=200_000) as plant:
        state = truths(plant, 500)
    x, v, tilt, rate, mass = state.T
    del x
    energy = (
        0.5 * v**2
        + 0.5 * mass * (v**2 + v * rate * np.cos(tilt) + rate**2 / 3 * (1 + 0.06**2 / 4))
        + mass * 9.81 * 0.5 * np.cos(tilt)
    )
    assert np.ptp(energy) < 0.01 * mass[0] * 9.81


def test_same_seed_same_bytes_whatever_ran_before() -> None:
    def history(seed: int) -> bytes:
        with world(seed) as plant:
            batches = [
                batch
                for n in range(100)
                for batch in plant.advance((n + 1) * PERIOD_NS, np.array([0.5 * n % 3]))
            ]
        return b"".join(batch.values.tobytes() for batch in batches)

    first = history(3)
    assert history(4) != first
    assert history(3) == first


def test_streams_and_sequence() -> None:
    with world() as plant:
        for n in range(3):
            batches = plant.advance((n + 1) * PERIOD_NS, np.zeros(1))
            assert [batch.stream for batch in batches] == ["camera", "rail", "truth"]
            assert {batch.seq for batch in batches} == {n}
            np.testing.assert_array_equal(batches[1].values, batches[2].values[:2])


def test_close_twice_gives_back_the_server() -> None:
    with world(**QUIET) as plant:
        plant.close()


def test_camera_sees_the_tilt() -> None:
    # the signed moment of the events follows the change of tilt
    with world(seed=1, pushes=None, initial_tilt_rad=0.02) as plant:
        moment, tilt = [], []
        for n in range(300):
            camera, _, truth = plant.advance((n + 1) * PERIOD_NS, np.array([3 * np.sin(n / 20)]))
            events = camera.values
            signs = np.where(events["p"], 1.0, -1.0)
            moment.append(float(np.sum(signs * (events["x"] - 31.5))))
            tilt.append(truth.values[2])
    assert np.ptp(tilt) > 0.1
    assert abs(np.corrcoef(np.cumsum(moment), tilt)[0, 1]) > 0.99


def test_tracker_finds_the_tilt() -> None:
    tracker = LineTracker(64, 48, memory_events=30)
    with world(seed=1, pushes=None, initial_tilt_rad=0.05) as plant:
        for n in range(350):
            camera, _, truth = plant.advance((n + 1) * PERIOD_NS, np.zeros(1))
            tracker.update(camera.values)
    assert abs(truth.values[2]) > 0.15
    assert tracker.tilt_rad == pytest.approx(truth.values[2], abs=0.02)


def test_riccati_agrees_with_scipy() -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    signal = pytest.importorskip("scipy.signal")
    a, b = linear_plant()
    ad, bd, *_ = signal.cont2discrete((a, b, np.eye(4), np.zeros((4, 1))), 0.002)
    q = np.diag([1.0, 1.0, 10.0, 1.0])
    p = scipy_linalg.solve_discrete_are(ad, bd, q, [[0.1]])
    expected = np.linalg.solve([[0.1]] + bd.T @ p @ bd, bd.T @ p @ ad)[0]
    np.testing.assert_allclose(lqr_gain(a, b, q, 0.1, 0.002), expected, rtol=1e-6)


def test_nominal_gains_hold_three_kilograms_but_not_four() -> None:
    # why scenario.yaml changes the pole to 4 kg
    def growth_per_s(mass_kg: float) -> float:
        a, b = linear_plant(mass_kg)
        return float(np.linalg.eigvals(a - b @ LqrConfig().gain()[None]).real.max())

    assert growth_per_s(3.0) < 0 < growth_per_s(4.0)


def balanced(plant: PoleBalance, controller: Controller, seconds: float) -> float:
    score = Balanced(BalancedConfig(), 0)
    command = np.zeros(1)
    for n in range(round(seconds * 1e9 / PERIOD_NS)):
        now_ns = n * PERIOD_NS
        batches = plant.advance(now_ns, command)
        command = controller.control(batches, now_ns)
        if not score.update(batches[-1].values, now_ns):
            break
    return score.value


@pytest.mark.parametrize("seed", [0, 1])
def test_baselines_balance_the_nominal_plant(seed: int) -> None:
    with world(seed, camera=None) as plant:
        assert balanced(plant, Lqr(LqrConfig(), seed), 4.0) > 3.9
    with world(seed) as plant:
        assert balanced(plant, PdFromEvents(PdConfig(), seed), 4.0) > 3.9


def test_without_control_it_falls_and_the_score_stops() -> None:
    class Idle(Controller):
        def __init__(self) -> None:
            pass

        def control(self, batches: Any, now_ns: int) -> np.ndarray:
            del batches, now_ns
            return np.zeros(1)

    with world(camera=None) as plant:
        assert 0.2 < balanced(plant, Idle(), 4.0) < 2.0


def test_score_judges_tilt_and_rail() -> None:
    score = Balanced(BalancedConfig(max_tilt_rad=0.2, rail_half_m=1.0), 0)
    assert score.update(np.array([0.9, 0, 0.1, 0, 0.5]), 1_000_000_000)
    assert not score.update(np.array([1.1, 0, 0.1, 0, 0.5]), 2_000_000_000)
    assert not score.update(np.array([0.0, 0, -0.3, 0, 0.5]), 2_000_000_000)
    assert score.value == pytest.approx(1.0)
    assert score.unit == "s balanced"


def test_under_a_shutter_pictures_follow_the_motion_and_are_counted() -> None:
    shutter = {"motion_px": 0.5, "longest_ns": 50_000_000}
    with world(seed=1, pushes=None, initial_tilt_rad=0.05, camera={"shutter": shutter}) as plant:
        counts = []
        for n in range(350):
            camera, *_, pictures = plant.advance((n + 1) * PERIOD_NS, np.zeros(1))
            counts.append(pictures.values[0])
            assert camera.stream == "camera"
    assert pictures.stream == "pictures"
    # it falls ever faster: few pictures at first, many in the end; 175 by the clock
    early, late = counts[99], counts[-1] - counts[249]
    assert 3 < early < 20
    assert late > 2 * early


def test_in_wall_mode_pictures_yield_to_the_tick_and_the_summary_says_so(tmp_path: Path) -> None:
    settings = ["seconds=0.2", "mode=wall", "baselines={}"]
    # a shutter whose every picture is due: a thousand in a step of a millisecond
    settings += ["world.config.camera.shutter={motion_px: 0.00001, shortest_ns: 1000}"]
    summary = launch(Scenario.load("pole-balance", settings), tmp_path, progress_on(io.StringIO()))
    (run,) = summary.runs
    assert list(run.pictures) == ["pictures"]
    assert run.pictures["pictures"].rendered >= 2
    assert run.pictures["pictures"].yielded > 0
    assert any("put off for want of time" in line for line in summary.lines())
    page = (tmp_path / "report.html").read_text()
    assert f"<td>{run.pictures['pictures'].yielded:,}</td>" in page


def test_in_lockstep_nothing_is_put_off(tmp_path: Path) -> None:
    settings = ["seconds=0.1", "baselines={}", "world.config.camera.shutter={}"]
    summary = launch(Scenario.load("pole-balance", settings), tmp_path, progress_on(io.StringIO()))
    (counts,) = summary.runs[0].pictures.values()
    assert counts.rendered > 1
    assert counts.yielded == 0
    assert not any("put off" in line for line in summary.lines())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("renderer=gl", "camera.renderer: input should be 'raster', 'tiny' or 'egl'"),
        ("shutter.motion_px=-1", "camera.shutter.motion_px: input should be greater than 0"),
        ("shutter.speed=1", "camera.shutter.speed: unknown key"),
        ("shutter.longest_ns=1000", "shortest_ns must not be above longest_ns"),
        ("samples=8x8", "camera.samples: input should be"),
    ],
)
def test_a_wrong_camera_is_one_line(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.load("pole-balance", [f"world.config.camera.{setting}"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shutter_needs_our_renderer() -> None:
    settings = ["world.config.camera.renderer=tiny", "world.config.camera.shutter={}"]
    with pytest.raises(ConfigError, match="needs `renderer: raster`"):
        Scenario.load("pole-balance", settings)


def test_both_renderers_show_the_same_tilt() -> None:
    moments = []
    for renderer in ("raster", "tiny"):
        with world(seed=1, pushes=None, camera={"renderer": renderer}) as plant:
            events = [plant.advance((n + 1) * PERIOD_NS, np.zeros(1))[0].values for n in range(300)]
        seen = np.concatenate(events)
        moments.append(float(np.sum(np.where(seen["p"], 1.0, -1.0) * (seen["x"] - 31.5))))
    assert moments[0] == pytest.approx(moments[1], rel=0.05)
