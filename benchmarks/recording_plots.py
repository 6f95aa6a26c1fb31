"""A recording of a DAVIS346 beside a simulation of what it shows, with the preset of that sensor.

    python benchmarks/recording_plots.py davis346.aedat4 OUT.png

The recording is `tests/data/davis346.aedat4` of github.com/aestream/faery: cars on a road, seen
from above by a camera that stands still. The simulated cars are boxes whose size, place and speed
were read off its picture, and whose greys were guessed. Prints what the figure shows as one JSON
object; rates are events a second, `quiet_hz` those of a pixel where no car is, intervals are
between two events of a pixel.
"""

from __future__ import annotations

import json
import sys
from math import atan, degrees
from typing import Any, NamedTuple, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from reflexarc.runtime.physics import bullet
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.recording import RecordingReader
from reflexarc.sensors.renderer import RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Scene

Array: TypeAlias = npt.NDArray[Any]
WIDTH, HEIGHT, SECONDS = 346, 260, 2.36
STEP_NS = 1_000_000
FOCAL_PX = 1000.0
SHOWN_S = (1.4, 1.46)
QUIET_ROWS = 110
SHADES = ("#1b5e9b", "#d9822b")


class Car(NamedTuple):
    """Pixels: where its middle is at 0 s, how far it goes in a second, and its length."""

    at: tuple[float, float]
    goes: tuple[float, float]
    long: float


CARS = (
    Car((52.0, 232.0), (92.0, -29.0), 36.0),
    Car((219.0, 162.0), (29.0, -7.5), 20.0),
    Car((420.0, 135.0), (-90.0, 21.0), 30.0),
)
#: Parts of a car: half sizes and middle along, across and upwards in lengths of it, and grey.
PARTS = (
    ((0.5, 0.2, 0.07), (0.0, 0.0, 0.07), 0.55),
    ((0.27, 0.17, 0.06), (-0.03, 0.0, 0.2), 0.2),
    ((0.22, 0.16, 0.01), (-0.03, 0.0, 0.27), 0.55),
)


def build(client: int) -> list[list[int]]:
    """The bodies of each car."""
    return [[_part(client, car, *part) for part in PARTS] for car in CARS]


def _part(client: int, car: Car, half: Any, middle: Any, grey: float) -> int:
    size, at = (np.array(each) * car.long for each in (half, middle))
    shape = bullet().createVisualShape(
        bullet().GEOM_BOX,
        halfExtents=size.tolist(),
        visualFramePosition=at.tolist(),
        rgbaColor=(grey, grey, grey, 1),
        physicsClientId=client,
    )
    body: int = bullet().createMultiBody(baseVisualShapeIndex=shape, physicsClientId=client)
    return body


def put(client: int, bodies: list[list[int]], t_s: float) -> None:
    """Cars are where they are at a time: FOCAL_PX metres away, so that a metre is a pixel."""
    for car, parts in zip(CARS, bodies, strict=True):
        x, y = (a + v * t_s for a, v in zip(car.at, car.goes, strict=True))
        heading = atan(-car.goes[1] / car.goes[0])
        # seen from 35 degrees above
        turn = bullet().multiplyTransforms(
            (0, 0, 0), bullet().getQuaternionFromEuler((0.6, 0, 0)),
            (0, 0, 0), bullet().getQuaternionFromEuler((0, 0, 1.4 * heading)),
        )[1]  # fmt: skip
        place = (x - WIDTH / 2, FOCAL_PX, HEIGHT / 2 - y)
        for body in parts:
            bullet().resetBasePositionAndOrientation(body, place, turn, physicsClientId=client)


