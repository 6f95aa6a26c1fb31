"""The landing quadrotor: its plant, its eyes, its changes, its network and the model of both."""

from pathlib import Path

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.launch import RunResult, run_policy
from reflexarc.runtime.network import Linear, Network, Neurons
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.progress import Silent
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.sidecar import load
from reflexarc.runtime.world import World
from reflexarc.runtime.worldcontract import WorldContract
from reflexarc.scenarios.land import build_network, evolve, make_ground, model
from reflexarc.scenarios.land.divergence import Divergence, DivergenceSpec
from reflexarc.scenarios.land.score import Landings, LandingsConfig
from reflexarc.scenarios.land.world import Air, Land, LandConfig

PERIOD_NS = 4_000_000
FOLDER = SHIPPED / "land"


@pytest.fixture(autouse=True)
def _needs_pybullet() -> None:
    pytest.importorskip("pybullet", reason="pybullet is not installed")


class TestLandContract(WorldContract):
    period_ns = PERIOD_NS
    ticks = 100

    def make_world(self, seed: int) -> World:
        wind = {"at_s": 0.0, "set": {"wind_m_s": 2.0, "gusts_m_s": 0.5}}
        return Land(LandConfig.model_validate({"hold_s": 0.1, "changes": [wind]}), seed)


def fly(seconds: float, climb_g: float, seed: int = 0, **config: object) -> np.ndarray:
    """The truth at every tick under a constant command."""
    world = Land(LandConfig.model_validate({"hold_s": 0.0, **config}), seed)
    command = np.array([climb_g])
    ticks = range(round(seconds * 1e9 / PERIOD_NS))
    truths = [world.advance(tick * PERIOD_NS, command)[-1].values.copy() for tick in ticks]
    world.close()
    return np.array(truths)


def test_thrust_lifts_it_late_and_air_brakes_it() -> None:
    hovering, climbing = fly(1.0, 0.0), fly(1.0, 0.2)
    np.testing.assert_allclose(hovering[:, 0], 4.0, atol=1e-6)
    # m v' = 0.2 m g (1 - exp(-t / 40 ms)) - 0.15 kg/s v, from rest; the lag costs about 40 ms
    drag, t_s = 0.15 / 0.5, len(climbing) * 4e-3 - 0.04
    assert climbing[-1, 1] == pytest.approx(0.2 * 9.81 / drag * (1 - np.exp(-drag * t_s)), rel=0.02)
    assert climbing[3, 1] < 0.2 * 0.2 * 9.81 * 0.012


def test_wind_does_not_carry_it_away() -> None:
    wind = {"at_s": 0.0, "set": {"wind_m_s": 3.0}}
    world = Land(LandConfig.model_validate({"hold_s": 0.0, "changes": [wind]}), 0)
    for tick in range(1000):
        world.advance(tick * PERIOD_NS, np.zeros(1))
    place, turn = bullet().getBasePositionAndOrientation(1, physicsClientId=world.quadrotor.client)
    world.close()
    assert np.hypot(*place[:2]) < 1.5
    assert 2 * np.arccos(turn[3]) == pytest.approx(np.arctan(0.15 * 3.0 / (0.5 * 9.81)), rel=0.1)


def test_a_tired_battery_lets_it_sink() -> None:
    sag = {"at_s": 0.2, "set": {"charge": 0.85}}
    truths = fly(1.0, 0.0, changes=[sag])
    assert truths[49, 1] == pytest.approx(0.0, abs=1e-6)
    assert truths[-1, 1] == pytest.approx(-0.15 * 9.81 * (0.8 - 0.04), rel=0.15)
    np.testing.assert_array_equal(truths[[0, -1], -1], [1.0, 0.85])


def test_landings_follow_each_other() -> None:
    truths = fly(3.0, -0.5, height_m=1.0, rest_s=0.1)
    landing, touched = truths[:, 3], truths[:, 5]
    assert landing[-1] >= 3
    first = touched[landing == 1]
    # free fall from 1 m at half of gravity, less drag and lag
    assert first[-1] == pytest.approx(np.sqrt(9.81), rel=0.15)
    assert first[0] == -1.0
    assert (truths[:, 0] > -0.05).all()


def test_gusts_are_as_strong_as_said() -> None:
    air = Air(0.1, 0.5, np.random.default_rng(0))
    air.mean_m_s, air.gusts_m_s = 2.0, 0.5
    felt = []
    for _ in range(20_000):
        air.step()
        felt.append(air.wind_m_s)
    assert np.std(felt, axis=0) == pytest.approx(0.5, rel=0.1)
    assert np.hypot(*np.mean(felt, axis=0)[:2]) == pytest.approx(2.0, rel=0.05)


def test_divergence_is_seen_in_events() -> None:
    """At a steady speed of 1.2 m/s, from 2.5 m to 0.7 m."""
    world = Land(LandConfig.model_validate({"hold_s": 0.0, "height_m": 2.5}), 0)
    seen, true = [], []
    up, command = 0.0, np.zeros(1)
    for tick in range(400):
        flow, truth = (batch.values for batch in world.advance(tick * PERIOD_NS, command)[1:])
        up = truth[1]
        command = np.array([np.clip(-1.2 - up, -0.8, 0.8)])
        if tick > 150:
            seen.append(flow[0])
            true.append(truth[2])
    world.close()
    assert np.corrcoef(seen, true)[0, 1] > 0.9
    assert np.mean(seen) == pytest.approx(np.mean(true), rel=0.3)


