"""Pooled pixels count what a plain histogram counts."""

import numpy as np
import pytest

from reflexarc.ext.filters import EventFilter
from reflexarc.ext.pooling import pool
from reflexarc.runtime.batch import EVENT, SPIKE, Batch, Schema
from reflexarc.sensors.pooling import PixelsSpec, PooledPixels, PooledPixelsSpec


def spec(width: int = 10, height: int = 7, cell_px: int = 4) -> PooledPixelsSpec:
    return PooledPixelsSpec(
        kind="pooled_pixels",
        stream="camera",
        port="in",
        width=width,
        height=height,
        cell_px=cell_px,
    )


def events(n: int, generator: np.random.Generator, width: int = 10, height: int = 7) -> Batch:
    values = np.zeros(n, EVENT)
    values["t"] = np.sort(generator.integers(0, 4000, n))
    values["x"] = generator.integers(0, width, n)
    values["y"] = generator.integers(0, height, n)
    values["p"] = generator.integers(0, 2, n)
    return Batch("camera", Schema.EVENTS, values)


def test_counts_equal_a_histogram() -> None:
    encoder = PooledPixels(spec(), 12)
    batch = events(500, np.random.default_rng(0))
    spikes = encoder.encode([batch], 4_000_000, 6_000_000)
    counts = np.bincount(spikes["i"], minlength=12).reshape(2, 2, 3)
    expected = np.zeros((2, 2, 3), dtype=int)
    for event in batch.values:
        expected[int(event["p"]), event["y"] // 4, event["x"] // 4] += 1
    np.testing.assert_array_equal(counts, expected)


def test_spikes_lie_in_the_step_one_period_after_their_event() -> None:
    encoder = PooledPixels(spec(), 12)
    batch = events(500, np.random.default_rng(0))
    spikes = encoder.encode([batch], 4_000_000, 6_000_000)
    assert spikes.dtype == SPIKE
    assert np.all(np.diff(spikes["t_ns"]) >= 0)
    wanted = batch.values["t"].astype(np.int64) * 1000 + 2_000_000
    np.testing.assert_array_equal(spikes["t_ns"], np.clip(wanted, 4_000_000, 5_999_999))


def test_events_outside_the_image_are_counted_and_left_out() -> None:
    encoder = PooledPixels(spec(), 12)
    batch = events(500, np.random.default_rng(0), width=20)
    inside = np.count_nonzero(batch.values["x"] < 10)
    assert len(encoder.encode([batch], 0, 1_000_000)) == inside
    assert encoder.left_out == 500 - inside


def test_no_batch_no_spikes() -> None:
    assert len(PooledPixels(spec(), 12).encode([], 0, 1_000_000)) == 0


def test_batches_are_joined() -> None:
    encoder = PooledPixels(spec(), 12)
    generator = np.random.default_rng(0)
    batches = [events(20, generator), events(30, generator)]
    assert len(encoder.encode(batches, 0, 1_000_000)) == 50


def test_port_must_have_a_line_for_each_cell() -> None:
    with pytest.raises(ValueError, match="make 12 lines, but port 'in' has 13"):
        PooledPixels(spec(), 13)


def test_kernel_refuses_other_layouts() -> None:
    with pytest.raises(ValueError, match="bytes"):
        pool(np.zeros(3, "u1"), SPIKE, 4, 4, 2, True, 0, 0, 1)
    with pytest.raises(ValueError, match="cell_px"):
        pool(np.zeros(3, EVENT), SPIKE, 4, 4, 0, True, 0, 0, 1)


def test_a_filter_with_a_region_has_the_cells_of_the_region() -> None:
    said = {
        "region": {"left": 2, "top": 1, "width": 4, "height": 6},
        "polarity": "on",
        "background_us": 500,
    }
    filtered = PooledPixelsSpec.model_validate(
        {**spec(cell_px=2).model_dump(), "filter": said}, strict=True
    )
    assert filtered.lines == 2 * 2 * 3
    batch = events(800, np.random.default_rng(1))
    encoder = PooledPixels(filtered, 12)
    spikes = encoder.encode([batch], 4_000_000, 6_000_000)
    sieve = EventFilter(10, 7, region=(2, 1, 6, 7), off=False, background_us=500)
    passed = sieve.sift(batch.values)
    assert 50 < len(passed) < 250
    np.testing.assert_array_equal(spikes["i"], 6 + passed["y"] // 2 * 2 + passed["x"] // 2)
    assert encoder.left_out == 800 - len(passed)


def test_a_region_outside_the_image_is_refused() -> None:
    said = {"region": {"left": 8, "top": 0, "width": 4, "height": 2}}
    filtered = PooledPixelsSpec.model_validate({**spec().model_dump(), "filter": said})
    with pytest.raises(ValueError, match="not within 10 x 7 pixels"):
        PooledPixels(filtered, filtered.lines)


@pytest.mark.parametrize("polarity", ["split", "merged"])
def test_every_pixel_has_its_line(polarity: str) -> None:
    said = {"kind": "pixels", "stream": "camera", "port": "in", "width": 10, "height": 7}
    direct = PixelsSpec.model_validate({**said, "polarity": polarity})
    batch = events(500, np.random.default_rng(2))
    spikes = PooledPixels(direct, direct.lines).encode([batch], 0, 1_000_000)
    line = batch.values["y"] * 10 + batch.values["x"]
    wanted = line + 70 * batch.values["p"] if polarity == "split" else line
    np.testing.assert_array_equal(spikes["i"], wanted)
    assert direct.lines == (140 if polarity == "split" else 70)


def test_merged_cells_are_the_sum_of_both_polarities() -> None:
    merged = PooledPixelsSpec.model_validate({**spec().model_dump(), "polarity": "merged"})
    batch = events(500, np.random.default_rng(3))
    apart = PooledPixels(spec(), 12).encode([batch], 0, 1_000_000)
    joined = PooledPixels(merged, 6).encode([batch], 0, 1_000_000)
    np.testing.assert_array_equal(joined["i"], apart["i"] % 6)
