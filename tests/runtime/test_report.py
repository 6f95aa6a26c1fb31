import re

import pytest
from PIL import Image

from reflexarc.runtime import plots
from reflexarc.runtime.latency import event_to_command
from reflexarc.runtime.launch import launch
from reflexarc.runtime.progress import progress_on
from reflexarc.runtime.recording import Recording
from reflexarc.runtime.report import write_report
from reflexarc.runtime.scenario import Scenario


@pytest.fixture
def launched(slide_folder, tmp_path):
    """A scenario launched with its baseline: the summary and the folder of its report."""
    import io

    out = tmp_path / "out"
    scenario = Scenario.load(str(slide_folder), ["seconds=0.3"])
    return launch(scenario, out, progress_on(io.StringIO())), out


def cells(page, policy):
    """Every table row that begins with `policy`."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page)
    found = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    return [row[1:] for row in found if row and row[0] == policy]


def test_pictures_are_there_and_readable(launched):
    _, out = launched
    page = (out / "report.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert pictures == [
        f"{name}.png"
        for name in (
            "camera-camera",
            "spikes",
            "commands",
            "score",
            "state",
            "latency",
            "event-to-command",
        )
    ]
    for name in pictures:
        with Image.open(out / name) as image:
            image.load()
            assert image.width == plots.WIDTH_IN * 120
            assert 150 < image.height < 2000
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    assert not list(out.glob("*.part"))


def test_the_numbers_are_those_of_the_summary(launched):
    summary, out = launched
    page = (out / "report.html").read_text()
    for run in summary.runs:
        score, work, latency, lineage = cells(page, run.policy)
        assert score == [f"{run.score:.2f}", "at full time", f"{run.seconds:.2f}"]
        assert [int(count.replace(",", "")) for count in work] == [
            run.ticks,
            run.overruns,
            run.spikes,
            run.synaptic_events,
            run.weight_updates,
            run.lost,
        ]
        found = run.latency
        assert [float(value) for value in latency[:4]] == [
            found.p50_us,
            found.p99_us,
            found.p999_us,
            found.max_us,
        ]
        assert [float(share.rstrip("%")) for share in latency[4:]] == pytest.approx(
            [100 * share for share in found.share.values()], abs=0.06
        )
        found = run.event_to_command
        assert [float(value) for value in lineage] == [
            found.p50_us,
            found.p99_us,
            found.p999_us,
            found.max_us,
        ]
        ages_ns = Recording.open(run.recording).ages_ns()
        assert found == event_to_command(ages_ns)
    assert "simulated time up to the tick" in page
    assert f"seed {summary.seed}" in page
    assert "reflexarc run slide --set=seconds=0.3" in page
    assert "period_ns: 1000000" in page


def test_text_from_a_scenario_cannot_become_markup(launched, tmp_path):
    summary, out = launched
    runs = {run.policy: Recording.open(run.recording) for run in summary.runs}
    write_report(out, runs, summary.model_copy(update={"unit": "<script>alert(1)</script>"}))
    page = (out / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_run_that_saw_and_did_nothing(record_slide, tmp_path):
    run = record_slide(tmp_path / "run.mcap", streams=set(), ticks=1)
    recording = Recording.open(run.path)
    assert plots.cameras(recording) == []
    assert plots.camera(recording, "camera") is None
    assert plots.raster(recording, 0, 1) is None
    assert plots.state({"network": recording}) is None
    assert len(plots.commands({"network": recording}).axes) == 1


def test_a_busy_port_is_shown_as_rates(record_slide, tmp_path, monkeypatch):
    recording = Recording.open(record_slide(tmp_path / "run.mcap").path)
    assert not plots.raster(recording, 0.05, 0.15).axes[0].images
    monkeypatch.setattr(plots, "MAX_MARKS", 10)
    (image,) = plots.raster(recording, 0.05, 0.15).axes[0].images
    rates = image.get_array()
    t_s = recording.spikes("motor")["t_ns"] * 1e-9
    spikes = ((t_s >= 0.05) & (t_s < 0.15)).sum()
    assert rates.sum() * 0.1 / 200 == pytest.approx(spikes)
