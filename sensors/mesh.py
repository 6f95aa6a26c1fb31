"""Meshes: triangles with a reflectance, and how several become what the rasteriser draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians

import numpy as np
import numpy.typing as npt

from reflexarc.ext.raster import Geometry

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Image = npt.NDArray[np.float32]

#: Faces that meet at more than this are shaded apart.
CREASE_DEG = 40.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in a frame of their own.

    Attributes:
        points: shape (n, 3), metres, each place once.
        triangles: shape (m, 3), points against the clock as seen from outside.
        uv: place of each triangle's corners in the texture, shape (m, 3, 2); v upwards.
        texture: linear reflectance, shape (height, width), first row on top; None without.
        grey: reflectance, 0 to 1; a factor where there is a texture.
    """

    points: Floats
    triangles: Ints
    uv: Floats | None = None
    texture: Image | None = None
    grey: float = 1.0

    def scaled(self, scale: Sequence[float]) -> Mesh:
        """The mesh stretched along its axes; a mirrored one is turned inside out again."""
        triangles, uv = self.triangles, self.uv
        if np.prod(scale) < 0:
            triangles = triangles[:, ::-1]
            uv = None if uv is None else uv[:, ::-1]
        return replace(self, points=self.points * np.asarray(scale), triangles=triangles, uv=uv)

    def with_grey(self, grey: float) -> Mesh:
        """The mesh in another shade."""
        return replace(self, grey=grey)


def welded(corners: npt.ArrayLike, uv: Floats | None = None, texture: Image | None = None) -> Mesh:
    """A mesh from triangles given by the places of their corners, shape (m, 3, 3).

    Places closer than a millionth of the mesh's size become one; triangles without area go.
    """
    places = np.asarray(corners, dtype=np.float64).reshape(-1, 3)
    step = max(float(np.ptp(places, axis=0).max()) * 1e-6, 1e-12) if len(places) else 1.0
    _, first, which = np.unique(
        np.round(places / step), axis=0, return_index=True, return_inverse=True
    )
    triangles = which.reshape(-1, 3).astype(np.int32)
    sound = (
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 2] != triangles[:, 0])
    )
    return Mesh(places[first], triangles[sound], None if uv is None else uv[sound], texture)


def face_normals(mesh: Mesh) -> Floats:
    """Normal of each triangle, as long as twice its area; shape (m, 3)."""
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def corner_normals(mesh: Mesh, crease_deg: float = CREASE_DEG) -> Floats:
    """Unit normal of each corner, shape (m, 3, 3).

    The mean of the triangles that meet there, weighted by area, but for those that lie beyond a
    crease as seen from the corner's own.
    """
    weighted = face_normals(mesh)
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit = weighted / np.maximum(length, 1e-300)
    one, other = _meetings(mesh.triangles.ravel())
    smooth = np.einsum("ij,ij->i", unit[one // 3], unit[other // 3]) > cos(radians(crease_deg))
    smooth |= one == other
    total = np.zeros((mesh.triangles.size, 3))
    np.add.at(total, one[smooth], weighted[other[smooth] // 3])
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)
    return total.reshape(-1, 3, 3)


def _meetings(corners: Ints) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """All pairs (also of one with itself) of corners that stand on the same point."""
    order = np.argsort(corners, kind="stable")
    counts = np.bincount(corners)
    counts = counts[counts > 0]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    size = np.repeat(counts, counts)
    one = np.repeat(order, size)
    within = np.arange(len(one)) - np.repeat(np.cumsum(size) - size, size)
    return one, order[np.repeat(starts, size) + within]


def edges(mesh: Mesh) -> Ints:
    """Every edge once, shape (e, 4): two corners (3 triangle + k), triangles left and right.

    Right is -1 on a border. Where more than two triangles meet, each further one has a border.
    """
    sides = np.stack([mesh.triangles, np.roll(mesh.triangles, -1, axis=1)], axis=-1).reshape(-1, 2)
    corner = np.arange(len(sides))
    following = corner - corner % 3 + (corner + 1) % 3
    low, high = np.sort(sides, axis=1).T
    order = np.lexsort((high, low))
    same = (np.diff(low[order]) == 0) & (np.diff(high[order]) == 0)
    run = np.concatenate([[0], np.cumsum(~same)]) if len(order) else np.zeros(0, int)
    nth = np.arange(len(order)) - np.searchsorted(run, run)
    leads = nth != 1
    paired = np.append(nth[1:] == 1, False) & (nth == 0)
    left = order // 3
    right = np.where(paired, np.roll(left, -1), -1)
    table = np.stack([order, following[order], left, right], axis=1)
    return np.asarray(table[leads], dtype=np.int32)


def geometry(meshes: Sequence[Mesh]) -> Geometry:
    """What the rasteriser draws: each mesh is a part, corners with one look share a vertex."""
    tables: list[tuple[Floats, Ints, Ints]] = []
    for mesh in meshes:
        uv = np.zeros((len(mesh.triangles), 3, 2)) if mesh.uv is None else mesh.uv
        looks = np.concatenate(
            [mesh.points[mesh.triangles], np.round(corner_normals(mesh), 4), uv], axis=2
        ).reshape(-1, 8)
        vertices, which = np.unique(looks, axis=0, return_inverse=True)
        which = np.asarray(which.ravel(), dtype=np.int32)
        lines = edges(mesh)
        lines[:, :2] = which[lines[:, :2]]
        tables.append((vertices, np.reshape(which, (-1, 3)), lines))
    counts = [[len(part) for part in table] for table in tables]
    starts = np.cumsum([[0, 0, 0], *counts], axis=0).astype(np.int32)
    for (_, triangles, lines), (vertex, triangle, _) in zip(tables, starts, strict=False):
        triangles += vertex
        lines[:, :2] += vertex
        lines[:, 2:][lines[:, 2:] >= 0] += triangle
    textures = [mesh.texture for mesh in meshes if mesh.texture is not None]
    number = iter(range(len(textures)))
    vertices = np.concatenate([np.zeros((0, 8)), *(table[0] for table in tables)])
    return Geometry(
        vertices[:, :3],
        vertices[:, 3:6],
        np.repeat([mesh.grey for mesh in meshes], [n[0] for n in counts]),
        vertices[:, 6:],
        np.concatenate([np.zeros((0, 3), np.int32), *(table[1] for table in tables)]),
        np.concatenate([np.zeros((0, 4), np.int32), *(table[2] for table in tables)]),
        starts,
        [-1 if mesh.texture is None else next(number) for mesh in meshes],
        textures,
    )
