import subprocess
import sys
from pathlib import Path

import faery
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.sensors.formats import CHUNK
from reflexarc.sensors.recording import RecordingReader, RecordingSensor, play

SHARED = Path(__file__).parents[3] / "shared" / "events"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared recordings here")


def sample(count=1000, seed=0):
    random = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["t"] = 5000 + np.sort(random.integers(0, 100_000, count))
    events["x"] = random.integers(0, 64, count)
    events["y"] = random.integers(0, 48, count)
    events["on"] = random.integers(0, 2, count)
    return events


def write(path, events=None, **options):
    events = sample() if events is None else events
    if path.suffix == ".bin":
        raw = np.zeros((len(events), 5), np.uint8)
        raw[:, 0], raw[:, 1] = events["x"], events["y"]
        raw[:, 2] = events["on"].astype(np.uint8) << 7 | (events["t"] >> 16).astype(np.uint8)
        raw[:, 3], raw[:, 4] = events["t"] >> 8 & 0xFF, events["t"] & 0xFF
        path.write_bytes(raw.tobytes())
    elif path.suffix == ".txt":
        rows = [f"{e['t'] / 1e6:.6f} {e['x']} {e['y']} {int(e['on'])}\n" for e in events]
        path.write_text("".join(rows))
    else:
        stream = faery.events_stream_from_array(events, dimensions=(64, 48))
        stream.to_file(path, zero_t0=False, **options)
    return path


def read(path, **options):
    return np.concatenate(list(RecordingReader(path, **options)))


@pytest.mark.parametrize("ending", ["aedat4", "raw", "dat", "es", "csv", "bin", "txt"])
def test_every_format_gives_the_events_that_were_written(tmp_path, ending):
    read_back = read(write(tmp_path / f"sample.{ending}"))
    assert read_back.dtype == EVENT
    np.testing.assert_array_equal(read_back, sample())


@pytest.mark.parametrize("version", ["evt2", "evt3"])
def test_both_versions_of_evt_are_read(tmp_path, version):
    path = write(tmp_path / "sample.raw", version=version)
    reader = RecordingReader(path)
    assert (reader.width, reader.height) == (64, 48)
    np.testing.assert_array_equal(np.concatenate(list(reader)), sample())


def test_a_size_is_taken_where_the_file_says_none(tmp_path):
    path = write(tmp_path / "sample.txt")
    assert RecordingReader(path).width == 1280
    reader = RecordingReader(path, size=(64, 48))
    assert (reader.width, reader.height) == (64, 48)
    with pytest.raises(ConfigError, match="outside 10x10; give the size"):
        read(path, size=(10, 10))


@pytest.mark.parametrize(("first", "last"), [(20_000, 20_010), (CHUNK, 2 * CHUNK)])
def test_time_that_steps_back_is_held(tmp_path, first, last):
    events = sample(50_000)
    events["t"][first:last] -= 300
    path = write(tmp_path / "sample.bin", events)
    np.testing.assert_array_equal(read(path)["t"], np.maximum.accumulate(events["t"]))


def evt21(path, events, header, swap=False):
    """One word an event, with the mask's bit for the rest of x."""
    words, before = [0xE << 60], None
    for event in events:
        t, x, y, on = (int(event[name]) for name in ("t", "x", "y", "on"))
        if t >> 6 != before:
            before = t >> 6
            words.append(0x8 << 60 | (before & 0xFFF_FFFF) << 32)
        words.append(on << 60 | (t & 63) << 54 | (x & ~31) << 43 | y << 32 | 1 << (x & 31))
    words = np.array(words, "<u8")
    if swap:
        words = words << np.uint64(32) | words >> np.uint64(32)
    path.write_bytes(header + words.tobytes())
    return path


@pytest.mark.parametrize(
    ("header", "swap"),
    [
        (b"% evt 2.1\n% geometry 64x48\n% end\n", False),
        (b"% format EVT21;height=48;width=64\n% end\n", False),
        (b"% evt 2.1\n% format EVT21;endianness=legacy;height=48;width=64\n% end\n", True),
    ],
)
def test_evt_2_1_is_read(tmp_path, header, swap):
    # longer than a chunk, and over the time at which the high bits start anew
    events = sample(20_000)
    events["t"] += np.uint64(2**34 - 55_000)
    events["x"][0], events["x"][-1] = 63, 0
    reader = RecordingReader(evt21(tmp_path / "a.raw", events, header, swap))
    assert (reader.format, reader.width, reader.height) == ("EVT2.1", 64, 48)
    np.testing.assert_array_equal(np.concatenate(list(reader)), events)


