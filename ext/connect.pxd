"""Drawing synapses and compressing them by source.

Every rule writes rows (where the synapses of each source begin) and targets, ascending within a
row. What must be counted before it can be placed is drawn twice from the same stream: nothing but
the result is ever held.
"""

from libc.stdint cimport int32_t, int64_t

from reflexarc.ext.chance cimport Stream

# Which elements of two nodes a projection joins.
cdef struct Ends:
    int64_t first_source
    int64_t sources
    int64_t first_target
    int64_t targets
    # whether both are parts of one node, no element of which may reach itself
    bint apart

# How likely a pair is, by its distance: up to `reach` places are looked up in the grid.
cdef struct Kernel:
    int shape
    double scale
    double peak
    double reach

# Targets by the cell of a grid that they lie in: those of cell c are order[begin[c]] and on.
cdef struct Grid:
    int axes
    # by axis: number of cells, where the first begins, how wide each is, what joins its far end
    int64_t cells[3]
    double low[3]
    double width[3]
    double extent[3]
    const int64_t *begin
    const int32_t *order

cdef int64_t twin(int64_t k, int64_t from_first, int64_t to_first, int64_t size) noexcept nogil
cdef void draw_sources(
    const Ends *ends, const int32_t *degree, bint multiple, Stream *stream, int32_t *seen,
    int64_t *slot, int32_t *targets,
) noexcept nogil
cdef void draw_targets(
    const Ends *ends, int64_t degree, bint multiple, Stream *stream, int32_t *seen,
    int32_t *targets,
) noexcept nogil
cdef int64_t draw_pairs(
    const Ends *ends, double p, Stream *stream, int64_t *rows, int32_t *targets
) noexcept nogil
cdef int64_t draw_near(
    const Ends *ends, const Kernel *kernel, const Grid *grid, const double *source_at,
    const double *target_at, Stream *stream, int64_t *rows, int32_t *targets,
) noexcept nogil
