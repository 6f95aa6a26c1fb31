import dataclasses
import os
import resource
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from reflexarc.runtime.errors import ConfigError, LinkError
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.recordformat import Entry, Kind, pack, unpack
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.scenario import Scenario


def assert_same_batches(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.values.tobytes() == b.values.tobytes()
        for field in dataclasses.fields(a):
            if field.name != "values":
                assert getattr(a, field.name) == getattr(b, field.name), field.name


def test_what_is_read_is_what_the_loop_saw(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    ticks = list(Recording.open(run.path).ticks())
    assert len(ticks) == run.summary.ticks == len(run.ticks) == 200
    for got, expected in zip(ticks, run.ticks, strict=True):
        assert_same_batches(got.batches, expected.batches)
        assert {port: values.tobytes() for port, values in got.outputs.items()} == {
            port: values.tobytes() for port, values in expected.outputs.items()
        }
        assert got.command.tobytes() == expected.command.tobytes()
        for name in ("number", "now_ns", "until_ns", "cause_ns", "calls_ns", "late_ns"):
            assert getattr(got, name) == getattr(expected, name)
    assert sum(len(tick.outputs["motor"]) for tick in ticks) > 100


def test_the_summary_counts_what_is_in_the_file(record_slide, tmp_path):
    summary = record_slide(tmp_path / "run.mcap", ticks=50).summary
    # three streams, two ports, a command, a score and the tick itself
    assert (summary.ticks, summary.messages, summary.lost) == (50, 50 * 8, 0)
    assert summary.bytes == summary.path.stat().st_size
    assert [path.name for path in tmp_path.glob("run*")] == ["run.mcap"]


def test_only_the_streams_asked_for(record_slide, tmp_path):
    run = record_slide(tmp_path / "p.mcap", "p", streams={"truth"}, ticks=20)
    recording = Recording.open(run.path)
    assert recording.streams == {"truth"}
    assert recording.ports == frozenset()
    assert recording.start.policy == "p"
    assert recording.start.streams == ["truth"]
    assert len(recording.series("truth").t_ns) == 20


def test_lockstep_waits_for_room(record_slide, tmp_path):
    # 200 ticks of about 1 kB through a ring that holds some tens of them
    run = record_slide(tmp_path / "run.mcap", ring_bytes=1)
    assert run.summary.lost == 0
    assert len(list(Recording.open(run.path).ticks())) == 200


def test_wall_mode_never_waits_and_counts_what_is_lost(slide_folder, record_slide, tmp_path):
    tick = record_slide(tmp_path / "one.mcap", ticks=1).ticks[0]
    scenario = Scenario.load(str(slide_folder), ["mode=wall"])
    with Recorder(tmp_path / "run.mcap", scenario, ring_bytes=1) as recorder:
        os.kill(recorder.companion_pid, signal.SIGSTOP)
        for number in range(500):
            recorder(dataclasses.replace(tick, number=number))
        os.kill(recorder.companion_pid, signal.SIGCONT)
        summary = recorder.close()
    recording = Recording.open(summary.path)
    kept = [tick.number for tick in recording.ticks()]
    assert summary.lost == recording.end.lost == 500 - len(kept)
    assert 0 < len(kept) < 500
    assert kept == list(range(len(kept)))


def test_a_tick_larger_than_the_ring_is_refused(slide_folder, record_slide, tmp_path):
    tick = record_slide(tmp_path / "one.mcap", ticks=1).ticks[0]
    scenario = Scenario.load(str(slide_folder))
    with Recorder(tmp_path / "run.mcap", scenario, ring_bytes=1) as recorder:
        large = {"trace": np.zeros(100_000)}
        with pytest.raises(ConfigError, match="ring_bytes"):
            recorder(dataclasses.replace(tick, outputs=large))


@pytest.mark.parametrize("name", ["missing/run.mcap", "slide"])
def test_a_path_that_cannot_be_written(slide_folder, tmp_path, name):
    with pytest.raises(ConfigError, match=name):
        Recorder(tmp_path / name, Scenario.load(str(slide_folder)))
    assert not list(tmp_path.glob("*.part"))


def test_two_recorders_of_one_file(slide_folder, tmp_path):
    scenario = Scenario.load(str(slide_folder))
    with (
        Recorder(tmp_path / "run.mcap", scenario),
        pytest.raises(ConfigError, match="another run is recording"),
    ):
        Recorder(tmp_path / "run.mcap", scenario)
    assert Recording.open(tmp_path / "run.mcap").end.complete


def test_a_companion_that_was_killed(slide_folder, tmp_path):
    recorder = Recorder(tmp_path / "run.mcap", Scenario.load(str(slide_folder)))
    os.kill(recorder.companion_pid, signal.SIGKILL)
    with pytest.raises(LinkError, match=r"run\.mcap: not recorded"):
        recorder.close()
    assert not list(tmp_path.glob("run*"))


def test_a_disk_that_takes_no_more(slide_folder, tmp_path):
    recorder = Recorder(tmp_path / "run.mcap", Scenario.load(str(slide_folder)))
    resource.prlimit(recorder.companion_pid, resource.RLIMIT_FSIZE, (100, 100))
    with pytest.raises(LinkError, match=r"run\.mcap: not recorded: File too large"):
        recorder.close()
    assert not list(tmp_path.glob("run*"))


def test_what_cut_the_run_short_is_recorded(slide_folder, tmp_path):
    with (
        pytest.raises(RuntimeError),
        Recorder(tmp_path / "run.mcap", Scenario.load(str(slide_folder))),
    ):
        raise RuntimeError("the arm fell off")
    assert Recording.open(tmp_path / "run.mcap").end.failure == "RuntimeError: the arm fell off"


def test_a_recording_process_that_is_killed_leaves_a_readable_file(slide_folder, tmp_path):
    path = tmp_path / "run.mcap"
    code = f"""
import os, signal
from reflexarc.runtime.loop import Loop
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.record import Recorder
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant
scenario = Scenario.load({str(slide_folder)!r})
gate = scenario.make_gate()
recorder = Recorder({str(path)!r}, scenario)
print(recorder.companion_pid, flush=True)
plant = LocalPlant(scenario.make_world(0), gate.rest)
loop = Loop(LockstepClock(1_000_000), plant, scenario.make_policy(), gate, listeners=[recorder])
loop.run(30)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    companion = os.pidfd_open(int(process.stdout.readline()))
    process.wait(30)
    process.stdout.close()
    ended, _, _ = select.select([companion], [], [], 30)
    os.close(companion)
    assert ended
    recording = Recording.open(path)
    assert len(list(recording.ticks())) == 30
    assert not recording.end.complete
    assert not list(tmp_path.glob("*.part"))


def test_packed_entries_come_back():
    entries = [
        Entry(Kind.FRAME, "streams/camera", -5, b"\x00\x01"),
        Entry(Kind.FINISH, "", 0, b""),
        Entry(Kind.ATTACHMENT, "weights/é", 2**62, bytes(1000)),
    ]
    assert list(unpack(pack(entries))) == entries
