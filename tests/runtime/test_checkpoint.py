import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.checkpoint import (
    MAGIC,
    SCHEMA,
    Shelf,
    beginning,
    decode,
    describe,
    digest_of,
)
from reflexarc.runtime.errors import CheckpointError, ConfigError

NETWORK = "0123456789ab"


def arrays(seed=0):
    random = np.random.default_rng(seed)
    return {
        "w": random.standard_normal((3, 4)),
        "step": np.array([seed]),
        "on": np.array([True, False]),
        "none": np.zeros((0, 5), np.float32),
    }


def parts(found, network=NETWORK):
    header = describe(found, network, 7_000, "2026-01-01T00:00:00Z")
    return [beginning(header), *(array.tobytes() for array in found.values())]


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", keep=3)


def test_what_is_written_comes_back_bit_for_bit(shelf):
    path = shelf.write(NETWORK, parts(arrays()))
    found, notes = shelf.newest(NETWORK)
    assert notes == []
    assert found.header.program_ns == 7_000
    for name, array in arrays().items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()
    assert path.stat().st_mode & 0o077 == 0


def test_the_newest_few_of_each_network_are_kept(shelf):
    for seed in range(5):
        shelf.write(NETWORK, parts(arrays(seed)))
    other = "f" * 12
    shelf.write(other, parts(arrays(9), other))
    assert len(shelf.files(NETWORK)) == 3
    assert shelf.newest(NETWORK)[0].arrays["step"] == [4]
    assert shelf.newest(other)[0].arrays["step"] == [9]
    assert shelf.newest("a" * 12) == (None, [])


def test_a_damaged_one_is_passed_over(shelf):
    for seed in range(2):
        last = shelf.write(NETWORK, parts(arrays(seed)))
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    found, notes = shelf.newest(NETWORK)
    assert found.arrays["step"] == [0]
    assert len(notes) == 1
    assert "its checksum does not match" in notes[0]


@given(st.data())
def test_any_damage_is_seen(data):
    whole = b"".join(parts(arrays()))
    import hashlib

    whole += hashlib.sha256(whole).digest()
    decode(whole, "x")
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CheckpointError):
        decode(whole[:cut], "x")
    flipped = bytearray(whole)
    flipped[cut] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CheckpointError):
        decode(bytes(flipped), "x")


def sealed(text, content=b""):
    """A file with a right checksum and the header `text`."""
    import hashlib

    body = MAGIC + len(text).to_bytes(8, "little") + text + content
    return body + hashlib.sha256(body).digest()


HEAD = '{"version":%d,"network":"x","program_ns":0,"created":"","arrays":[%s]}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (sealed(b"{"), "not a header"),
        (sealed(b"[]"), "not a header"),
        (sealed((HEAD % (SCHEMA + 1, "")).encode()), f"schema {SCHEMA + 1}"),
        (sealed((HEAD % (SCHEMA, "")).encode(), b"12345678"), "that no array claims"),
        (
            sealed((HEAD % (SCHEMA, '{"name":"w","dtype":"<f8","shape":[4000000000]}')).encode()),
            "array 'w' runs past the end",
        ),
        (
            sealed((HEAD % (SCHEMA, '{"name":"w","dtype":"|O8","shape":[1]}')).encode()),
            "not a header",
        ),
        (
            sealed((HEAD % (SCHEMA, '{"name":"w","dtype":"<f8","shape":[-1]}')).encode()),
            "an impossible shape",
        ),
        (MAGIC + (2**60).to_bytes(8, "little") + bytes(64), "checksum"),
    ],
)
def test_files_of_others_are_refused(data, reason):
    with pytest.raises(CheckpointError, match=reason):
        decode(data, "x.ckpt")


