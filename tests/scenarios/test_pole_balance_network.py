"""The network that balances the pole: its file, its calibration, and the loop closed."""

from pathlib import Path

import numpy as np
import pytest

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.network import Linear, Neurons
from reflexarc.runtime.nirfile import read, write
from reflexarc.runtime.policy import NetworkPolicy
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.pole_balance import build_network
from reflexarc.scenarios.pole_balance.baselines import LqrConfig
from reflexarc.scenarios.pole_balance.view import on_plane

FILE = SHIPPED / "pole_balance" / "network.nir"


def test_file_is_what_the_script_writes(tmp_path: Path) -> None:
    write(build_network.build(), tmp_path / "network.nir")
    written, shipped = read(tmp_path / "network.nir"), read(FILE)
    assert list(written.nodes) == list(shipped.nodes)
    assert set(written.edges) == set(shipped.edges)
    for name, node in shipped.nodes.items():
        again = written.nodes[name]
        if isinstance(node, Linear):
            assert isinstance(again, Linear)
            # decoders come from a linear solver, which may round differently elsewhere
            np.testing.assert_allclose(again.weight, node.weight, rtol=1e-6, atol=1e-9)
            assert (again.bias is None) == (node.bias is None)
            if node.bias is not None and again.bias is not None:
                np.testing.assert_array_equal(again.bias, node.bias)
        if isinstance(node, Neurons):
            assert isinstance(again, Neurons)
            for key, values in node.parameters.items():
                np.testing.assert_array_equal(again.parameters[key], values)


def test_correction_starts_at_nothing() -> None:
    adapt = read(FILE).nodes["adapt"]
    assert isinstance(adapt, Linear)
    assert not adapt.weight.any()


def test_decoder_scale_fits_the_muscles() -> None:
    (decoder,) = Scenario.load("pole-balance").spec.decoders
    assert decoder.kind == "population_vector"
    assert decoder.scale == pytest.approx(build_network.force_scale(), rel=0.01)


def test_ensemble_decodes_the_optimal_feedback() -> None:
    network = build_network.build()
    encode, decode = network.nodes["encode"], network.nodes["decode"]
    assert isinstance(encode, Linear)
    assert isinstance(decode, Linear)
    assert encode.bias is not None
    states = np.random.default_rng(5).uniform(-0.4, 0.4, (200, 4))
    rates = build_network.CURVE.rates_hz(states @ encode.weight.T + encode.bias)
    decoded = (rates * build_network.DT_S @ decode.weight[0]) * build_network.FORCE_SCALE_N
    wanted = -(states * build_network.STATE_SCALE) @ LqrConfig().gain()
    assert np.sqrt(np.mean((decoded - wanted) ** 2)) < 0.1 * wanted.std()


def test_tuning_inverts() -> None:
    rates = np.array([10.0, 120.0, 300.0])
    curve = build_network.CURVE
    np.testing.assert_allclose(curve.rates_hz(curve.current_for(rates)), rates)


def test_event_moment_is_calibrated() -> None:
    pytest.importorskip("pybullet", reason="pybullet is not installed")
    world = Scenario.load("pole-balance", ["world.config.pushes=null"]).make_world(1)
    moment, tilt = [], []
    for n in range(300):
        batches = {
            batch.stream: batch.values
            for batch in world.advance((n + 1) * 2_000_000, np.array([3 * np.sin(n / 20)]))
        }
        events = batches["camera"]
        beside, _ = on_plane(events["x"], events["y"], 64, 48)
        moment.append(float(np.where(events["p"], 1.0, -1.0) @ beside))
        tilt.append(batches["truth"][2])
    world.close()
    slope = np.polyfit(np.cumsum(moment), tilt, 1)[0]
    assert slope == pytest.approx(build_network.TILT_PER_MOMENT, rel=0.05)


def run(seconds: float, *settings: str, seed: int = 0) -> tuple[float, NetworkPolicy]:
    """Seconds balanced, and the policy afterwards."""
    scenario = Scenario.load("pole-balance", [f"seconds={seconds}", *settings])
    policy, score, gate = scenario.make_policy(), scenario.make_score(seed), scenario.make_gate()
    assert score is not None
    plant = LocalPlant(scenario.make_world(seed), gate.rest)

    def go_on(tick: Tick) -> bool:
        truth = next(batch for batch in tick.batches if batch.stream == "truth")
        return score.update(truth.values, tick.now_ns)

    Loop(LockstepClock(scenario.spec.period_ns), plant, policy, gate).run(scenario.ticks, go_on)
    plant.close()
    return score.value, policy


@pytest.mark.parametrize("learning", ["true", "false"])
def test_network_balances_the_nominal_pole(learning: str) -> None:
    pytest.importorskip("pybullet", reason="pybullet is not installed")
    value, policy = run(4.0, f"learning={learning}", "world.config.changes=[]")
    assert value > 3.9
    assert policy.program.weights("adapt").any() == (learning == "true")


def test_learning_holds_a_pole_that_the_frozen_network_drops() -> None:
    # 6 kg and early, so that a short run tells
    pytest.importorskip("pybullet", reason="pybullet is not installed")
    changes = "world.config.changes=[{at_s: 1.0, set: {pole_mass_kg: 6.0}}]"
    frozen, _ = run(8.0, "learning=false", changes)
    learnt, _ = run(8.0, "learning=true", changes)
    assert frozen < 7.0
    assert learnt > frozen + 1.0
