"""Gaze without processes: the network turns to where events are, and is what its script builds."""

import faery
import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT, Batch, Schema
from reflexarc.runtime.nirfile import write
from reflexarc.runtime.scenario import SHIPPED, Scenario
from reflexarc.runtime.sidecar import load
from reflexarc.scenarios.gaze import build_network, make_recording

PERIOD_NS = 1_000_000


def look(policy, x, y, rate_hz=35_000, spread_px=20):
    """The last command after events around (x, y), in pixels of the image."""
    generator = np.random.default_rng(0)
    command = np.zeros(2)
    for tick in range(600):
        now_ns = tick * PERIOD_NS
        events = np.zeros(generator.poisson(rate_hz * PERIOD_NS * 1e-9), EVENT)
        events["t"] = now_ns // 1000
        events["x"] = np.clip(generator.normal(x, spread_px, len(events)), 0, 639)
        events["y"] = np.clip(generator.normal(y, spread_px, len(events)), 0, 479)
        batch = Batch("camera", Schema.EVENTS, events, now_ns, now_ns, tick)
        until_ns = now_ns + PERIOD_NS
        outputs = policy.think(policy.encode([batch], now_ns, until_ns), until_ns)
        command = policy.decode(outputs, now_ns, until_ns).copy()
    return command


@pytest.mark.parametrize(("x", "y"), [(100, 100), (540, 100), (100, 380), (540, 380)])
def test_it_turns_to_where_the_events_are(x, y):
    scenario = Scenario.load("gaze")
    pan, tilt = look(scenario.make_policy(), x, y)
    assert np.sign(pan) == np.sign(320 - x)
    assert np.sign(tilt) == np.sign(240 - y)
    wanted = 0.6 * abs(1 - x / 320), 0.45 * abs(1 - y / 240)
    assert 0.5 < abs(pan) / wanted[0] < 2
    assert 0.5 < abs(tilt) / wanted[1] < 2


def test_events_in_the_middle_keep_it_straight_ahead():
    assert np.abs(look(Scenario.load("gaze").make_policy(), 320, 240)).max() < 0.05


def test_scattered_noise_does_not_move_it():
    command = look(Scenario.load("gaze").make_policy(), 320, 240, rate_hz=5000, spread_px=300)
    np.testing.assert_array_equal(command, 0)


def test_the_shipped_network_is_what_its_script_builds(tmp_path):
    write(build_network.build(), tmp_path / "network.nir")
    built, shipped = load(tmp_path / "network.nir"), load(SHIPPED / "gaze" / "network.nir")
    assert set(built.edges) == set(shipped.edges)
    for name, node in built.nodes.items():
        for key, value in vars(node).items():
            np.testing.assert_equal(vars(shipped.nodes[name])[key], value)


def test_the_recording_is_read_as_it_was_made(tmp_path, monkeypatch):
    path = tmp_path / "ball.es"
    monkeypatch.setattr("sys.argv", ["make_recording", str(path)])
    make_recording.main()
    stream = faery.events_stream_from_file(path)
    assert stream.dimensions() == (make_recording.WIDTH, make_recording.HEIGHT)
    read, made = stream.to_array(), make_recording.events()
    assert len(read) == len(made) > 50_000
    for field in ("x", "y", "on"):
        np.testing.assert_array_equal(read[field], made[field])
    middle = made[np.abs(made["t"].astype(float) - 500_000) < 20_000]
    assert abs(middle["x"].mean() - 160) < 10
    assert middle["y"].mean() < 60
