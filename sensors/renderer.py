"""Renderers: what a camera in a PyBullet world sees, as linear luminance.

`raster` is ours. `tiny` is PyBullet's TinyRenderer: slower, without lens, and a check of ours.
`egl` draws with OpenGL, without a window (see `reflexarc.sensors.egl`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.ext.raster import Rasteriser
from reflexarc.runtime.config import Strict
from reflexarc.sensors.lens import Lens, LensSpec
from reflexarc.sensors.mesh import Floats, Image, Ints
from reflexarc.sensors.meshfile import LUMA
from reflexarc.sensors.mount import Mount, Triple
from reflexarc.sensors.scene import Scene

RendererKind = Literal["raster", "tiny", "egl"]
Samples = Literal["edges", "4x4", "1"]


class LightSpec(Strict):
    """A light infinitely far away in the direction `to_light` of the world, and light from all
    around that is `ambient` (0 to 1) of the whole; `background` is luminance where nothing is.
    """

    to_light: Triple = Field(default=(0.3, -0.5, 1.0), strict=False)
    ambient: float = Field(default=0.4, ge=0, le=1)
    background: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _shines(self) -> Self:
        if not any(self.to_light):
            raise ValueError("to_light must not be 0")
        return self


class RendererSpec(Strict):
    """How a camera's pictures are made.

    Attributes:
        width, height: in pixels.
        renderer: "raster", PyBullet's "tiny" (field_of_view_deg alone), or "egl" (no distortion).
        samples: where a pixel is the mean of 16 samples: in all ("4x4"), where there is an edge or
            a contrast ("edges"), or nowhere ("1": makes bursts of events).
        most_triangles: of one mesh; larger ones are decimated when they are loaded.
        near_m: what is nearer is not drawn.
    """

    width: int = Field(default=128, ge=8, le=1920)
    height: int = Field(default=128, ge=8, le=1920)
    renderer: RendererKind = "raster"
    samples: Samples = "edges"
    most_triangles: int = Field(default=500, ge=12)
    near_m: float = Field(default=0.01, gt=0)
    lens: LensSpec = LensSpec()
    light: LightSpec = LightSpec()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        lens = Lens(self.lens, self.width, self.height)
        plain = self.lens.focal_px is None and self.lens.centre_px is None
        if self.renderer == "tiny" and (any(lens.distortion) or not plain):
            raise ValueError("`renderer: tiny` knows only field_of_view_deg; use `raster`")
        if self.renderer == "egl" and any(lens.distortion):
            raise ValueError("`renderer: egl` knows no distortion; use `raster`")
        return self


class Renderer(ABC):
    """A camera on a mount in a scene."""

    def __init__(self, spec: RendererSpec, scene: Scene, mount: Mount) -> None:
        self.spec, self.scene, self.mount = spec, scene, mount
        self.lens = Lens(spec.lens, spec.width, spec.height)

    def __call__(self) -> Image:
        """The picture now."""
        return self.draw(self.scene.look())

    @abstractmethod
    def draw(self, links: Floats) -> Image:
        """The picture with the links at these poses: float32, shape (height, width), 0 to 1."""


class RasterRenderer(Renderer):
    """Our rasteriser; several may share a scene."""

    def __init__(self, spec: RendererSpec, scene: Scene, mount: Mount) -> None:
        super().__init__(spec, scene, mount)
        self._raster = Rasteriser(
            spec.width,
            spec.height,
            self.lens.focal_px,
            self.lens.centre_px,
            self.lens.distortion,
            slopes=self.lens.slopes,
            near_m=spec.near_m,
            mode={"edges": "edges", "4x4": "full", "1": "middle"}[spec.samples],
            background=spec.light.background,
        )
        x, y = np.meshgrid(np.arange(spec.width) + 0.5, np.arange(spec.height) + 0.5)
        self._ways = self.lens.unproject(np.stack([x, y], axis=-1)).astype(np.float32)
        self._shown = np.zeros((0, 3, 4))

    def draw(self, links: Floats) -> Image:
        """See Renderer."""
        poses, camera = self.scene.poses(links), self.mount.camera(self.scene, links)
        light = self.spec.light
        picture = self._raster.draw(
            self.scene.geometry, poses, camera, light.to_light, light.ambient
        )
        self._shown = _in_view(camera, poses)
        return picture

    def flow_px(self, links: Floats) -> float:
        """How far, in pixels, anything in the last picture has moved if the links are at `links`.

        ESIM's motion field, by the depth of each pixel; of every second row and column.
        """
        now = _in_view(self.mount.camera(self.scene, links), self.scene.poses(links))
        turn = now[:, :, :3] @ self._shown[:, :, :3].transpose(0, 2, 1)
        shift = now[:, :, 3:] - turn @ self._shown[:, :, 3:]
        return self._raster.flow_px(self._ways, np.concatenate([turn, shift], axis=2))

    @property
    def faces(self) -> int:
        """How many faces the last picture was made of."""
        return self._raster.faces

    @property
    def sampled(self) -> int:
        """How many pixels of the last picture have samples."""
        return self._raster.sampled

    def depth_m(self) -> Image:
        """Of the last picture: distance along the optical axis, inf where nothing is."""
        return self._raster.depth_m()

    def labels(self) -> Ints:
        """Of the last picture: which of `scene.parts` each pixel shows, -1 for none."""
        return self._raster.labels()


class TinyRenderer(Renderer):
    """PyBullet's software renderer. It can only show the world as it is now."""

    #: What is further away than this many times `near_m` is not drawn.
    DEPTH = 10_000

    def draw(self, links: Floats) -> Image:
        """See Renderer; `links` place the camera alone."""
        side = 1 if self.spec.samples == "1" else 4
        grey = self.capture(links, side)[2][:, :, :3] @ LUMA / 255
        blocks = grey.reshape(self.spec.height, side, self.spec.width, side)
        return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)

    def capture(self, links: Floats, side: int) -> tuple[Image, Ints, npt.NDArray[np.uint8]]:
        """Depth buffer, body ids (-1: none) and RGBA, `side` squared rays a pixel."""
        import pybullet

        spec, bullet = self.spec, pybullet
        camera = self.mount.camera(self.scene, links)
        view = np.eye(4)
        view[:3] = camera * [[1], [-1], [-1]]  # OpenGL looks along -z with y up
        projection = bullet.computeProjectionMatrixFOV(
            spec.lens.field_of_view_deg,
            spec.width / spec.height,
            spec.near_m,
            spec.near_m * self.DEPTH,
        )
        _, _, colours, depth, bodies = bullet.getCameraImage(
            spec.width * side,
            spec.height * side,
            view.T.ravel().tolist(),
            projection,
            lightDirection=spec.light.to_light,
            shadow=0,
            renderer=bullet.ER_TINY_RENDERER,
            physicsClientId=self.scene.client,
        )
        return depth, bodies, colours


def _in_view(camera: Floats, poses: Floats) -> Floats:
    """Camera from part, shape (parts, 3, 4)."""
    seen = camera[:, :3] @ poses
    seen[:, :, 3] += camera[:, 3]
    return np.asarray(seen)


def make_renderer(spec: RendererSpec, scene: Scene, mount: Mount) -> Renderer:
    """The renderer that `spec` names.

    Raises:
        MissingPartError, UnsupportedError: `egl` without moderngl, or without OpenGL 3.3.
    """
    if spec.renderer == "egl":
        from reflexarc.sensors.egl import EglRenderer

        return EglRenderer(spec, scene, mount)
    kind = {"raster": RasterRenderer, "tiny": TinyRenderer}[spec.renderer]
    return kind(spec, scene, mount)
