"""Fewer triangles: points that are close become one (Rossignac & Borrel 1993; Lindstrom 2000)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from reflexarc.sensors.mesh import Floats, Mesh, face_normals

#: How often the size of a cell is halved in the search for the wanted number of triangles.
HALVINGS = 12


def decimated(mesh: Mesh, triangles: int) -> Mesh:
    """`mesh` with at most `triangles` triangles (itself if it has no more).

    Space is cut into cubes; the points in one become the point that lies best in the planes of
    all triangles around them, kept within the box that they span. So flat sides stay flat, edges
    and corners stay where they are, nothing grows, and what was closed stays closed.
    """
    if len(mesh.triangles) <= triangles:
        return mesh
    extent = float(np.ptp(mesh.points, axis=0).max())
    fine, coarse = 0.0, extent
    best = _clustered(mesh, coarse)
    for _ in range(HALVINGS):
        middle = (fine + coarse) / 2
        tried = _clustered(mesh, middle)
        if len(tried.triangles) <= triangles:
            coarse, best = middle, tried
        else:
            fine = middle
    return best


def _clustered(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with the points of each cube of side `cell` made one."""
    index = np.floor((mesh.points - mesh.points.min(axis=0)) / cell).astype(np.int64)
    _, cluster = np.unique(index, axis=0, return_inverse=True)
    cluster = cluster.ravel()
    triangles = cluster[mesh.triangles]
    kept = (triangles != np.roll(triangles, 1, axis=1)).all(axis=1)
    # the same triangle from several cells is one; seen from either side they are two
    turn = np.argmin(triangles, axis=1)[:, None]
    ordered = np.take_along_axis(triangles, (turn + np.arange(3)) % 3, axis=1)
    _, first = np.unique(ordered[kept], axis=0, return_index=True)
    chosen = np.flatnonzero(kept)[np.sort(first)]
    return replace(
        mesh,
        points=_representatives(mesh, cluster),
        triangles=triangles[chosen].astype(np.int32),
        uv=None if mesh.uv is None else mesh.uv[chosen],
    )


def _representatives(mesh: Mesh, cluster: npt.NDArray[np.intp]) -> Floats:
    """For each cluster the point with the least squared distance from its triangles' planes."""
    count = int(cluster.max()) + 1
    mean = np.zeros((count, 3))
    np.add.at(mean, cluster, mesh.points)
    mean /= np.bincount(cluster, minlength=count)[:, None]
    normals = face_normals(mesh)
    planes = np.zeros((count, 3, 3))
    pull = np.zeros((count, 3))
    for k in range(3):
        of = cluster[mesh.triangles[:, k]]
        away = mesh.points[mesh.triangles[:, k]] - mean[of]
        np.add.at(planes, of, normals[:, :, None] * normals[:, None, :])
        np.add.at(pull, of, normals * np.einsum("ij,ij->i", normals, away)[:, None])
    best = mean + np.einsum("ijk,ik->ij", np.linalg.pinv(planes, rcond=1e-2, hermitian=True), pull)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, cluster, mesh.points)
    np.maximum.at(high, cluster, mesh.points)
    return np.asarray(np.clip(best, low, high))
