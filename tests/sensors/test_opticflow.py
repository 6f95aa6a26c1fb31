"""Elementary motion detectors: an edge of known speed, and plain loops over any events."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexarc.ext.flow import MotionDetectors
from reflexarc.runtime.batch import EVENT, SPIKE, Batch, Schema
from reflexarc.scenarios.gaze import make_recording
from reflexarc.sensors.opticflow import DIRECTIONS, OpticFlow, OpticFlowSpec

WIDTH, HEIGHT = 24, 18
FOREVER = (0, -(1 << 62), 1 << 62)
Events = npt.NDArray[Any]


def spec(**said: Any) -> OpticFlowSpec:
    known = {
        "kind": "optic_flow",
        "stream": "camera",
        "port": "flow",
        "width": WIDTH,
        "height": HEIGHT,
        "tile_px": 6,
        "speeds_px_s": [50.0, 200.0, 800.0, 3200.0],
    }
    return OpticFlowSpec.model_validate({**known, **said})


def detectors(said: OpticFlowSpec) -> MotionDetectors:
    return MotionDetectors(
        *said.seen,
        tile_px=said.tile_px,
        baseline_px=said.baseline_px,
        travel_us=np.array(said.travel_us),
        refractory_us=said.refractory_us,
    )


def edge(direction: str, speed_px_s: float, t0_us: int = 10_000_000, on: bool = True) -> Events:
    """A straight edge across the whole image: one event of every pixel."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].reshape(2, -1)
    way_px = {"right": x, "left": WIDTH - 1 - x, "down": y, "up": HEIGHT - 1 - y}[direction]
    made = np.zeros(x.size, EVENT)
    made["t"] = t0_us + np.rint(way_px / speed_px_s * 1e6).astype(np.uint64)
    made["x"], made["y"], made["on"] = x, y, on
    return made[np.argsort(made["t"], kind="stable")]


def drawn(n: int, seed: int) -> Events:
    """Events anywhere, dense enough to give every speed."""
    random = np.random.default_rng(seed)
    made = np.zeros(n, EVENT)
    made["t"] = 5_000 + np.sort(random.integers(0, 60_000, n))
    made["x"], made["y"] = random.integers(0, WIDTH + 2, n), random.integers(0, HEIGHT + 2, n)
    made["on"] = random.integers(0, 2, n)
    return made


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("speed_px_s", "speed"), [(60, 0), (190, 0), (210, 1), (1000, 2)])
@pytest.mark.parametrize("baseline_px", [1, 3])
@pytest.mark.parametrize("on", [False, True])
def test_an_edge_gives_a_spike_of_every_detector_on_its_way_and_of_no_other(
    direction: str, speed_px_s: float, speed: int, baseline_px: int, on: bool
) -> None:
    said = spec(baseline_px=baseline_px)
    found = detectors(said).detect(edge(direction, speed_px_s, on=on), SPIKE, *FOREVER)
    # every pixel that lies a baseline or more from the side where the edge comes in
    way = {"right": (0, 1), "left": (0, -1), "down": (1, 1), "up": (1, -1)}
    axis, sign = way[direction]
    started = np.ones((HEIGHT, WIDTH), bool)
    entry = slice(None, baseline_px) if sign > 0 else slice(-baseline_px, None)
    started[(entry, slice(None)) if axis == 1 else (slice(None), entry)] = False
    per_tile = started.reshape(3, 6, 4, 6).sum(axis=(1, 3))
    wanted = np.zeros((4, 3, 3, 4), int)
    wanted[DIRECTIONS.index(direction), speed] = per_tile
    counts = np.bincount(found["i"], minlength=said.lines).reshape(4, 3, 3, 4)
    np.testing.assert_array_equal(counts, wanted)
    assert said.line(direction, speed, 1, 2) == np.ravel_multi_index(
        (DIRECTIONS.index(direction), speed, 2, 1), wanted.shape
    )


def test_too_slow_and_too_fast_edges_are_not_seen() -> None:
    for speed_px_s in (49.0, 3300.0):
        assert len(detectors(spec()).detect(edge("left", speed_px_s), SPIKE, *FOREVER)) == 0
    assert len(detectors(spec()).detect(edge("left", 51.0), SPIKE, *FOREVER)) == 23 * 18


