"""Where a pixel of the camera on the cart looks."""

from __future__ import annotations

from math import cos, radians, sin, tan

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.network import FloatArray

#: The camera looks along the hinge axis from this far, at this height above the hinge.
CAMERA_DISTANCE_M = 2.0
CAMERA_HEIGHT_M = 0.62
FIELD_OF_VIEW_DEG = 26.0
#: It is rolled so that an upright pole does not lie along the pixel columns. Along them every row
#: would cross a pixel border at the same tilt: silence, then a burst.
CAMERA_ROLL_RAD = 0.2


def on_plane(
    x: npt.ArrayLike, y: npt.ArrayLike, width: int, height: int
) -> tuple[FloatArray, FloatArray]:
    """Where pixels see the pole's plane: metres beside (along x) and above the hinge.

    Args:
        x, y: column and row, from the upper left.
        width, height: size of the image.
    """
    pixel_m = 2 * CAMERA_DISTANCE_M * tan(radians(FIELD_OF_VIEW_DEG) / 2) / height
    right = (np.asarray(x, dtype=np.float64) - (width - 1) / 2) * pixel_m
    up = ((height - 1) / 2 - np.asarray(y, dtype=np.float64)) * pixel_m
    sine, cosine = sin(CAMERA_ROLL_RAD), cos(CAMERA_ROLL_RAD)
    return right * cosine + up * sine, CAMERA_HEIGHT_M - right * sine + up * cosine
