"""The rasteriser's structs as they stand in corner.h and raster.h, and the classes over them."""

from libc.stdint cimport int32_t, int64_t, uint8_t


cdef extern from "raster.h" nogil:
    const int SAMPLES
    const int FINE
    const int MOST_SPLITS
    const int MOST_CORNERS

    ctypedef struct Lens:
        float fx, fy, cx, cy, k1, k2, p1, p2
        int32_t bends
        float near, slope_x, slope_y

    ctypedef struct Corner:
        float x, y, z, shade, u, v, px, py

    ctypedef struct Vertices:
        const float* x
        const float* y
        const float* z
        const float* nx
        const float* ny
        const float* nz
        const float* grey
        const float* u
        const float* v

    ctypedef struct Seen:
        float* x
        float* y
        float* z
        float* shade
        float* px
        float* py
        int32_t* ix
        int32_t* iy
        uint8_t* inside

    ctypedef struct Face:
        int32_t part

    ctypedef struct Texture:
        const float* texels
        int32_t width, height, levels

    ctypedef struct Pattern:
        int32_t n

    ctypedef struct Raster:
        int32_t width, height
        float background
        const Texture* textures
        Face* faces
        int64_t n_faces, capacity
        int32_t failed
        float* depth
        int32_t* face
        uint8_t* edge
        int32_t* before
        int32_t* sampled
        int64_t room
        float* sample_depth
        int32_t* sample_face

    void see(const Vertices*, Seen*, int64_t begin, int64_t end, const float* move,
             const float* light, float ambient, const Lens*) noexcept
    Corner corner_of(const Vertices*, const Seen*, int64_t i) noexcept
    int clip(const Lens*, Corner*, int n) noexcept
    int clip_line(const Lens*, Corner*) noexcept
    float front(float ax, float ay, float bx, float by, float cx, float cy) noexcept
    void add(Raster*, const Lens*, const Corner*, const Corner*, const Corner*,
             int32_t part, int32_t texture, int splits) noexcept
    void mark_edge(Raster*, const Lens*, const Corner*, const Corner*, int splits) noexcept
    void lay_out(Pattern*, int32_t side) noexcept
    int32_t draw_samples(Raster*, const Pattern*, float* image) noexcept
    void keep_coarse(Raster*, const float* image, float step) noexcept
    void show_middles(const Raster*, float* image) noexcept
    void mark_line(Raster*, float x0, float y0, float x1, float y1) noexcept
    void mark_contrast(const float* image, uint8_t* edge, int32_t width, int32_t height,
                       float contrast) noexcept
    float flow(const Raster*, const Lens*, const float* ways, const float* moves) noexcept


cdef struct Shape:
    # triangles (n, 3): vertices; edges (n, 4): two vertices, the triangles on both sides (the
    # second is -1 on a border); first_* (parts + 1): where each part begins
    Vertices vertices
    const int32_t* triangles
    const int32_t* edges
    const int32_t* first_vertex
    const int32_t* first_triangle
    const int32_t* first_edge
    const int32_t* texture       # of each part, -1 without
    int32_t n_parts


cdef class Geometry:
    cdef readonly int n_vertices
    cdef readonly int n_triangles
    cdef readonly int n_parts
    cdef Shape shape
    cdef Texture* textures
    cdef object _owned


cdef class Rasteriser:
    cdef readonly int width
    cdef readonly int height
    cdef readonly float contrast
    cdef readonly float step
    cdef readonly int sampled
    cdef readonly int fine
    cdef int mode
    cdef int n_parts  # of the last picture
    cdef Lens lens
    cdef Raster raster
    cdef Pattern pattern
    cdef Pattern fine_pattern
    cdef Seen seen
    cdef uint8_t* facing
    cdef int room_vertices
    cdef int room_triangles
    cdef float[:, ::1] image
    cdef float* _make_room(self, Geometry geometry) except NULL
    cdef void _place(self, const Shape*, const double[:, :, ::1] poses, const double[:, ::1] camera,
                     const double* light, float ambient) noexcept nogil
    cdef void _draw(self, const Shape*) noexcept nogil
    cdef void _mark(self, const Shape*) noexcept nogil
    cdef void _sample(self) noexcept nogil
