from reflexarc.runtime.logbook import Logbook

MS = 1_000_000


def test_one_line_a_second_for_each_cause():
    log = Logbook()
    lines = [log.line("late", "too late", k * 10 * MS) for k in range(250)]
    assert [k for k, line in enumerate(lines) if line] == [0, 100, 200]
    assert lines[100] == "too late (99 more like it before)"
    assert log.held_back == 247


def test_causes_do_not_hold_each_other_back():
    log = Logbook()
    assert log.line("a", "one", 0) == "one"
    assert log.line("b", "two", 1) == "two"
