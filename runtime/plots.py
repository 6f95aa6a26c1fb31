"""The pictures of a report, as matplotlib figures; none touches pyplot's global state.

Colours are those of Okabe & Ito (2008), told apart by colour-blind readers too: the network is
always blue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from reflexarc.runtime.batch import Array, Schema
from reflexarc.runtime.interval import interval
from reflexarc.runtime.loop import CALLS
from reflexarc.runtime.recording import Recording, Series

if TYPE_CHECKING:
    from reflexarc.runtime.compare import Comparison
    from reflexarc.runtime.diverge import Divergence
    from reflexarc.runtime.tune import Tuning

Runs = Mapping[str, Recording]
BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#777777",
)
ON, OFF = np.array([213, 94, 0]) / 255, np.array([0, 114, 178]) / 255
#: A picture of some milliseconds of events has at most this width.
THUMBNAIL_PX = 100
#: More spikes of one port than this are shown as rates.
MAX_MARKS = 20_000
WIDTH_IN = 9.0
WINDOWS = 6


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each policy; the first, the network, is blue."""
    cycle = [BLUE, ORANGE, GREEN, PURPLE, RED, SKY]
    return {name: cycle[n % len(cycle)] for n, name in enumerate(names)}


def camera(recording: Recording, stream: str) -> Figure | None:
    """What the camera `stream` saw: in some windows, in its columns over time, and how much.

    None if it saw nothing.
    """
    events = recording.events(stream)
    if len(events) == 0:
        return None
    t_s = events["t"] * 1e-6
    end_s = max(float(t_s[-1]), duration_s(recording))
    window_s = _window_s(len(events), end_s)
    shape = _sensor_shape(recording, stream, events)
    figure = Figure((WIDTH_IN, 5.6), layout="constrained")
    grid = figure.add_gridspec(3, WINDOWS, height_ratios=[1, 1.4, 0.7])
    for n in range(WINDOWS):
        begin_s = min((n + 0.5) * end_s / WINDOWS, end_s - window_s)
        seen = events[np.searchsorted(t_s, begin_s) : np.searchsorted(t_s, begin_s + window_s)]
        axes = figure.add_subplot(grid[0, n])
        axes.imshow(_thumbnail(seen, shape), interpolation="nearest")
        axes.set_title(f"{begin_s:.2f} s\n{len(seen)} events", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    columns = figure.add_subplot(grid[1, :])
    _columns_over_time(columns, events, shape[1], end_s)
    _event_rate(figure.add_subplot(grid[2, :], sharex=columns), events, end_s)
    figure.suptitle(
        f"{stream}: events of {window_s * 1e3:.0f} ms (orange brighter, blue darker)", fontsize=11
    )
    return figure


def _window_s(events: int, end_s: float) -> float:
    """Long enough for some hundreds of events at the mean rate, within 5 ms to 100 ms."""
    return min(max(400 * end_s / events, 0.005), 0.1, end_s)


def _accumulated(events: Array, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Events as an image on white, shape (*shape, 3): the more events, the deeper the colour."""
    counts = np.zeros((2, *shape))
    np.add.at(counts, (events["on"].astype(int), events["y"], events["x"]), 1)
    total = counts.sum(axis=0)[..., None]
    colour = (counts[0][..., None] * OFF + counts[1][..., None] * ON) / np.maximum(total, 1)
    image: npt.NDArray[np.float64] = 1 - np.minimum(total / 2, 1) * (1 - colour)
    return image


def _sensor_shape(recording: Recording, stream: str, events: Array) -> tuple[int, int]:
    """Rows and columns of the sensor: as an encoder of its stream says, or of what was seen."""
    for encoder in recording.start.config["encoders"]:
        if encoder["stream"] == stream and {"width", "height"} <= encoder.keys():
            return encoder["height"], encoder["width"]
    return int(events["y"].max()) + 1, int(events["x"].max()) + 1


def _thumbnail(events: Array, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Events as a small image: single pixels of a large sensor could not be seen."""
    shrink = -(-shape[1] // THUMBNAIL_PX)
    seen = events.copy()
    seen["x"] //= shrink
    seen["y"] //= shrink
    return _accumulated(seen, (-(-shape[0] // shrink), -(-shape[1] // shrink)))


def _columns_over_time(axes: Axes, events: Array, width: int, end_s: float) -> None:
    """Where along the image's width something moved, over the whole run."""
    bins = 4 * WINDOWS * 20
    seen = np.empty(len(events), events.dtype)
    seen["on"] = events["on"]
    seen["x"] = np.minimum(events["t"] * 1e-6 / end_s * bins, bins - 1)
    seen["y"] = events["x"]
    extent = (0.0, end_s, width - 0.5, -0.5)
    axes.imshow(_accumulated(seen, (width, bins)), extent=extent, aspect="auto")
    first, last = int(seen["y"].min()), int(seen["y"].max())
    axes.set(ylabel="column, px", ylim=(min(last + 3, width) - 0.5, max(first - 3, 0) - 0.5))
    axes.tick_params(labelbottom=False)
    _bare(axes)


def _event_rate(axes: Axes, events: Array, end_s: float) -> None:
    bins = np.linspace(0, end_s, 201)
    for polarity, colour, name in ((True, ON, "brighter"), (False, OFF, "darker")):
        t_s = events["t"][events["on"] == polarity] * 1e-6
        rate_hz = np.histogram(t_s, bins)[0] / (bins[1] - bins[0])
        axes.stairs(rate_hz / 1e3, bins, color=tuple(colour), label=name)
    axes.set(xlabel="time, s", ylabel="events, 1000/s", xlim=(0, end_s))
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=9, frameon=False, loc="upper right", ncols=2)
    _bare(axes)


def raster(recording: Recording, begin_s: float, end_s: float) -> Figure | None:
    """The spikes that left the network in a stretch of time, one row a neuron; None if none did.

    A port with more than MAX_MARKS spikes is shown as rates: its marks would cover each other.
    """
    ports = {port: recording.spikes(port) for port in sorted(recording.ports)}
    within = np.array([begin_s, end_s]) * 1e9
    ports = {port: s[slice(*np.searchsorted(s["t_ns"], within))] for port, s in ports.items()}
    ports = {port: spikes for port, spikes in ports.items() if len(spikes)}
    if not ports:
        return None
    heights = [max(1.2, min(3.0, (int(s["i"].max()) + 1) / 12)) for s in ports.values()]
    figure = Figure((WIDTH_IN, 0.9 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(ports), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (port, spikes) in zip(panels, ports.items(), strict=True):
        neurons = int(spikes["i"].max()) + 1
        if len(spikes) > MAX_MARKS:
            _rates(axes, spikes, neurons, begin_s, end_s)
        else:
            _marks(axes, spikes, neurons)
        axes.set_title(f"{port}: {len(spikes)} spikes", fontsize=10, loc="left")
        axes.set(ylabel="neuron", ylim=(-0.7, neurons - 0.3), xlim=(begin_s, end_s))
        axes.locator_params(axis="y", integer=True)
    panels[-1].set_xlabel("time, s")
    return figure


def _marks(axes: Axes, spikes: Array, neurons: int) -> None:
    size = max(1.0, min(8.0, 260 / neurons))
    axes.plot(spikes["t_ns"] * 1e-9, spikes["i"], "|", color=BLUE, ms=size, mew=0.8)


def _rates(axes: Axes, spikes: Array, neurons: int, begin_s: float, end_s: float) -> None:
    """Firing rates in 200 bins of time, dark where a neuron fires fast."""
    bins = 200
    extent = ((-0.5, neurons - 0.5), (begin_s, end_s))
    counts, _, _ = np.histogram2d(spikes["i"], spikes["t_ns"] * 1e-9, (neurons, bins), extent)
    image = axes.imshow(
        counts * bins / (end_s - begin_s),
        cmap="Blues",
        vmin=0,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(begin_s, end_s, -0.5, neurons - 0.5),
    )
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(image, ax=axes, label="spikes/s", pad=0.01)


def commands(runs: Runs) -> Figure | None:
    """The command of each policy over time, one panel an element; None if there is none.

    The gate's limits are dotted where the commands come near them.
    """
    series = {name: run.commands() for name, run in runs.items()}
    gate = next(iter(runs.values())).start.config["gate"]
    labels = gate.get("labels") or [f"command {n}" for n in range(len(gate["low"]))]
    figure = _panels(series, runs, labels)
    if figure is None:
        return None
    for axes, *limits in zip(figure.axes, gate["low"], gate["high"], strict=True):
        axes.autoscale(False)
        for limit in limits:
            axes.axhline(limit, color=GREY, linewidth=0.8, linestyle=":")
    return figure


def state(runs: Runs) -> Figure | None:
    """The true state under each policy over time; None where no world tells it."""
    series = {name: run.series("truth") for name, run in runs.items()}
    size = max((one.values.shape[1] for one in series.values()), default=0)
    named = next(iter(runs.values())).start.truth
    labels = [named[n] if n < len(named) else f"truth {n}" for n in range(size)]
    return _panels(series, runs, labels)


def score(runs: Runs, unit: str) -> Figure | None:
    """The score of each policy over time; None where the scenario keeps none."""
    return _panels({name: run.score() for name, run in runs.items()}, runs, [f"score, {unit}"])


def comparison(found: Comparison) -> Figure:
    """The score of each policy on each seed, its mean and interval; trials beside, if there are."""
    colour = colours([each.policy for each in found.policies])
    trials = any(run for each in found.policies for run in each.trials)
    width, height = (WIDTH_IN, 3.4) if trials else (WIDTH_IN * 0.7, 0.9 + 0.5 * len(colour))
    figure = Figure((width, height), layout="constrained")
    panels = figure.subplots(1, 2 if trials else 1, squeeze=False)[0]
    _scores(panels[0], found, colour)
    if trials:
        _trials(panels[1], found, colour)
    return figure


def _scores(axes: Axes, found: Comparison, colour: Mapping[str, str]) -> None:
    """A row for each policy: dots are seeds, the bar is the interval of their mean."""
    for row, each in enumerate(found.policies):
        spread = row + np.linspace(-0.18, 0.18, len(each.scores))
        axes.plot(each.scores, spread, "o", color=colour[each.policy], alpha=0.45, markersize=4)
        low, high = each.score.mean - each.score.low, each.score.high - each.score.mean
        axes.errorbar(
            each.score.mean,
            row,
            xerr=[[max(low, 0.0)], [max(high, 0.0)]],
            fmt="|",
            markersize=14,
            color="black",
            capsize=3,
        )
    names = [each.policy for each in found.policies]
    axes.set_yticks(range(len(names)), labels=names)
    axes.set(xlabel=found.unit, ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    _bare(axes)


def _trials(axes: Axes, found: Comparison, colour: Mapping[str, str]) -> None:
    """The mean score of each trial over seeds, with its interval."""
    for each in found.policies:
        length = min(map(len, each.trials))
        means = [interval([run[k] for run in each.trials]) for k in range(length)]
        if not means:
            continue
        mean, low, high = np.array(means).T
        number = np.arange(1, length + 1)
        axes.plot(number, mean, color=colour[each.policy], label=each.policy, linewidth=1.4)
        axes.fill_between(number, low, high, color=colour[each.policy], alpha=0.15, linewidth=0)
    axes.set(xlabel="trial", ylabel=found.unit)
    axes.legend(frameon=False, fontsize=8)
    _bare(axes)


def divergence(found: Divergence, first: Recording, second: Recording) -> Figure:
    """How far two runs went apart: their commands, the ages of their causes, their scores."""
    runs = [(first, BLUE, f"1: {first.start.mode}"), (second, ORANGE, f"2: {second.start.mode}")]
    scored = all(len(run.score().t_ns) for run, _, _ in runs)
    figure = Figure((WIDTH_IN, 5.8 if scored else 4.2), layout="constrained")
    panels = figure.subplots(3 if scored else 2, sharex=True)
    begins = [each.begin_s for each in found.rms_over_time]
    end_s = min(side.seconds for side in found.runs)
    panels[0].stairs([each.rms for each in found.rms_over_time], [*begins, end_s], color=RED)
    panels[0].set_ylabel("commands' RMS\ndifference", fontsize=9)
    panels[0].set_ylim(bottom=0)
    if found.first_s is not None:
        panels[0].axvline(found.first_s, color=GREY, linestyle="--", linewidth=0.9)
    for run, colour, label in runs:
        ages = run.ages_ns()
        t_s = run.commands().t_ns * 1e-9
        panels[1].plot(
            t_s[ages >= 0], ages[ages >= 0] * 1e-6, ".", color=colour, markersize=2, label=label
        )
        if scored:
            panels[2].plot(run.score().t_ns * 1e-9, run.score().values[:, 0], color=colour)
    panels[1].set_ylabel("event to command,\nms", fontsize=9)
    panels[1].set_yscale("log")
    panels[1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panels[1].yaxis.set_minor_formatter(NullFormatter())
    if scored:
        panels[2].set_ylabel("score", fontsize=9)
    for axes in panels:
        _bare(axes)
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, markerscale=4)
    figure.align_ylabels()
    panels[-1].set_xlabel("time, s (dashed: first differing tick)")
    return figure


def tuning(found: Tuning) -> Figure:
    """How the search went, and what each number has to do with the score."""
    columns = 1 + len(found.ranges)
    rows = -(-columns // 4)
    figure = Figure((WIDTH_IN, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, min(columns, 4), squeeze=False, sharey=True).ravel()
    scores = np.array([each.score for each in found.tried])
    best = int(np.argmax(scores))
    panels[0].plot(scores, ".", color=GREY, markersize=3, label="tried")
    panels[0].plot(np.maximum.accumulate(scores), color=BLUE, label="best so far")
    panels[0].axhline(scores[0], color=ORANGE, linestyle="--", linewidth=1, label="as shipped")
    panels[0].set(xlabel="settings tried", ylabel=found.unit)
    panels[0].legend(frameon=False, fontsize=7)
    for axes, (key, span) in zip(panels[1:], found.ranges.items(), strict=False):
        values = np.array([each.values[key] for each in found.tried])
        axes.plot(values, scores, ".", color=GREY, markersize=3)
        axes.plot(values[0], scores[0], "o", color=ORANGE, markersize=5)
        axes.plot(values[best], scores[best], "o", color=BLUE, markersize=5)
        axes.set(xlabel=key, xscale="log" if span.log else "linear", xlim=(span.low, span.high))
    for axes in panels[:columns]:
        _bare(axes)
    for axes in panels[columns:]:
        axes.set_visible(False)
    return figure


def latency(runs: Runs) -> Figure | None:
    """How long ticks took, and which of the six calls took it; None if no tick was recorded."""
    calls_us = {name: run.calls_ns() * 1e-3 for name, run in runs.items()}
    calls_us = {name: calls for name, calls in calls_us.items() if len(calls)}
    if not calls_us:
        return None
    colour = colours(list(runs))
    figure = Figure((WIDTH_IN, 4.2), layout="constrained")
    above, below = figure.subplots(2, height_ratios=[2.2, 1])
    totals = {name: np.maximum(calls.sum(axis=1), 0.1) for name, calls in calls_us.items()}
    low = min(total.min() for total in totals.values())
    high = max(total.max() for total in totals.values())
    bins = np.geomspace(low * 0.9, high * 1.1, 80)
    for name, total in totals.items():
        filled = name == next(iter(totals))
        counts = np.histogram(total, bins)[0]
        above.stairs(counts, bins, color=colour[name], fill=filled, alpha=0.75, label=name)
    above.set(xscale="log", yscale="log", xlabel="duration of a tick, us", ylabel="ticks")
    above.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    above.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _tidy(above)
    _call_shares(below, calls_us)
    return figure


def event_to_command(runs: Runs) -> Figure | None:
    """How old the cause of each command was: over time, and how often; None if none had any."""
    ages_ms = {name: np.maximum(run.ages_ns(), -1) * 1e-6 for name, run in runs.items()}
    ages_ms = {name: ages for name, ages in ages_ms.items() if (ages >= 0).any()}
    if not ages_ms:
        return None
    colour = colours(list(runs))
    figure = Figure((WIDTH_IN, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
    for name, ages in ages_ms.items():
        has = ages >= 0
        t_s = runs[name].commands().t_ns[has] * 1e-9
        left.plot(t_s, ages[has], ".", color=colour[name], markersize=2, label=name)
        shown = np.sort(ages[has])
        beyond = 1 - np.arange(len(shown)) / len(shown)
        right.step(shown, beyond, where="post", color=colour[name], label=name)
    left.set(xlabel="time, s", ylabel="event to command, ms", yscale="log")
    right.set(xlabel="event to command, ms", ylabel="part of commands", xscale="log", yscale="log")
    for axis in (left.yaxis, right.xaxis, right.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    right.set_title("at least so old", fontsize=9)
    handles, names = right.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    _bare(left)
    _bare(right)
    return figure


def _call_shares(axes: Axes, calls_us: Mapping[str, Array]) -> None:
    """The mean time of each call, one stacked bar a policy."""
    palette = [BLUE, SKY, GREEN, ORANGE, RED, PURPLE]
    names = list(calls_us)
    left = np.zeros(len(names))
    for n, call in enumerate(CALLS):
        mean_us = np.array([calls[:, n].mean() for calls in calls_us.values()])
        axes.barh(names, mean_us, left=left, color=palette[n], label=call, height=0.65)
        left += mean_us
    axes.invert_yaxis()
    axes.set_xlabel("mean duration of each call, us")
    axes.legend(
        ncols=len(CALLS), fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1)
    )
    _bare(axes)


def _panels(series: Mapping[str, Series], runs: Runs, labels: list[str]) -> Figure | None:
    """One panel a label, sharing the time axis, with a line for each policy."""
    shown = {name: one for name, one in series.items() if len(one.t_ns)}
    if not shown or not labels:
        return None
    colour = colours(list(runs))
    figure = Figure((WIDTH_IN, 0.7 + 1.45 * len(labels)), layout="constrained")
    panels = figure.subplots(len(labels), sharex=True, squeeze=False)[:, 0]
    for n, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        for name, one in shown.items():
            axes.plot(
                one.t_ns * 1e-9, one.values[:, n], color=colour[name], label=name, linewidth=1.1
            )
        axes.set_ylabel(label, fontsize=9)
        _mark_changes(axes, next(iter(runs.values())))
        _bare(axes)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    figure.align_ylabels()
    panels[-1].set(xlabel="time, s", xlim=(0, max(duration_s(run) for run in runs.values())))
    return figure


def _mark_changes(axes: Axes, recording: Recording) -> None:
    """A dashed line where the scenario changes the world."""
    for at_s in change_times_s(recording):
        axes.axvline(at_s, color=GREY, linewidth=0.9, linestyle="--")


def change_times_s(recording: Recording) -> list[float]:
    """When the scenario changes the world, by the key `changes` of the world's configuration."""
    world = recording.start.config.get("world") or {}
    changes: list[dict[str, Any]] = world.get("config", {}).get("changes") or []
    return [float(change["at_s"]) for change in changes]


def duration_s(recording: Recording) -> float:
    """How long the run took, in loop time."""
    return max(recording.last_ns, 1) * 1e-9


def cameras(recording: Recording) -> list[str]:
    """The streams of camera events."""
    streams = sorted(recording.streams)
    return [stream for stream in streams if recording.schema(stream) is Schema.EVENTS]


def _tidy(axes: Axes) -> None:
    axes.legend(fontsize=9, frameon=False, loc="upper right")
    _bare(axes)


def _bare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9)