def test_without_events_there_is_no_divergence() -> None:
    eyes = Divergence(DivergenceSpec(), 64)
    eyes.update(np.zeros(0, EVENT), PERIOD_NS)
    assert (eyes.value, eyes.rate) == (0.0, 0.0)


def test_a_growing_square_has_the_divergence_of_its_growth() -> None:
    growth = 1.5
    crossed = []
    for away in range(4, 31):  # when its right, left, lower and upper sides come to a pixel
        at_us = 1e6 * np.log((away + 0.5) / 4.5) / growth
        for across in range(24, 40):
            near, far = 31 - away, 32 + away
            crossed += [(at_us, far, across), (at_us, near, across)]
            crossed += [(at_us, across, far), (at_us, across, near)]
    events = np.array([(round(t), x, y, True) for t, x, y in sorted(crossed)], EVENT)
    eyes = Divergence(DivergenceSpec(memory_s=10.0, doubt=0.0, speeds=48, gain=1.0), 64)
    eyes.update(events, 2_000_000_000)
    assert eyes.value == pytest.approx(growth, rel=0.1)


def test_score_is_time_and_a_penalty_for_landing_hard() -> None:
    score = Landings(LandingsConfig(gentle_m_s=0.3, hard_s_per_m_s=10.0, lost_s=20.0), 0)
    assert score.value == -20.0
    for landing, aloft_s, touched in [(1, 1.0, -1), (1, 3.0, 0.2), (1, 3.0, 0.2), (2, 1.0, -1)]:
        score.update(np.array([0, 0, 0, landing, aloft_s, touched, 0, 0]), 0)
    score.update(np.array([0, 0, 0, 3, 2.0, 0.5, 0, 0]), 0)
    np.testing.assert_allclose(score.trials, [-3.0, -20.0, -4.0])
    assert score.value == pytest.approx(-9.0)
    assert score.touched_m_s == [0.2, 0.5]


def test_a_charge_that_cannot_fly_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"greater than 0\.5 \(got 0\.2\)") as caught:
        Scenario.load("land", ["world.config.changes=[{at_s: 0, set: {charge: 0.2}}]"])
    assert "\n" not in str(caught.value)


def test_the_network_has_at_most_twenty_neurons_and_is_what_the_script_writes() -> None:
    shipped, written = load(FOLDER / "network.yaml"), build_network.build(build_network.evolved())
    assert neurons(shipped) <= 20
    assert list(written.nodes) == list(shipped.nodes)
    assert written.plasticity == shipped.plasticity
    for name, node in shipped.nodes.items():
        again = written.nodes[name]
        if isinstance(node, Linear):
            assert isinstance(again, Linear)
            np.testing.assert_allclose(again.weight, node.weight)


def neurons(network: Network) -> int:
    return sum(node.size for node in network.nodes.values() if isinstance(node, Neurons))


def test_the_floor_is_what_the_script_draws(tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(FOLDER / "ground.png") as shipped:
        np.testing.assert_allclose(np.asarray(shipped, int), make_ground.picture(), atol=1)


def test_the_model_computes_what_the_engine_does() -> None:
    """Thrust of a flight with learning, tick by tick."""
    weights = build_network.evolved()
    policy = Scenario.load("land").make_policy()
    side_by_side = model.Networks([weights])
    generator = np.random.default_rng(2)
    for tick in range(300):
        divergence, rate = generator.normal(1.0, 0.7), generator.normal(0.0, 3.0)
        aloft = float(tick < 200)
        inputs = {"divergence": divergence, "rate": rate, "aloft": aloft}
        arrays = {name: np.array([value]) for name, value in inputs.items()}
        until_ns = (tick + 1) * PERIOD_NS
        thrust = policy.decode(policy.think(arrays, until_ns), tick * PERIOD_NS, until_ns)
        expected = side_by_side.step(*(arrays[name] for name in ("divergence", "rate", "aloft")))
        np.testing.assert_allclose(thrust, expected, atol=1e-9)
    np.testing.assert_allclose(policy.program.weights("adapts")[0], side_by_side.learnt[0])
    assert side_by_side.learnt.any()


def test_evolution_beats_what_it_starts_from() -> None:
    start, end = evolve.cost_s(
        [evolve.weights_at(evolve.first()), build_network.evolved()], worlds=6, seed=10**6
    )
    assert end < 0.95 * start


def run(policy: str, *settings: str) -> RunResult:
    return run_policy(Scenario.load("land", list(settings)), policy, None, Silent())


CALM = ("seconds=6", "world.config.changes=[]")


def test_it_lands_gently_where_nothing_happens() -> None:
    result = run("network", *CALM)
    assert result.trials  # and within the time that it may take without a penalty
    assert result.trials[0] > -5.7


def test_baselines_land_where_nothing_happens() -> None:
    for name in ("p", "p-truth"):
        assert run(name, *CALM).trials[0] > -5.7


def test_in_a_process_of_its_own_the_world_is_the_same() -> None:
    settings = ("seconds=0.6", "world.config.hold_s=0.1", "world.config.height_m=0.3")
    here, there = run("network", *settings), run("network", *settings, "world.process=own")
    assert here.spikes == there.spikes > 0
    assert here.synaptic_events == there.synaptic_events
    assert here.score == there.score
