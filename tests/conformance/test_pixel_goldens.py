"""Pixels against v2e and the rule of ESIM: pixel_goldens.json, by benchmarks/pixel_peers.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT

GOLDENS = json.loads((Path(__file__).parent / "pixel_goldens.json").read_text())


def make(shape: tuple[int, int], on: Any = 0.2, off: Any = 0.2, **model: Any) -> PixelArray:
    on_step, off_step = np.broadcast_to(on, shape), np.broadcast_to(off, shape)
    nominal = {"on_threshold": 0.2, "off_threshold": 0.2}
    return PixelArray(on_step, off_step, np.zeros(shape), **nominal, **model)


def film(pixels: PixelArray, frames_dn: Any, dt_us: float) -> Any:
    """The events of frames in DN, `dt_us` apart."""
    seen = [
        pixels.expose(np.asarray(frame) / 255, round(1000 * n * dt_us), EVENT)
        for n, frame in enumerate(frames_dn)
    ]
    return np.concatenate(seen)


def by_pixel(events: Any) -> list[tuple[int, int, bool]]:
    """(x, us, polarity) of [us, x, polarity], in order."""
    return sorted((int(x), int(t), bool(on)) for t, x, on in events)


def test_every_event_of_random_walks_is_that_of_esim() -> None:
    golden = GOLDENS["esim"]
    dn = np.array(golden["dn"], np.float32)[:, None, :]
    pixels = make(dn[0].shape, golden["on_step"], golden["off_step"])
    events = film(pixels, dn, golden["dt_us"])
    found = by_pixel(zip(events["t"], events["x"], events["p"], strict=True))
    expected = by_pixel(golden["events"])
    assert len(expected) > 500
    assert [(x, on) for x, _, on in found] == [(x, on) for x, _, on in expected]
    np.testing.assert_allclose([t for _, t, _ in found], [t for _, t, _ in expected], atol=1)


@pytest.mark.parametrize("golden", GOLDENS["steps"], ids=lambda golden: str(golden["cutoff_hz"]))
def test_events_of_a_step_come_when_v2e_has_them(golden: dict[str, Any]) -> None:
    before, after = [golden["before_dn"]], [golden["after_dn"]]
    frames = [before] + [after] * (golden["frames"] - 1)
    events = film(make((1, 5), cutoff_hz=golden["cutoff_hz"]), frames, golden["dt_us"])
    found = by_pixel(zip(events["t"], events["x"], events["p"], strict=True))
    expected = by_pixel(golden["events"])
    assert [(x, on) for x, _, on in found] == [(x, on) for x, _, on in expected]
    # from 20 to 60 DN, from 60 to 180, and back; from 5 to 15 DN is linear
    assert [sum(x == n for x, _, _ in found) for n in range(5)] == [5, 5, 5, 5, 7]
    # v2e spreads the events of a frame evenly; its filter, of first order in eps, is so much faster
    t_us = np.array([t for _, t, _ in found])
    apart = np.abs([t for _, t, _ in expected] - t_us)
    eps = 2 * np.pi * golden["cutoff_hz"] * golden["dt_us"] * 1e-6
    assert (apart <= golden["dt_us"] + eps * t_us).all()


@pytest.mark.parametrize("golden", GOLDENS["sines"], ids=lambda golden: str(golden["cutoff_hz"]))
def test_sines_give_as_many_events_as_in_v2e(golden: dict[str, Any]) -> None:
    hz, dn = np.array(golden["hz"]), np.array(golden["dn"])[:, None]
    t_s = np.arange(golden["frames"]) * golden["dt_us"] * 1e-6
    frames = (dn * np.exp(golden["amplitude_ln"] * np.sin(2 * np.pi * hz * t)) for t in t_s)
    pixels = make((len(dn), len(hz)), cutoff_hz=golden["cutoff_hz"])
    events = film(pixels, frames, golden["dt_us"])
    for polarity, expected in ((True, golden["on"]), (False, golden["off"])):
        chosen = events[events["p"] == polarity]
        found = np.zeros((len(dn), len(hz)), int)
        np.add.at(found, (chosen["y"], chosen["x"]), 1)
        # the last period ends at a multiple of the threshold, give or take the last bit
        assert np.abs(found - expected).max() <= 1
        assert golden["cutoff_hz"] == 0 or np.array_equal(found, expected)


@pytest.mark.parametrize("golden", [GOLDENS["leak"], *GOLDENS["shot"]])
def test_noise_is_as_frequent_as_in_v2e(golden: dict[str, Any]) -> None:
    leak = golden is GOLDENS["leak"]
    side = round(golden["pixels"] ** 0.5)
    pixels = PixelArray(
        *np.full((3, side, side), [[[0.2]], [[0.2]], [[2.0 if leak else 0.0]]]),
        on_threshold=0.2,
        off_threshold=0.2,
        shot_rate_hz=0.0 if leak else 5.0,
    )
    still = np.full((side, side), golden["dn"])
    count = round(golden["seconds"] * 100) + 1
    on = film(pixels, [still] * count, 10_000)["p"]
    draws = golden["pixels"] * golden["seconds"]
    for found, expected in ((on.sum(), golden["on_hz"]), ((~on).sum(), golden["off_hz"])):
        # two draws of a Poisson number; a leaking pixel may be one event apart
        apart = golden["pixels"] if leak else 4 * np.sqrt(2 * expected * draws)
        assert abs(found - expected * draws) <= apart * (expected > 0)
