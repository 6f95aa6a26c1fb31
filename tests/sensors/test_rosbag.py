"""Bags of ROS 1 and ROS 2 with camera events."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.sensors.recording import RecordingReader
from reflexarc.sensors.rosbag import EVENT_PACKET, TYPES

pytest.importorskip("rosbags", reason="rosbags is not installed")
from rosbags import rosbag1, rosbag2, typesys

SHARED = Path(__file__).parents[3] / "shared" / "events"
EVT3_WORDS = {"y": 0x0000, "x": 0x2000, "low": 0x6000, "high": 0x8000}


def sample(count=600, seed=0):
    random = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["t"] = 2_000_000 + np.sort(random.integers(0, 900_000, count))
    events["x"], events["y"] = random.integers(0, 64, count), random.integers(0, 48, count)
    events["on"] = random.integers(0, 2, count)
    return events


def mono(events, base_us):
    wide = {name: events[name].astype(np.uint64) for name in ("t", "x", "y", "on")}
    words = (wide["t"] - np.uint64(base_us)) * np.uint64(1000) | wide["x"] << np.uint64(32)
    return (words | wide["y"] << np.uint64(48) | wide["on"] << np.uint64(63)).astype("<u8")


def libcaer(events, base_us):
    words = np.empty((len(events), 2), "<u4")
    x, y = events["x"].astype(np.uint32), events["y"].astype(np.uint32)
    words[:, 0] = x << 17 | y << 2 | events["on"].astype(np.uint32) << 1 | 1
    words[:, 1] = (events["t"] - np.uint64(base_us)) & np.uint64(0x7FFF_FFFF)
    return words


def evt3(events, base_us):
    words = []
    for event in events:
        t, x, y, on = (int(event[name]) for name in ("t", "x", "y", "on"))
        words += [0x8000 | t >> 12 & 0xFFF, 0x6000 | t & 0xFFF, y, 0x2000 | on << 11 | x]
    return np.array(words, "<u2")


ENCODINGS = {"mono": mono, "libcaer": libcaer, "evt3": evt3}


def messages(events, encoding, parts=5, base_us=1_500_000):
    """(time_base in ns, bytes) of each message."""
    for part in np.array_split(events, parts):
        yield base_us * 1000, ENCODINGS[encoding](part, base_us).view(np.uint8).ravel()


def write_bag(path, packets, encoding, topics=("/events",), big_endian=False, ros=2):
    store = typesys.get_typestore(
        typesys.Stores.ROS2_HUMBLE if ros == 2 else typesys.Stores.ROS1_NOETIC
    )
    store.register(typesys.get_types_from_msg(EVENT_PACKET, TYPES[0]))
    kinds = {
        name: store.types[f"{package}/msg/{name}"]
        for package, name in (
            ("event_camera_msgs", "EventPacket"),
            ("std_msgs", "Header"),
            ("builtin_interfaces", "Time"),
        )
    }
    version = {"version": 9} if ros == 2 else {}
    with (rosbag2 if ros == 2 else rosbag1).Writer(path, **version) as writer:
        links = [writer.add_connection(topic, TYPES[0], typestore=store) for topic in topics]
        for n, (base_ns, data) in enumerate(packets):
            stamp = kinds["Time"](sec=n, nanosec=0)
            header = kinds["Header"](**({"seq": n} if ros == 1 else {}), stamp=stamp, frame_id="")
            message = kinds["EventPacket"](
                header=header,
                height=48,
                width=64,
                seq=n,
                time_base=base_ns,
                encoding=encoding,
                is_bigendian=big_endian,
                events=data,
            )
            raw = store.serialize_cdr if ros == 2 else store.serialize_ros1
            writer.write(links[n % len(links)], n * 10**9, raw(message, TYPES[0]))
    return path


def read(path):
    return np.concatenate(list(RecordingReader(path)))


@pytest.mark.parametrize("ros", [1, 2])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_events_that_were_written(tmp_path, encoding, ros):
    if encoding == "evt3":
        pytest.importorskip("evt3")
    name = "a.bag" if ros == 1 else "a"
    path = write_bag(tmp_path / name, messages(sample(), encoding), encoding, ros=ros)
    reader = RecordingReader(path)
    assert (reader.format, reader.width, reader.height) == (f"ROS bag {encoding}", 64, 48)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(reader)), sample())


def test_times_of_libcaer_may_start_anew_within_a_message(tmp_path):
    events = sample()
    events["t"] += np.uint64(2**31 - 900_000)
    packets = [(1_500_000 * 1000, libcaer(events, 1_500_000).view(np.uint8).ravel())]
    path = write_bag(tmp_path / "a", packets, "libcaer")
    np.testing.assert_array_equal(read(path), events)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda d: write_bag(d, messages(sample(), "mono"), "libcaer_cmp"),
            "as 'libcaer_cmp' are not",
        ),
        (lambda d: write_bag(d, messages(sample(), "mono"), "mono", big_endian=True), "big-endian"),
        (
            lambda d: write_bag(d, messages(sample(), "mono"), "mono", ["/a", "/b"]),
            "2 topics, /a, /b, of type EventPacket; choose one by --topic",
        ),
        (lambda d: write_bag(d, [], "mono", []), "no topic of type EventPacket"),
        (lambda d: write_bag(d, [], "mono"), "no events"),
        (lambda d: d.mkdir() or ((d / "metadata.yaml").write_text("noise") and d), "not a bag"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, make, reason):
    with pytest.raises(ConfigError, match=reason) as refusal:
        read(make(tmp_path / "bag"))
    assert "\n" not in str(refusal.value)


def test_a_topic_of_several_is_chosen_by_name(tmp_path):
    path = write_bag(tmp_path / "bag", messages(sample(), "mono"), "mono", ["/a", "/b"])
    parts = np.array_split(sample(), 5)
    for topic, first in (("/a", 0), ("/b", 1)):
        events = np.concatenate(list(RecordingReader(path, topic=topic)))
        np.testing.assert_array_equal(events, np.concatenate(parts[first::2]))
    with pytest.raises(ConfigError, match="no topic /c of type EventPacket; there is /a, /b"):
        RecordingReader(path, topic="/c")


@pytest.mark.parametrize("ros", [1, 2])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_is_told_in_one_line(tmp_path_factory, ros, data):
    folder = tmp_path_factory.mktemp("bag")
    path = write_bag(folder / f"a{ros}.bag", messages(sample(50), "mono"), "mono", ros=ros)
    files = [path] if ros == 1 else sorted(path.iterdir())
    damaged = files[data.draw(st.integers(0, len(files) - 1))]
    whole = damaged.read_bytes()
    begin = data.draw(st.integers(0, len(whole)))
    rest = whole[begin + data.draw(st.integers(0, 40)) :] if data.draw(st.booleans()) else b""
    damaged.write_bytes(whole[:begin] + data.draw(st.binary(max_size=40)) + rest)
    try:
        read(path)
    except (ConfigError, MissingFileError) as error:
        assert "\n" not in str(error)


def test_a_package_that_is_missing_is_named(tmp_path):
    path = write_bag(tmp_path / "a.bag", messages(sample(), "mono"), "mono", ros=1)
    code = f"""
import sys
sys.modules["rosbags.highlevel"] = None
from reflexarc.sensors.recording import RecordingReader
try:
    RecordingReader({str(path)!r})
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs the package rosbags; pip install 'reflexarc[recordings]'" in done.stdout


def test_a_real_bag_has_its_published_counts():
    path = SHARED / "evk_640x480_evt3.bag"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    pytest.importorskip("evt3")
    events = read(path)
    assert (np.count_nonzero(~events["on"]), np.count_nonzero(events["on"])) == (218291, 125183)
    assert (events["t"][0], events["t"][-1]) == (7139845, 9218023)
    assert events["t"].sum() == 2851601611994
