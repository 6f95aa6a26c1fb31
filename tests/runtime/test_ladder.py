import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.config import parse_yaml
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.ladder import Ladder, OverloadSpec, Step

MS = 1_000_000
SPEC = OverloadSpec(high=0.9, low=0.5, after_ms=10.0, recover_s=0.1)


def drive(ladder, load, begin_ms, ms):
    """The steps after each millisecond of a constant load."""
    return [ladder.update(load, (begin_ms + k) * MS) for k in range(ms)]


def test_it_climbs_in_order_while_the_load_stays_high():
    ladder = Ladder(SPEC)
    steps = drive(ladder, 1.5, 0, 50)
    assert list(dict.fromkeys(steps)) == list(Step)
    assert steps.index(Step.LEARNING) == 10
    assert ladder.climbs == 4


def test_one_tick_of_relief_starts_the_count_again():
    ladder = Ladder(SPEC)
    for k in range(100):
        ladder.update(0.7 if k % 9 == 0 else 1.0, k * MS)
    assert ladder.step is Step.NOTHING


def test_it_comes_down_later_than_it_went_up_and_holds_in_between():
    ladder = Ladder(SPEC)
    drive(ladder, 1.0, 0, 11)
    assert set(drive(ladder, 0.7, 11, 1000)) == {Step.LEARNING}
    steps = drive(ladder, 0.1, 1011, 102)
    assert steps.index(Step.NOTHING) == 100


def test_time_on_each_step_is_accounted():
    ladder = Ladder(SPEC)
    drive(ladder, 1.0, 0, 16)
    assert ladder.spent_ns[:3] == [10 * MS, 5 * MS, 0]


def test_after_a_stop_it_begins_at_the_foot():
    ladder = Ladder(SPEC)
    drive(ladder, 2.0, 0, 50)
    ladder.reset()
    assert ladder.step is Step.NOTHING
    assert ladder.update(0.7, 51 * MS) is Step.NOTHING


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 200)), max_size=60))
def test_never_more_than_one_step_at_a_time(ticks):
    ladder, now_ns, before = Ladder(SPEC), 0, Step.NOTHING
    for load, ms in ticks:
        now_ns += ms * MS
        after = ladder.update(load, now_ns)
        assert abs(after - before) <= 1
        before = after
    assert sum(ladder.spent_ns) == now_ns - (ticks[0][1] * MS if ticks else 0)


def test_low_must_be_below_high():
    document = parse_yaml("{high: 0.5, low: 0.5}", "x")
    with pytest.raises(ConfigError, match="low: must be below high"):
        document.validate(OverloadSpec)
