import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from mcap.reader import SeekingReader

from reflexarc.runtime import record as record_module
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.recordformat import END, Entry, Kind
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.replay import replay
from reflexarc.runtime.scribe import McapFile


def rewritten(path, change):
    """A copy of a recording with every entry as `change(entry, tick)` gives it, or without it."""
    copy = path.with_name("changed.mcap")
    kept = Recording.open(path)
    with path.open("rb") as old, copy.open("wb") as new:
        file = McapFile(new)
        reader = SeekingReader(old)
        metadata = {record.name: record.metadata for record in reader.iter_metadata()}
        attached = [
            Entry(Kind.ATTACHMENT, item.name, 0, item.data) for item in reader.iter_attachments()
        ]
        about = [
            Entry(Kind.METADATA, name, 0, json.dumps(content).encode())
            for name, content in metadata.items()
        ]
        for entry in [about[0], *attached, *kept.messages(), about[1]]:
            changed = change(entry, file.ticks)
            if changed is not None:
                file.add(changed)
        file.finish()
    return copy


def test_identical(record_slide, tmp_path):
    path = record_slide(tmp_path / "run.mcap").path
    result = replay(path)
    assert result.identical
    assert result.difference is None
    assert result.ticks == 200
    assert result.notes == []
    assert "200 ticks replayed: identical" in result.text()


def test_thresholds_that_move_are_replayed(slide_folder, record_slide, tmp_path):
    sidecar = slide_folder / "nets" / "slide.yaml"
    said = yaml.safe_load(sidecar.read_text())
    said["plasticity"]["muscles"] = {"rule": "intrinsic_homeostasis", "rate_hz": 50, "eta": 0.01}
    sidecar.write_text(yaml.safe_dump(said))
    run = record_slide(tmp_path / "run.mcap")
    found = np.frombuffer(Recording.open(run.path).weights["muscles"])
    assert np.array_equal(found, run.policy.program.thresholds("muscles"))
    assert len(np.unique(found)) > 1
    assert replay(run.path).identical


def test_fresh_processes_agree(record_slide, tmp_path):
    path = record_slide(tmp_path / "run.mcap").path
    code = (
        "import sys; from reflexarc.runtime.replay import replay; "
        "print(replay(sys.argv[1]).model_dump_json())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, check=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1] == replay(path).model_dump_json() + "\n"


def test_learning_changes_the_sums(record_slide, tmp_path):
    on = replay(record_slide(tmp_path / "on.mcap").path)
    off = replay(record_slide(tmp_path / "off.mcap", settings=["learning=false"]).path)
    assert on.identical
    assert off.identical
    assert on.weights_sha256 != off.weights_sha256


def test_without_the_installed_scenario(record_slide, slide_folder, tmp_path):
    path = record_slide(tmp_path / "run.mcap", ticks=20).path
    for file in (slide_folder / "world.py", slide_folder / "nets" / "slide.nir"):
        file.unlink()
    assert replay(path).identical


def test_one_changed_spike_is_named(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    number = next(n for n, tick in enumerate(run.ticks) if len(tick.outputs["motor"]))
    spike = run.ticks[number].outputs["motor"][0]

    def change(entry, tick):
        if entry.name == "outputs/motor" and tick == number:
            spikes = np.frombuffer(entry.data, SPIKE).copy()
            spikes["i"][0] = 5 - spikes["i"][0]
            return entry._replace(data=spikes.tobytes())
        return entry

    result = replay(rewritten(run.path, change))
    assert not result.identical
    assert result.difference.tick == number
    assert result.difference.now_ns == number * 1_000_000
    assert result.difference.place == "output 'motor', element 0"
    assert result.difference.got == f"neuron {spike['i']} at {spike['t_ns']} ns"
    assert result.spikes_sha256 == replay(run.path).spikes_sha256
    assert f"differs at tick {number} " in result.text()


def test_a_missing_spike_is_named(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    number = max(n for n, tick in enumerate(run.ticks) if len(tick.outputs["motor"]))

    def change(entry, tick):
        if entry.name == "outputs/motor" and tick == number:
            return entry._replace(data=entry.data[: -SPIKE.itemsize])
        return entry

    difference = replay(rewritten(run.path, change)).difference
    assert (difference.tick, difference.expected) == (number, "nothing")


def test_one_changed_command_is_named(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")
    near = float(np.nextafter(run.ticks[77].command[0], 9))

    def change(entry, tick):
        if entry.kind is Kind.COMMAND and tick >= 77:
            return entry._replace(data=json.dumps({"values": [near]}).encode())
        return entry

    difference = replay(rewritten(run.path, change)).difference
    assert (difference.tick, difference.place) == (77, "command, element 0")
    assert float(difference.expected) == near
    assert float(difference.got) == run.ticks[77].command[0]


def test_one_changed_weight_is_named(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")

    def change(entry, tick):
        if entry.name == "weights/seen":
            weights = np.frombuffer(entry.data).copy()
            weights[17] += 1e-12
            return entry._replace(data=weights.tobytes())
        return entry

    difference = replay(rewritten(run.path, change)).difference
    assert (difference.tick, difference.place) == (199, "weights of 'seen', element 17")


def test_a_changed_input_changes_what_comes_out(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")

    def change(entry, tick):
        if entry.name == "streams/state" and tick == 20:
            kept = Recording.open(run.path).batches("state")[100]
            return entry._replace(data=record_module.encode(kept))
        return entry

    assert replay(rewritten(run.path, change)).difference.tick >= 20


def test_lost_ticks_are_told(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap")

    def change(entry, tick):
        if entry.name == END:
            return entry._replace(data=entry.data.replace(b'"lost": "0"', b'"lost": "100"'))
        return (
            entry if entry.kind >= Kind.METADATA or not 50 <= entry.time_ns // 10**6 < 150 else None
        )

    result = replay(rewritten(run.path, change))
    assert result.identical
    assert result.ticks == 50
    assert "100 ticks are missing" in result.notes[0]


def test_other_versions_are_told(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap", ticks=5)

    def change(entry, tick):
        return entry._replace(data=entry.data.replace(np.__version__.encode(), b"1.0.0"))

    notes = replay(rewritten(run.path, change)).notes
    assert notes == [f"numpy version: recorded under 1.0.0, replayed under {np.__version__}"]


def test_a_stop_of_the_gate_is_told(record_slide, tmp_path, monkeypatch):
    from reflexarc.actuators.decoders import PopulationVector

    decode = PopulationVector.decode
    calls = []

    def fails_once(self, values, now_ns, until_ns):
        calls.append(now_ns)
        wanted = decode(self, values, now_ns, until_ns)
        return wanted * np.nan if now_ns == 10_000_000 else wanted

    monkeypatch.setattr(PopulationVector, "decode", fails_once)
    result = replay(record_slide(tmp_path / "run.mcap").path)
    assert result.identical
    assert result.ticks == 11
    assert result.notes == ["the gate stopped: command element 0 is not finite"]


def test_a_baseline_cannot_be_replayed(record_slide, tmp_path):
    path = record_slide(tmp_path / "p.mcap", "p", ticks=5).path
    with pytest.raises(ConfigError, match="records the baseline 'p'"):
        replay(path)


def test_a_stream_that_was_left_out(record_slide, tmp_path):
    path = record_slide(tmp_path / "run.mcap", streams={"truth", "state"}, ticks=5).path
    with pytest.raises(ConfigError, match="stream 'camera' was left out"):
        replay(path)
