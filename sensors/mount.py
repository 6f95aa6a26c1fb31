"""Mounts: where a camera stands, in the world or on a link of a robot."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from reflexarc.runtime.config import Strict
from reflexarc.sensors.mesh import Floats
from reflexarc.sensors.scene import Link, Scene, compose, inverse

Triple = tuple[float, float, float]


class MountSpec(Strict):
    """Where a camera stands and what it looks at, in metres, in the frame of what carries it.

    `up` is the direction that is upwards in the picture, as near as the view allows.
    """

    position_m: Triple = Field(strict=False)
    target_m: Triple = Field(strict=False)
    up: Triple = Field(default=(0.0, 0.0, 1.0), strict=False)

    @model_validator(mode="after")
    def _looks_somewhere(self) -> Self:
        forward = np.subtract(self.target_m, self.position_m)
        if np.linalg.norm(np.cross(forward, self.up)) < 1e-9:
            raise ValueError("target_m must differ from position_m, and not lie along `up`")
        return self


class Mount:
    """A camera's place on a link, or in the world without one.

    Args:
        spec: where, in the link's frame (for a base, its URDF frame).
        link: what carries it; the scene must follow it (`also`).
    """

    def __init__(self, spec: MountSpec, link: Link | None = None) -> None:
        forward = np.subtract(spec.target_m, spec.position_m)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, spec.up)
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(forward, right), forward], axis=1)
        self.link = link
        self._frame = np.concatenate([turn, np.array(spec.position_m)[:, None]], axis=1)
        self._fixed = inverse(self._frame)

    def camera(self, scene: Scene, links: Floats) -> Floats:
        """Camera from world, shape (3, 4); x to the right, y down, z forward."""
        if self.link is None:
            return self._fixed
        return inverse(compose(scene.frame(self.link, links), self._frame))
