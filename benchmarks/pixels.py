"""What the pixels of an event camera cost; one JSON object.

    python benchmarks/pixels.py [--python ENV/bin/python] [--width 128 --height 128]

Nanoseconds a pixel and frame (medians) of a still and of a moving scene at 1 kHz, ideal and with
all that is not ideal (v2e's `noisy`, a refractory period and a readout). Beside them in the same
run: copying as many bytes as the state of a pixel has, and, with `--python` of an environment that
benchmarks/pixel_peers.py describes, v2e and OpenEB's simulator on the same frames, one thread each.
`ratio` is the peer's time over ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.clock import perf_ns
from reflexarc.sensors.pixels import PixelSpec, make_pixels

DT_US = 1000
SPECS = {
    "clean": PixelSpec(),
    "noisy": PixelSpec(preset="v2e_noisy", refractory_us=500, readout_rate_hz=12e6),
}
#: Bytes of a pixel that a frame reads and writes: level and reference twice, thresholds and leak.
STATE_BYTES = 44
Frames = npt.NDArray[np.uint8]


def scenes(width: int, height: int, frames: int) -> dict[str, Frames]:
    """A texture that stands still, and that moves to the right by a quarter of a pixel a frame."""
    generator = np.random.default_rng(0)
    coarse = generator.uniform(20, 250, (height // 8 + 1, width // 8 + 1 + frames // 16))
    texture = np.kron(coarse, np.ones((8, 8)))
    moving = np.empty((frames, height, width))
    for n in range(frames):
        whole, part = divmod(n, 4)
        left, right = (texture[:height, k : k + width] for k in (whole, whole + 1))
        moving[n] = left + (right - left) * part / 4
    moving = np.rint(moving[::-1]).astype(np.uint8)
    return {"still": np.repeat(moving[:1], frames, axis=0), "moving": moving}


def ours(frames: Frames, spec: PixelSpec) -> dict[str, float]:
    """Nanoseconds and events a frame."""
    height, width = frames[0].shape
    pixels, taken, count = make_pixels(spec, width, height, np.random.default_rng(0)), [], 0
    for n, frame in enumerate(frames):
        start = perf_ns()
        count += len(pixels.expose(frame, n * DT_US * 1000, EVENT))
        taken.append(perf_ns() - start)
    return {"frame_ns": statistics.median(taken[1:]), "events": count / (len(frames) - 1)}


def copied(n: int) -> float:
    """Nanoseconds of copying what a frame of n pixels has to touch at least."""
    source = np.zeros(n * STATE_BYTES // 2, np.uint8)
    target = np.zeros_like(source)
    return statistics.median(clocked(lambda: np.copyto(target, source)) for _ in range(300))


def clocked(work: Callable[[], object]) -> int:
    """Nanoseconds that it takes."""
    start = perf_ns()
    work()
    return perf_ns() - start


def measured(python: str | None, width: int, height: int, frames: int) -> dict[str, Any]:
    """All of it; with the peers of another environment if its `python` is given."""
    made = scenes(width, height, frames)
    taken = {
        f"{scene}/{kind}": {"reflexarc": ours(film, spec)}
        for scene, film in made.items()
        for kind, spec in SPECS.items()
    }
    if python:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scenes.npz"
            np.savez(path, dt_us=DT_US, **made)
            script = Path(__file__).with_name("pixel_peers.py")
            done = subprocess.run(
                [python, script, "time", path], check=True, capture_output=True, text=True
            )
        for case, peers in json.loads(done.stdout.splitlines()[-1]).items():
            taken[case].update(peers)
    n = width * height
    return {
        "pixels": n,
        "copy_ns_per_pixel": round(copied(n) / n, 3),
        **{case: figures(engines, n) for case, engines in taken.items()},
    }


def figures(engines: dict[str, dict[str, float]], n: int) -> dict[str, Any]:
    """Per pixel, and the ratios of the peers to ours."""
    own_ns = engines["reflexarc"]["frame_ns"]
    return {
        name: {
            "ns_per_pixel": round(taken["frame_ns"] / n, 3),
            "events_per_frame": round(taken["events"], 1),
            **({"ratio": round(taken["frame_ns"] / own_ns, 1)} if name != "reflexarc" else {}),
        }
        for name, taken in engines.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="of the peers' environment")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--frames", type=int, default=400)
    options = parser.parse_args()
    found = measured(options.python, options.width, options.height, options.frames)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