def test_a_word_of_evt_2_1_is_a_row_of_events(tmp_path):
    words = [
        0x1 << 60 | 7,
        0x8 << 60 | 2 << 32,
        0x1 << 60 | 5 << 54 | 32 << 43 | 3 << 32 | 1 << 31 | 5,
    ]
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.1\n% end\n" + np.array(words, "<u8").tobytes())
    assert [tuple(event) for event in read(path)] == [(133, x, 3, True) for x in (32, 34, 63)]


def dat_2d(path, events, version):
    x_bits, y_bits = (14, 14) if version == 2 else (9, 8)
    words = np.zeros((len(events), 2), "<u4")
    words[:, 0] = events["t"]
    words[:, 1] = events["x"] | events["y"].astype(np.uint32) << x_bits
    words[:, 1] |= events["on"].astype(np.uint32) << x_bits + y_bits
    path.write_bytes(f"% Data file\n% Version {version}\n".encode() + b"\0\x08" + words.tobytes())
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_the_older_type_of_dat_is_read(tmp_path, version):
    path = dat_2d(tmp_path / "sample.dat", sample(), version)
    reader = RecordingReader(path)
    np.testing.assert_array_equal(np.concatenate(list(reader)), sample())
    # the smallest that has all of them
    assert (reader.format, reader.width, reader.height) == ("DAT 2d", 64, 48)


def aedat2(path, address, t_us, chip=""):
    pairs = np.stack([np.asarray(address), np.asarray(t_us)], axis=1).astype(">u4")
    path.write_bytes(f"#!AER-DAT2.0\r\n# AEChip: {chip}\r\n".encode() + pairs.tobytes())
    return path


def test_aedat_2_of_a_davis_is_read_without_what_is_no_event(tmp_path):
    events = sample()
    events["x"][0], events["y"][0] = 345, 259
    x, y = 345 - events["x"].astype(np.uint32), 259 - events["y"].astype(np.uint32)
    address = y << 22 | x << 12 | events["on"].astype(np.uint32) << 11
    others = [address | 1 << 31, address | 1 << 10]
    mixed = np.stack([address, *others], axis=1).ravel()
    path = aedat2(tmp_path / "sample.aedat", mixed, np.repeat(events["t"], 3))
    for size in (None, (346, 260)):
        reader = RecordingReader(path, size=size)
        np.testing.assert_array_equal(np.concatenate(list(reader)), events)
        assert (reader.format, reader.width, reader.height) == ("AEDAT2", 346, 260)


def test_aedat_2_of_a_dvs128_is_read(tmp_path):
    events = sample()
    x, y = 127 - events["x"].astype(np.uint32), 127 - events["y"].astype(np.uint32)
    address = y << 8 | x << 1 | ~events["on"]
    mixed = np.stack([address, address | 1 << 15], axis=1).ravel()
    path = aedat2(tmp_path / "a.aedat", mixed, np.repeat(events["t"], 2), "x.dvs128.DVS128")
    reader = RecordingReader(path)
    np.testing.assert_array_equal(np.concatenate(list(reader)), events)
    assert (reader.width, reader.height) == (128, 128)


def dsec(path, events, **filters):
    with h5py.File(path, "w") as file:
        file["t_offset"] = 5000
        for name, key in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
            values = events[key] - (5000 if name == "t" else 0)
            file.create_dataset(f"events/{name}", data=values.astype(np.uint32), **filters)
    return path


def test_hdf5_in_the_layout_of_dsec_is_read(tmp_path):
    events = sample(40_000)
    reader = RecordingReader(dsec(tmp_path / "sample.h5", events))
    np.testing.assert_array_equal(np.concatenate(list(reader)), events)
    assert reader.format == "HDF5 DSEC"


