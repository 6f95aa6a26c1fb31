"""R19: a checkpoint is the old one or the new one."""

import errno
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from reflexarc.runtime.checkpoint import Shelf, beginning, decode, describe
from reflexarc.runtime.scenario import Scenario

NETWORK = "0123456789ab"

WRITER = """
import sys
import numpy as np
from pathlib import Path
from reflexarc.runtime.checkpoint import Shelf, beginning, describe
shelf, step = Shelf(Path(sys.argv[1])), int(sys.argv[2])
while True:
    step += 1
    array = np.full(500_000, step)
    header = describe({"step": array}, "0123456789ab", step, "")
    pieces = [piece.tobytes() for piece in np.split(array, 50)]
    shelf.write("0123456789ab", [beginning(header), *pieces])
    print(step, flush=True)
"""


#: Forks a child for each step asked for, which stops between the pieces of the file that it writes
#: until it is told to go on. "torn": the file has its name from the first piece on.
STEPPER = """
import os, sys
import numpy as np
from pathlib import Path
from reflexarc.runtime.checkpoint import Shelf, beginning, describe
shelf = Shelf(Path(sys.argv[1]))
if sys.argv[2] == "torn":
    Path.with_name = lambda path, name: path

def pieces(step):
    array = np.full(20_000, step)
    header = describe({"step": array}, "0123456789ab", step, "")
    for piece in (beginning(header), *(part.tobytes() for part in np.split(array, 10))):
        print(os.getpid(), flush=True)
        os.read(0, 1)
        yield piece

while step := int.from_bytes(os.read(0, 4), "little"):
    if os.fork() == 0:
        shelf.write("0123456789ab", pieces(step))
        os._exit(0)
    os.wait()
    print("over", flush=True)
"""
BOUNDARIES = 11


def stopped_at(stepper, step, boundary):
    """Have a child write `step`, and kill it before the piece number `boundary` is written."""
    stepper.stdin.write(step.to_bytes(4, "little"))
    at = 0
    while (line := stepper.stdout.readline()) != b"over\n":
        if at == boundary:
            os.kill(int(line), signal.SIGKILL)
        else:
            stepper.stdin.write(b".")
        at += 1


def stepper(folder, way):
    command = [sys.executable, "-P", "-c", STEPPER, str(folder), way]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def test_killed_between_two_pieces_the_old_one_stays(tmp_path, count, measured):
    kills, shelf, chance, kept = count(110, 1000), Shelf(tmp_path / "shelf"), random.Random(2), 0
    with stepper(shelf.folder, "whole") as child:
        for step in range(1, kills + 1):
            # Now and then it may write to the end: the old one is not always the same.
            boundary = chance.randrange(BOUNDARIES + 1)
            stopped_at(child, step, boundary)
            kept = step if boundary == BOUNDARIES else kept
            found, notes = shelf.newest(NETWORK)
            assert notes == []
            assert (0 if found is None else int(found.arrays["step"][0])) == kept
        child.stdin.close()
    measured(f"{kills} children stopped between two pieces, and killed there: 0 torn files")


def test_without_the_rename_they_would_be_torn(tmp_path):
    shelf = Shelf(tmp_path / "shelf")
    with stepper(shelf.folder, "torn") as child:
        stopped_at(child, 1, 5)
        child.stdin.close()
    found, notes = shelf.newest(NETWORK)
    assert found is None
    assert len(notes) == 1


def put(shelf, step):
    array = np.full(5_000, step)
    header = describe({"step": array}, NETWORK, step, "")
    return shelf.write(NETWORK, [beginning(header), array.tobytes()])


def test_killed_writers_leave_whole_files(tmp_path, count, measured):
    kills, shelf, chance, step = count(2, 50), Shelf(tmp_path / "shelf"), random.Random(1), 0
    for _ in range(kills):
        command = [sys.executable, "-P", "-c", WRITER, str(shelf.folder), str(step)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(chance.randrange(1, 8)):
            done = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        done = int((rest.split() or [done])[-1])
        found, notes = shelf.newest(NETWORK)
        assert notes == []
        step = int(found.arrays["step"][0])
        assert (found.arrays["step"] == step).all()
        assert step in (done, done + 1)
        for path in shelf.files(NETWORK):
            decode(path.read_bytes(), str(path))
        # A writer killed before it prunes leaves one more.
        assert len(shelf.files(NETWORK)) <= 4
        shelf.sweep()
    measured(
        f"{kills} writers killed at any moment: 0 torn files, "
        "the newest is the last one said or the next"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_keeps_the_old_ones(tmp_path, monkeypatch, count, measured, number):
    tries, shelf, write = count(20, 500), Shelf(tmp_path / "shelf"), os.write
    put(shelf, 1)
    before = [path.read_bytes() for path in shelf.files(NETWORK)]
    for attempt in range(tries):
        room = 40_000 * attempt // tries

        def full(handle, data):
            nonlocal room
            if room <= 0:
                raise OSError(number, os.strerror(number))
            written = write(handle, data[: min(room, 4096)])  # and short besides
            room -= written
            return written

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match=os.strerror(number)):
            put(shelf, 2)
        monkeypatch.undo()
        assert [path.read_bytes() for path in shelf.folder.iterdir()] == before
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    put(shelf, 3)
    monkeypatch.undo()
    assert (shelf.newest(NETWORK)[0].arrays["step"] == 3).all()
    measured(f"{tries} times {errno.errorcode[number]} after short writes: the shelf as before")


def test_the_newest_three_stay(tmp_path, measured):
    shelf = Shelf(tmp_path / "shelf")
    for step in range(10):
        put(shelf, step)
    kept = [int(decode(path.read_bytes(), "").arrays["step"][0]) for path in shelf.files(NETWORK)]
    assert kept == [7, 8, 9]
    measured("of 10 checkpoints the newest 3 are kept")


def test_the_state_comes_back_bit_for_bit(slide_folder, tmp_path, measured):
    shelf = Shelf(tmp_path / "shelf")
    first = Scenario.load(str(slide_folder), []).make_policy().program
    state = first.state()
    chance = np.random.default_rng(4)
    for array in state.values():
        if array.dtype.kind == "f":
            array += chance.random(array.shape)
    header = describe(state, NETWORK, 0, "")
    shelf.write(NETWORK, [beginning(header), *(array.tobytes() for array in state.values())])
    second = Scenario.load(str(slide_folder), []).make_policy().program
    second.restore(dict(shelf.newest(NETWORK)[0].arrays))
    again = second.state()
    assert {name: a.tobytes() for name, a in state.items()} == {
        name: a.tobytes() for name, a in again.items()
    }
    measured(f"{len(state)} arrays of weights, traces and voltages resumed bit for bit")