def test_a_slanted_edge_has_the_speeds_of_its_crossing_points() -> None:
    # x + 4 y = v t: along a row at v, along a column at a quarter of it
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].reshape(2, -1)
    made = np.zeros(x.size, EVENT)
    made["t"], made["x"], made["y"] = np.rint((x + 4 * y) / 1000 * 1e6), x, y
    made = made[np.argsort(made["t"], kind="stable")]
    counts = np.bincount(
        detectors(spec()).detect(made, SPIKE, *FOREVER)["i"], minlength=spec().lines
    )
    by = counts.reshape(4, 3, -1).sum(axis=2)
    assert by.tolist() == [[0, 0, 23 * 18], [0, 0, 0], [0, 24 * 17, 0], [0, 0, 0]]


def test_an_edge_of_several_events_has_the_speed_of_its_first() -> None:
    one = edge("right", 400.0)
    train = np.concatenate([one] * 4)
    train["t"] += np.repeat(np.arange(4), len(one)).astype(np.uint64) * np.uint64(300)
    train = train[np.argsort(train["t"], kind="stable")]
    alone = detectors(spec()).detect(one, SPIKE, *FOREVER)
    found = detectors(spec(refractory_us=1_000)).detect(train, SPIKE, *FOREVER)
    np.testing.assert_array_equal(np.sort(found), np.sort(alone))
    assert len(detectors(spec()).detect(train, SPIKE, *FOREVER)) > 2 * len(alone)


def plain(seen: Events, said: OpticFlowSpec) -> list[tuple[int, int]]:
    """(us, line) of every spike, by a loop over dictionaries."""
    last: dict[tuple[int, int, bool], int] = {}
    d, bounds, found = said.baseline_px, [said.baseline_px * 1e6 / v for v in said.speeds_px_s], []
    upstream = {"right": (-d, 0), "left": (d, 0), "down": (0, -d), "up": (0, d)}
    for event in seen:
        t, x, y, on = (event[name].item() for name in ("t", "x", "y", "on"))
        if x >= WIDTH or y >= HEIGHT or t - last.get((x, y, on), -(10**9)) < said.refractory_us:
            continue
        last[x, y, on] = t
        for direction, (dx, dy) in upstream.items():
            if (x + dx, y + dy, on) not in last:
                continue
            travel_us = t - last[x + dx, y + dy, on]
            for speed, (most, least) in enumerate(pairwise(bounds)):
                if least < travel_us <= most:
                    found.append((t, said.line(direction, speed, x // 6, y // 6)))
    return found


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0, 500, 20_000]))
def test_any_events_give_what_a_plain_loop_gives(
    seed: int, baseline_px: int, refractory_us: int
) -> None:
    said, seen = spec(baseline_px=baseline_px, refractory_us=refractory_us), drawn(600, seed)
    found = detectors(said).detect(seen, SPIKE, *FOREVER)
    wanted = plain(seen, said)
    assert len(wanted) > 20
    assert list(zip(found["t_ns"] // 1000, found["i"], strict=True)) == wanted


@given(st.integers(0, 10**6), st.integers(0, 2**50))
def test_a_shift_in_time_shifts_the_spikes(seed: int, shift_us: int) -> None:
    seen = drawn(500, seed)
    early = detectors(spec()).detect(seen, SPIKE, *FOREVER)
    seen["t"] += np.uint64(shift_us)
    late = detectors(spec()).detect(seen, SPIKE, *FOREVER)
    early["t_ns"] += shift_us * 1000
    np.testing.assert_array_equal(late, early)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 500), max_size=8), st.integers(0, 8))
def test_packets_and_a_restored_state_change_nothing(
    seed: int, cuts: list[int], restart: int
) -> None:
    seen, said = drawn(500, seed), spec(refractory_us=300)
    whole = detectors(said).detect(seen, SPIKE, *FOREVER)
    running, found = detectors(said), []
    for n, part in enumerate(np.split(seen, sorted(cuts))):
        if n == restart:
            state, running = running.state(), detectors(said)
            running.restore(state)
        found.append(running.detect(part, SPIKE, *FOREVER))
    assert np.concatenate(found).tobytes() == whole.tobytes()


