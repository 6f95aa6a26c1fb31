"""Pictures by OpenGL without a window, through moderngl and EGL: the extra `egl`.

It shows what `raster` shows, by the same light and lens, for scenes of so many triangles or pixels
that a graphics card pays. On a card the way there and back costs more than a small picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reflexarc.ext.raster import Geometry
from reflexarc.runtime.errors import MissingPartError, UnsupportedError
from reflexarc.sensors.mesh import Floats, Image, Mesh, corner_normals
from reflexarc.sensors.mount import Mount
from reflexarc.sensors.renderer import Renderer, RendererSpec
from reflexarc.sensors.scene import Scene

#: What is further away than this many times `near_m` is not drawn.
DEPTH = 100_000

# Shade is interpolated on the screen and cut off at 0, as ext/raster.h does it.
VERTEX = """
#version 330
uniform mat4 part_to_clip;
uniform vec3 to_light;
uniform float ambient, grey;
in vec3 place, normal;
in vec2 at;
noperspective out float shade;
out vec2 uv;
void main() {
    gl_Position = part_to_clip * vec4(place, 1.0);
    shade = grey * (ambient + (1.0 - ambient) * max(dot(normal, to_light), 0.0));
    uv = at;
}
"""
FRAGMENT = """
#version 330
uniform sampler2D reflectance;
uniform bool textured;
noperspective in float shade;
in vec2 uv;
out float luminance;
void main() {
    luminance = max(shade, 0.0) * (textured ? texture(reflectance, uv).r : 1.0);
}
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A mesh on the card."""

    array: Any
    texture: Any | None
    grey: float


class EglRenderer(Renderer):
    """OpenGL 3.3 into a buffer of its own; samples are rays, 16 a pixel or one."""

    def __init__(self, spec: RendererSpec, scene: Scene, mount: Mount) -> None:
        """Raises MissingPartError or UnsupportedError where there is no OpenGL to be had."""
        super().__init__(spec, scene, mount)
        self._gl = gl = _context()
        gl.enable(gl.DEPTH_TEST | gl.CULL_FACE)
        self._side = 1 if spec.samples == "1" else 4
        size = spec.width * self._side, spec.height * self._side
        self._buffer = gl.framebuffer(
            [gl.renderbuffer(size, components=1, dtype="f4")], gl.depth_renderbuffer(size)
        )
        self._program = gl.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        self._lens_to_clip = _projection(self)
        self._geometry: Geometry | None = None
        self._parts: list[_Part] = []

    def draw(self, links: Floats) -> Image:
        """See Renderer."""
        if self.scene.geometry is not self._geometry:
            self._load()
        camera, light = self.mount.camera(self.scene, links), self.spec.light
        to_light = np.asarray(light.to_light) / np.linalg.norm(light.to_light)
        self._program["ambient"] = light.ambient
        self._buffer.use()
        self._buffer.clear(light.background)
        for part, pose in zip(self._parts, self.scene.poses(links), strict=True):
            to_clip = self._lens_to_clip @ _square(camera) @ _square(pose)
            self._program["part_to_clip"].write(to_clip.T.astype("f4").tobytes())
            self._program["to_light"] = tuple(to_light @ pose[:, :3])
            self._program["grey"] = part.grey
            self._program["textured"] = part.texture is not None
            if part.texture is not None:
                part.texture.use()
            part.array.render()
        return self._picture()

    def _picture(self) -> Image:
        """The mean of the rays of each pixel; OpenGL gives the lowest row first."""
        side, spec = self._side, self.spec
        raw = np.frombuffer(self._buffer.read(components=1, dtype="f4"), np.float32)
        rays = raw.reshape(spec.height, side, spec.width, side)
        return np.ascontiguousarray(rays.mean(axis=(1, 3), dtype=np.float32)[::-1])

    def _load(self) -> None:
        """Give the card the meshes of the scene as it is now."""
        for part in self._parts:
            part.array.release()
            if part.texture is not None:
                part.texture.release()
        self._parts = [self._part(mesh) for mesh in self.scene.meshes]
        self._geometry = self.scene.geometry

    def _part(self, mesh: Mesh) -> _Part:
        uv = np.zeros((len(mesh.triangles), 3, 2)) if mesh.uv is None else mesh.uv
        looks = [mesh.points[mesh.triangles], corner_normals(mesh), uv]
        corners = np.concatenate(looks, axis=2).astype("f4")
        store = self._gl.buffer(corners.tobytes())
        array = self._gl.vertex_array(self._program, store, "place", "normal", "at")
        return _Part(array, self._texture(mesh.texture), mesh.grey)

    def _texture(self, picture: Image | None) -> Any | None:
        if picture is None:
            return None
        height, width = picture.shape
        upwards = np.ascontiguousarray(picture[::-1], dtype="f4")
        texture = self._gl.texture((width, height), 1, upwards.tobytes(), dtype="f4")
        texture.build_mipmaps()
        texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        return texture


def _context() -> Any:
    try:
        import moderngl
    except ImportError:
        raise MissingPartError(
            "`renderer: egl` needs moderngl, which is not installed: pip install 'reflexarc[egl]'"
        ) from None
    try:
        # its stub has the type of all settings for one of them
        backend: Any = "egl"
        return moderngl.create_context(standalone=True, backend=backend, require=330)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedError(
            f"`renderer: egl`: no OpenGL 3.3 through EGL here ({reason}); use `renderer: raster`"
        ) from None


def _projection(renderer: Renderer) -> Floats:
    """Clip space from the camera's frame (x right, y down, z forward), shape (4, 4)."""
    spec, lens = renderer.spec, renderer.lens
    near, far = spec.near_m, spec.near_m * DEPTH
    (fx, fy), (cx, cy) = np.broadcast_to(lens.focal_px, 2), lens.centre_px
    return np.array(
        [
            [2 * fx / spec.width, 0, 2 * cx / spec.width - 1, 0],
            [0, -2 * fy / spec.height, 1 - 2 * cy / spec.height, 0],
            [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )


def _square(frame: Floats) -> Floats:
    return np.concatenate([frame, [[0.0, 0.0, 0.0, 1.0]]])
