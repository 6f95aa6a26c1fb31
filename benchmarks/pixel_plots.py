"""The pixels of an event camera beside v2e and ESIM, drawn from the goldens of both.

    python benchmarks/pixel_plots.py docs/event-camera-pixels.png

tests/conformance/pixel_goldens.json (by benchmarks/pixel_peers.py) has the peers' part; ours is
simulated here on the same intensities. Prints what the figure shows as one JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import EVENT
from reflexarc.sensors.pixels import PRESETS, PixelSpec, make_pixels

Array: TypeAlias = npt.NDArray[Any]
GOLDENS = Path(__file__).parents[1] / "tests/conformance/pixel_goldens.json"
SHADES = ("#1b5e9b", "#d9822b", "#3d8f52")
STILL_DN = (2, 5, 20, 50, 100, 150, 200, 250)


def film(spec: PixelSpec, frames_dn: Iterable[Any], dt_us: float, seed: int = 0) -> Array:
    """The events of frames in DN."""
    pixels, seen = None, []
    for n, frame in enumerate(frames_dn):
        frame = np.asarray(frame, np.float64)
        if pixels is None:
            pixels = make_pixels(spec, frame.shape[1], frame.shape[0], np.random.default_rng(seed))
        seen.append(pixels.expose(frame / 255, round(n * dt_us * 1000), EVENT))
    return np.concatenate(seen)


def counted(events: Array, shape: tuple[int, int]) -> Array:
    """Events of each pixel."""
    counts = np.zeros(shape, int)
    np.add.at(counts, (events["y"], events["x"]), 1)
    return counts


def draw_transfer(axes: Any, golden: dict[str, Any]) -> dict[str, int]:
    """Events a period of a sine over its frequency; marks are v2e's."""
    hz, dn = np.array(golden["hz"]), np.array(golden["dn"])[:, None]
    t_s = np.arange(golden["frames"]) * golden["dt_us"] * 1e-6
    frames = (dn * np.exp(golden["amplitude_ln"] * np.sin(2 * np.pi * hz * t)) for t in t_s)
    spec = PixelSpec(cutoff_hz=golden["cutoff_hz"] or None)
    own = counted(film(spec, frames, golden["dt_us"]), (len(dn), len(hz)))
    theirs = np.array(golden["on"]) + np.array(golden["off"])
    periods = hz * t_s[-1]
    for row, (value, colour) in enumerate(zip(golden["dn"], SHADES, strict=True)):
        label = f"{value:g} DN"
        axes.semilogx(hz, own[row] / periods, color=colour, label=label)
        axes.semilogx(hz, theirs[row] / periods, "o", color=colour, mfc="none", ms=7)
    axes.set(title=f"Sine of 0.9 ln, bandwidth {golden['cutoff_hz']:g} Hz in white light")
    axes.set(xlabel="frequency, Hz (lines: here, circles: v2e)", ylabel="events a period")
    axes.legend(frameon=False)
    return {
        "events": int(own.sum()),
        "v2e": int(theirs.sum()),
        "apart": int(abs(own - theirs).sum()),
    }


def draw_steps(axes: Any, golden: dict[str, Any]) -> dict[str, float]:
    """Times of the events of steps by a factor of 3; marks are v2e's."""
    pairs = list(zip(golden["before_dn"], golden["after_dn"], strict=True))
    frames = [[golden["before_dn"]]] + [[golden["after_dn"]]] * (golden["frames"] - 1)
    events = film(PixelSpec(cutoff_hz=golden["cutoff_hz"]), frames, golden["dt_us"])
    apart_us = []
    for row, (before, after) in enumerate(pairs):
        own = events["t"][events["x"] == row] / 1000
        theirs = np.array([t for t, x, _ in golden["events"] if x == row]) / 1000
        colour = SHADES[0] if after > before else SHADES[1]
        axes.plot(own, np.full(len(own), row), "|", color=colour, ms=16, mew=1.5)
        axes.plot(theirs, np.full(len(theirs), row), "o", color=colour, mfc="none", ms=7)
        apart_us += list(np.abs(own - theirs) * 1000)
    axes.set_xscale("log")
    axes.set_yticks(range(len(pairs)), [f"{a:g} to {b:g} DN" for a, b in pairs])
    axes.set(title=f"A step at 0, bandwidth {golden['cutoff_hz']:g} Hz, threshold 0.2")
    axes.set(xlabel="time of each event, ms (bars: here, circles: v2e)", ylim=(-0.6, 4.6))
    return {"median_us_apart": float(np.median(apart_us)), "frame_us": golden["dt_us"]}


