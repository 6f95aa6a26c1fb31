"""Writes a recording to look at: what a simulated event camera sees of a ball that circles.

    python -m reflexarc.scenarios.gaze.make_recording FILE.es

Two seconds, the ball goes round once, from the right over the top. The same bytes at every call.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import faery
import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import Array
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.pixels import PixelSpec, make_pixels

WIDTH, HEIGHT = 320, 240
SECONDS, FRAME_NS = 2.0, 2_000_000
#: The ball's way and size, in pixels.
REACH_X, REACH_Y, RADIUS = 110.0, 75.0, 12.0


def ball(t_s: float) -> tuple[float, float]:
    """Where the centre of the ball is, in pixels."""
    angle = 2 * math.pi * t_s / SECONDS
    return WIDTH / 2 + REACH_X * math.cos(angle), HEIGHT / 2 - REACH_Y * math.sin(angle)


def picture(t_s: float) -> npt.NDArray[Any]:
    """A white ball with a soft edge on grey, luminance from 0 to 1, shape (HEIGHT, WIDTH)."""
    x, y = ball(t_s)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    inside = RADIUS - np.hypot(columns - x, rows - y)
    shade: npt.NDArray[Any] = 0.5 + 0.5 * np.clip(inside + 0.5, 0.0, 1.0)
    return shade


def events() -> Array:
    """What the camera saw, dtype EVENT."""
    now_ns = 0
    pixels = make_pixels(PixelSpec(mismatch=0.03), WIDTH, HEIGHT, np.random.default_rng(0))
    camera = EventCamera("camera", lambda: picture(now_ns * 1e-9), pixels, FRAME_NS)
    parts: list[Array] = []
    while now_ns < SECONDS * 1e9:
        parts.append(camera.read(now_ns).values)
        now_ns += FRAME_NS
    return np.concatenate(parts)


def main() -> None:
    """Write the file named on the command line."""
    if len(sys.argv) != 2 or Path(sys.argv[1]).suffix != ".es":
        sys.exit("usage: python -m reflexarc.scenarios.gaze.make_recording FILE.es")
    stream = faery.events_stream_from_array(events(), dimensions=(WIDTH, HEIGHT))
    stream.to_file(sys.argv[1])


if __name__ == "__main__":
    main()
