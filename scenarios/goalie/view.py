"""The camera behind the goal: where it stands, and which pixel sees which place on the ground.

The goal line is y = 0, balls come from positive y, x is to the right, z is up; metres.
"""

from __future__ import annotations

from math import radians, tan

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.network import FloatArray

WIDTH_PX = HEIGHT_PX = 128
CAMERA_M = (0.0, -0.5, 1.0)
TARGET_M = (0.0, 0.6, 0.0)
FIELD_OF_VIEW_DEG = 46.0
FOCAL_PX = HEIGHT_PX / 2 / tan(radians(FIELD_OF_VIEW_DEG) / 2)

_FORWARD = np.subtract(TARGET_M, CAMERA_M) / np.linalg.norm(np.subtract(TARGET_M, CAMERA_M))
#: Rows: right, down and forward of the camera in the world.
_CAMERA = np.stack([(1.0, 0.0, 0.0), np.cross(_FORWARD, (1.0, 0.0, 0.0)), _FORWARD])


def to_pixel(x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Column and row (middle of the first pixel: 0) where the camera sees a place."""
    place = np.stack(np.broadcast_arrays(x, y, z), axis=-1) - CAMERA_M
    right, down, forward = np.moveaxis(place @ _CAMERA.T, -1, 0)
    return (
        WIDTH_PX / 2 - 0.5 + FOCAL_PX * right / forward,
        HEIGHT_PX / 2 - 0.5 + FOCAL_PX * down / forward,
    )


def to_place(
    column: npt.ArrayLike, row: npt.ArrayLike, height_m: float
) -> tuple[FloatArray, FloatArray]:
    """X and y of the places at `height_m` that pixels see; the inverse of `to_pixel`."""
    right = (np.asarray(column, np.float64) - (WIDTH_PX / 2 - 0.5)) / FOCAL_PX
    down = (np.asarray(row, np.float64) - (HEIGHT_PX / 2 - 0.5)) / FOCAL_PX
    way = np.stack(np.broadcast_arrays(right, down, 1.0), axis=-1) @ _CAMERA
    far = (height_m - CAMERA_M[2]) / way[..., 2]
    return CAMERA_M[0] + far * way[..., 0], CAMERA_M[1] + far * way[..., 1]


def pixels_per_metre(y: npt.ArrayLike, height_m: float) -> FloatArray:
    """How many pixels a metre along the goal is, seen at `y`."""
    left, _ = to_pixel(-0.5, y, height_m)
    right, _ = to_pixel(0.5, y, height_m)
    return right - left