@pytest.mark.parametrize("camera", ["left", "right"])
def test_hdf5_in_the_layout_of_mvsec_is_read(tmp_path, camera):
    events = sample(40_000)
    columns = [events["x"], events["y"], events["t"] * 1e-6, np.where(events["on"], 1.0, -1.0)]
    with h5py.File(tmp_path / "sample.hdf5", "w") as file:
        file[f"davis/{camera}/events"] = np.stack(columns, axis=1)
    reader = RecordingReader(tmp_path / "sample.hdf5")
    np.testing.assert_array_equal(np.concatenate(list(reader)), events)
    assert (reader.format, reader.width, reader.height) == ("HDF5 MVSEC", 346, 260)


TEXTS = {
    "seconds.txt": "0.000005 1 2 1\n1.25e-2 3 4 0\n",
    "windows.txt": "5e-6 1 2 1\r\n0.0125 3 4 0\r\n",
    "signs.txt": "# t x y p\n\n0.000005 1 2 1\n0.0125 3 4 -1\n\n",
    "sized.txt": "64 48\n0.000005 1 2 1\n0.0125 3 4 0\n",
    "whole.txt": "5 1 2 1\n12500 3 4 0\n",
    "blanks.csv": "t, x, y, p\n5, 1, 2, 1\n12500, 3, 4, 0\n",
    "bare.csv": "5,1,2,1\n12500,3,4,0",
    "order.csv": "\ufeffx,y,polarity,timestamp\r\n1,2,1,5\r\n3,4,0,12500\r\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_as_people_write_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(TEXTS[name].encode())
    assert [tuple(event) for event in read(path)] == [(5, 1, 2, True), (12_500, 3, 4, False)]
    known = (64, 48) if name == "sized.txt" else (1280, 720)
    assert (RecordingReader(path).width, RecordingReader(path).height) == known


def test_times_of_few_bits_start_anew(tmp_path):
    events = sample(40_000)
    events["t"] += np.uint64(2**23 - 40_000)
    wrapped = events.copy()
    wrapped["t"] %= 2**23
    np.testing.assert_array_equal(read(write(tmp_path / "a.bin", wrapped)), events)
    events["t"] += np.uint64(2**32 - 2**23)
    wrapped["t"] = events["t"] % 2**32
    np.testing.assert_array_equal(read(dat_2d(tmp_path / "a.dat", wrapped, 2)), events)


def test_an_overflow_of_atis_is_no_event_and_moves_all_after_it(tmp_path):
    events = sample(40_000)
    events["t"] = np.arange(40_000)
    marks = np.array([100, 101, 30_000])
    written = np.insert(events, marks, np.zeros(3, EVENT))
    written["y"][marks + np.arange(3)] = 240
    written["t"][marks + np.arange(3)] = events["t"][marks]
    events["t"] += (np.searchsorted(marks, np.arange(40_000), side="right") * 2**13).astype("u8")
    reader = RecordingReader(write(tmp_path / "a.bin", written))
    np.testing.assert_array_equal(np.concatenate(list(reader)), events)
    assert (reader.width, reader.height) == (128, 128)


def evt3(times_us):
    """One event of (7, 5) at each time, all words written out."""
    words = [(0x8000 | t >> 12 & 0xFFF, 0x6000 | t & 0xFFF, 5, 0x2807) for t in times_us]
    return np.array(words, "<u2").tobytes()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ([b"% evt 3.0", b"% geometry 64x48", b"% end"], (64, 48)),
        ([b"% evt 3.0", b"% format EVT3;height=48;width=64", b"% end"], (64, 48)),
        ([b"% evt 3.0", b"% plugin_name hal_plugin_gen3_fx3"], (640, 480)),
        ([b"% evt 3.0"], (1280, 720)),
    ],
)
def test_headers_of_evt_as_boards_write_them(tmp_path, lines, size, end):
    # over the time at which 24 bits start anew
    times_us = range(2**24 - 40_000, 2**24 + 40_000, 1000)
    path = tmp_path / "a.raw"
    path.write_bytes(end.join([*lines, b""]) + evt3(times_us))
    reader = RecordingReader(path)
    assert (reader.width, reader.height) == size
    assert np.concatenate(list(reader))["t"].tolist() == list(times_us)


