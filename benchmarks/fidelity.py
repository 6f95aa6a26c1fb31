"""How close the camera's events come to those of a much finer one; one JSON object.

    python benchmarks/fidelity.py [--scene kuka ...] [--camera adaptive ...] [--finer 2] [--hz 4000]

Scenes of PyBullet's own models, 128 x 128 pixels, ideal and with the default thresholds. The
reference takes 64 samples in every pixel (8 x 8), every 0.25 ms. How far it may be trusted itself
is found with a finer one: `--finer 4` takes 256 samples in every pixel, `--finer 8` 64 and, where
there is an edge, 1024 or more; `--hz` sets how often it looks. The cameras under test look every
1 ms, as in a loop of 1 kHz:

- `adaptive`: the defaults of RendererSpec and ShutterSpec: samples at edges, a picture whenever
  something has moved by `motion_px`;
- `edges`, `4x4`, `1`, `8x8`: a picture every 1 ms, with samples at edges, in all pixels, with one
  in each, or with those of the reference;
- `8x8_4khz`: the reference of `--finer 2`, to be compared with a finer one.

Of each, against the reference:

- `events`: how many, over the reference's;
- `counts`: Pearson's correlation of the number of events of each pixel and polarity;
- `counts_10_ms`: the same by bins of 10 ms, which also asks when they came;
- `intervals`: correlation of the histograms of intervals between two events of a pixel, in 40 bins
  evenly spaced in their logarithm from 10 us to 1 s;
- `intervals_ks`: largest distance of their distributions (Kolmogorov & Smirnov);
- `bursts`: share of the events that come within 0.2 ms of the pixel's last;
- `pictures` drawn, and `ms`: CPU time for each millisecond seen, rendering and pixels.

`noise`: of each preset, in a still scene of 100 DN for a minute, events a second and pixel: of leak
alone (ON) and of shot noise alone (ON and OFF), as `declared` (leak: the mean of its log-normal
distribution; shot: with the mean of nominal over own threshold) and as `measured`. OFF events of
leak: `leak_off`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from math import pi, sin
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from pixel_plots import film
from raster import ARM, load

from reflexarc.runtime.batch import EVENT
from reflexarc.runtime.physics import bullet
from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.pixels import PixelSpec, Preset, make_pixels
from reflexarc.sensors.renderer import RasterRenderer, RendererSpec, Samples
from reflexarc.sensors.scene import Scene

Array: TypeAlias = npt.NDArray[Any]
SIDE = 128
FINE_NS, LOOP_NS = 250_000, 1_000_000
#: Samples of the reference by how many times as wide and high as its pixels it draws.
FINER: dict[int, Samples] = {2: "4x4", 4: "4x4", 8: "edges"}
BURST_US, BIN_US = 200, 10_000
STILL_DN = 100.0
EDGES_US = np.geomspace(10, 1e6, 41)
#: Samples of each camera, and how many times as wide and high as its pixels it draws.
CAMERAS: dict[str, tuple[Samples, int]] = {
    "adaptive": ("edges", 1),
    "edges": ("edges", 1),
    "4x4": ("4x4", 1),
    "1": ("1", 1),
    "8x8": ("4x4", 2),
    "8x8_4khz": ("4x4", 2),
}


class Act(NamedTuple):
    """Models, where the camera stands, and a function that puts them where they are at a time."""

    files: Sequence[str]
    mount: MountSpec
    put: Callable[[int, float], None]


def joints(client: int, body: int, angles: Sequence[float]) -> None:
    """Put the joints of a body."""
    for joint, angle in enumerate(angles):
        bullet().resetJointState(body, joint, angle, physicsClientId=client)


def place(client: int, body: int, at_m: Sequence[float], turned: Sequence[float]) -> None:
    """Put a body, turned by Euler angles."""
    turn = bullet().getQuaternionFromEuler(turned)
    bullet().resetBasePositionAndOrientation(body, at_m, turn, physicsClientId=client)


def sway(client: int, t_s: float) -> None:
    """Each joint of an arm follows a sine of its own."""
    joints(client, 0, [0.4 + 0.6 * sin(2 * pi * (0.4 + 0.1 * n) * t_s) for n in range(7)])


def balance(client: int, t_s: float) -> None:
    """A cart runs to and fro, and its pole swings."""
    joints(client, 0, [0.4 * sin(2 * pi * 0.8 * t_s), 0.5 * sin(2 * pi * 1.3 * t_s + 0.3)])


def throw(client: int, t_s: float) -> None:
    """A ball flies across the picture in a second, spinning."""
    height = 0.6 + 4.5 * t_s - 9.81 / 2 * t_s**2
    place(client, 1, (-2.6 + 5.2 * t_s, 0.0, height), (3.0 * t_s, 9.0 * t_s, 0.0))


def orbit(client: int, t_s: float) -> None:
    """A textured floor and a cube on it turn under the camera."""
    angle = 0.8 * sin(2 * pi * 0.7 * t_s)
    shift = 0.3 * sin(2 * pi * 0.4 * t_s)
    place(client, 0, (shift, 0.0, 0.0), (0.0, 0.0, angle))
    place(client, 1, (shift, 0.0, 0.5), (0.0, 0.0, 0.4 + angle))


ACTS = {
    "kuka": Act(["kuka_iiwa/model.urdf"], ARM, sway),
    "cartpole": Act(
        ["cartpole.urdf"], MountSpec(position_m=(0, -2.5, 0.5), target_m=(0, 0, 0.5)), balance
    ),
    "ball": Act(
        ["plane.urdf", "soccerball.urdf"],
        MountSpec(position_m=(0, -5, 2), target_m=(0, 0, 1)),
        throw,
    ),
    "texture": Act(
        ["plane.urdf", "cube.urdf"], MountSpec(position_m=(0, -2.5, 2), target_m=(0, 0, 0)), orbit
    ),
}


class Camera:
    """Ideal pixels, and the CPU time that they and their pictures take."""

    def __init__(self, samples: Samples, finer: int, scene: Scene, mount: Mount) -> None:
        spec = RendererSpec(width=finer * SIDE, height=finer * SIDE, samples=samples)
        self.renderer = RasterRenderer(spec, scene, mount)
        self.pixels = make_pixels(PixelSpec(), SIDE, SIDE, np.random.default_rng(0))
        self._blocks = (SIDE, finer, SIDE, finer)
        self._seen: list[Array] = []
        self.pictures, self.spent_s = 0, 0.0

    def look(self, now_ns: int) -> None:
        """What there is to see now."""
        start = time.process_time()
        self._seen.append(self._events(now_ns))
        self.spent_s += time.process_time() - start

    def _events(self, now_ns: int) -> Array:
        """Those since the last look, by one picture more."""
        picture = self.renderer()
        self.pictures += 1
        if picture.shape != (SIDE, SIDE):
            picture = picture.reshape(self._blocks).mean(axis=(1, 3))
        return np.asarray(self.pixels.expose(picture, now_ns, EVENT))

    @property
    def events(self) -> Array:
        """All so far."""
        return np.concatenate(self._seen)


class Adaptive(Camera):
    """The camera with a shutter that follows motion."""

    def __init__(self, samples: Samples, finer: int, scene: Scene, mount: Mount) -> None:
        super().__init__(samples, finer, scene, mount)
        self._camera = AdaptiveCamera("camera", self.renderer, self.pixels, ShutterSpec())

    def _events(self, now_ns: int) -> Array:
        self._camera.step(now_ns)
        self.pictures = self._camera.rendered
        return self._camera.read(now_ns).values


# --- comparison -------------------------------------------------------------------------------


def pixel_of(events: Array) -> Array:
    """A number for each pixel."""
    return np.asarray(events["y"].astype(np.int64) * SIDE + events["x"])


def counts(events: Array, bin_us: int) -> Array:
    """Events of each pixel, polarity and bin of time, as one row of numbers."""
    cell = (events["t"] // np.uint64(bin_us)).astype(np.int64)
    cell = (cell * 2 + events["p"]) * SIDE**2 + pixel_of(events)
    return np.asarray(np.bincount(cell))


def correlation(one: Array, other: Array) -> float:
    """Pearson's, of rows that may end early."""
    longest = max(len(one), len(other))
    rows = [np.pad(row, (0, longest - len(row))) for row in (one, other)]
    return float(np.corrcoef(rows[0], rows[1])[0, 1])


