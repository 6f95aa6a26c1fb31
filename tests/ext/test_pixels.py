"""The pixel kernel against cases with an answer on paper, and against a stepped oracle."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT

Events = npt.NDArray[Any]
MS = 1_000_000
DAY = 86_400 * 1000 * MS


def make(
    height: int = 1, width: int = 1, on: Any = 0.2, off: Any = 0.2, leak: Any = 0.0, **model: Any
) -> PixelArray:
    parts = [np.broadcast_to(part, (height, width)) for part in (on, off, leak)]
    nominal = {"on_threshold": float(np.mean(on)), "off_threshold": float(np.mean(off))}
    return PixelArray(*parts, **{**nominal, **model})


def dn(value: Any, height: int = 1, width: int = 1) -> npt.NDArray[np.float32]:
    """A frame of one intensity in DN."""
    return np.full((height, width), value / 255, dtype=np.float32)


def show(pixels: PixelArray, level: float, t_us: float) -> Events:
    """Expose one pixel to an intensity of exp(level) DN."""
    return pixels.expose(dn(np.exp(level)), round(1000 * t_us), EVENT)


def film(pixels: PixelArray, frames: Iterable[Any], start_ns: int = 0, step_ns: int = MS) -> Events:
    """The events of frames one step apart."""
    seen = [pixels.expose(frame, start_ns + n * step_ns, EVENT) for n, frame in enumerate(frames)]
    return np.concatenate(seen)


# --- threshold, time, refractory period -------------------------------------------------------


@pytest.mark.parametrize(("rise", "expected"), [(1.0, 5), (0.99, 4), (0.199, 0), (-0.7, 3)])
def test_linear_ramp_gives_floor_of_rise_over_threshold(rise: float, expected: int) -> None:
    pixel = make()
    assert len(show(pixel, 4.0, 0)) == 0
    events = show(pixel, 4.0 + rise, 10_000)
    assert len(events) == expected
    assert all(events["p"] == (rise > 0))
    times = 10_000 * 0.2 * np.arange(1, expected + 1) / abs(rise)
    np.testing.assert_allclose(events["t"], times, atol=1)


def test_ramp_in_many_frames_equals_ramp_in_one() -> None:
    pixel = make()
    parts = [show(pixel, 3.5 + 1.5 * t / 10_000, t) for t in range(0, 10_001, 500)]
    whole = make()
    show(whole, 3.5, 0)
    expected = show(whole, 5.0, 10_000)
    np.testing.assert_allclose(np.concatenate(parts)["t"], expected["t"], atol=1)


def test_sine_over_three_periods() -> None:
    # 0.9 / 0.2: 4 up, then 8 down and 8 up each half period, 4 more up at the end
    pixel = make()
    events = np.concatenate(
        [show(pixel, 4.2 + 0.9 * np.sin(2 * np.pi * t / 1000), 1000 * t) for t in range(3001)]
    )
    assert len(events) == 48
    assert np.count_nonzero(events["p"]) == 24


@pytest.mark.parametrize("cutoff_hz", [0.0, 10.0])
@pytest.mark.parametrize(("before", "after"), [(20, 60), (60, 180)])
def test_steps_of_the_same_contrast_give_five_events(
    before: int, after: int, cutoff_hz: float
) -> None:
    frames = [dn(before)] + [dn(after)] * 500
    events = film(make(cutoff_hz=cutoff_hz), frames)
    assert list(events["p"]) == [True] * 5


def test_still_scene_is_silent() -> None:
    scene = np.random.default_rng(0).random((4, 5))
    assert len(film(make(4, 5, 0.1, 0.1), [scene] * 100)) == 0


def test_on_and_off_thresholds_are_apart() -> None:
    pixel = make(on=0.5, off=0.1)
    show(pixel, 4.0, 0)
    assert len(show(pixel, 5.0, 1000)) == 2
    assert len(show(pixel, 4.0, 2000)) == 10


def test_refractory_pixel_takes_its_reference_when_it_wakes() -> None:
    pixel = make(refractory_us=3000)
    show(pixel, 3.0, 0)
    # 0.1 ln per ms: fires at 2 ms, sleeps until 5 ms, and so on every 5 ms
    events = show(pixel, 4.7, 17_000)
    np.testing.assert_array_equal(events["t"], [2000, 7000, 12_000, 17_000])
    # asleep until 20 ms
    assert len(show(pixel, 5.0, 19_000)) == 0


def test_events_are_in_order_of_time_and_of_pixels_within_it() -> None:
    pixels = make(6, 7, 0.1, 0.1)
    generator = np.random.default_rng(1)
    events = film(pixels, generator.random((2, 6, 7)), step_ns=50_000)
    assert len(events) > 50
    order = np.lexsort((events["x"], events["y"], events["t"]))
    np.testing.assert_array_equal(order, np.arange(len(events)))


@pytest.mark.parametrize("step_ns", [999, 2_047_000, 2_048_000, 5 * 1000 * MS])
def test_long_frames_are_in_order_too(step_ns: int) -> None:
    events = film(make(20, 20), np.random.default_rng(2).random((2, 20, 20)), 777, step_ns)
    assert len(events) > 200
    assert (np.diff(events["t"].astype(np.int64)) >= 0).all()
    assert events["t"].max() <= (777 + step_ns) // 1000


@given(
    st.lists(st.floats(3, 7), min_size=2, max_size=30),
    st.floats(0.05, 0.5),
    st.floats(0.05, 0.5),
)
def test_reference_follows_the_level_within_a_threshold(
    levels: list[float], on: float, off: float
) -> None:
    pixel = make(on=on, off=off)
    events = [show(pixel, level, 1000 * n) for n, level in enumerate(levels)]
    steps = np.concatenate(events)["p"]
    rebuilt = levels[0] + np.where(steps, on, -off).sum()
    assert rebuilt - 1.001 * off <= levels[-1] <= rebuilt + 1.001 * on


def stepped(
    levels: Events,
    reference: Events,
    on: Events,
    off: Events,
    leak_per_us: Events,
    refractory_us: int,
) -> list[tuple[int, float, bool]]:
    """(pixel, us, polarity) of pixels looked at ten times a microsecond, 1000 us between levels."""
    fine = [np.linspace(a, b, 10_001)[1:] for a, b in pairwise(levels)]
    asleep_until = np.zeros(len(on), np.int64)
    found = []
    for t, level in enumerate(np.concatenate(fine), start=1):
        awake = asleep_until <= t
        waking = asleep_until == t
        reference = np.where(waking, level, reference - 0.1 * leak_per_us * awake)
        contrast = level - reference
        fires = awake & ((contrast >= on) | (contrast <= -off))
        if not fires.any():
            continue
        for pixel in np.flatnonzero(fires):
            up = bool(contrast[pixel] > 0)
            found.append((int(pixel), t / 10, up))
            reference[pixel] += on[pixel] if up else -off[pixel]
            if refractory_us:
                asleep_until[pixel] = t + 10 * refractory_us
    return found


@pytest.mark.parametrize("refractory_us", [0, 700, 2300])
def test_events_are_those_of_an_oracle_that_looks_all_the_time(refractory_us: int) -> None:
    generator = np.random.default_rng(3)
    n = 50
    on, off = generator.uniform(0.1, 0.4, (2, n)).astype(np.float32).astype(float)
    leak = generator.uniform(0, 20.0, n).astype(np.float32).astype(float)
    levels = 4.5 + np.cumsum(generator.normal(0, 0.3, (8, n)), axis=0)
    levels = np.maximum(levels, np.log(21.0))
    pixels = make(1, n, on, off, leak, refractory_us=refractory_us)
    frames = np.exp(levels)[:, None, :] / 255
    pixels.expose(frames[0], 0, EVENT)
    reference = pixels.state()["reference"]
    assert ((reference < levels[0]) & (reference > levels[0] - on)).all()
    events = film(pixels, frames[1:], MS)
    expected = sorted(stepped(levels, reference, on, off, leak * 1e-6, refractory_us))
    found = sorted((int(e["x"]), int(e["t"]), bool(e["p"])) for e in events)
    assert len(expected) > 50
    assert [(x, p) for x, _, p in found] == [(x, p) for x, _, p in expected]
    late = [t - at for (_, t, _), (_, at, _) in zip(found, expected, strict=True)]
    # Whole microseconds below, and the oracle's tenths. What the oracle wakes late by in a steep
    # stretch is more in a flat one after it.
    assert -1.7 <= np.quantile(late, 0.05) <= max(late) <= 0
    assert min(late) > -10


# --- photoreceptor ----------------------------------------------------------------------------


def level_of(pixels: PixelArray) -> npt.NDArray[np.float64]:
    return pixels.state()["level"]


def test_photoreceptor_is_linear_below_the_knee_and_logarithmic_above() -> None:
    pixels = make(1, 256)
    intensities = np.arange(256, dtype=np.uint8)
    pixels.expose(intensities[None], 0, EVENT)
    exact = np.arange(256.0)
    expected = np.where(exact <= 20, exact * np.log(20) / 20, np.log(np.maximum(exact, 1)))
    np.testing.assert_allclose(level_of(pixels), expected, atol=1e-6)


@given(st.floats(1.01, 1e6), st.floats(0, 1e6))
def test_logarithm_is_right_to_float32(knee: float, intensity: float) -> None:
    pixels = make(knee_dn=knee)
    image = np.array([[intensity / 255]], np.float32)
    pixels.expose(image, 0, EVENT)
    value, at_knee = float(image[0, 0]) * 255, float(np.float32(knee))
    expected = np.log(value) if value > at_knee else value * np.log(at_knee) / at_knee
    assert level_of(pixels)[0] == pytest.approx(expected, rel=1e-6, abs=3e-7)


@given(st.floats(0, 255), st.floats(0.01, 1e6), st.integers(1, 10**9))
def test_low_pass_is_the_exact_exponential(intensity: float, cutoff_hz: float, dt_ns: int) -> None:
    pixels = make(cutoff_hz=cutoff_hz, on=100.0, off=100.0)
    pixels.expose(dn(255.0), 0, EVENT)
    start = level_of(pixels)[0]
    pixels.expose(dn(intensity), dt_ns, EVENT)
    goal = make()
    goal.expose(dn(intensity), 0, EVENT)
    eps = 2 * np.pi * cutoff_hz * dt_ns * 1e-9 * (intensity + 20) / 275
    way = (level_of(pixels)[0] - start) / (level_of(goal)[0] - start) if intensity < 254 else 0
    assert way == pytest.approx(-np.expm1(-eps) if intensity < 254 else 0, rel=2e-6)


def test_low_pass_does_not_depend_on_how_time_is_cut() -> None:
    once, often = make(cutoff_hz=20.0), make(cutoff_hz=20.0)
    film(once, [dn(30), dn(90)], step_ns=10 * MS)
    film(often, [dn(30)] + [dn(90)] * 10_000, step_ns=1000)
    assert level_of(once)[0] == pytest.approx(level_of(often)[0], abs=1e-6)


def test_brighter_is_faster() -> None:
    dark, bright = (
        film(make(cutoff_hz=10.0), [dn(before)] + [dn(3 * before)] * 500) for before in (20, 60)
    )
    # (60 + 20) / 275 against (180 + 20) / 275
    np.testing.assert_allclose(dark["t"] / bright["t"], 200 / 80, rtol=0.01)


# --- noise ------------------------------------------------------------------------------------


def test_leak_of_10_hz_on_a_still_scene() -> None:
    pixels = make(20, 20, leak=10 * 0.2)
    events = film(pixels, [dn(100, 20, 20)] * 10_001)
    # v2e: 9.99 ON events a second and pixel
    assert events["p"].sum() / 400 / 10 == pytest.approx(9.99, abs=0.02)
    assert not (~events["p"]).any()


@pytest.mark.parametrize(
    ("intensity", "on_hz", "off_hz"), [(5, 2.34, 2.33), (100, 1.69, 1.69), (250, 0.68, 0.65)]
)
def test_shot_noise_of_5_hz(intensity: int, on_hz: float, off_hz: float) -> None:
    pixels = make(100, 200, shot_rate_hz=5.0, seed=intensity)
    events = film(pixels, [dn(intensity, 100, 200)] * 501, step_ns=10 * MS)
    seconds, n = 5.0, 100 * 200
    exact = 2.5 * (1 - 0.75 * (intensity + 20) / 275)
    for polarity, v2e_hz in ((True, on_hz), (False, off_hz)):
        count = np.count_nonzero(events["p"] == polarity)
        assert count == pytest.approx(exact * n * seconds, abs=4 * np.sqrt(count))
        assert count / n / seconds == pytest.approx(v2e_hz, abs=0.03)


def test_shot_noise_is_poisson_in_time_and_over_pixels() -> None:
    pixels = make(50, 50, shot_rate_hz=50.0, seed=3)
    events = film(pixels, [dn(0, 50, 50)] * 21, step_ns=100 * MS)
    within = events["t"] % 100_000 / 100_000
    assert len(events) > 100_000
    # an even distribution has mean 1/2 and variance 1/12
    assert within.mean() == pytest.approx(1 / 2, abs=0.005)
    assert within.var() == pytest.approx(1 / 12, rel=0.02)
    counts = np.bincount(events["y"].astype(int) * 50 + events["x"], minlength=2500)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.15)


def test_shot_noise_is_in_inverse_proportion_to_the_threshold() -> None:
    on = np.where(np.arange(100) < 50, 0.1, 0.4)
    pixels = make(100, 100, on=on, shot_rate_hz=20.0, on_threshold=0.2)
    events = film(pixels, [dn(0, 100, 100)] * 11, step_ns=100 * MS)
    ons = events[events["p"]]
    low, high = np.count_nonzero(ons["x"] < 50), np.count_nonzero(ons["x"] >= 50)
    assert low == pytest.approx(2 * 10 * (1 - 0.75 * 20 / 275) * 5000, rel=0.03)
    assert low / high == pytest.approx(4, rel=0.05)


def test_shot_noise_resets_the_pixel() -> None:
    # so often that no pixel's leak comes as far as its threshold, 1 s away
    pixels = make(20, 20, leak=0.2, shot_rate_hz=1000.0)
    quiet, noisy = make(20, 20, leak=0.2), film(pixels, [dn(0, 20, 20)] * 2001)
    assert len(film(quiet, [dn(0, 20, 20)] * 2001)) == 2 * 400
    excess = np.count_nonzero(noisy["p"]) - np.count_nonzero(~noisy["p"])
    assert abs(excess) < 4 * np.sqrt(len(noisy))
    assert level_of(pixels)[0] - pixels.state()["reference"].min() < 0.01


def test_noise_keeps_the_refractory_period() -> None:
    pixels = make(10, 10, shot_rate_hz=200.0, refractory_us=5000)
    events = film(pixels, [dn(0, 10, 10)] * 1001)
    order = np.lexsort((events["t"], events["x"], events["y"]))
    gaps = np.diff(events["t"][order].astype(np.int64))
    assert len(events) > 5000
    assert gaps[gaps > 0].min() >= 5000 - 1
    assert gaps.min() != 0


# --- readout ----------------------------------------------------------------------------------


def flash(pixels: PixelArray, after_ms: int) -> Events:
    """Events of a flash in the second millisecond, and of the time after it."""
    height, width = pixels.height, pixels.width
    frames = [dn(30, height, width), dn(30, height, width)]
    return film(pixels, frames + [dn(45, height, width)] * after_ms)


def test_readout_spreads_a_flash_over_time_and_loses_nothing() -> None:
    # ln 1.5 / 0.2: two events of each of 400 pixels within a millisecond; one read every 10 us
    free, slow = make(20, 20), make(20, 20, readout_rate_hz=100_000.0, readout_latency_us=30)
    expected, first = flash(free, 10), flash(slow, 1)
    assert len(expected) == 800
    assert slow.backlog > 0
    late = [slow.expose(dn(45, 20, 20), n * MS, EVENT) for n in range(3, 12)]
    events = np.concatenate([first, *late])
    assert len(events) + slow.dropped == len(expected)
    assert slow.backlog == 0
    gaps = np.diff(events["t"].astype(np.int64))
    assert set(gaps) == {10}
    assert events["t"][0] == expected["t"][0] + 30


def test_no_event_comes_before_its_time() -> None:
    slow = make(20, 20, readout_rate_hz=100_000.0, readout_latency_us=30)
    film(slow, [dn(30, 20, 20)] * 2)
    for n in range(2, 14):
        events = slow.expose(dn(45, 20, 20), n * MS, EVENT)
        assert len(events)
        assert (n - 1) * 1000 < events["t"].min() <= events["t"].max() <= n * 1000
        if not slow.backlog:
            break
    assert n < 13


def test_an_event_of_a_pixel_that_still_waits_is_lost_and_counted() -> None:
    free, slow = make(20, 20), make(20, 20, readout_rate_hz=50_000.0)
    frames = [dn(30, 20, 20), *[dn(30 + 15 * (n % 2), 20, 20) for n in range(1, 40)]]
    expected = film(free, frames)
    events = film(slow, [*frames, *[frames[-1]] * 200])
    assert slow.dropped > 0
    assert len(events) + slow.dropped == len(expected)
    # the readout was never idle while there was something to read
    assert len(events) == 1 + (int(events["t"][-1]) - int(events["t"][0])) / 20


# --- time, state, bad input -------------------------------------------------------------------


def noisy(seed: int = 0) -> PixelArray:
    generator = np.random.default_rng(seed)
    on, off = generator.uniform(0.1, 0.3, (2, 12, 16))
    return make(
        12,
        16,
        on,
        off,
        generator.uniform(0, 2, (12, 16)),
        cutoff_hz=100.0,
        refractory_us=300,
        shot_rate_hz=100.0,
        readout_rate_hz=200_000.0,
        readout_latency_us=15,
        seed=seed,
    )


def scenes(n: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(9).random((n, 12, 16))


def test_events_are_the_same_after_days() -> None:
    fresh = film(noisy(), scenes(60))
    for start_ns in (30 * DAY, 3650 * DAY):
        old = film(noisy(), scenes(60), start_ns)
        np.testing.assert_array_equal(old["t"] - start_ns // 1000, fresh["t"])
        old["t"] = fresh["t"]
        assert old.tobytes() == fresh.tobytes()


@given(st.integers(1, 59))
def test_going_on_from_a_state_equals_never_having_stopped(at: int) -> None:
    pixels, again = noisy(), noisy()
    film(pixels, scenes(60)[:at])
    again.restore(pixels.state())
    for n in range(at, 60):
        one, other = (part.expose(scenes(60)[n], n * MS, EVENT) for part in (pixels, again))
        assert one.tobytes() == other.tobytes()
    assert (pixels.dropped, pixels.backlog) == (again.dropped, again.backlog)
    assert all(np.array_equal(part, again.state()[name]) for name, part in pixels.state().items())


def test_noise_follows_the_seed() -> None:
    def events(seed: int) -> bytes:
        pixels = make(10, 10, shot_rate_hz=50.0, seed=seed)
        return film(pixels, [dn(9, 10, 10)] * 100).tobytes()

    assert events(1) == events(1)
    assert events(1) != events(2)


def without(state: dict[str, Any]) -> None:
    del state["noise"]


def of_another_shape(state: dict[str, Any]) -> None:
    state["level"] = state["level"][1:]


def of_another_pattern(state: dict[str, Any]) -> None:
    state["on_step"][0] += 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(without, "parts"), (of_another_shape, "parts"), (of_another_pattern, "pattern")],
)
def test_a_state_of_other_pixels_is_refused(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    pixels, other = noisy(), noisy()
    film(pixels, scenes(10))
    state = pixels.state()
    spoil(state)
    with pytest.raises(ValueError, match=message):
        other.restore(state)
    assert film(other, scenes(20)).tobytes() == film(noisy(), scenes(20)).tobytes()


def test_bad_input_leaves_the_state_alone() -> None:
    pixel = make()
    show(pixel, 4.0, 0)
    with pytest.raises(ValueError, match="shape"):
        pixel.expose(np.ones((2, 2)), MS, EVENT)
    for wrong in (np.nan, np.inf, -1.0, 1e37):
        with pytest.raises(ValueError, match="finite"):
            pixel.expose(np.array([[wrong]]), MS, EVENT)
    with pytest.raises(ValueError, match="cannot follow"):
        show(pixel, 5.0, 0)
    with pytest.raises(ValueError, match="bytes"):
        pixel.expose(np.array([[1.0]]), MS, np.dtype("u1"))
    assert len(show(pixel, 5.0, 10_000)) == 5


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"on": 0.0, "on_threshold": 0.2}, "thresholds"),
        ({"off": np.nan, "off_threshold": 0.2}, "thresholds"),
        ({"on_threshold": 0.0}, "on_threshold"),
        ({"leak": -1.0}, "leak_per_s"),
        ({"leak": np.inf}, "leak_per_s"),
        ({"knee_dn": 1.0}, "knee_dn"),
        ({"cutoff_hz": -1.0}, "rates"),
        ({"shot_rate_hz": np.nan}, "rates"),
        ({"readout_rate_hz": np.inf}, "rates"),
        ({"refractory_us": -1}, "refractory_us"),
        ({"readout_latency_us": -1}, "readout_latency_us"),
    ],
)
def test_bad_pixels(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**model)


def test_patterns_have_one_shape() -> None:
    with pytest.raises(ValueError, match="one shape"):
        PixelArray(
            np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2)), on_threshold=1, off_threshold=1
        )


def test_kernel_uses_its_declared_layout() -> None:
    # Cython silently ignores a .pxd it cannot find; then the class would carry no fields.
    assert PixelArray.__basicsize__ > object.__basicsize__ + 16
