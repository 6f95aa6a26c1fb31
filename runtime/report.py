"""The report of a run: report.html and its pictures, made from the recordings."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import yaml
from matplotlib.figure import Figure

from reflexarc.runtime import plots
from reflexarc.runtime.config import Strict
from reflexarc.runtime.files import made, write_atomic
from reflexarc.runtime.loop import CALLS
from reflexarc.runtime.record import NETWORK
from reflexarc.runtime.recording import Recording

if TYPE_CHECKING:
    from reflexarc.runtime.latency import EventToCommand, Latency
    from reflexarc.runtime.launch import RunResult, Summary

DOTS_PER_INCH = 120
#: Length of the stretch of spikes that is shown close up.
CLOSE_S = 0.5


def write_report(out: Path, runs: Mapping[str, Recording], summary: Summary) -> None:
    """Write report.html and its PNGs into `out`.

    Args:
        runs: the recording of each policy, the network's first.

    Raises:
        ConfigError: a recording cannot be read, or a file not be written.
    """
    captions = {}
    for name, figure, caption in _figures(runs, summary):
        if figure is not None:
            write_atomic(out / f"{name}.png", png(figure))
            captions[name] = caption
    write_atomic(out / "report.html", _page(runs, summary, captions).encode())


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()


def write_result(
    found: Strict, picture: Figure, out: Path, what: str, name: str
) -> dict[str, Path]:
    """Leave `name`.json and `name`.png in `out`; where: under `what` and "picture".

    Raises:
        ConfigError: the folder cannot be made or written to.
    """
    files = {what: out / f"{name}.json", "picture": out / f"{name}.png"}
    with made(out):
        write_atomic(files["picture"], png(picture))
        write_atomic(files[what], found.model_dump_json(indent=2).encode() + b"\n")
    return files


def _figures(
    runs: Mapping[str, Recording], summary: Summary
) -> Iterable[tuple[str, Figure | None, str]]:
    """Name, figure (None where there is nothing to show) and caption of every picture."""
    network = runs[NETWORK]
    changes = ", ".join(f"{at_s:g} s" for at_s in plots.change_times_s(network))
    marked = f" The world was changed where the dashed line stands ({changes})." if changes else ""
    for stream in plots.cameras(network):
        caption = f"What the camera “{stream}” saw while the network ran."
        yield f"camera-{stream}", plots.camera(network, stream), caption
    end_s = plots.duration_s(network)
    yield "spikes", plots.raster(network, 0.0, end_s), "What left the network, over the whole run."
    if end_s > 2 * CLOSE_S:
        middle_s = plots.change_times_s(network)[0] if changes else end_s / 2
        begin_s = max(0.0, min(middle_s - CLOSE_S / 2, end_s - CLOSE_S))
        close = plots.raster(network, begin_s, begin_s + CLOSE_S)
        yield "spikes-close", close, f"Every spike within {CLOSE_S} s of it."
    yield "commands", plots.commands(runs), f"Commands that left the gate.{marked}"
    yield "score", plots.score(runs, summary.unit), f"The score as it grew.{marked}"
    yield "state", plots.state(runs), f"The true state, which no network sees.{marked}"
    yield "latency", plots.latency(runs), "How long ticks took, waiting left out."
    yield "event-to-command", plots.event_to_command(runs), lineage_meaning(summary.mode)


def _page(runs: Mapping[str, Recording], summary: Summary, captions: Mapping[str, str]) -> str:
    start = runs[NETWORK].start
    template = Template(files("reflexarc.runtime").joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        title=escape(summary.scenario),
        about=escape(
            f"{start.config['summary']} · {summary.date} · seed {summary.seed} · {summary.mode} · "
            f"learning {'on' if summary.learning else 'off'} · {_versions(runs[NETWORK])}"
        ),
        scores=_scores(summary),
        figures="\n".join(_figure(name, caption) for name, caption in captions.items()),
        work=_work(summary) + _pictures(summary),
        latency=_latency(summary),
        lineage=_lineage(summary),
        lineage_meaning=escape(lineage_meaning(summary.mode)),
        reproduce=_reproduce(runs, summary),
        config=escape(yaml.safe_dump(start.config, sort_keys=False)),
    )


def _versions(recording: Recording) -> str:
    start = recording.start
    return (
        f"reflexarc {start.reflexarc_version}, Python {start.python_version}, "
        f"NumPy {start.numpy_version}, {start.platform}"
    )


def _scores(summary: Summary) -> str:
    unit = f"score, {summary.unit}" if summary.unit else "score"
    return _table(
        ["policy", unit, "ended", "after, s"],
        [
            [run.policy, _number(run.score), _ending(run), f"{run.seconds:.2f}"]
            for run in summary.runs
        ],
    )


def _ending(run: RunResult) -> str:
    meaning = {
        "time": "at full time",
        "task": "task failed",
        "gate": f"safety stop: {run.stop_reason}",
        "interrupted": "interrupted",
    }
    return meaning[run.ended]


def _work(summary: Summary) -> str:
    return _table(
        ["policy", "ticks", "overruns", "spikes", "synaptic events", "weight updates", "lost"],
        [
            [
                run.policy,
                *(
                    f"{count:,}"
                    for count in (
                        run.ticks,
                        run.overruns,
                        run.spikes,
                        run.synaptic_events,
                        run.weight_updates,
                        run.lost,
                    )
                ),
            ]
            for run in summary.runs
        ],
    )


def _pictures(summary: Summary) -> str:
    """What adaptive cameras drew, where there are any."""
    rows = [
        [run.policy, stream, *(f"{n:,}" for n in (found.rendered, found.repeated, found.yielded))]
        for run in summary.runs
        for stream, found in run.pictures.items()
    ]
    head = [
        "policy",
        "camera's counts",
        "pictures drawn",
        "shown again",
        "put off for want of time",
    ]
    return "\n" + _table(head, rows) if rows else ""


_PERCENTILES = ("p50, us", "p99, us", "p99.9, us", "max, us")


def _percentiles(found: Latency | EventToCommand) -> list[str]:
    """The cells below `_PERCENTILES`."""
    values = (found.p50_us, found.p99_us, found.p999_us, found.max_us)
    return [f"{value:.1f}" for value in values]


def _latency(summary: Summary) -> str:
    rows = [
        [
            run.policy,
            *_percentiles(found),
            *(f"{found.share[call]:.1%}" for call in CALLS),
        ]
        for run in summary.runs
        if (found := run.latency) is not None
    ]
    return _table(["policy", *_PERCENTILES, *CALLS], rows)


def lineage_meaning(mode: str) -> str:
    """What the figures from event to command are in this mode, for people."""
    text = (
        "From event to command: how old the newest sensor value that a command can depend on was "
        "when the command had left."
    )
    if mode == "lockstep":
        return f"{text} In lockstep: simulated time up to the tick, plus the tick's measured time."
    return f"{text} On the wall clock: up to the begin of the tick, plus the tick's six calls."


def _lineage(summary: Summary) -> str:
    rows = [
        [
            run.policy,
            *_percentiles(found),
        ]
        for run in summary.runs
        if (found := run.event_to_command) is not None
    ]
    return _table(["event to command", *_PERCENTILES], rows)


def _reproduce(runs: Mapping[str, Recording], summary: Summary) -> str:
    start = runs[NETWORK].start
    settings = [f"--set={setting}" for setting in start.settings]
    run = shlex.join(["reflexarc", "run", summary.scenario, *settings])
    replay = shlex.join(["reflexarc", "replay", str(runs[NETWORK].path)])
    return f"<pre>{escape(run)}\n{escape(replay)}</pre>"


def _figure(name: str, caption: str) -> str:
    text = escape(caption)
    return f'<figure><img src="{name}.png" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column names the policy."""
    lines = ["<table>", _row("th", head)]
    lines += [_row("td", row, "network" if row[0] == NETWORK else "") for row in rows]
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: list[str], kind: str = "") -> str:
    inside = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f'<tr class="{kind}">{inside}</tr>' if kind else f"<tr>{inside}</tr>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