@pytest.mark.parametrize("begin_us", [8192, 8191, 5000, 4096, 4095, 1])
@pytest.mark.parametrize("last_us", [0, 40_000, 2**24 + 40_000])
def test_evt3_may_begin_just_before_its_time_starts_anew(tmp_path, begin_us, last_us):
    times_us = [2**24 - begin_us, *range(2**24 - begin_us // 2, 2**24 + last_us, 1000)]
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n% geometry 64x48\n% end\n" + evt3(times_us))
    reader = RecordingReader(path)
    for _ in range(2):
        events = np.concatenate(list(reader))
        assert events["t"].tolist() == times_us
        assert set(zip(events["x"].tolist(), events["y"].tolist(), strict=True)) == {(7, 5)}


def test_evt3_without_events_or_times_is_refused_however_it_begins(tmp_path):
    path = tmp_path / "a.raw"
    for words in ([], [0x8FFF], [0x8FFF, 0x6001], [0x6001]):
        path.write_bytes(b"% evt 3.0\n% end\n" + np.array(words, "<u2").tobytes())
        with pytest.raises(ConfigError, match="it holds no events"):
            read(path)


@pytest.mark.parametrize(("kind", "said"), [(0, "generic"), (4, "color"), (9, "type 9")])
def test_event_streams_of_other_kinds_are_refused(tmp_path, kind, said):
    path = tmp_path / "a.es"
    path.write_bytes(b"Event Stream\x02\x00\x00" + bytes([kind, 64, 0, 48, 0]) + bytes(40))
    with pytest.raises(ConfigError, match=said):
        read(path)


@pytest.mark.parametrize("compression", [None, ("lz4", 1), ("zstd", 3)])
def test_every_compression_of_aedat_4(tmp_path, compression):
    path = write(tmp_path / "a.aedat4", compression=compression)
    np.testing.assert_array_equal(read(path), sample())


def test_a_header_ends_where_it_says_so(tmp_path):
    # the first address begins with the byte of a '#'
    path = tmp_path / "a.aedat"
    pairs = np.array([[0x2300_0800, 7], [0x0040_1000, 8]], ">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n#End Of ASCII Header\r\n" + pairs.tobytes())
    assert read(path, size=(240, 180))["t"].tolist() == [7, 8]


MUTANTS = ["aedat4", "raw", "dat", "es", "csv", "bin", "txt", "evt21", "2d", "aedat", "h5"]


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """A small file of every kind: its name and bytes."""
    folder, events, made = tmp_path_factory.mktemp("whole"), sample(200), {}
    for kind in MUTANTS:
        path = folder / f"a.{kind}"
        if kind == "evt21":
            evt21(path.with_suffix(".raw"), events, b"% evt 2.1\n% geometry 64x48\n% end\n", False)
            path = path.with_suffix(".raw")
        elif kind == "2d":
            path = dat_2d(path.with_suffix(".dat"), events, 2)
        elif kind == "aedat":
            aedat2(path, events["x"], events["t"])
        elif kind == "h5":
            dsec(path, events)
        else:
            write(path, events)
        made[kind] = path.name, path.read_bytes()
    return made


@pytest.mark.parametrize("kind", MUTANTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_told_in_one_line_or_leaves_events_in_order(
    whole_files, tmp_path, capfd, kind, data
):
    name, whole = whole_files[kind]
    draw = data.draw
    begin = draw(st.integers(0, len(whole)))
    length = draw(st.integers(0, 40))
    instead = draw(st.binary(max_size=40))
    keep = draw(st.booleans())
    path = tmp_path / name
    path.write_bytes(whole[:begin] + instead + (whole[begin + length :] if keep else b""))
    newest = 0
    try:
        for chunk in RecordingReader(path):
            times = np.concatenate([[newest], chunk["t"].astype(np.int64)])
            assert (np.diff(times) >= 0).all()
            newest = times[-1]
    except ConfigError as error:
        assert "\n" not in str(error)
    shown = capfd.readouterr()
    assert shown.err + shown.out == ""


def test_a_description_that_is_no_text_is_one_line(tmp_path, capfd):
    # faery would end the process
    path = write(tmp_path / "a.aedat4")
    whole = path.read_bytes()
    assert whole.count(b">EVTS<") == 1
    path.write_bytes(whole.replace(b">EVTS<", b">EV\xa1S<"))
    with pytest.raises(ConfigError, match="is no text"):
        read(path)
    assert capfd.readouterr().err == ""


def test_a_panic_of_faery_is_one_line(tmp_path, capfd):
    path = write(tmp_path / "a.aedat4")
    whole = bytearray(path.read_bytes())
    whole[18:26] = b"\xff" * 8  # the table of its header
    path.write_bytes(whole)
    with pytest.raises(ConfigError, match="cannot be read: ") as refusal:
        read(path)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", ["aedat4", "raw", "es"])
def test_how_a_file_begins_counts_for_more_than_its_name(tmp_path, ending):
    path = write(tmp_path / f"sample.{ending}").rename(tmp_path / "sample.txt")
    np.testing.assert_array_equal(read(path), sample())


def cut(path, bytes_off):
    path.write_bytes(path.read_bytes()[:-bytes_off])
    return path


def hdf5(path, name):
    with h5py.File(path, "w") as file:
        file[name] = np.zeros(3)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda d: d / "absent.raw", "no such file"),
        (lambda d: d, "a folder without metadata.yaml"),
        (lambda d: d / ("long" * 99), "cannot be read: .*too long"),
        (lambda d: (d / "a.raw").touch() or d / "a.raw", "empty"),
        (lambda d: (d / "a.mp4").write_bytes(b"x") and d / "a.mp4", "unknown kind .*'.mp4'"),
        (lambda d: (d / "a.raw").write_bytes(b"noise" * 9) and d / "a.raw", "names no version"),
        (lambda d: (d / "a.es").write_bytes(b"noise" * 9) and d / "a.es", "cannot be read"),
        (lambda d: (d / "a.dat").write_bytes(b"noise" * 9) and d / "a.dat", r"a\.dat: "),
        (lambda d: (d / "a.aedat4").write_bytes(b"noise" * 9) and d / "a.aedat4", "cannot be"),
        (
            lambda d: (d / "a.csv").write_text("t,x,y,on\n1,2,3\n") and d / "a.csv",
            "csv:2: expected",
        ),
        (lambda d: (d / "a.csv").write_text("t,x,y,on\n") and d / "a.csv", "no events"),
        (lambda d: (d / "a.txt").write_text("0.1 1 2 1\n0.2 1 2\n") and d / "a.txt", "txt:2: exp"),
        (lambda d: (d / "a.txt").write_text("nan 1 2 1\n") and d / "a.txt", "txt:1: expected"),
        (lambda d: (d / "a.txt").write_text("-1 1 2 1\n") and d / "a.txt", "txt:1: expected"),
        (lambda d: (d / "a.txt").write_bytes(b"\xff\xfe") and d / "a.txt", "txt:1: expected"),
        (lambda d: (d / "a.txt.gz").write_bytes(b"\x1f\x8b") and d / "a.txt.gz", "unpack it first"),
        (lambda d: cut(write(d / "a.raw"), 1), "truncated"),
        (lambda d: cut(dat_2d(d / "a.dat", sample(), 2), 3), "truncated"),
        (lambda d: cut(aedat2(d / "a.aedat", [0, 1], [2, 3]), 3), "truncated"),
        (lambda d: aedat2(d / "a.aedat", [1 << 31], [2]), "no events"),
        (lambda d: (d / "a.aedat").write_bytes(b"noise") and d / "a.aedat", "not an AEDAT"),
        (
            lambda d: (d / "a.aedat").write_bytes(b"#!AER-DAT3.1\n1") and d / "a.aedat",
            "AEDAT 3.1",
        ),
        (lambda d: (d / "a.dat").write_bytes(b"% D\n\x0e\x08") and d / "a.dat", "not a DAT"),
        (lambda d: (d / "a.h5").write_bytes(b"noise" * 9) and d / "a.h5", "cannot be read"),
        (lambda d: hdf5(d / "a.h5", "CD/events"), "Metavision's layout is not read"),
        (lambda d: hdf5(d / "a.h5", "what"), "neither DSEC's nor MVSEC's layout; it has: what"),
        (lambda d: cut(dsec(d / "a.h5", sample()), 5000), "cannot be read"),
        (lambda d: cut(write(d / "a.bin"), 1), "truncated"),
        (lambda d: cut(write(d / "a.aedat4"), 2000), "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises((ConfigError, MissingFileError), match=reason) as refusal:
        read(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_playing_starts_at_zero_and_keeps_its_speed(tmp_path):
    reader = RecordingReader(write(tmp_path / "sample.bin"))
    elapsed = sample()["t"] - sample()["t"][0]
    half = np.concatenate(list(play(reader, speed=0.5)))
    np.testing.assert_array_equal(half["t"], elapsed * 2)
    with pytest.raises(ConfigError, match="speed 0: must be positive"):
        next(play(reader, speed=0))


def test_a_sensor_gives_each_event_once_in_its_interval(tmp_path):
    sensor = RecordingSensor(RecordingReader(write(tmp_path / "sample.raw")), speed=2.0)
    batches = []
    while not sensor.ended:
        batches.append(sensor.read(1_000_000 * len(batches)))
    values = np.concatenate([batch.values for batch in batches])
    np.testing.assert_array_equal(values["t"], (sample()["t"] - sample()["t"][0]) // 2)
    np.testing.assert_array_equal(values["x"], sample()["x"])
    for n, batch in enumerate(batches):
        assert (batch.seq, batch.t_last_ns) == (n, n * 1_000_000)
        assert (batch.values["t"] * 1000 <= batch.t_last_ns).all()
        assert n == 0 or (batch.values["t"] * 1000 > batch.t_first_ns).all()
    assert sensor.read(10**12).values.size == 0


def test_a_repeated_recording_goes_on_for_ever(tmp_path):
    sensor = RecordingSensor(RecordingReader(write(tmp_path / "sample.bin")), repeat=True)
    length_us = int(sample()["t"][-1] - sample()["t"][0]) + 1
    values = sensor.read(3 * length_us * 1000 - 1).values
    assert len(values) == 3 * len(sample())
    assert (np.diff(values["t"].astype(np.int64)) >= 0).all()
    np.testing.assert_array_equal(values["t"][1000:2000] - length_us, values["t"][:1000])


@needs_shared
def test_a_filter_that_is_not_there_is_named():
    path = SHARED / "derived_dsec_layout.h5"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    code = f"""
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "hdf5plugin" else found(name)
from reflexarc.sensors.recording import RecordingReader
try:
    list(RecordingReader({str(path)!r}))
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("a filter that is not here; pip install hdf5plugin")


@needs_shared
def test_compressed_hdf5_has_its_published_count():
    pytest.importorskip("hdf5plugin")
    path = SHARED / "derived_dsec_layout.h5"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    events = read(path)
    assert (len(events), events["t"][0], events["t"][-1]) == (219596, 11718656, 11727457)


@needs_shared
@pytest.mark.parametrize(
    ("name", "count", "size", "first_us", "last_us"),
    [
        ("davis346.aedat4", 78830, (346, 260), 1589163147368868, 1589163149728813),
        ("dvxplorer_320x240.aedat4", 111954, (320, 240), 1605537493718345, 1605537494308262),
        ("evt2_gen3_640x480.raw", 521252, (640, 480), 913716224, 913812095),
        ("evt3_gen41_sample.raw", 219596, (1280, 720), 11718656, 11727467),
        ("synthetic_dvs_320x240.es", 473225, (320, 240), None, None),
        ("derived_rpg_txt.txt", 40000, (320, 240), 0, None),
        ("nmnist_sample.bin", 4325, (34, 34), 654, 311175),
        ("nmnist/0001_label5.bin", 4681, (34, 34), None, None),
        ("dvs128/1.bin", 63471, (128, 128), None, None),
        ("ncars_004397_td.dat", 4407, (54, 61), 0, 99937),
    ],
)
def test_recordings_of_others_have_their_published_counts(name, count, size, first_us, last_us):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not here")
    reader = RecordingReader(SHARED / name, size=size)
    events = np.concatenate(list(reader))
    assert (len(events), reader.width, reader.height) == (count, *size)
    assert first_us in (None, events["t"][0])
    assert last_us in (None, events["t"][-1])
    assert (events["t"][1:] >= events["t"][:-1]).all()
