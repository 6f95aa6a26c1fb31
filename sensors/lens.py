"""Lenses: from directions to pixels and back."""

from __future__ import annotations

from math import radians, tan
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.runtime.config import Strict

Floats = npt.NDArray[np.float64]

#: How far beyond the picture's border directions are kept, as a share of them.
MARGIN = 0.05


class LensSpec(Strict):
    """A pinhole, and how a real lens bends what it shows.

    Say `field_of_view_deg` (from the lower to the upper border, as without bending) or, from a
    calibration, `focal_px` (fx, fy) and `centre_px` (cx, cy; default: the middle). The middle of
    the upper left pixel is (0.5, 0.5): add 0.5 to OpenCV's cx and cy. `distortion` is (k1, k2,
    p1, p2) of Brown (1966) in OpenCV's order.
    """

    field_of_view_deg: float = Field(default=60.0, gt=1, lt=150)
    focal_px: tuple[float, float] | None = Field(default=None, strict=False)
    centre_px: tuple[float, float] | None = Field(default=None, strict=False)
    distortion: tuple[float, float, float, float] = Field(
        default=(0.0, 0.0, 0.0, 0.0), strict=False
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.focal_px and min(self.focal_px) <= 0:
            raise ValueError("focal_px must be above 0")
        return self


class Lens:
    """A lens before a picture of `width` x `height` pixels.

    Attributes:
        focal_px, centre_px, distortion: as in LensSpec, filled in.
        slopes: largest |x / z| and |y / z| that can be in the picture, with a margin.

    Raises:
        ValueError: the distortion folds the picture: two directions would share a pixel.
    """

    def __init__(self, spec: LensSpec, width: int, height: int) -> None:
        focal = height / 2 / tan(radians(spec.field_of_view_deg) / 2)
        self.size = width, height
        self.focal_px = spec.focal_px or (focal, focal)
        self.centre_px = spec.centre_px or (width / 2, height / 2)
        self.distortion = spec.distortion
        border = np.linspace(0, 1, 33)
        x, y = np.meshgrid(border * width, border * height)
        ways = self.unproject(np.stack([x, y], axis=-1))
        sound = np.isfinite(ways).all()
        reach = np.abs(ways).max(axis=(0, 1)) * (1 + MARGIN) if sound else np.ones(2)
        grid = np.stack(np.meshgrid(*(np.linspace(-r, r, 33) for r in reach)), axis=-1)
        if not sound or (self._stretch(grid) <= 0).any():
            raise ValueError(
                f"distortion {list(self.distortion)} folds a picture of {width} x {height} pixels; "
                "check its order (k1, k2, p1, p2), or use a longer focal length"
            )
        self.slopes = float(reach[0]), float(reach[1])

    def project(self, ways: npt.ArrayLike) -> Floats:
        """Pixels (x, y) of directions (x / z, y / z), both of shape (..., 2)."""
        return np.asarray(self._bent(np.asarray(ways)) * self.focal_px + self.centre_px)

    def unproject(self, pixels: npt.ArrayLike) -> Floats:
        """Directions of pixels, both of shape (..., 2); not finite where there is none."""
        wanted = (np.asarray(pixels) - self.centre_px) / self.focal_px
        ways = wanted.copy()
        for _ in range(30):  # Newton's method; six steps do for a usual lens
            jacobian = self._jacobian(ways)
            with np.errstate(all="ignore"):
                determinant = np.linalg.det(jacobian)[..., None]
                off = self._bent(ways) - wanted
                turned = np.stack(
                    [
                        jacobian[..., 1, 1] * off[..., 0] - jacobian[..., 0, 1] * off[..., 1],
                        jacobian[..., 0, 0] * off[..., 1] - jacobian[..., 1, 0] * off[..., 0],
                    ],
                    axis=-1,
                )
                ways = np.where(determinant > 0, ways - turned / determinant, np.nan)
        return np.asarray(np.where(np.abs(self._bent(ways) - wanted) < 1e-9, ways, np.nan))

    def _bent(self, ways: Floats) -> Floats:
        k1, k2, p1, p2 = self.distortion
        x, y = ways[..., 0], ways[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * k2)
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )

    def _jacobian(self, ways: Floats) -> Floats:
        k1, k2, p1, p2 = self.distortion
        x, y = ways[..., 0], ways[..., 1]
        r2 = x * x + y * y
        radial, slope = 1 + r2 * (k1 + r2 * k2), 2 * k1 + 4 * k2 * r2
        cross = x * y * slope + 2 * p1 * x + 2 * p2 * y
        return np.stack(
            [
                np.stack([radial + x * x * slope + 2 * p1 * y + 6 * p2 * x, cross], axis=-1),
                np.stack([cross, radial + y * y * slope + 6 * p1 * y + 2 * p2 * x], axis=-1),
            ],
            axis=-2,
        )

    def _stretch(self, ways: Floats) -> Floats:
        """How much the lens stretches areas; not above 0 where it folds."""
        return np.asarray(np.linalg.det(self._jacobian(ways)))
