"""Meshes of boxes, spheres, cylinders, capsules and planes, as PyBullet means them."""

from __future__ import annotations

import numpy as np

from reflexarc.sensors.mesh import Floats, Mesh, welded

#: Sides of a round shape; its outline lies within 1/500 of its radius.
ROUND = 48


def box(x: float, y: float, z: float) -> Mesh:
    """A box with edges of these lengths, in metres, around 0."""
    return _lathe(np.array([[0, -1], [1, -1], [1, 1], [0, 1]]), 4, 0.5).scaled(
        (x / np.sqrt(2), y / np.sqrt(2), z / 2)
    )


def cylinder(length: float, radius: float) -> Mesh:
    """A closed cylinder along z around 0."""
    half = length / 2
    return _lathe(np.array([[0, -half], [radius, -half], [radius, half], [0, half]]), ROUND)


def capsule(length: float, radius: float) -> Mesh:
    """A cylinder along z around 0 of `length`, with half a ball on either end."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, ROUND // 2 + 1)
    middle = ROUND // 4 + 1
    angle = np.concatenate([angle[:middle], angle[middle - 1 :]])
    z = radius * np.sin(angle) + np.repeat([-length / 2, length / 2], middle)
    profile = np.stack([radius * np.cos(angle), z], axis=1)
    profile[[0, -1], 0] = 0
    return _lathe(profile, ROUND)


def sphere(radius: float) -> Mesh:
    """A ball around 0."""
    return capsule(0.0, radius)


def plane(side: float = 200.0) -> Mesh:
    """A square around 0 in the plane z = 0 that is seen from above."""
    a, b, c, d = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * side / 2
    return welded([[a, b, c], [a, c, d]])


def _lathe(profile: Floats, sides: int, first: float = 0.0) -> Mesh:
    """What a line of points (distance from z, z), from the bottom up, goes round z.

    `first`: where the first side begins, in sides.
    """
    angle = (np.arange(sides + 1) + first) * 2 * np.pi / sides
    angle[-1] = angle[0]
    r, z = profile[:, 0, None], profile[:, 1, None]
    rings = np.stack(np.broadcast_arrays(r * np.cos(angle), r * np.sin(angle), z), axis=-1)
    a, b = rings[:-1, :-1], rings[:-1, 1:]
    d, c = rings[1:, :-1], rings[1:, 1:]
    corners = np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)])
    return welded(corners.reshape(-1, 3, 3))
