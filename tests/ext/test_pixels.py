"""The pixel kernel against cases with an answer on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT

OFFSET = 0.01


def one_pixel(on: float = 0.2, off: float = 0.2, refractory_us: float = 0.0) -> PixelArray:
    return PixelArray(np.array([[on]]), np.array([[off]]), refractory_us, OFFSET)


def show(pixel: PixelArray, ln_level: float, t_us: float) -> np.ndarray:
    """Expose one pixel to a log level (of luminance plus offset)."""
    return pixel.expose(np.array([[np.exp(ln_level) - OFFSET]]), t_us, EVENT)


@pytest.mark.parametrize(("rise", "expected"), [(1.0, 5), (0.99, 4), (0.199, 0), (-0.7, 3)])
def test_linear_ramp_gives_floor_of_rise_over_threshold(rise: float, expected: int) -> None:
    pixel = one_pixel()
    assert len(show(pixel, 0.0, 0)) == 0
    events = show(pixel, rise, 10_000)
    assert len(events) == expected
    assert all(events["p"] == (rise > 0))
    times = 10_000 * 0.2 * np.arange(1, expected + 1) / abs(rise)
    np.testing.assert_allclose(events["t"], times, atol=1)


def test_ramp_in_many_frames_equals_ramp_in_one() -> None:
    pixel = one_pixel()
    parts = [show(pixel, 1.5 * t / 10_000, t) for t in range(0, 10_001, 500)]
    whole = one_pixel()
    show(whole, 0.0, 0)
    expected = show(whole, 1.5, 10_000)
    np.testing.assert_allclose(np.concatenate(parts)["t"], expected["t"], atol=1)


def test_sine_over_three_periods() -> None:
    # 0.9 / 0.2: 4 up, then 8 down and 8 up each half period, 4 more up at the end
    pixel = one_pixel()
    frames = [
        show(pixel, 0.9 * np.sin(2 * np.pi * 3 * t / 3000) - 1, t * 1000) for t in range(3001)
    ]
    events = np.concatenate(frames)
    assert len(events) == 48
    assert np.count_nonzero(events["p"]) == 24


def test_still_scene_is_silent() -> None:
    pixels = PixelArray(np.full((4, 5), 0.1), np.full((4, 5), 0.1), 0.0, OFFSET)
    scene = np.random.default_rng(0).random((4, 5))
    assert sum(len(pixels.expose(scene, t, EVENT)) for t in range(0, 100_000, 1000)) == 0


def test_on_and_off_thresholds_are_apart() -> None:
    pixel = one_pixel(on=0.5, off=0.1)
    show(pixel, -1.0, 0)
    assert len(show(pixel, 0.0, 1000)) == 2
    assert len(show(pixel, -1.0, 2000)) == 10


def test_refractory_pixel_takes_its_reference_when_it_wakes() -> None:
    pixel = one_pixel(refractory_us=3000)
    show(pixel, 0.0, 0)
    # 0.1 ln per ms: fires at 2 ms, sleeps until 5 ms, and so on every 5 ms
    events = show(pixel, 1.7, 17_000)
    np.testing.assert_allclose(events["t"], [2000, 7000, 12_000, 17_000], atol=1)
    # asleep until 20 ms
    assert len(show(pixel, 5.0, 19_000)) == 0


def test_events_are_in_order_of_time_and_of_pixels_within_it() -> None:
    pixels = PixelArray(np.full((6, 7), 0.1), np.full((6, 7), 0.1), 0.0, OFFSET)
    generator = np.random.default_rng(1)
    pixels.expose(generator.random((6, 7)), 0, EVENT)
    events = pixels.expose(generator.random((6, 7)), 50, EVENT)
    assert len(events) > 50
    order = np.lexsort((events["x"], events["y"], events["t"]))
    np.testing.assert_array_equal(order, np.arange(len(events)))


@given(
    st.lists(st.floats(-4, 0), min_size=2, max_size=30),
    st.floats(0.05, 0.5),
    st.floats(0.05, 0.5),
)
def test_reference_follows_the_level_within_a_threshold(
    levels: list[float], on: float, off: float
) -> None:
    pixel = one_pixel(on, off)
    events = [show(pixel, level, 1000 * n) for n, level in enumerate(levels)]
    steps = np.concatenate(events)["p"]
    rebuilt = levels[0] + np.where(steps, on, -off).sum()
    assert rebuilt - 1.001 * off <= levels[-1] <= rebuilt + 1.001 * on


def test_bad_input_leaves_the_state_alone() -> None:
    pixel = one_pixel()
    show(pixel, 0.0, 0)
    with pytest.raises(ValueError, match="shape"):
        pixel.expose(np.ones((2, 2)), 1000, EVENT)
    with pytest.raises(ValueError, match="finite"):
        pixel.expose(np.array([[np.nan]]), 1000, EVENT)
    with pytest.raises(ValueError, match="finite"):
        pixel.expose(np.array([[-1.0]]), 1000, EVENT)
    with pytest.raises(ValueError, match="cannot follow"):
        show(pixel, 1.0, 0)
    with pytest.raises(ValueError, match="bytes"):
        pixel.expose(np.array([[1.0]]), 1000, np.dtype("u1"))
    assert len(show(pixel, 1.0, 10_000)) == 5


@pytest.mark.parametrize(
    ("on", "off", "refractory_us", "offset"),
    [(0.0, 0.1, 0.0, 0.1), (0.1, 0.1, -1.0, 0.1), (0.1, 0.1, 0.0, 0.0), (np.nan, 0.1, 0.0, 0.1)],
)
def test_bad_pixels(on: float, off: float, refractory_us: float, offset: float) -> None:
    with pytest.raises(ValueError, match=r"above 0|negative"):
        PixelArray(np.array([[on]]), np.array([[off]]), refractory_us, offset)


def test_kernel_uses_its_declared_layout() -> None:
    # Cython silently ignores a .pxd it cannot find; then the class would carry no fields.
    assert PixelArray.__basicsize__ > object.__basicsize__ + 16
