"""The figures of the simulated camera as a whole; one JSON object.

    python benchmarks/camera.py [--python ENV/bin/python] [--minutes 60]

- `128x128`, `346x260`: a kuka arm that moves, seen every 1 ms; medians of the CPU time of a frame,
  one thread, all taking turns of BLOCK frames. `ms` with samples at edges (the default) or `4x4`
  and ideal pixels, and with all that is not ideal (`noisy`): rendering and pixels. `adaptive` under
  the default shutter: the mean of a millisecond, for many have no picture. `tiny`: TinyRenderer's
  picture alone, with one ray and with 16 in a pixel. `ratio` is its time over that of `ms.edges`.
- `pixels`: that of benchmarks/pixels.py, with the peers of `--python`.
- `long`: the camera of pole-balance (64 x 48, every 4 ms) before a cart-pole that moves, noisy, for
  so many simulated minutes: whether a camera that starts an hour later on the clock gives the same
  events an hour later, to the microsecond, and what the process grew by after its first minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Any

import numpy as np
from fidelity import ACTS
from pixels import SPECS, measured
from raster import load

from reflexarc.ext.pixels import PixelArray
from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.physics import bullet
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.mount import Mount
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import RasterRenderer, Renderer, RendererSpec, make_renderer
from reflexarc.sensors.scene import Scene

SIZES = ((128, 128), (346, 260))
BLOCK = 20
FRAME_NS, HOUR_NS = 1_000_000, 3_600_000_000_000
Look = Callable[[int], object]


def pixels_for(spec: RendererSpec, pixels: PixelSpec) -> PixelArray:
    """The same ones each time."""
    return make_pixels(pixels, spec.width, spec.height, np.random.default_rng(0))


def seen(renderer: Renderer, pixels: PixelArray) -> Look:
    """A picture and its events."""
    return lambda now_ns: pixels.expose(renderer(), now_ns, EVENT)


def shuttered(renderer: RasterRenderer, pixels: PixelArray) -> Look:
    """The events under a shutter that follows motion."""
    camera = AdaptiveCamera("camera", renderer, pixels, ShutterSpec())

    def look(now_ns: int) -> None:
        camera.step(now_ns)
        camera.read(now_ns)

    return look


def looks(size: tuple[int, int], scene: Scene, mount: Mount) -> dict[str, Look]:
    """All that is measured, by name."""

    def spec(**said: str) -> RendererSpec:
        return RendererSpec.model_validate({"width": size[0], "height": size[1], **said})

    def ours(**said: str) -> RasterRenderer:
        return RasterRenderer(spec(**said), scene, mount)

    def tiny(samples: str) -> Look:
        renderer = make_renderer(spec(renderer="tiny", samples=samples), scene, mount)
        return lambda _: renderer()

    clean, noisy = (pixels_for(spec(), SPECS[kind]) for kind in ("clean", "noisy"))
    return {
        "edges": seen(ours(), clean),
        "4x4": seen(ours(samples="4x4"), pixels_for(spec(), SPECS["clean"])),
        "noisy": seen(ours(), noisy),
        "adaptive": shuttered(ours(), pixels_for(spec(), SPECS["clean"])),
        "tiny_1": tiny("1"),
        "tiny_4x4": tiny("4x4"),
    }


def framed(size: tuple[int, int], frames: int) -> dict[str, Any]:
    """CPU times of a frame, in ms."""
    act = ACTS["kuka"]
    client = load(list(act.files))
    tried = looks(size, Scene(client), Mount(act.mount))
    taken: dict[str, list[float]] = {name: [] for name in tried}
    for block in range(0, frames, BLOCK):
        for name, look in tried.items():
            for n in range(block, block + BLOCK):
                act.put(client, n * FRAME_NS * 1e-9)
                start = time.process_time()
                look(n * FRAME_NS)
                taken[name].append((time.process_time() - start) * 1e3)
    bullet().disconnect(physicsClientId=client)
    ms = {name: statistics.median(row[1:]) for name, row in taken.items()}
    return {
        "ms": {name: round(ms[name], 3) for name in ("edges", "4x4", "noisy")},
        "adaptive_ms": round(statistics.mean(taken["adaptive"][1:]), 3),
        "tiny_ms": {name[5:]: round(ms[name], 3) for name in ("tiny_1", "tiny_4x4")},
        "ratio": {name[5:]: round(ms[name] / ms["edges"], 1) for name in ("tiny_1", "tiny_4x4")},
        "hz": {name: round(1e3 / ms[name]) for name in ("edges", "noisy")},
    }


def resident_kb() -> int:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize() // 1024


def lasted(minutes: float) -> dict[str, Any]:
    """What a long time leaves behind."""
    act, period_ns = ACTS["cartpole"], 4_000_000
    client = load(list(act.files))
    spec = RendererSpec(width=64, height=48)
    renderer = RasterRenderer(spec, Scene(client), Mount(act.mount))
    pixels, late = (pixels_for(spec, SPECS["noisy"]) for _ in "ab")
    count, same, memory_kb = 0, True, []
    frames = round(minutes * 60e9 / period_ns)
    for n in range(frames + 1):
        now_ns = n * period_ns
        act.put(client, now_ns * 1e-9)
        picture = renderer()
        events = pixels.expose(picture, now_ns, EVENT)
        shifted = late.expose(picture, now_ns + HOUR_NS, EVENT)
        shifted["t"] -= np.uint64(HOUR_NS // 1000)
        same = same and events.tobytes() == shifted.tobytes()
        count += len(events)
        if now_ns % 60_000_000_000 == 0:
            memory_kb.append(resident_kb())
    bullet().disconnect(physicsClientId=client)
    return {
        "minutes": minutes,
        "frames": frames + 1,
        "events": count,
        "dropped": pixels.dropped,
        "same_an_hour_later": same,
        "grown_kb": memory_kb[-1] - memory_kb[min(1, len(memory_kb) - 1)],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", help="of the peers' environment")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    found = {
        **{f"{w}x{h}": framed((w, h), options.frames) for w, h in SIZES},
        "pixels": measured(options.python, 128, 128, options.frames),
        "long": lasted(options.minutes),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
