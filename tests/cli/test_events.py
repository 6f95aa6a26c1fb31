"""`reflexarc events`: what it says of a recording, draws and refuses."""

import json
from pathlib import Path

import faery
import matplotlib.image
import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.eventfile import MOST_BINS, read_event_file

SHARED = Path(__file__).parents[3] / "shared" / "events"


def recorded(path, count=5000, last_us=3_000_000):
    random = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = 5000 + np.sort(random.integers(0, last_us, count))
    events["t"][[0, -1]] = 5000, 5000 + last_us
    events["x"], events["y"] = random.integers(0, 64, count), random.integers(0, 48, count)
    events["on"] = random.random(count) < 0.3
    stream = faery.events_stream_from_array(events, dimensions=(64, 48))
    stream.to_file(path, zero_t0=False)
    return events


def test_json(reflexarc, tmp_path):
    events = recorded(tmp_path / "a.es")
    found = json.loads(reflexarc("events", "a.es", "--json", check=0).stdout)
    assert {key: found[key] for key in ("format", "width", "height", "count")} == {
        "format": "ES",
        "width": 64,
        "height": 48,
        "count": 5000,
    }
    assert found["on"] == np.count_nonzero(events["on"])
    assert (found["t_first_us"], found["t_last_us"]) == (5000, 3_005_000)
    assert found["rate_hz"] == pytest.approx(5000 / 3)
    width = found["bin_us"]
    expected = np.bincount((events["t"].astype(int) - 5000) // width)
    assert found["events_per_bin"] == expected.tolist()


@pytest.mark.parametrize("last_us", [0, 999, 199_999, 200_000, 10**9])
def test_bins_are_few_and_hold_every_event(tmp_path, last_us):
    recorded(tmp_path / "a.es", last_us=max(last_us, 1))
    found = read_event_file(tmp_path / "a.es")
    assert sum(found.events_per_bin) == found.count == found.pixels.sum()
    assert 1 <= len(found.events_per_bin) <= MOST_BINS
    assert found.bin_us == 1000 or len(found.events_per_bin) > MOST_BINS / 2


def test_text_and_picture(reflexarc, tmp_path):
    recorded(tmp_path / "a.es")
    lines = reflexarc("events", "a.es", "--png", "a.png", check=0).stdout.splitlines()
    assert lines[0] == "a.es: ES, 64 x 48 pixels"
    assert lines[1].startswith("5000 events, ")
    assert lines[2] == "5000 to 3005000 us: 3.000000 s"
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[0] > 300
    assert picture[:, :, :3].std() > 0.05


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["absent.raw"], "absent.raw: no such file; check the name"),
        (["noise.raw"], "noise.raw: not an EVT2 or EVT3 recording: its header names no version"),
        (["a.es", "--png", "a.gif"], "a.gif: a picture of events is a .png file"),
        (["a.es", "--size", "3"], "--size 3: expected WIDTHxHEIGHT, such as 640x480"),
    ],
)
def test_what_it_refuses_takes_one_line(reflexarc, tmp_path, args, message):
    recorded(tmp_path / "a.es")
    (tmp_path / "noise.raw").write_bytes(b"noise" * 20)
    done = reflexarc("events", *args, check=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared recordings here")
@pytest.mark.parametrize(
    ("name", "kind", "count", "on"),
    [
        ("davis346.aedat4", "AEDAT4", 78830, 0.5234),
        ("dvxplorer_320x240.aedat4", "AEDAT4", 111954, 0.4915),
        ("evt2_gen3_640x480.raw", "EVT2", 521252, 0.3566),
    ],
)
def test_recordings_of_others_have_their_published_facts(name, kind, count, on):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not here")
    found = read_event_file(SHARED / name)
    assert (found.format, found.count) == (kind, count)
    assert found.on / found.count == pytest.approx(on, abs=5e-5)
