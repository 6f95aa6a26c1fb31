"""v2e and OpenEB's simulator on intensities of ours, in an environment of their own.

    ENV/bin/python benchmarks/pixel_peers.py goldens tests/conformance/pixel_goldens.json
    ENV/bin/python benchmarks/pixel_peers.py time SCENES.npz      # called by benchmarks/pixels.py

ENV has v2e (github.com/SensorsINI/v2e, `pip install` of the repository; MIT) and, of OpenEB
(github.com/prophesee-ai/openeb; Apache-2.0), the Python package `metavision_core_ml`. Of the latter
only `video_to_event` is used, whose kernel is the rule of ESIM in numba; the compiled module that
it takes its dtype of events from is replaced here if it is not there.

The goldens say what they were made from:

- `esim`: random walks of ln intensity, OpenEB's kernel, no refractory period: every event.
- `steps`: v2e's times of the events of a step, at each bandwidth.
- `sines`: v2e's numbers of events of I = dn exp(amplitude_ln sin(2 pi hz t)), at each bandwidth.
- `leak`, `shot`: v2e's rates of noise in still scenes.

v2e takes 1 - exp(-eps) as eps, so that frames are short here.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

if importlib.util.find_spec("metavision_sdk_base") is None:
    stand_in = ModuleType("metavision_sdk_base")
    stand_in.EventCD = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    sys.modules["metavision_sdk_base"] = stand_in

from metavision_core_ml.video_to_event import single_image_make_events_cpu
from metavision_core_ml.video_to_event.simulator import EventSimulator
from v2ecore.emulator import EventEmulator

#: All that is not ideal, as v2e's `noisy` has it, and v2e's refractory period.
NOISY = {
    "sigma_thres": 0.05,
    "cutoff_hz": 30.0,
    "leak_rate_hz": 0.1,
    "shot_noise_rate_hz": 5.0,
    "refractory_period_s": 0.0005,
}
CLEAN = {"sigma_thres": 0.0, "leak_rate_hz": 0.0, "leak_jitter_fraction": 0.0}


def emulator(**said: Any) -> EventEmulator:
    """v2e's pixels at thresholds of 0.2."""
    return EventEmulator(device="cpu", seed=1, **said)


def v2e_counts(frames: Any, dt_s: float, **said: Any) -> tuple[Any, Any, list[list[Any]]]:
    """ON and OFF events of each pixel, and [t_us, x, on] of those of the first row."""
    pixels, counts, listed = emulator(**said), None, []
    for n, frame in enumerate(frames):
        counts = np.zeros((2, *frame.shape), int) if counts is None else counts
        events = pixels.generate_events(frame, n * dt_s)
        for t, x, y, p in [] if events is None else events:
            counts[int(p > 0), int(y), int(x)] += 1
            if y == 0:
                listed.append([round(float(t) * 1e6), int(x), bool(p > 0)])
    return counts[1], counts[0], listed


# --- goldens ----------------------------------------------------------------------------------


def esim(n: int = 12, frames: int = 150, dt_us: int = 1000) -> dict[str, Any]:
    """Random walks between 21 and 255 DN."""
    generator = np.random.default_rng(11)
    walk = np.cumsum(generator.normal(0, 0.25, (frames, n)), axis=0)
    low, high = np.log(21), np.log(255)
    levels = low + (high - low) * (0.5 + 0.5 * np.sin(walk))
    dn = np.exp(levels).astype(np.float32)
    on, off = generator.uniform(0.1, 0.4, (2, n)).astype(np.float32)
    buffer = np.zeros(100_000, single_image_make_events_cpu.EventCD)
    reference, last = np.log(dn[:1].astype(float)), np.log(dn[:1].astype(float))
    stamps, found = np.zeros((1, n), np.int32), []
    for k in range(1, frames):
        level = np.log(dn[k : k + 1].astype(float))
        count, _ = single_image_make_events_cpu.make_events_cpu(
            buffer, reference, last, stamps, level, (k - 1) * dt_us, dt_us, on[None], off[None], 0
        )
        found += [[int(e["t"]), int(e["x"]), bool(e["p"])] for e in buffer[:count]]
        last = level
    return {
        "on_step": on.tolist(),
        "off_step": off.tolist(),
        "dn": dn.tolist(),
        "dt_us": dt_us,
        "events": sorted(found),
    }


def steps(cutoff_hz: float, dt_s: float = 1e-4) -> dict[str, Any]:
    """From 20 to 60 and from 60 to 180 DN, the other way, and from dark."""
    before = np.array([[20.0, 60.0, 60.0, 180.0, 5.0]])
    after = np.array([[60.0, 180.0, 20.0, 60.0, 15.0]])
    frames = [before] + [after] * 4000
    _, _, listed = v2e_counts(frames, dt_s, cutoff_hz=cutoff_hz, **CLEAN)
    return {
        "cutoff_hz": cutoff_hz,
        "dt_us": dt_s * 1e6,
        "frames": len(frames),
        "before_dn": before[0].tolist(),
        "after_dn": after[0].tolist(),
        "events": sorted(listed),
    }


