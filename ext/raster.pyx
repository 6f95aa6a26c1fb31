"""A rasteriser for event cameras: triangles to float32 luminance, edges smoothed by samples.

A picture is made in passes over plain arrays (raster.h):

1. *see*: every vertex is moved into the camera's frame, shaded and projected through the lens.
2. *draw*: triangles that show their front become faces, in the middle of each pixel.
3. *mark*: pixels with an outline or a contrast to their neighbours need samples.
4. *sample*: the faces again, at 16 places of those pixels alone; the rest keep their middle.
5. *fine*: the faces once more, at 256 places of those pixels where one of 16 is worth too much:
   the outline of something dark before something bright.

In mode "full" every pixel has 16 samples and none has more: the reference for the third pass. In
mode "middle" none is sampled.
"""

from libc.math cimport sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

import numpy as np

MODES = {"middle": 0, "edges": 1, "full": 2}


cdef class Geometry:
    """What is drawn: triangles in parts, each part in a frame of its own.

    Args:
        vertices, normals: float32, shape (n, 3), metres and unit vectors.
        grey: reflectance of each vertex, float32, shape (n,).
        uv: place of each vertex in its part's texture, float32, shape (n, 2).
        triangles: int32, shape (m, 3), vertices against the clock as seen from outside.
        edges: int32, shape (e, 4): two vertices and the triangle on either side, the second -1 on
            a border.
        parts: int32, shape (p + 1, 3): where each part begins in vertices, triangles and edges.
        texture: index into `textures` of each part, -1 without; int32, shape (p,).
        textures: float32 arrays of shape (height, width).

    Raises:
        ValueError: a wrong shape, or an index that points nowhere.
    """

    def __init__(self, vertices, normals, grey, uv, triangles, edges, parts, texture, textures=()):
        cdef int k
        vertices = _array(vertices, np.float32, (-1, 3), "vertices")
        self.n_vertices = len(vertices)
        normals = _array(normals, np.float32, (self.n_vertices, 3), "normals")
        grey = _array(grey, np.float32, (self.n_vertices,), "grey")
        uv = _array(uv, np.float32, (self.n_vertices, 2), "uv")
        triangles = _array(triangles, np.int32, (-1, 3), "triangles")
        self.n_triangles = len(triangles)
        edges = _array(edges, np.int32, (-1, 4), "edges")
        parts = _array(parts, np.int32, (-1, 3), "parts")
        self.n_parts = len(parts) - 1
        texture = _array(texture, np.int32, (self.n_parts,), "texture")
        totals = [self.n_vertices, self.n_triangles, len(edges)]
        if (
            self.n_parts < 0 or parts[0].any() or parts[self.n_parts].tolist() != totals
            or (np.diff(parts, axis=0) < 0).any()
        ):
            raise ValueError(f"parts must rise from 0 to {totals}")
        _check_indices(triangles, 0, self.n_vertices, "triangles")
        _check_indices(edges[:, :2], 0, self.n_vertices, "edges")
        _check_indices(edges[:, 2], 0, self.n_triangles, "edges")
        _check_indices(edges[:, 3], -1, self.n_triangles, "edges")
        _check_indices(texture, -1, len(textures), "texture")
        columns = [np.ascontiguousarray(part) for part in (*vertices.T, *normals.T, grey, *uv.T)]
        starts = [np.ascontiguousarray(part) for part in parts.T]
        pyramids = [_pyramid(one) for one in textures]
        self._owned = columns, triangles, edges, starts, texture, pyramids
        cdef Vertices* v = &self.shape.vertices
        v.x, v.y, v.z = _floats(columns[0]), _floats(columns[1]), _floats(columns[2])
        v.nx, v.ny, v.nz = _floats(columns[3]), _floats(columns[4]), _floats(columns[5])
        v.grey, v.u, v.v = _floats(columns[6]), _floats(columns[7]), _floats(columns[8])
        self.shape.triangles = _ints(triangles)
        self.shape.edges = _ints(edges)
        self.shape.first_vertex = _ints(starts[0])
        self.shape.first_triangle = _ints(starts[1])
        self.shape.first_edge = _ints(starts[2])
        self.shape.texture = _ints(texture)
        self.shape.n_parts = self.n_parts
        self.textures = <Texture*>calloc(max(1, len(pyramids)), sizeof(Texture))
        if self.textures == NULL:
            raise MemoryError
        for k, (texels, height, width, levels) in enumerate(pyramids):
            self.textures[k] = Texture(_floats(texels), width, height, levels)

    def __dealloc__(self):
        free(self.textures)