def draw_esim(axes: Any, golden: dict[str, Any]) -> dict[str, float]:
    """One pixel of the random walks: its level, and what its events say of it."""
    dn, dt_ms = np.array(golden["dn"]), golden["dt_us"] / 1000
    x = 3
    on, off = golden["on_step"][x], golden["off_step"][x]
    spec = PixelSpec(on_threshold=on, off_threshold=off)
    events = film(spec, dn[:, None, x : x + 1], golden["dt_us"])
    theirs = [(t / 1000, p) for t, k, p in golden["events"] if k == x]
    level = np.log(dn[:, x])
    steps = level[0] + np.cumsum(np.where(events["p"], on, -off))
    axes.plot(np.arange(len(level)) * dt_ms, level, color="#999999", label="ln I")
    axes.step(events["t"] / 1000, steps, where="post", color=SHADES[0], label="sum of events")
    low = level.min() - 0.5
    for polarity, shift in ((True, 0.0), (False, -0.2)):
        t_ms = [t for t, p in theirs if p == polarity]
        axes.plot(t_ms, np.full(len(t_ms), low + shift), "|", color=SHADES[1], ms=9)
    axes.set(title="A random walk; marks below: ESIM's ON and OFF events", xlabel="time, ms")
    axes.set(ylabel="ln DN")
    axes.legend(frameon=False, loc="upper right")
    apart = np.abs([t for t, _ in theirs] - events["t"] / 1000) * 1000
    return {"events": len(events), "esim": len(theirs), "most_us_apart": float(apart.max())}


def draw_noise(axes: Any, shot: list[dict[str, float]]) -> dict[str, Any]:
    """Shot noise of 5 Hz in still scenes; marks are v2e's."""
    side, seconds = 100, 10.0
    rates = []
    for dn in STILL_DN:
        still = np.full((side, side), dn)
        events = film(PixelSpec(shot_rate_hz=5.0), [still] * 1001, seconds * 1000, seed=dn)
        rates.append(np.bincount(events["p"], minlength=2)[::-1] / side**2 / seconds)
    dn = np.linspace(0, 255, 50)
    axes.plot(
        dn,
        2.5 * (1 - 0.75 * (dn + 20) / 275),
        color="#999999",
        label="R/2 (1 - 0.75 (I + 20) / 275)",
    )
    for k, (name, marker) in enumerate((("ON", "^"), ("OFF", "v"))):
        axes.plot(
            STILL_DN, [rate[k] for rate in rates], marker, color=SHADES[0], label=f"{name} here"
        )
        theirs = [golden[f"{name.lower()}_hz"] for golden in shot]
        axes.plot(
            [golden["dn"] for golden in shot],
            theirs,
            marker,
            color=SHADES[1],
            mfc="none",
            ms=11,
            label=f"{name} v2e",
        )
    axes.set(
        title="Shot noise, 5 Hz in the dark",
        xlabel="intensity, DN",
        ylabel="events a second and pixel",
    )
    axes.legend(frameon=False)
    return {str(dn): rate.round(3).tolist() for dn, rate in zip(STILL_DN, rates, strict=True)}


def draw_presets(axes: Any) -> dict[str, Any]:
    """ON and OFF events in a still scene of 100 DN."""
    side, seconds = 128, 60.0
    rates = {}
    for name in PRESETS:
        still = np.full((side, side), 100.0)
        events = film(PixelSpec(preset=name), [still] * 601, seconds * 1e6 / 600, seed=7)
        rates[name] = np.bincount(events["p"], minlength=2)[::-1] / side**2 / seconds
    places = np.arange(len(rates))
    for k, label in enumerate(("ON", "OFF")):
        axes.bar(
            places + 0.2 * (2 * k - 1),
            [rate[k] for rate in rates.values()],
            0.38,
            color=SHADES[k],
            label=label,
        )
    for place, name in enumerate(rates):
        leak = PixelSpec(preset=name).leak_rate_hz
        if name != "v2e_noisy" and leak:
            axes.plot([place - 0.45, place + 0.05], [leak, leak], color="black")
    axes.set_yscale("symlog", linthresh=1e-4)
    axes.set_ylim(0, 10)
    axes.set_xticks(places, list(rates))
    axes.set(
        title="Noise of the presets at 100 DN; lines: stationary noise as published",
        ylabel="events a second and pixel",
    )
    axes.legend(frameon=False)
    return {name: rate.round(4).tolist() for name, rate in rates.items()}


def main() -> None:
    """Draw into the file named on the command line."""
    mpl.use("Agg")
    from matplotlib.figure import Figure

    goldens = json.loads(GOLDENS.read_text())
    figure = Figure(figsize=(13, 12), layout="constrained")
    axes = figure.subplots(3, 2)
    found = {
        "transfer_10_hz": draw_transfer(axes[0, 0], goldens["sines"][1]),
        "transfer_30_hz": draw_transfer(axes[0, 1], goldens["sines"][2]),
        "steps": draw_steps(axes[1, 0], goldens["steps"][2]),
        "esim": draw_esim(axes[1, 1], goldens["esim"]),
        "shot": draw_noise(axes[2, 0], goldens["shot"]),
        "presets": draw_presets(axes[2, 1]),
    }
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[1], dpi=80)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
