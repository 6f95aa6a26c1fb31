"""What stands in a PyBullet world: the shapes that can be seen, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reflexarc.ext.poses import place
from reflexarc.ext.raster import Geometry
from reflexarc.runtime.errors import UnsupportedError
from reflexarc.sensors.decimation import decimated
from reflexarc.sensors.mesh import Floats, Mesh, geometry
from reflexarc.sensors.meshfile import LUMA, load_mesh
from reflexarc.sensors.primitives import box, capsule, cylinder, plane, sphere

#: PyBullet's numbers for kinds of shape, and their meshes from its dimensions.
PRIMITIVES: Mapping[int, Callable[[Sequence[float]], Mesh]] = {
    2: lambda size: sphere(size[0]),
    3: lambda size: box(*size),
    4: lambda size: cylinder(size[0], size[1]),
    6: lambda _: plane(),
    7: lambda size: capsule(size[0], size[1]),
}
MESH = 5


class Link(NamedTuple):
    """A link of a body; -1 is its base."""

    body: int
    link: int


class Scene:
    """The visible shapes of a PyBullet world as they are now, drawn by any number of cameras.

    `look` sees bodies come and go; after `changeVisualShape` call `refresh`. Colours are taken as
    linear reflectance, textures as sRGB. A texture is that of the mesh's material file; one given
    by `changeVisualShape` cannot be read back. Shapes with an alpha of 0 are left out, others are
    opaque.

    Args:
        client: the physics client.
        also: links to follow that need not be visible, such as those that carry a camera.
        most_triangles: of a mesh; larger ones are decimated.

    Attributes:
        links: whose poses `look` gives.
        parts: the link of each part of `geometry`.
        meshes: of each part.
        geometry: what the rasteriser draws; another one after every `refresh`.

    Raises:
        MissingFileError, UnsupportedError, ConfigError: a shape that cannot be read.
    """

    def __init__(self, client: int, also: Sequence[Link] = (), most_triangles: int = 500) -> None:
        import pybullet

        self._bullet, self.client = pybullet, client
        self._also, self._most_triangles = tuple(also), most_triangles
        self.refresh()

    def refresh(self) -> None:
        """Read the bodies and their shapes again. Raises as the class."""
        self._bodies = self._body_ids()
        meshes: list[Mesh] = []
        places: list[Floats] = []
        parts: list[Link] = []
        for shape in self._shapes():
            frame = frame_of(shape[5], shape[6])
            for mesh in _meshes(shape, self._most_triangles):
                meshes.append(mesh)
                places.append(frame)
                parts.append(Link(shape[0], shape[1]))
        also = [link for link in self._also if link.body in self._bodies]
        self.parts, self.meshes = tuple(parts), tuple(meshes)
        self.links = tuple(sorted({*parts, *also}))
        self.geometry: Geometry = geometry(meshes)
        self._number = {link: n for n, link in enumerate(self.links)}
        self._base = {
            link: self._base_from_mass(link.body) if link.link < 0 else np.eye(3, 4)
            for link in self.links
        }
        self._link_of = np.array([self._number[link] for link in parts], dtype=np.int32)
        local = [
            compose(self._base[link], frame) for link, frame in zip(parts, places, strict=True)
        ]
        self._local = np.array(local).reshape(-1, 3, 4)
        self._rows = []
        for body, of_body in groupby(self.links, lambda link: link.body):
            numbers = [link.link for link in of_body]
            self._rows.append((body, [n for n in numbers if n >= 0], -1 in numbers))

    def look(self) -> Floats:
        """Where the links are now: position (m) and quaternion (x, y, z, w), shape (links, 7).

        For a base that is its centre of mass, as everywhere in PyBullet. Where a body has come or
        gone since the last call, `links` has others now. Raises as the class.
        """
        if self._body_ids() != self._bodies:
            self.refresh()
        poses: list[Sequence[float]] = []
        for body, links, base in self._rows:
            if base:
                at, turn = self._bullet.getBasePositionAndOrientation(
                    body, physicsClientId=self.client
                )
                poses.append((*at, *turn))
            if links:
                states = self._bullet.getLinkStates(
                    body, links, computeForwardKinematics=1, physicsClientId=self.client
                )
                poses += [(*state[4], *state[5]) for state in states]
        return np.array(poses).reshape(-1, 7)

    def poses(self, links: Floats) -> Floats:
        """World from part for link poses as `look` gives them; float64, shape (parts, 3, 4)."""
        return place(links, self._link_of, self._local)

    def frame(self, link: Link, links: Floats) -> Floats:
        """World from `link` (for a base: from its URDF frame), shape (3, 4).

        Raises:
            UnsupportedError: it has no pose: not followed, or its body has been removed.
        """
        if link not in self._number:
            raise UnsupportedError(
                f"body {link.body}, link {link.link} carries a camera but is not in the scene; "
                "name it in `also`, and keep its body while the camera is used"
            )
        pose = links[self._number[link]]
        return compose(frame_of(pose[:3], pose[3:]), self._base[link])

    def _body_ids(self) -> list[int]:
        count = self._bullet.getNumBodies(physicsClientId=self.client)
        return [self._bullet.getBodyUniqueId(k, physicsClientId=self.client) for k in range(count)]

    def _shapes(self) -> list[Any]:
        shapes = [
            shape
            for body in self._bodies
            for shape in self._bullet.getVisualShapeData(body, physicsClientId=self.client)
        ]
        return [shape for shape in shapes if shape[7][3] > 0]

    def _base_from_mass(self, body: int) -> Floats:
        """Centre of mass from the URDF frame of a body's base, shape (3, 4)."""
        dynamics = self._bullet.getDynamicsInfo(body, -1, physicsClientId=self.client)
        place, turn = self._bullet.invertTransform(dynamics[3], dynamics[4])
        return frame_of(place, turn)


def frame_of(origin: Sequence[float], turn: Sequence[float]) -> Floats:
    """A place and a quaternion (x, y, z, w) as a matrix, shape (3, 4)."""
    pose = np.array([[*origin, *turn]], dtype=np.float64)
    pose[0, 3:] /= np.linalg.norm(pose[0, 3:])
    return np.asarray(place(pose, np.zeros(1, np.int32), np.eye(3, 4)[None])[0])


def compose(outer: Floats, inner: Floats) -> Floats:
    """The frame `inner` inside the frame `outer`, all of shape (3, 4)."""
    turned = outer[:, :3] @ inner
    turned[:, 3] += outer[:, 3]
    return np.asarray(turned)


def inverse(frame: Floats) -> Floats:
    """The way back, shape (3, 4)."""
    back = frame[:, :3].T
    return np.concatenate([back, -back @ frame[:, 3:]], axis=1)


def _meshes(shape: Any, most_triangles: int) -> list[Mesh]:
    """What a shape of PyBullet's looks like, in its visual frame."""
    body, link, kind, size, file, _, _, colour = shape[:8]
    grey = float(np.dot(LUMA, colour[:3]))
    if kind in PRIMITIVES:
        return [PRIMITIVES[kind](size).with_grey(grey)]
    if kind != MESH or not file:
        raise UnsupportedError(
            f"body {body}, link {link}: a visual shape of kind {kind} without a file cannot be "
            "drawn; load it from a URDF that names a mesh file, or use `renderer: tiny`"
        )
    meshes = load_mesh(Path(file.decode()))
    return [decimated(mesh, most_triangles).scaled(size).with_grey(grey) for mesh in meshes]
