"""Filters of camera events against plain loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.ext.filters import EventFilter
from reflexarc.runtime.batch import EVENT

WIDTH, HEIGHT = 12, 9
Events = npt.NDArray[Any]


def events(*rows: tuple[int, int, int, int]) -> Events:
    """(us, x, y, polarity) as EVENT."""
    return np.array(list(rows), EVENT)


def drawn(n: int, seed: int = 0, last_us: int = 100_000) -> Events:
    random = np.random.default_rng(seed)
    made = np.zeros(n, EVENT)
    made["t"] = np.sort(random.integers(0, last_us, n))
    made["x"], made["y"] = random.integers(0, WIDTH, n), random.integers(0, HEIGHT, n)
    made["p"] = random.integers(0, 2, n)
    return made


def sifted(seen: Events, **said: Any) -> Events:
    return EventFilter(WIDTH, HEIGHT, **said).sift(seen)


def test_without_a_filter_all_pass_that_are_inside() -> None:
    seen = drawn(500)
    np.testing.assert_array_equal(sifted(seen), seen)
    outside = events((1, WIDTH, 0, 1), (2, 0, HEIGHT, 1), (3, WIDTH - 1, HEIGHT - 1, 1))
    np.testing.assert_array_equal(sifted(outside), outside[2:])


def test_region_and_polarity() -> None:
    seen = drawn(2000)
    within = (seen["x"] >= 2) & (seen["x"] < 7) & (seen["y"] >= 3) & (seen["y"] < 5)
    expected = seen[within]
    expected["x"] -= 2
    expected["y"] -= 3
    np.testing.assert_array_equal(sifted(seen, region=(2, 3, 7, 5)), expected)
    np.testing.assert_array_equal(sifted(seen, off=False), seen[seen["p"]])
    np.testing.assert_array_equal(sifted(seen, on=False), seen[~seen["p"]])


def test_a_lonely_event_is_left_out_and_one_beside_it_passes() -> None:
    seen = events(
        (1000, 5, 5, 1),  # nothing before it
        (1500, 5, 5, 1),  # its own pixel does not count
        (2500, 6, 4, 0),  # 1000 us after its neighbour
        (3501, 5, 5, 1),  # 1001 us
        (3502, 8, 4, 1),  # two pixels off
        (3600, 0, 0, 1),
    )
    assert sifted(seen, background_us=1000)["t"].tolist() == [2500]


@given(st.integers(0, 1000), st.integers(1, 3000))
def test_background_activity_is_that_of_a_plain_loop(seed: int, background_us: int) -> None:
    seen = drawn(300, seed)
    last = np.full((HEIGHT + 2, WIDTH + 2), -(10**9))
    expected = []
    for event in seen:
        x, y, t = int(event["x"]) + 1, int(event["y"]) + 1, int(event["t"])
        around = last[y - 1 : y + 2, x - 1 : x + 2].copy()
        around[1, 1] = -(10**9)
        last[y, x] = t
        expected.append(t - around.max() <= background_us)
    found = sifted(seen, background_us=background_us)
    np.testing.assert_array_equal(found, seen[expected])


def regular(rate_hz: float, seconds: float, x: int = 3) -> Events:
    made = np.zeros(int(rate_hz * seconds), EVENT)
    made["t"] = np.arange(len(made)) * 1e6 / rate_hz
    made["x"] = x
    return made


def test_a_hot_pixel_is_left_out_after_a_while_and_others_pass() -> None:
    hot, cool = regular(1000.0, 2.0), regular(90.0, 2.0, x=8)
    mixed = np.concatenate([hot, cool])
    mixed = mixed[np.argsort(mixed["t"], kind="stable")]
    found = sifted(mixed, hot_rate_hz=100.0, hot_us=100_000)
    np.testing.assert_array_equal(found[found["x"] == 8], cool)
    # it owes 9 ms more each ms: 100 ms after 11
    assert (found["x"] == 3).sum() == 11
    assert found[found["x"] == 3]["t"].max() < 12_000


def test_a_pixel_that_has_cooled_passes_again() -> None:
    sieve = EventFilter(WIDTH, HEIGHT, hot_rate_hz=100.0, hot_us=100_000)
    sieve.sift(regular(1000.0, 1.0))
    # it owes 200 ms at most, and passes below 100 less the 10 of the event itself
    assert len(sieve.sift(events((1_108_000, 3, 0, 1)))) == 0
    assert len(sieve.sift(events((1_400_000, 3, 0, 1)))) == 1


def test_what_is_remembered_goes_on_from_call_to_call_and_from_a_state() -> None:
    seen = drawn(3000)
    said = {"background_us": 300, "hot_rate_hz": 200.0, "hot_us": 20_000}
    whole = sifted(seen, **said)
    assert 0 < len(whole) < len(seen)
    first, again = EventFilter(WIDTH, HEIGHT, **said), EventFilter(WIDTH, HEIGHT, **said)
    begun = [first.sift(part) for part in np.array_split(seen[:1700], 7)]
    again.restore(first.state())
    np.testing.assert_array_equal(np.concatenate([*begun, again.sift(seen[1700:])]), whole)
    with pytest.raises(ValueError, match="another filter"):
        EventFilter(WIDTH, HEIGHT, background_us=1).restore(first.state())


@pytest.mark.parametrize(
    "said",
    [
        {"region": (0, 0, WIDTH + 1, 1)},
        {"region": (3, 0, 3, 1)},
        {"background_us": -1},
        {"hot_rate_hz": float("nan")},
        {"hot_us": 0},
    ],
)
def test_bad_filters(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"region|out of range"):
        EventFilter(WIDTH, HEIGHT, **said)


def test_bad_events() -> None:
    with pytest.raises(ValueError, match="bytes"):
        EventFilter(2, 2).sift(np.zeros(3, np.uint8))
