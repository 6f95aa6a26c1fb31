"""R9: fresh beats complete."""

import numpy as np

from reflexarc.ext.ring import EVENT, EventRing
from reflexarc.runtime.recording import Recording

PERIOD_US = 1000
#: Events that come in a microsecond; the loop works through one in the same time.
OVERLOAD = 4


def arriving(begin_us, end_us):
    events = np.zeros((end_us - begin_us) * OVERLOAD, EVENT)
    events["t"] = begin_us + np.arange(len(events)) // OVERLOAD
    return events


def test_under_overload_data_stays_fresh(count, measured):
    """Four times as many events come as the loop can work through."""
    seconds, ring = count(3, 30), EventRing(PERIOD_US)
    now_us, sent, taken, lost, ages_us, batch_us = PERIOD_US, 0, 0, 0, [], 0
    ring.push(arriving(0, now_us))
    while now_us < seconds * 1_000_000:
        values, dropped = ring.pop_all()
        taken, lost = taken + len(values), lost + dropped
        batch_us = len(values)
        done_us = now_us + max(PERIOD_US, -(-batch_us // PERIOD_US) * PERIOD_US)
        ages_us.append(now_us + batch_us - int(values["t"][0]))
        ring.push(arriving(now_us, done_us))
        now_us = done_us
    rest, dropped = ring.pop_all()
    sent = now_us * OVERLOAD
    assert taken + lost + dropped + len(rest) == sent
    p99_us = np.percentile(ages_us, 99)
    assert p99_us <= 2 * PERIOD_US + batch_us
    tenth = len(ages_us) // 10
    assert max(ages_us[-tenth:]) <= max(ages_us[:tenth])
    measured(
        f"4x overload for {seconds} s of virtual time: age when acted upon p99 "
        f"{p99_us / PERIOD_US:.2f} periods, not growing; {taken + len(rest)} taken + "
        f"{lost + dropped} counted as lost = {sent} sent"
    )


def test_a_recording_is_complete_or_says_what_it_lost(record_slide, tmp_path, measured):
    """In real time the recorder never waits: what found no room is counted in the file."""
    patient = record_slide(tmp_path / "patient.mcap", ticks=200, ring_bytes=1 << 14)
    hasty = record_slide(
        tmp_path / "hasty.mcap", settings=["mode=wall"], ticks=5000, ring_bytes=1 << 14
    )
    for run, ticks in ((patient, 200), (hasty, 5000)):
        recording = Recording.open(run.path)
        kept = sum(1 for _ in recording.ticks())
        assert kept == run.summary.ticks
        assert kept + recording.end.lost == ticks
    assert patient.summary.lost == 0
    assert hasty.summary.lost > 0
    measured(
        f"a ring too small by far: {hasty.summary.ticks} ticks recorded + {hasty.summary.lost} "
        "stated as lost = 5000"
    )