def intervals_us(events: Array) -> Array:
    """Between two events of a pixel, in order of length."""
    pixel = pixel_of(events)
    order = np.lexsort((events["t"], pixel))
    between = np.diff(events["t"][order].astype(np.int64))
    return np.asarray(np.sort(between[np.diff(pixel[order]) == 0]))


def furthest(one: Array, other: Array) -> float:
    """Kolmogorov & Smirnov's distance of two sorted samples."""
    places = np.concatenate([one, other])
    shares = [np.searchsorted(row, places, side="right") / len(row) for row in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def compared(events: Array, reference: Array, whole_us: int) -> dict[str, float]:
    """The figures of the module's docstring."""
    own, fine = intervals_us(events), intervals_us(reference)
    histograms = [np.histogram(row.clip(10, 999_999), EDGES_US)[0] for row in (own, fine)]
    found = {
        "events": len(events) / len(reference),
        "counts": correlation(counts(events, whole_us), counts(reference, whole_us)),
        "counts_10_ms": correlation(counts(events, BIN_US), counts(reference, BIN_US)),
        "intervals": correlation(*histograms),
        "intervals_ks": furthest(own, fine),
        "bursts": float(np.mean(own < BURST_US)),
    }
    return {name: round(value, 4) for name, value in found.items()}


def filmed(
    name: str, cameras: Sequence[str], seconds: float, finer: int, hz: int
) -> dict[str, Any]:
    """One scene, seen by all cameras at once."""
    act = ACTS[name]
    client = load(list(act.files))
    act.put(client, 0.0)
    scene, mount = Scene(client), Mount(act.mount)
    fine, fine_ns = Camera(FINER[finer], finer, scene, mount), 10**9 // hz
    tried = {
        camera: (Adaptive if camera == "adaptive" else Camera)(*CAMERAS[camera], scene, mount)
        for camera in cameras
    }
    end_ns = round(seconds * 1e3) * LOOP_NS
    for now_ns in range(0, end_ns + 1, fine_ns):
        act.put(client, now_ns * 1e-9)
        fine.look(now_ns)
        for kind, camera in tried.items():
            if now_ns % (FINE_NS if kind == "8x8_4khz" else LOOP_NS) == 0:
                camera.look(now_ns)
    bullet().disconnect(physicsClientId=client)
    reference = fine.events
    found: dict[str, Any] = {
        "reference_events": len(reference),
        "reference_bursts": round(float(np.mean(intervals_us(reference) < BURST_US)), 4),
    }
    for kind, one in tried.items():
        ms = round(one.spent_s * 1e3 / (end_ns // LOOP_NS + 1), 3)
        figures = compared(one.events, reference, end_ns)
        found[kind] = {**figures, "pictures": one.pictures, "ms": ms}
    return found


# --- noise ------------------------------------------------------------------------------------


def rates_hz(spec: PixelSpec) -> tuple[float, float]:
    """ON and OFF events a second and pixel of a still scene."""
    frames, dt_us = 600, 100_000
    still = np.full((SIDE, SIDE), STILL_DN)
    on = film(spec, [still] * (frames + 1), dt_us)["p"]
    whole = SIDE**2 * frames * dt_us * 1e-6
    return np.count_nonzero(on) / whole, np.count_nonzero(~on) / whole


def noise(preset: Preset) -> dict[str, Any]:
    """Rates of a preset, each noise by itself."""
    spec = PixelSpec(preset=preset)
    spread = 1 + spec.mismatch * np.random.default_rng(1).standard_normal(10**6)
    over_own = np.mean(1 / np.maximum(0.1, spread))
    leak_hz = spec.leak_rate_hz * np.exp((spec.leak_spread_decades * np.log(10)) ** 2 / 2)
    shot_hz = spec.shot_rate_hz / 2 * (1 - 0.75 * (STILL_DN + 20) / 275) * over_own
    leak, leak_off = rates_hz(PixelSpec(preset=preset, shot_rate_hz=0.0))
    shot = rates_hz(PixelSpec(preset=preset, leak_rate_hz=0.0))
    return {
        "leak": {"declared": float(f"{leak_hz:.4g}"), "measured": float(f"{leak:.4g}")},
        "leak_off": leak_off,
        "shot_on_off": {
            "declared": float(f"{shot_hz:.3g}"),
            "measured": [float(f"{rate:.3g}") for rate in shot],
        },
    }


def main() -> None:
    """Film and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scene", nargs="*", choices=ACTS, default=list(ACTS))
    parser.add_argument("--camera", nargs="*", choices=CAMERAS, default=list(CAMERAS)[:-1])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--finer", type=int, choices=FINER, default=2)
    parser.add_argument("--hz", type=int, choices=(4000, 8000, 16000), default=4000)
    parser.add_argument("--no-noise", action="store_true", help="leave out the noise of presets")
    arguments = parser.parse_args()
    found: dict[str, Any] = {
        name: filmed(name, arguments.camera, arguments.seconds, arguments.finer, arguments.hz)
        for name in arguments.scene
    }
    if not arguments.no_noise:
        found["noise"] = {preset: noise(preset) for preset in get_args(Preset)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