def test_the_encoder_places_spikes_in_its_step_and_counts_what_lies_outside() -> None:
    encoder, seen = OpticFlow(spec(), spec().lines), edge("down", 300.0, t0_us=3_000)
    stray = np.zeros(1, EVENT)
    stray["t"], stray["x"] = seen["t"][-1], WIDTH
    batch = Batch("camera", Schema.EVENTS, np.concatenate([seen, stray]))
    spikes = encoder.encode([batch], 4_000_000, 6_000_000)
    wanted = detectors(spec()).detect(seen, SPIKE, *FOREVER)
    np.testing.assert_array_equal(spikes["i"], wanted["i"])
    np.testing.assert_array_equal(
        spikes["t_ns"], np.clip(wanted["t_ns"] + 2_000_000, 4_000_000, 5_999_999)
    )
    assert encoder.left_out == 1


def test_a_filter_goes_before_the_detectors() -> None:
    said = spec(
        filter={
            "region": {"left": 6, "top": 0, "width": 12, "height": 6},
            "polarity": "on",
        }
    )
    assert said.lines == 4 * 3 * 2
    encoder = OpticFlow(said, said.lines)
    both = np.concatenate([edge("right", 300.0), edge("right", 300.0, 20_000_000, on=False)])
    spikes = encoder.encode([Batch("camera", Schema.EVENTS, both)], 0, 10**12)
    # the region's own first column has nothing upstream
    counts = np.bincount(spikes["i"], minlength=said.lines).reshape(4, 3, 2)
    assert counts[0, 1].tolist() == [5 * 6, 6 * 6]
    assert counts.sum() == 11 * 6
    assert encoder.left_out == 2 * WIDTH * HEIGHT - 12 * 6


def test_a_ball_before_a_simulated_camera_goes_where_it_goes() -> None:
    said = spec(
        width=make_recording.WIDTH,
        height=make_recording.HEIGHT,
        tile_px=320,
        baseline_px=2,
        speeds_px_s=[50.0, 200.0, 800.0, 3200.0],
        refractory_us=5_000,
    )
    spikes = detectors(said).detect(make_recording.events(), SPIKE, *FOREVER)
    for middle_s in np.arange(0.125, 1.9, 0.125):
        near = np.abs(spikes["t_ns"] * 1e-9 - middle_s) < 0.05
        right, left, down, up = np.bincount(spikes["i"][near], minlength=12).reshape(4, 3).sum(1)
        (x0, y0), (x1, y1) = (make_recording.ball(middle_s + d) for d in (-0.01, 0.01))
        seen, true = complex(right - left, down - up), complex(x1 - x0, y1 - y0)
        assert abs(np.angle(seen / true, deg=True)) < 10


@pytest.mark.parametrize(
    "said",
    [
        {"speeds_px_s": [100.0]},
        {"speeds_px_s": [100.0, 100.0]},
        {"speeds_px_s": [0.0, 100.0]},
        {"speeds_px_s": [2e6, 3e6, 4e6]},
        {"speeds_px_s": [100.0, float("inf")]},
        {"tile_px": 0},
        {"baseline_px": 0},
    ],
)
def test_bad_specs(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"speeds_px_s|tile_px|baseline_px"):
        spec(**said)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="make 144 lines, but port 'flow' has 143"):
        OpticFlow(spec(), 143)
    with pytest.raises(ValueError, match="bytes"):
        detectors(spec()).detect(np.zeros(3, "u1"), SPIKE, *FOREVER)
    with pytest.raises(ValueError, match="other detectors"):
        detectors(spec()).restore(detectors(spec(baseline_px=2)).state())
    for travel_us in ([5], [5, 5], [5, -1]):
        with pytest.raises(ValueError, match="must fall"):
            MotionDetectors(4, 4, tile_px=1, baseline_px=1, travel_us=np.array(travel_us))
