import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import Writer

from reflexarc.runtime.batch import EVENT, SPIKE
from reflexarc.runtime.errors import ConfigError, MissingFileError
from reflexarc.runtime.recordformat import PROFILE
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.scenario import Scenario


def read_all(path):
    """Everything a reader can ask of a recording."""
    recording = Recording.open(path)
    ticks = list(recording.ticks())
    recording.commands(), recording.score(), recording.calls_ns()
    return ticks


def test_columns(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    recording = Recording.open(run.path)
    now_ns = [tick.now_ns for tick in run.ticks]
    assert recording.commands().t_ns.tolist() == now_ns
    np.testing.assert_array_equal(recording.commands().values, [t.command for t in run.ticks])
    np.testing.assert_array_equal(
        recording.series("truth").values, [t.batches[2].values for t in run.ticks]
    )
    assert recording.series("truth").t_ns.tolist() == [t.batches[2].t_last_ns for t in run.ticks]
    np.testing.assert_array_equal(
        recording.spikes("motor"), np.concatenate([t.outputs["motor"] for t in run.ticks])
    )
    np.testing.assert_array_equal(
        recording.events("camera"), np.concatenate([t.batches[0].values for t in run.ticks])
    )
    assert recording.score().t_ns.tolist() == now_ns
    assert recording.score().values[-1, 0] == pytest.approx(1e-3 * len(run.ticks), abs=0.2)
    np.testing.assert_array_equal(recording.calls_ns(), run.loop.durations_ns)


def test_what_was_not_recorded_is_empty(record_slide, tmp_path):
    recording = Recording.open(record_slide(tmp_path / "run.mcap", ticks=5).path)
    assert recording.batches("sonar") == []
    assert len(recording.series("sonar").t_ns) == 0
    assert recording.events("sonar").dtype == EVENT
    assert recording.spikes("trace").dtype == SPIKE
    assert len(recording.spikes("trace")) == 0


def test_what_was_run(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap", settings=["seed=9", "learning=false"], ticks=5)
    recording = Recording.open(run.path)
    assert recording.start.scenario == "slide"
    assert recording.start.seed == 9
    assert recording.start.learning is False
    assert recording.start.mode == "lockstep"
    assert recording.start.config == run.scenario.resolved()
    assert recording.end.complete
    assert recording.weights == {"seen": run.policy.program.weights("seen").tobytes()}


def test_the_scenario_comes_out_without_its_code(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap", settings=["gate.high=[2.5]"], ticks=5)
    folder = tmp_path / "out"
    folder.mkdir()
    scenario = Scenario.load_policy(Recording.open(run.path).extract(folder))
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        "scenario.yaml",
        "slide.nir",
        "slide.yaml",
    ]
    assert scenario.spec.gate.high == [2.5]
    assert scenario.network.plasticity == run.scenario.network.plasticity
    assert scenario.make_policy().program.weights("seen").shape == (6, 4)


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.mcap: no such file"):
        Recording.open(tmp_path / "none.mcap")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"Hello, this is no recording", "not a recording"), (b"\x89MCA", "cut off")],
)
def test_something_else(tmp_path, content, says):
    path = tmp_path / "other.mcap"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"other\.mcap: {says}"):
        Recording.open(path)


def foreign(profile, metadata):
    buffer = io.BytesIO()
    writer = Writer(buffer, enable_data_crcs=True)
    writer.start(profile=profile)
    for name, content in metadata.items():
        writer.add_metadata(name, content)
    writer.finish()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("profile", "metadata", "says"),
    [
        ("ros2", {}, "not a recording of Reflexarc"),
        (PROFILE, {}, "metadata 'reflexarc' is missing"),
        (PROFILE, {"reflexarc": {"format": "9"}}, "format 9; this release reads 1"),
        (PROFILE, {"reflexarc": {"format": "1"}}, "scenario: required key is missing"),
    ],
)
def test_another_mcap_file(tmp_path, profile, metadata, says):
    path = tmp_path / "other.mcap"
    path.write_bytes(foreign(profile, metadata))
    with pytest.raises(ConfigError, match=says):
        Recording.open(path)


def test_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Recording.open(tmp_path)


@pytest.fixture
def small(record_slide, tmp_path):
    return record_slide(tmp_path / "run.mcap", ticks=3).path.read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_off_anywhere(small, tmp_path, data):
    cut = data.draw(st.integers(0, len(small) - 1))
    path = tmp_path / "cut.mcap"
    path.write_bytes(small[:cut])
    with pytest.raises(ConfigError, match=r"cut\.mcap: (cut off|empty)"):
        read_all(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_damaged_byte_anywhere(small, tmp_path, data):
    at = data.draw(st.integers(0, len(small) - 1))
    flip = data.draw(st.integers(1, 255))
    path = tmp_path / "bad.mcap"
    path.write_bytes(small[:at] + bytes([small[at] ^ flip]) + small[at + 1 :])
    with pytest.raises(ConfigError, match=r"bad\.mcap: "):
        read_all(path)


def with_sums_mended(content):
    """`content` with its two checksums made right again, as somebody who tampers would."""
    (summary_at,) = struct.unpack_from("<Q", content, len(content) - 28)
    data = content[: summary_at - 13]
    middle = content[summary_at : len(content) - 12]
    return b"".join(
        [
            data,
            content[summary_at - 13 : summary_at - 4],
            struct.pack("<I", zlib.crc32(data)),
            middle,
            struct.pack("<I", zlib.crc32(middle)),
            content[-8:],
        ]
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_tampered_bytes_never_crash_the_reader(small, tmp_path, data):
    at = data.draw(st.integers(8, len(small) - 38))
    flip = data.draw(st.integers(1, 255))
    path = tmp_path / "bad.mcap"
    path.write_bytes(with_sums_mended(small[:at] + bytes([small[at] ^ flip]) + small[at + 1 :]))
    try:
        read_all(path)
    except ConfigError as error:
        assert "\n" not in str(error)
