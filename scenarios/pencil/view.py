"""Where the two cameras stand, and where their pixels look."""

from __future__ import annotations

from math import atan, cos, degrees, sin

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.network import FloatArray
from reflexarc.sensors.mount import MountSpec

WIDTH_PX = HEIGHT_PX = 48
#: Each camera stands so far from the middle of the stage, at this height above the rod's foot.
DISTANCE_M, EYE_M = 1.0, 0.11
#: Height of what it sees in the middle of the stage.
FIELD_M = 0.26
FIELD_OF_VIEW_DEG = degrees(2 * atan(FIELD_M / 2 / DISTANCE_M))
#: It is rolled so that an upright rod does not lie along the pixel columns. Along them every row
#: would cross a pixel border at the same lean: silence, then a burst.
ROLL_RAD = 0.2
#: Where the cameras stand that see the motion along x and along y.
CAMERAS_M = {"x": (0.0, -DISTANCE_M, EYE_M), "y": (DISTANCE_M, 0.0, EYE_M)}


def on_plane(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Where pixels look in the plane through the middle of the stage, across the view.

    Args:
        x, y: column and row, from the upper left.

    Returns:
        Metres beside the middle, along the camera's own axis, and above the rod's foot.
    """
    pixel_m = FIELD_M / HEIGHT_PX
    right = (np.asarray(x, dtype=np.float64) - (WIDTH_PX - 1) / 2) * pixel_m
    up = ((HEIGHT_PX - 1) / 2 - np.asarray(y, dtype=np.float64)) * pixel_m
    sine, cosine = sin(ROLL_RAD), cos(ROLL_RAD)
    return right * cosine + up * sine, EYE_M - right * sine + up * cosine


def mount(axis: str) -> MountSpec:
    """How a camera sits on its stand, which is at `CAMERAS_M[axis]`."""
    east, north, _ = CAMERAS_M[axis]
    right = (sin(ROLL_RAD), 0.0) if axis == "x" else (0.0, sin(ROLL_RAD))
    return MountSpec(
        position_m=(0.0, 0.0, 0.0),
        target_m=(-east, -north, 0.0),
        up=(*right, cos(ROLL_RAD)),
    )