def simulated() -> Array:
    """The events of a davis346 before these cars."""
    client = bullet().connect(bullet().DIRECT)
    bodies = build(client)
    put(client, bodies, 0.0)
    lens = {"field_of_view_deg": 2 * degrees(atan(HEIGHT / 2 / FOCAL_PX))}
    light = {"background": 0.35, "ambient": 0.5}
    spec = {"width": WIDTH, "height": HEIGHT, "lens": lens, "light": light}
    mount = Mount(MountSpec(position_m=(0, 0, 0), target_m=(0, 1, 0)))
    renderer = RasterRenderer(RendererSpec.model_validate(spec), Scene(client), mount)
    generator = np.random.default_rng(0)
    pixels = make_pixels(PixelSpec(preset="davis346"), WIDTH, HEIGHT, generator)
    camera = AdaptiveCamera("camera", renderer, pixels, ShutterSpec())
    seen = []
    for now_ns in range(0, round(SECONDS * 1e9) + 1, STEP_NS):
        put(client, bodies, now_ns * 1e-9)
        camera.step(now_ns)
        seen.append(camera.read(now_ns).values)
    bullet().disconnect(physicsClientId=client)
    return np.concatenate(seen)


def recorded(path: str) -> Array:
    """The events of the recording, from 0 us on."""
    events = np.concatenate(list(RecordingReader(path)))
    events["t"] -= events["t"][0]
    return events


def intervals_us(events: Array) -> Array:
    """Between two events of a pixel."""
    pixel = events["y"].astype(np.int64) * WIDTH + events["x"]
    order = np.lexsort((events["t"], pixel))
    between = np.diff(events["t"][order].astype(np.int64))
    return np.asarray(between[np.diff(pixel[order]) == 0])


def figures(events: Array) -> dict[str, float]:
    """What can be said of events in numbers."""
    between = intervals_us(events)
    quiet = np.count_nonzero(events["y"] < QUIET_ROWS)
    return {
        "events": len(events),
        "rate_hz": round(len(events) / SECONDS),
        "on": round(float(events["p"].mean()), 3),
        "quiet_hz": round(quiet / (QUIET_ROWS * WIDTH) / SECONDS, 4),
        "interval_us_5": float(np.quantile(between, 0.05)),
        "interval_us_50": float(np.median(between)),
        "interval_us_95": float(np.quantile(between, 0.95)),
    }


def draw_picture(axes: Any, events: Array, title: str) -> None:
    """ON less OFF events in the time shown."""
    t_s = events["t"] * 1e-6
    shown = events[(t_s >= SHOWN_S[0]) & (t_s < SHOWN_S[1])]
    picture = np.zeros((HEIGHT, WIDTH))
    np.add.at(picture, (shown["y"], shown["x"]), np.where(shown["p"], 1, -1))
    axes.imshow(picture, cmap="RdBu_r", vmin=-2.5, vmax=2.5, interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])


def draw(path: str, films: dict[str, Array]) -> None:
    """Pictures above, rate and intervals below."""
    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    bins_us = np.geomspace(100, 3e6, 60)
    for k, ((name, events), shade) in enumerate(zip(films.items(), SHADES, strict=True)):
        length = f"{SHOWN_S[0]:g} to {SHOWN_S[1]:g} s"
        draw_picture(axes[0, k], events, f"{name}, {length}; red ON, blue OFF")
        rate = np.bincount((events["t"] // np.uint64(20_000)).astype(np.int64)) / 0.02
        axes[1, 0].plot(np.arange(len(rate) - 1) * 0.02, rate[:-1] / 1e3, color=shade, label=name)
        axes[1, 1].hist(
            intervals_us(events) / 1e3, bins_us / 1e3, density=False, histtype="step",
            color=shade, label=name, linewidth=1.5,
        )  # fmt: skip
    axes[1, 0].set(xlabel="time, s", ylabel="thousand events a second", ylim=(0, None))
    axes[1, 1].set(xlabel="time between two events of a pixel, ms", ylabel="events", xscale="log")
    for one in axes[1]:
        one.legend(frameon=False)
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=75)


def main() -> None:
    """Draw the recording named first into the file named second."""
    recording, out = sys.argv[1:]
    films = {"recorded": recorded(recording), "simulated": simulated()}
    draw(out, films)
    print(json.dumps({name: figures(events) for name, events in films.items()}, indent=1))


if __name__ == "__main__":
    main()
