"""What may be said of the pixels of a camera, and what is made of it."""

from typing import Any

import numpy as np
import pytest

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.config import parse_yaml
from reflexarc.runtime.errors import ConfigError
from reflexarc.sensors.pixels import PRESETS, PixelSpec, make_pixels

MS = 1_000_000


def made(width: int = 100, height: int = 80, seed: int = 0, **said: Any) -> PixelArray:
    return make_pixels(PixelSpec(**said), width, height, np.random.default_rng(seed))


def rates_hz(pixels: PixelArray, dn: int, seconds: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """ON and OFF events a second of each pixel in a still scene, the first second left out."""
    image = np.full((pixels.height, pixels.width), dn, np.uint8)
    counts = np.zeros((2, pixels.height, pixels.width))
    for n in range(50 * (seconds + 1) + 1):
        events = pixels.expose(image, n * 20 * MS, EVENT)
        if n > 50:
            np.add.at(counts, (events["p"].astype(int), events["y"], events["x"]), 1)
    return counts[1] / seconds, counts[0] / seconds


def test_a_preset_gives_what_is_not_said() -> None:
    assert PixelSpec() == PixelSpec(preset="ideal")
    spec = PixelSpec(preset="davis346", cutoff_hz=None, mismatch=0.0)
    assert (spec.on_threshold, spec.off_threshold, spec.readout_rate_hz) == (0.134, 0.255, 12e6)
    assert (spec.cutoff_hz, spec.mismatch, spec.knee_dn) == (None, 0.0, 20.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_pixels_and_say_themselves(preset: Any) -> None:
    spec = PixelSpec(preset=preset)
    assert PixelSpec(**spec.model_dump()) == spec
    assert all(getattr(spec, name) == value for name, value in PRESETS[preset].items())
    assert make_pixels(spec, 5, 4, np.random.default_rng(0)).width == 5


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("preset: dvs127", "cam.yaml:2: pixels.preset: input should be 'ideal', 'v2e_noisy', "),
        ("preset: [a]", "cam.yaml:2: pixels.preset: input should be "),
        ("cutoff: 3", "cam.yaml:2: pixels.cutoff: unknown key"),
        ("knee_dn: 1", "cam.yaml:2: pixels.knee_dn: input should be greater than 1 (got 1)"),
        ("shot_rate_hz: .nan", "cam.yaml:2: pixels.shot_rate_hz: "),
        ("refractory_us: 0.5", "cam.yaml:2: pixels.refractory_us: "),
        ("readout_rate_hz: 0", "cam.yaml:2: pixels.readout_rate_hz: "),
        ("hot_share: 2", "cam.yaml:2: pixels.hot_share: "),
        ("off_threshold: -0.2", "cam.yaml:2: pixels.off_threshold: "),
    ],
)
def test_bad_values_are_named_in_one_line(said: str, message: str) -> None:
    document = parse_yaml(f"pixels:\n  {said}\n", "cam.yaml")
    with pytest.raises(ConfigError) as caught:
        document.validate(PixelSpec, ("pixels",))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_mismatch_is_that_of_the_thresholds() -> None:
    state = made(300, 200, on_threshold=0.3, off_threshold=0.1, mismatch=0.2).state()
    for name, nominal in (("on_step", 0.3), ("off_step", 0.1)):
        assert state[name].mean() == pytest.approx(nominal, rel=0.005)
        assert state[name].std() == pytest.approx(0.2 * nominal, rel=0.02)
        assert state[name].min() >= np.float32(0.1 * nominal)
    together = np.corrcoef(state["on_step"].ravel(), state["off_step"].ravel())[0, 1]
    assert abs(together) < 0.02


def test_leak_is_the_rate_of_on_events_of_every_pixel() -> None:
    on_hz, off_hz = rates_hz(made(leak_rate_hz=2.0, mismatch=0.2), 100)
    np.testing.assert_allclose(on_hz, 2.0, atol=0.051)
    assert not off_hz.any()


def test_leak_is_spread_log_normally() -> None:
    on_hz, _ = rates_hz(made(leak_rate_hz=10.0, leak_spread_decades=0.1), 100)
    assert np.log10(on_hz).mean() == pytest.approx(1.0, abs=0.01)
    assert np.log10(on_hz).std() == pytest.approx(0.1, rel=0.05)


def test_hot_pixels_are_a_share_of_all() -> None:
    on_hz, off_hz = rates_hz(made(hot_share=0.02, hot_rate_hz=30.0), 100, seconds=2)
    assert set(np.round(on_hz.ravel())) == {0.0, 30.0}
    assert np.mean(on_hz > 0) == pytest.approx(0.02, abs=0.006)
    assert not off_hz.any()


@pytest.mark.parametrize("preset", ["v2e_noisy", "dvs128", "davis346", "dvxplorer", "gen4"])
def test_noise_of_a_sensor_is_as_its_preset_says(preset: Any) -> None:
    spec, pixels = PixelSpec(preset=preset), made(160, 120, preset=preset)
    on_hz, off_hz = rates_hz(pixels, 100)
    pattern = pixels.state()
    shot_hz = spec.shot_rate_hz / 2 * (1 - 0.75 * 120 / 275)
    shot_on_hz = shot_hz * spec.on_threshold / pattern["on_step"]
    shot_off_hz = shot_hz * spec.off_threshold / pattern["off_step"]
    leak_hz = pattern["leak_per_s"].astype(float) / pattern["on_step"]
    assert leak_hz.mean() == pytest.approx(spec.leak_rate_hz * 1.027, rel=0.01)
    # shot noise resets the pixel: a leak event needs 1 / leak_hz without any
    resets_hz = shot_on_hz + shot_off_hz
    leak_on_hz = resets_hz / np.expm1(resets_hz / leak_hz)
    for found, expected in ((on_hz, shot_on_hz + leak_on_hz), (off_hz, shot_off_hz)):
        count, mean = found.sum() * 20, float(expected.sum()) * 20
        assert count == pytest.approx(mean, abs=4 * np.sqrt(mean))


def test_pattern_and_noise_follow_the_generator() -> None:
    def state(seed: int) -> dict[str, Any]:
        return made(8, 8, seed, preset="v2e_noisy").state()

    for name in ("on_step", "off_step", "leak_per_s", "noise"):
        np.testing.assert_array_equal(state(1)[name], state(1)[name])
        assert not np.array_equal(state(1)[name], state(2)[name])