cdef const float* _floats(values) except? NULL:
    cdef const float[::1] flat = values.reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


cdef const int32_t* _ints(values) except? NULL:
    cdef const int32_t[::1] flat = values.reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


def _array(values, dtype, shape, name):
    """`values` as a contiguous array of its own; -1 in `shape` stands for any length."""
    values = np.array(values, dtype=dtype, order="C")
    fits = len(shape) == values.ndim and all(
        want in (-1, have) for want, have in zip(shape, values.shape)
    )
    if not fits:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite")
    return values


def _check_indices(values, low, high, name):
    if values.size and not low <= values.min() <= values.max() < high:
        raise ValueError(f"{name} must lie from {low} to {high - 1}")


def _pyramid(texture):
    """A texture and its halved copies, one after the other; height, width, number of copies."""
    level = _array(texture, np.float32, (-1, -1), "a texture")
    height, width = level.shape
    levels = [level]
    while level.size > 1:
        rows, columns = max(1, level.shape[0] // 2), max(1, level.shape[1] // 2)
        down = level.shape[0] // rows, level.shape[1] // columns
        level = level[: rows * down[0], : columns * down[1]]
        level = level.reshape(rows, down[0], columns, down[1]).mean(axis=(1, 3))
        levels.append(level)
    return np.concatenate([one.ravel() for one in levels]), height, width, len(levels)


cdef class Rasteriser:
    """A camera of `width` x `height` pixels that draws a Geometry.

    Its frame: x to the right, y down, z forward. The middle of the upper left pixel is (0.5, 0.5).

    Args:
        width, height: of the picture, 1 to 1920 pixels.
        focal_px: (fx, fy).
        centre_px: (cx, cy), where the optical axis meets the picture.
        distortion: (k1, k2, p1, p2) of Brown (1966) in OpenCV's order.
        slopes: largest |x / z| and |y / z| that are drawn; the picture lies within. A lens that
            bends must not fold there (default: all that stays within 4000 pixels).
        near_m: what is nearer is not drawn.
        mode: "edges", "full" or "middle"; see the module.
        background: luminance where nothing is.
        contrast: relative step between neighbours from which "edges" takes samples.
        step: how much of a photoreceptor's level, in ln units, one sample may be worth in "edges";
            where it may be more there are 256. The level is ln I, linear below 20 of 255.

    Attributes:
        sampled, fine: how many pixels of the last picture had samples, and 256 of them.

    Raises:
        ValueError: a value out of its range.
    """

    def __init__(
        self, int width, int height, focal_px, centre_px, distortion=(0.0, 0.0, 0.0, 0.0),
        slopes=None, float near_m=0.01, mode="edges", float background=0.5, float contrast=0.05,
        float step=0.1,
    ):
        if not (1 <= width <= 1920 and 1 <= height <= 1920):
            raise ValueError(f"a picture of {width} x {height} pixels is not within 1 to 1920")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        values = [*focal_px, *centre_px, *distortion, near_m, background, contrast, step]
        if len(values) != 12 or not np.isfinite(values).all():
            raise ValueError("need 2 focal lengths, 2 of the centre, 4 of the distortion, finite")
        if min(*focal_px, near_m, step) <= 0 or min(background, contrast) < 0:
            raise ValueError("focal lengths, near_m and step must be above 0, the rest not negative")
        if max(map(abs, centre_px)) > 1920:
            raise ValueError(f"the centre must lie within 1920 pixels, not at {centre_px}")
        if slopes is None:
            slopes = [(4000.0 - abs(c)) / f for c, f in zip(centre_px, focal_px)]
        self.width, self.height, self.contrast, self.step = width, height, contrast, step
        self.mode = MODES[mode]
        lay_out(&self.pattern, 4)
        lay_out(&self.fine_pattern, 16)
        cdef Lens* l = &self.lens
        l.fx, l.fy = focal_px
        l.cx, l.cy = centre_px
        l.k1, l.k2, l.p1, l.p2 = distortion
        l.bends = any(distortion)
        l.near = near_m
        l.slope_x, l.slope_y = slopes
        cdef int64_t n = <int64_t>width * height
        cdef Raster* r = &self.raster
        r.width, r.height, r.background = width, height, background
        r.depth = <float*>malloc(n * sizeof(float))
        r.face = <int32_t*>malloc(n * sizeof(int32_t))
        r.edge = <uint8_t*>malloc(n)
        r.before = <int32_t*>malloc((n + 1) * sizeof(int32_t))
        r.sampled = <int32_t*>malloc(n * sizeof(int32_t))
        r.room = max(n * SAMPLES, FINE) if self.mode else 1
        r.sample_depth = <float*>malloc(r.room * sizeof(float))
        r.sample_face = <int32_t*>malloc(r.room * sizeof(int32_t))
        if (
            r.depth == NULL or r.face == NULL or r.edge == NULL or r.before == NULL
            or r.sampled == NULL or r.sample_depth == NULL or r.sample_face == NULL
        ):
            raise MemoryError
        memset(r.face, 0xFF, n * sizeof(int32_t))
        memset(r.depth, 0, n * sizeof(float))

    def __dealloc__(self):
        cdef Raster* r = &self.raster
        for part in (<size_t>r.depth, <size_t>r.face, <size_t>r.edge, <size_t>r.before,
                     <size_t>r.sampled, <size_t>r.sample_depth, <size_t>r.sample_face,
                     <size_t>r.faces, <size_t>self.seen.x, <size_t>self.seen.ix,
                     <size_t>self.seen.inside, <size_t>self.facing):
            free(<void*><size_t>part)

    def draw(self, Geometry geometry, poses, camera, to_light=(0.0, 0.0, 1.0), float ambient=0.4):
        """The picture: luminance, float32, shape (height, width), an array of its own.

        A surface of reflectance g shows g (ambient + (1 - ambient) max(0, cos)), where cos is
        that of the angle between its normal and the light (Lambert).

        Args:
            poses: world from part, float64, shape (parts, 3, 4).
            camera: camera from world, float64, shape (3, 4).
            to_light: direction to the light in the world, any length above 0.
            ambient: share of the light that comes from everywhere, 0 to 1.

        Raises:
            ValueError: a wrong shape, or a value that is not finite.
        """
        cdef const double[:, :, ::1] moves = _array(
            poses, np.float64, (geometry.n_parts, 3, 4), "poses"
        )
        cdef const double[:, ::1] eye = _array(camera, np.float64, (3, 4), "camera")
        cdef double[3] light = to_light
        cdef double length = sqrt(light[0] ** 2 + light[1] ** 2 + light[2] ** 2)
        if not (0 < length < np.inf and 0 <= ambient <= 1):
            raise ValueError("to_light must be longer than 0, ambient from 0 to 1")
        cdef int k
        for k in range(3):
            light[k] /= length
        self._make_room(geometry)
        picture = np.empty((self.height, self.width), np.float32)
        self.image = picture
        with nogil:
            self.raster.textures = geometry.textures
            self._place(&geometry.shape, moves, eye, light, ambient)
            self._draw(&geometry.shape)
            if self.mode:
                self._mark(&geometry.shape)
                self._sample()
        self.n_parts = geometry.n_parts
        if self.raster.failed:
            raise MemoryError("no memory for the faces of a picture")
        return picture

    def depth_m(self):
        """Distance along the optical axis of what the middle of each pixel last saw.

        float32, shape (height, width); inf where nothing was.
        """
        cdef float[:, ::1] depth = <float[: self.height, : self.width]>self.raster.depth
        with np.errstate(divide="ignore"):
            return np.float32(1.0) / np.asarray(depth)

    def labels(self):
        """The part that the middle of each pixel last saw; int32, -1 where nothing was."""
        labels = np.full((self.height, self.width), -1, np.int32)
        cdef int32_t[::1] out = labels.reshape(-1)
        cdef Py_ssize_t i
        for i in range(out.shape[0]):
            if self.raster.face[i] >= 0:
                out[i] = self.raster.faces[self.raster.face[i]].part
        return labels

    def flow_px(self, ways, moves):
        """How far what the last picture shows moves in it at most when its parts move, in pixels.

        Every second row and column is looked at, and what is hidden or beside the picture is not.

        Args:
            ways: x / z and y / z of the middle of each pixel, float32, shape (height, width, 2).
            moves: what each part's points do in the camera's frame, float64, (parts, 3, 4).

        Raises:
            ValueError: a wrong shape.
        """
        ways = np.ascontiguousarray(ways, np.float32)
        if ways.shape != (self.height, self.width, 2):
            raise ValueError(f"ways has shape {ways.shape}, not ({self.height}, {self.width}, 2)")
        if np.shape(moves) != (self.n_parts, 3, 4):
            raise ValueError(f"moves has shape {np.shape(moves)}, not ({self.n_parts}, 3, 4)")
        if self.n_parts == 0:
            return 0.0
        cdef const float[:, :, ::1] way = ways
        cdef const float[:, :, ::1] move = np.ascontiguousarray(moves, np.float32)
        cdef float most
        with nogil:
            most = flow(&self.raster, &self.lens, &way[0, 0, 0], &move[0, 0, 0])
        return most

    @property
    def faces(self):
        """How many faces the last picture was made of."""
        return self.raster.n_faces

    cdef float* _make_room(self, Geometry geometry) except NULL:
        """Have space for what becomes of every vertex and triangle."""
        cdef Seen* s = &self.seen
        cdef int64_t n = max(1, geometry.n_vertices), m = max(1, geometry.n_triangles)
        if n > self.room_vertices or m > self.room_triangles:
            n, m = max(n, self.room_vertices), max(m, self.room_triangles)
            free(s.x)
            free(s.ix)
            free(s.inside)
            free(self.facing)
            s.x = <float*>malloc(6 * n * sizeof(float))
            s.ix = <int32_t*>malloc(2 * n * sizeof(int32_t))
            s.inside = <uint8_t*>malloc(n)
            self.facing = <uint8_t*>malloc(m)
            self.room_vertices = self.room_triangles = 0
            if s.x == NULL or s.ix == NULL or s.inside == NULL or self.facing == NULL:
                raise MemoryError
            s.y, s.z, s.shade, s.px, s.py = s.x + n, s.x + 2 * n, s.x + 3 * n, s.x + 4 * n, s.x + 5 * n
            s.iy = s.ix + n
            self.room_vertices, self.room_triangles = n, m
        return s.x

    cdef void _place(
        self, const Shape* shape, const double[:, :, ::1] poses, const double[:, ::1] camera,
        const double* light, float ambient,
    ) noexcept nogil:
        """Pass 1: every vertex into the camera's frame, shaded and projected."""
        cdef float[12] move
        cdef float[3] toward
        cdef double total
        cdef int p, i, j, k
        for p in range(shape.n_parts):
            for i in range(3):
                for j in range(4):
                    total = camera[i, 3] if j == 3 else 0.0
                    for k in range(3):
                        total += camera[i, k] * poses[p, k, j]
                    move[4 * i + j] = <float>total
                toward[i] = <float>(
                    poses[p, 0, i] * light[0] + poses[p, 1, i] * light[1] + poses[p, 2, i] * light[2]
                )
            see(&shape.vertices, &self.seen, shape.first_vertex[p], shape.first_vertex[p + 1],
                move, toward, ambient, &self.lens)

    cdef void _draw(self, const Shape* shape) noexcept nogil:
        """Pass 2: faces, and the picture by the middle of each pixel."""
        cdef Raster* r = &self.raster
        cdef int64_t i, n = <int64_t>r.width * r.height
        cdef int p
        r.n_faces, r.failed = 0, False
        memset(r.depth, 0, n * sizeof(float))
        memset(r.face, 0xFF, n * sizeof(int32_t))
        for p in range(shape.n_parts):
            for i in range(shape.first_triangle[p], shape.first_triangle[p + 1]):
                self.facing[i] = draw_triangle(r, &self.lens, shape, &self.seen, i, p)
        if self.mode < 2:
            show_middles(r, &self.image[0, 0])

    cdef void _mark(self, const Shape* shape) noexcept nogil:
        """Pass 3: which pixels need samples."""
        cdef Raster* r = &self.raster
        cdef int64_t i
        memset(r.edge, self.mode == 2, <int64_t>r.width * r.height)
        if self.mode == 1:
            mark_contrast(&self.image[0, 0], r.edge, r.width, r.height, self.contrast)
            for i in range(shape.first_edge[shape.n_parts]):
                mark_outline(r, &self.lens, shape, &self.seen, self.facing, shape.edges + 4 * i)

    cdef void _sample(self) noexcept nogil:
        """Passes 4 and 5: the marked pixels by their samples."""
        self.sampled = draw_samples(&self.raster, &self.pattern, &self.image[0, 0])
        if self.mode == 1:
            keep_coarse(&self.raster, &self.image[0, 0], self.step)
            self.fine = draw_samples(&self.raster, &self.fine_pattern, &self.image[0, 0])


cdef bint draw_triangle(
    Raster* r, const Lens* lens, const Shape* shape, const Seen* s, int64_t i, int32_t part
) noexcept nogil:
    """Draw triangle `i` if it shows its front; whether it does."""
    cdef const int32_t* v = shape.triangles + 3 * i
    cdef Corner[MOST_CORNERS] c
    cdef int k, n
    if s.inside[v[0]] and s.inside[v[1]] and s.inside[v[2]]:
        if front(s.px[v[0]], s.py[v[0]], s.px[v[1]], s.py[v[1]], s.px[v[2]], s.py[v[2]]) <= 0:
            return False
        n = 3
    else:
        n = 0
    for k in range(3):
        c[k] = corner_of(&shape.vertices, s, v[k])
    if n == 0:
        if not faces_camera(&c[0], &c[1], &c[2]):
            return False
        n = clip(lens, c, 3)
    for k in range(1, n - 1):
        add(r, lens, &c[0], &c[k], &c[k + 1], part, shape.texture[part], MOST_SPLITS)
    return True


cdef inline bint faces_camera(const Corner* a, const Corner* b, const Corner* c) noexcept nogil:
    """Whether the camera, at 0, lies on the side to which the triangle shows its front."""
    cdef double ux = b.x - a.x, uy = b.y - a.y, uz = b.z - a.z
    cdef double wx = c.x - a.x, wy = c.y - a.y, wz = c.z - a.z
    return (
        a.x * (uy * wz - uz * wy) + a.y * (uz * wx - ux * wz) + a.z * (ux * wy - uy * wx)
    ) < 0


cdef void mark_outline(
    Raster* r, const Lens* lens, const Shape* shape, const Seen* s, const uint8_t* facing,
    const int32_t* edge
) noexcept nogil:
    """Mark the pixels of an edge where the shape ends as the camera sees it."""
    cdef bint left = facing[edge[2]], right = facing[edge[3]] if edge[3] >= 0 else False
    if left == right:
        return
    cdef int32_t i = edge[0], j = edge[1]
    if s.inside[i] and s.inside[j] and not lens.bends:
        mark_line(r, s.px[i], s.py[i], s.px[j], s.py[j])
        return
    cdef Corner[2] c
    c[0] = corner_of(&shape.vertices, s, edge[0])
    c[1] = corner_of(&shape.vertices, s, edge[1])
    if s.inside[edge[0]] and s.inside[edge[1]] or clip_line(lens, c):
        mark_edge(r, lens, &c[0], &c[1], MOST_SPLITS)