def sines(cutoff_hz: float, dt_s: float = 1e-4, seconds: float = 1.0) -> dict[str, Any]:
    """All pairs of frequency and intensity."""
    hz = np.array([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])
    dn = np.array([[25.0], [60.0], [100.0]])
    amplitude_ln = 0.9
    t_s = np.arange(round(seconds / dt_s) + 1) * dt_s
    frames = (dn * np.exp(amplitude_ln * np.sin(2 * np.pi * hz * t)) for t in t_s)
    on, off, _ = v2e_counts(frames, dt_s, cutoff_hz=cutoff_hz, **CLEAN)
    return {
        "cutoff_hz": cutoff_hz,
        "dt_us": dt_s * 1e6,
        "frames": len(t_s),
        "hz": hz.tolist(),
        "dn": dn[:, 0].tolist(),
        "amplitude_ln": amplitude_ln,
        "on": on.tolist(),
        "off": off.tolist(),
    }


def noise(dn: float, side: int = 200, seconds: float = 10.0, **said: Any) -> dict[str, Any]:
    """Rates in a still scene, in frames of 10 ms."""
    frames = [np.full((side, side), dn)] * (round(seconds * 100) + 1)
    counts = np.zeros(2)
    pixels = emulator(**{**CLEAN, **said})
    for n, frame in enumerate(frames):
        events = pixels.generate_events(frame, n * 0.01)
        if events is not None:
            counts += [(events[:, 3] > 0).sum(), (events[:, 3] < 0).sum()]
    on_hz, off_hz = (counts / side**2 / seconds).tolist()
    return {"dn": dn, "pixels": side**2, "seconds": seconds, "on_hz": on_hz, "off_hz": off_hz}


def goldens() -> dict[str, Any]:
    """All of them."""
    bandwidths = [0.0, 10.0, 30.0]
    return {
        "esim": esim(),
        "steps": [steps(cutoff_hz) for cutoff_hz in bandwidths],
        "sines": [sines(cutoff_hz) for cutoff_hz in bandwidths],
        "leak": noise(100.0, side=20, leak_rate_hz=10.0, noise_rate_cov_decades=0.0),
        "shot": [noise(dn, shot_noise_rate_hz=5.0) for dn in (5.0, 100.0, 250.0)],
    }


# --- time -------------------------------------------------------------------------------------


def v2e_frame_ns(frames: Any, dt_us: int, noisy: bool) -> tuple[float, float]:
    """Nanoseconds and events a frame."""
    pixels, taken, count = emulator(**(NOISY if noisy else CLEAN)), [], 0
    for n, frame in enumerate(frames):
        start = time.perf_counter_ns()
        events = pixels.generate_events(frame, n * dt_us * 1e-6)
        taken.append(time.perf_counter_ns() - start)
        count += 0 if events is None else len(events)
    return statistics.median(taken[1:]), count / (len(frames) - 1)


def openeb_frame_ns(frames: Any, dt_us: int, noisy: bool) -> tuple[float, float]:
    """Nanoseconds and events a frame, which are sorted as `get_events` does."""
    height, width = frames[0].shape
    said = {"refractory_period": 0}
    if noisy:
        said = {
            "refractory_period": round(NOISY["refractory_period_s"] * 1e6),
            "sigma_threshold": NOISY["sigma_thres"],
            "cutoff_hz": NOISY["cutoff_hz"],
            "leak_rate_hz": NOISY["leak_rate_hz"],
            "shot_noise_rate_hz": NOISY["shot_noise_rate_hz"],
        }
    pixels, taken, count = EventSimulator(height, width, 0.2, 0.2, **said), [], 0
    for n, frame in enumerate(frames):
        start = time.perf_counter_ns()
        pixels.image_callback(frame, n * dt_us)
        count += len(pixels.get_events())
        pixels.event_maker.num = 0
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken[2:]), count / (len(frames) - 1)


def timed(path: str) -> dict[str, Any]:
    """Each peer on each scene of a file that benchmarks/pixels.py has written."""
    torch.set_num_threads(1)
    scenes = dict(np.load(path))
    dt_us = int(scenes.pop("dt_us"))
    return {
        f"{scene}/{'noisy' if noisy else 'clean'}": {
            name: dict(zip(("frame_ns", "events"), take(frames, dt_us, noisy), strict=True))
            for name, take in (("v2e", v2e_frame_ns), ("openeb", openeb_frame_ns))
        }
        for scene, frames in scenes.items()
        for noisy in (False, True)
    }


def main() -> None:
    """`goldens FILE` or `time FILE`."""
    logging.disable(logging.WARNING)
    job, path = sys.argv[1:]
    if job == "time":
        print(json.dumps(timed(path)))
    else:
        Path(path).write_text(json.dumps(goldens()) + "\n")


if __name__ == "__main__":
    main()
