"""Poses of links: a place and a quaternion each, and what stands still in their frames."""

import numpy as np

from libc.math cimport acos, sin


cdef void turn(const double* q, double* r) noexcept nogil:
    """The rotation matrix r (9, row by row) of the unit quaternion q (x, y, z, w)."""
    cdef double x = q[0], y = q[1], z = q[2], w = q[3]
    r[0], r[1], r[2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    r[3], r[4], r[5] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    r[6], r[7], r[8] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)


cdef void blend(const double* a, const double* b, double part, double* out) noexcept nogil:
    """A pose from `a` towards `b`: places along a line, quaternions along the shorter arc."""
    cdef double dot = a[3] * b[3] + a[4] * b[4] + a[5] * b[5] + a[6] * b[6]
    cdef double sign = 1.0 if dot >= 0 else -1.0
    cdef double keep = 1.0 - part, go = part, angle
    cdef int k
    dot = min(dot * sign, 1.0)
    if dot < 0.9999995:  # beyond, arc and chord are the same to 1e-10
        angle = acos(dot)
        keep, go = sin(keep * angle) / sin(angle), sin(go * angle) / sin(angle)
    for k in range(3):
        out[k] = a[k] + part * (b[k] - a[k])
    for k in range(3, 7):
        out[k] = keep * a[k] + go * sign * b[k]


def place(links, link_of, local):
    """World from part.

    Args:
        links: position (m) and quaternion (x, y, z, w) of each link, float64, shape (links, 7).
        link_of: the link of each part, int32, shape (parts,).
        local: link from part, float64, shape (parts, 3, 4).

    Returns:
        float64, shape (parts, 3, 4).

    Raises:
        ValueError: a wrong shape, or a link that there is not.
    """
    cdef const double[:, ::1] pose = np.ascontiguousarray(links, np.float64)
    cdef const int[::1] index = np.ascontiguousarray(link_of, np.int32)
    cdef const double[:, :, ::1] fixed = np.ascontiguousarray(local, np.float64)
    cdef Py_ssize_t n = index.shape[0], p, i, j, k
    if pose.shape[1] != 7 or fixed.shape[0] != n or fixed.shape[1] != 3 or fixed.shape[2] != 4:
        raise ValueError("links must have 7 columns, local the shape (parts, 3, 4)")
    placed = np.empty((n, 3, 4))
    cdef double[:, :, ::1] out = placed
    cdef double[9] r
    for p in range(n):
        if not 0 <= index[p] < pose.shape[0]:
            raise ValueError(f"part {p} is on link {index[p]} of {pose.shape[0]}")
        turn(&pose[index[p], 3], r)
        for i in range(3):
            for j in range(4):
                out[p, i, j] = pose[index[p], i] if j == 3 else 0.0
                for k in range(3):
                    out[p, i, j] += r[3 * i + k] * fixed[p, k, j]
    return placed


def between(before, after, double part):
    """The poses `part` (0 to 1) of the way; places by line, turns by arc (Shoemake 1985).

    Args:
        before, after: float64, shape (links, 7), as for `place`.

    Raises:
        ValueError: the shapes differ.
    """
    cdef const double[:, ::1] a = np.ascontiguousarray(before, np.float64)
    cdef const double[:, ::1] b = np.ascontiguousarray(after, np.float64)
    cdef Py_ssize_t i
    if a.shape[1] != 7 or a.shape[0] != b.shape[0] or b.shape[1] != 7:
        raise ValueError("before and after must both have the shape (links, 7)")
    poses = np.empty((a.shape[0], 7))
    cdef double[:, ::1] out = poses
    for i in range(a.shape[0]):
        blend(&a[i, 0], &b[i, 0], part, &out[i, 0])
    return poses
