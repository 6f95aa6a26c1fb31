"""`reflexarc replay` on recordings that were damaged, edited or made by another version."""

import json
import subprocess
import sys

import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

pytest.importorskip("pybullet", reason="PyBullet is not installed: no simulated worlds")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The recording of a short run, as bytes."""
    folder = tmp_path_factory.mktemp("run")
    run = ["run", "pole-balance", "--seconds", "0.1", "--headless", "--out", str(folder)]
    subprocess.run([sys.executable, "-P", "-m", "reflexarc", *run], check=True)
    return (folder / "network.mcap").read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "cut off: its end is missing"),
        (lambda data: data[:-1], "cut off: its end is missing"),
        (lambda data: data[:100] + b"?" + data[101:], "damaged: a checksum is wrong"),
        (lambda data: data[:-60] + b"?" + data[-59:], "damaged: "),
        (lambda data: data[: len(data) // 2] + data[-8:], "damaged: "),
        (lambda data: b"", "bad.mcap: "),
    ],
)
def test_damage_is_one_line(reflexarc, tmp_path, recorded, damage, message):
    (tmp_path / "bad.mcap").write_bytes(damage(recorded))
    done = reflexarc("replay", "bad.mcap", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("reflexarc: bad.mcap: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def rewritten(source, target, start=None, message=None):
    """Copy a recording with its start metadata and its messages changed, its checksums right."""
    with source.open("rb") as old, target.open("wb") as new:
        reader, writer = make_reader(old), Writer(new, enable_data_crcs=True)
        writer.start(profile="reflexarc")
        for record in reader.iter_metadata():
            changes = start or {} if record.name == "reflexarc" else {}
            writer.add_metadata(record.name, {**record.metadata, **changes})
        for record in reader.iter_attachments():
            writer.add_attachment(0, 0, record.name, record.media_type, record.data)
        channels = {}
        for schema, channel, entry in reader.iter_messages(log_time_order=False):
            if channel.id not in channels:
                registered = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, registered
                )
            data = message(channel.topic, entry) if message else entry.data
            writer.add_message(channels[channel.id], entry.log_time, data, 0, entry.sequence)
        writer.finish()


@pytest.fixture
def copy(tmp_path, recorded):
    """Make copy.mcap, changed; see `rewritten`."""
    (tmp_path / "run.mcap").write_bytes(recorded)
    return lambda **changes: rewritten(tmp_path / "run.mcap", tmp_path / "copy.mcap", **changes)


def test_an_unchanged_copy_is_identical(reflexarc, copy):
    copy()
    assert json.loads(reflexarc("replay", "copy.mcap", "--json", check=0).stdout)["identical"]


def test_another_format_is_refused(reflexarc, copy):
    copy(start={"format": "99"})
    done = reflexarc("replay", "copy.mcap")
    assert done.returncode == 2
    assert done.stderr == "reflexarc: copy.mcap: recording format 99; this release reads 1\n"


def test_another_version_is_noted(reflexarc, copy):
    copy(start={"numpy_version": "1.0"})
    result = json.loads(reflexarc("replay", "copy.mcap", "--json", check=0).stdout)
    assert result["notes"][0].startswith("numpy version: recorded under 1.0, replayed under ")


def test_an_edited_command_is_named(reflexarc, copy):
    def edit(topic, entry):
        edited = topic == "commands" and entry.sequence == 7
        return b'{"values": [0.125]}' if edited else entry.data

    copy(message=edit)
    done = reflexarc("replay", "copy.mcap")
    assert done.returncode == 1
    assert "differs at tick 7 (0.014000 s): command, element 0: recorded 0.125" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("tick", b"{}"),
        ("tick", b"no json"),
        ("commands", b'{"values": "x"}'),
        ("streams/camera", b""),
    ],
)
def test_messages_that_are_none_are_one_line(reflexarc, copy, topic, data):
    copy(message=lambda name, entry: data if name == topic else entry.data)
    done = reflexarc("replay", "copy.mcap")
    assert done.returncode == 2
    assert done.stderr.startswith("reflexarc: copy.mcap: ")
    assert done.stderr.count("\n") == 1


def test_a_baseline_cannot_be_replayed(reflexarc, copy):
    copy(start={"policy": "lqr"})
    done = reflexarc("replay", "copy.mcap")
    assert done.returncode == 2
    assert "records the baseline 'lqr', which has no network to replay" in done.stderr