@pytest.mark.parametrize("error", [28, 5])  # ENOSPC, EIO
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_the_shelf_as_it_was(shelf, monkeypatch, error, call):
    shelf.write(NETWORK, parts(arrays(0)))

    def fail(*_):
        raise OSError(error, os.strerror(error))

    if call == "rename":
        monkeypatch.setattr("pathlib.Path.rename", fail)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError):
        shelf.write(NETWORK, parts(arrays(1)))
    monkeypatch.undo()
    assert [path.suffix for path in shelf.folder.iterdir()] == [".ckpt"]
    assert shelf.newest(NETWORK)[0].arrays["step"] == [0]


def test_short_writes_are_gone_on_with(shelf, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data[:5])))
    shelf.write(NETWORK, parts(arrays(3)))
    assert shelf.newest(NETWORK)[0].arrays["step"] == [3]


WRITER = """
import sys
import numpy as np
from pathlib import Path
from reflexarc.runtime.checkpoint import Shelf, beginning, describe
shelf, step = Shelf(Path(sys.argv[1])), 0
while True:
    arrays = {"step": np.full(50_000, step)}
    header = describe(arrays, "0123456789ab", step, "")
    shelf.write("0123456789ab", [beginning(header), arrays["step"].tobytes()])
    step += 1
    print(step, flush=True)
"""


def test_a_killed_writer_leaves_the_old_one_or_the_new_one(shelf):
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-P", "-c", WRITER, str(shelf.folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5):
            done = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        done = int((rest.split() or [done])[-1])
        found, notes = shelf.newest(NETWORK)
        assert notes == []
        steps = found.arrays["step"]
        assert (steps == steps[0]).all()
        assert done - 1 <= steps[0] <= done
        shelf.sweep()
        assert all(path.suffix == ".ckpt" for path in shelf.folder.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        Shelf(tmp_path / "file" / "shelf")


def test_networks_differ_by_file_and_step(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    assert digest_of([one], 5) == digest_of([one], 5)
    assert len({digest_of([one], 5), digest_of([other], 5), digest_of([one], 6)}) == 3


RECORD = np.dtype([("at", [("ns", "<i8"), ("frac", "<f8")]), ("unit", "<i4")])


def test_records_come_back_bit_for_bit(shelf):
    events = np.zeros(5, EVENT)
    events["t"], events["on"] = range(5), True
    found = {
        "events": events,
        "nested": np.frombuffer(np.random.default_rng(1).bytes(60), RECORD),
        "one": np.zeros((), RECORD),
    }
    shelf.write(NETWORK, parts(found))
    again = shelf.newest(NETWORK)[0].arrays
    for name, array in found.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "dtype", ["O", "M8[ns]", "U3", "c16", [("x", "O")], {"names": ["x"], "formats": ["u1"],
    "offsets": [3]}, [("x", "<f8", 3)]]
)  # fmt: skip
def test_what_is_no_number_or_packed_record_is_refused_when_it_is_described(dtype):
    with pytest.raises(ValueError):
        describe({"w": np.zeros(2, dtype)}, NETWORK, 0, "")


@pytest.mark.parametrize(
    "dtype",
    [
        "[]",
        '[{"name":"","dtype":"<f8"}]',
        '[{"name":"x","dtype":"|O8"}]',
        '[{"name":"x","dtype":"<f8"},{"name":"x","dtype":"<f8"}]',
        "[" * 500,
        '[{"name":"x","dtype":' * 300,
    ],
)
def test_records_of_others_are_refused(dtype):
    text = HEAD % (SCHEMA, '{"name":"w","dtype":%s,"shape":[0]}' % dtype)  # noqa: UP031
    with pytest.raises(CheckpointError):
        decode(sealed(text.encode()), "x.ckpt")


def test_a_checkpoint_of_the_first_schema_has_the_network_alone():
    text = HEAD % (1, '{"name":"w","dtype":"<f8","shape":[1]}')
    found = decode(sealed(text.encode(), bytes(8)), "x.ckpt")
    assert found.arrays.keys() == {"network/w"}
