"""Drawing synapses and compressing them by source; see the header for what all rules share."""

import numpy as np

from libc.math cimport exp, fabs, floor, log, log1p, sqrt
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from reflexarc.ext.chance cimport Stream, begin_stream, next_below, next_gap, next_uniform

GAUSSIAN, EXPONENTIAL, DISC = 0, 1, 2

# Beyond so many scales a kernel has hardly any pair (by shape): they are drawn without the grid.
REACH = (5.0, 12.0, 1.0)
# Gaps between synapses that are longer than any row count as this.
cdef double FAR = 2.0 ** 60
# What is proposed more often than this is not leapt to, but each looked at.
cdef double OFTEN = 0.25
# What is less likely than the likeliest by this factor is not reached by a double's fraction.
cdef double NEVER = 1e-19


cdef int64_t twin(int64_t k, int64_t from_first, int64_t to_first, int64_t size) noexcept nogil:
    """Where element k of one part of a node lies in another part of it, or -1."""
    cdef int64_t there = from_first + k - to_first
    return there if 0 <= there < size else -1


cdef void draw_sources(
    const Ends *ends, const int32_t *degree, bint multiple, Stream *stream, int32_t *seen,
    int64_t *slot, int32_t *targets,
) noexcept nogil:
    """Draw the sources of each target: counted in `slot`, or each placed where `slot` says.

    `seen` holds a 0 for each source.
    """
    cdef int64_t t, k, source, own = -1
    for t in range(ends.targets):
        if ends.apart:
            own = twin(t, ends.first_target, ends.first_source, ends.sources)
        for k in range(degree[t]):
            source = next_below(stream, <uint32_t>ends.sources)
            while source == own or (not multiple and seen[source] == t + 1):
                source = next_below(stream, <uint32_t>ends.sources)
            if not multiple:
                seen[source] = <int32_t>(t + 1)
            source += ends.first_source
            if targets != NULL:
                targets[slot[source]] = <int32_t>(ends.first_target + t)
            slot[source] += 1


cdef int ascending(const void *first, const void *second) noexcept nogil:
    cdef int32_t a = (<const int32_t *>first)[0]
    cdef int32_t b = (<const int32_t *>second)[0]
    return (a > b) - (a < b)


cdef void draw_targets(
    const Ends *ends, int64_t degree, bint multiple, Stream *stream, int32_t *seen,
    int32_t *targets,
) noexcept nogil:
    """Draw the targets of each source and sort them. `seen` holds a 0 for each target."""
    cdef int64_t s, k, target, own = -1
    cdef int32_t *row
    for s in range(ends.sources):
        row = targets + s * degree
        if ends.apart:
            own = twin(s, ends.first_source, ends.first_target, ends.targets)
        for k in range(degree):
            target = next_below(stream, <uint32_t>ends.targets)
            while target == own or (not multiple and seen[target] == s + 1):
                target = next_below(stream, <uint32_t>ends.targets)
            if not multiple:
                seen[target] = <int32_t>(s + 1)
            row[k] = <int32_t>(ends.first_target + target)
        qsort(row, degree, sizeof(int32_t), ascending)


cdef int64_t draw_pairs(
    const Ends *ends, double p, Stream *stream, int64_t *rows, int32_t *targets
) noexcept nogil:
    """Take every pair with probability p, leaping from one to the next; how many there are.

    Without `targets` they are counted only.
    """
    cdef int64_t s, t, room, own = -1, n = 0
    cdef double per_log = 1.0 / log1p(-p) if p < 1.0 else 0.0
    cdef double at = floor(min(next_gap(stream, per_log), FAR))
    for s in range(ends.sources):
        if ends.apart:
            own = twin(s, ends.first_source, ends.first_target, ends.targets)
        room = ends.targets - (own >= 0)
        while at < room:
            if targets != NULL:
                t = <int64_t>at
                targets[n] = <int32_t>(ends.first_target + t + (own >= 0 and t >= own))
            n += 1
            at += 1.0 + floor(min(next_gap(stream, per_log), FAR))
        at -= room
        rows[ends.first_source + s + 1] = n
    return n


cdef inline double separation(
    const double *a, const double *b, int axes, const double *extent
) noexcept nogil:
    """Distance of two places; along an axis of extent above 0 the far end joins the near one."""
    cdef double way, square = 0.0
    cdef int axis
    for axis in range(axes):
        way = fabs(a[axis] - b[axis])
        if extent[axis] > 0.0:
            way = min(way, extent[axis] - way)
        square += way * way
    return sqrt(square)


cdef inline double likelihood(const Kernel *kernel, double distance) noexcept nogil:
    """Probability of a pair."""
    cdef double x = distance / kernel.scale
    if kernel.shape == 0:
        return kernel.peak * exp(-0.5 * x * x)
    if kernel.shape == 1:
        return kernel.peak * exp(-x)
    return kernel.peak if x <= 1.0 else 0.0


cdef inline double way_to(int64_t steps, double width, double within) noexcept nogil:
    """Way to a cell so many steps off from a place that lies `within` its own cell."""
    if steps > 0:
        return steps * width - within
    return (-steps - 1) * width + within if steps < 0 else 0.0


cdef int cells_along(
    const Grid *grid, int axis, double place, double reach, int64_t *cell, double *way
) noexcept nogil:
    """The cells of an axis within reach of a place and the way to each; how many."""
    cdef double width = grid.width[axis], within, distance
    cdef int64_t cells = grid.cells[axis], own, first, last, k
    cdef bint joined = grid.extent[axis] > 0.0, around
    cdef int n = 0
    own = <int64_t>floor((place - grid.low[axis]) / width)
    within = place - grid.low[axis] - own * width
    k = <int64_t>(reach / width) + 1
    around = joined and 2 * k + 1 >= cells
    first, last = (own - cells // 2, own - cells // 2 + cells - 1) if around else (own - k, own + k)
    if not joined:
        first, last = max(first, 0), min(last, cells - 1)
    for k in range(first, last + 1):
        distance = way_to(k - own, width, within)
        if around:
            distance = min(distance, way_to(k - own - cells, width, within))
            distance = min(distance, way_to(k - own + cells, width, within))
        if distance <= reach:
            cell[n] = ((k % cells) + cells) % cells if joined else k
            way[n] = distance
            n += 1
    return n


cdef int64_t propose(
    const Kernel *kernel, const Grid *grid, const int32_t *among, int64_t n_among, double bound,
    bint far, const double *source_at, const double *target_at, int64_t own, Stream *stream,
    int32_t *row,
) noexcept nogil:
    """Take targets `among`, whose places are `target_at`, by their distance; how many.

    Each is proposed with the probability `bound`, which none exceeds, and kept by its share of it
    if it lies beyond (`far`) or within the reach.
    """
    cdef int64_t k, t, n = 0
    cdef double distance, at = 0.0, per_log = 0.0, first = next_uniform(stream)
    cdef bint every = bound > OFTEN
    if every:
        bound = 1.0
    elif first <= 1.0 - bound * n_among:  # then the first would lie behind the last
        return 0
    else:
        per_log = 1.0 / log1p(-bound)
        at = floor(log(first) * per_log)
    while at < n_among:
        k = <int64_t>at
        at += 1.0 if every else 1.0 + floor(min(next_gap(stream, per_log), FAR))
        distance = separation(source_at, target_at + k * grid.axes, grid.axes, grid.extent)
        if next_uniform(stream) * bound > likelihood(kernel, distance):
            continue
        t = among[k]
        if t == own or (distance > kernel.reach) != far:
            continue
        if row != NULL:
            row[n] = <int32_t>t
        n += 1
    return n


cdef int64_t draw_row_near(
    const Ends *ends, const Kernel *kernel, const Grid *grid, const double *source_at,
    const double *target_at, int64_t own, Stream *stream, int32_t *row,
) noexcept nogil:
    """Take the targets of one source by their distance: cell by cell, then those beyond reach."""
    cdef int64_t cell[3][32]
    cdef double way[3][32]
    cdef int count[3]
    cdef int i, j, k, axis
    cdef int64_t c, size, n = 0
    cdef double bound
    for axis in range(3):
        count[axis], cell[axis][0], way[axis][0] = 1, 0, 0.0
    for axis in range(grid.axes):
        count[axis] = cells_along(
            grid, axis, source_at[axis], kernel.reach, &cell[axis][0], &way[axis][0]
        )
    for i in range(count[0]):
        for j in range(count[1]):
            for k in range(count[2]):
                c = (cell[0][i] * grid.cells[1] + cell[1][j]) * grid.cells[2] + cell[2][k]
                size = grid.begin[c + 1] - grid.begin[c]
                bound = likelihood(kernel, sqrt(way[0][i] ** 2 + way[1][j] ** 2 + way[2][k] ** 2))
                if size > 0 and bound > 0.0:
                    n += propose(
                        kernel, grid, grid.order + grid.begin[c], size, bound, False, source_at,
                        target_at + grid.begin[c] * grid.axes, own, stream,
                        NULL if row == NULL else row + n,
                    )
    if kernel.shape != 2:
        n += propose(
            kernel, grid, grid.order, ends.targets, likelihood(kernel, kernel.reach), True, source_at,
            target_at, own, stream, NULL if row == NULL else row + n,
        )
    return n


cdef int64_t draw_near(
    const Ends *ends, const Kernel *kernel, const Grid *grid, const double *source_at,
    const double *target_at, Stream *stream, int64_t *rows, int32_t *targets,
) noexcept nogil:
    """Take every pair with the probability of its distance; how many there are.

    The places of the targets are in the order of the grid.
    """
    cdef int64_t s, k, n = 0, own = -1, taken
    cdef int32_t *row = NULL
    for s in range(ends.sources):
        if ends.apart:
            own = twin(s, ends.first_source, ends.first_target, ends.targets)
        if targets != NULL:
            row = targets + n
        taken = draw_row_near(
            ends, kernel, grid, source_at + s * grid.axes, target_at, own, stream, row
        )
        if row != NULL:
            qsort(row, taken, sizeof(int32_t), ascending)
            for k in range(taken):
                row[k] += <int32_t>ends.first_target
        n += taken
        rows[ends.first_source + s + 1] = n
    return n


cdef inline double ratio(
    double k, double total, double room, double all_room, bint multiple
) noexcept nogil:
    """How likely k + 1 of `total` are to fall into `room` of `all_room`, over k: with room for
    any number in each place the binomial law, with room for one the hypergeometric."""
    if multiple:
        return (total - k) * room / ((k + 1.0) * (all_room - room))
    return (total - k) * (room - k) / ((k + 1.0) * (all_room - room - total + k + 1.0))


cdef int64_t share(
    int64_t total, int64_t room, int64_t all_room, bint multiple, Stream *stream
) noexcept nogil:
    """How many of `total` fall into `room` places of `all_room`, by inversion from the mode."""
    cdef int64_t low = 0, high = total, mode, up, down
    cdef double weight, mass = 1.0, left
    if room == all_room or total == 0:
        return total
    if multiple:
        mode = <int64_t>((total + 1.0) * (<double>room / all_room))
    else:
        low, high = max(0, total - (all_room - room)), min(total, room)
        mode = <int64_t>((total + 1.0) * ((room + 1.0) / (all_room + 2.0)))
    mode = min(max(mode, low), high)
    weight, up = 1.0, mode
    while up < high and weight > NEVER:
        weight *= ratio(up, total, room, all_room, multiple)
        mass += weight
        up += 1
    weight, down = 1.0, mode
    while down > low and weight > NEVER:
        down -= 1
        weight /= ratio(down, total, room, all_room, multiple)
        mass += weight
    left = next_uniform(stream) * mass - 1.0
    weight, up = 1.0, mode
    while left > 0.0 and up < high and weight > NEVER:
        weight *= ratio(up, total, room, all_room, multiple)
        left -= weight
        up += 1
    if left <= 0.0:
        return up
    weight, down = 1.0, mode
    while left > 0.0 and down > low and weight > NEVER:
        down -= 1
        weight /= ratio(down, total, room, all_room, multiple)
        left -= weight
    return down


cdef void sort_by_key(
    int64_t n, const int32_t *key, const int64_t *order, int64_t *slot, int64_t *sorted
) noexcept nogil:
    """Counting sort: `order` (NULL: as they stand) into `sorted` by key, equal keys as they were.

    `slot` says where each key begins and is used up.
    """
    cdef int64_t k, item
    for k in range(n):
        item = k if order == NULL else order[k]
        sorted[slot[key[item]]] = item
        slot[key[item]] += 1


cdef Ends joined(ends):
    """The parts as the rules take them."""
    cdef Ends parts
    parts.first_source, parts.sources, parts.first_target, parts.targets, parts.apart = ends
    return parts


def fixed_degree_in(int64_t size, ends, const int32_t[::1] degree, bint multiple, uint64_t seed,
                    uint64_t number):
    """Synapses of which target t has degree[t], their sources drawn.

    Args:
        size: elements of the node that sends.
        ends: (first source, sources, first target, targets, apart): the parts that are joined,
            and whether no element may reach itself.
        degree: int32, shape (targets,).
        multiple: whether a source may be drawn twice for one target.
        seed, number: the stream of random numbers.

    Returns:
        rows (int64, shape (size + 1,)) and targets (int32), as in `Projection`.
    """
    cdef Ends parts = joined(ends)
    cdef Stream stream = begin_stream(seed, number)
    cdef int64_t[::1] slot
    cdef int32_t[::1] seen, out
    rows = np.zeros(size + 1, np.int64)
    marks = np.zeros(1 if multiple else parts.sources, np.int32)
    seen, slot = marks, rows[1:]
    with nogil:
        draw_sources(&parts, &degree[0], multiple, &stream, &seen[0], &slot[0], NULL)
    np.cumsum(rows, out=rows)
    targets = np.empty(rows[size], np.int32)
    if targets.size == 0:
        return rows, targets
    marks[:] = 0
    cursor = rows[:size].copy()
    slot, out, stream = cursor, targets, begin_stream(seed, number)
    with nogil:
        draw_sources(&parts, &degree[0], multiple, &stream, &seen[0], &slot[0], &out[0])
    return rows, targets


def fixed_degree_out(int64_t size, ends, int64_t degree, bint multiple, uint64_t seed,
                     uint64_t number):
    """Synapses of which each source has `degree`, their targets drawn; see `fixed_degree_in`."""
    cdef Ends parts = joined(ends)
    cdef Stream stream = begin_stream(seed, number)
    cdef int32_t[::1] seen, out
    rows = np.zeros(size + 1, np.int64)
    end = parts.first_source + parts.sources
    rows[parts.first_source : end + 1] = np.arange(parts.sources + 1) * degree
    rows[end + 1 :] = rows[end]
    targets = np.empty(rows[size], np.int32)
    if targets.size:
        seen, out = np.zeros(1 if multiple else parts.targets, np.int32), targets
        with nogil:
            draw_targets(&parts, degree, multiple, &stream, &seen[0], &out[0])
    return rows, targets


def by_probability(int64_t size, ends, double p, uint64_t seed, uint64_t number):
    """Synapses between pairs, each taken with probability p above 0; see `fixed_degree_in`."""
    cdef Ends parts = joined(ends)
    cdef Stream stream = begin_stream(seed, number)
    cdef int64_t n
    cdef int64_t[::1] begin
    cdef int32_t[::1] out
    rows = np.zeros(size + 1, np.int64)
    begin = rows
    with nogil:
        n = draw_pairs(&parts, p, &stream, &begin[0], NULL)
    rows[parts.first_source + parts.sources :] = n
    targets = np.empty(n, np.int32)
    if n:
        out, stream = targets, begin_stream(seed, number)
        with nogil:
            draw_pairs(&parts, p, &stream, &begin[0], &out[0])
    return rows, targets


def by_distance(int64_t size, ends, const double[:, ::1] source_at, const double[:, ::1] target_at,
                const double[::1] extent, int shape, double scale, double peak, uint64_t seed,
                uint64_t number):
    """Synapses between pairs, each taken with peak * f(distance / scale); see `fixed_degree_in`.

    Args:
        source_at, target_at: places of the parts that are joined, shape (elements, 1 to 3).
        extent: by axis, how far it reaches before it begins again; 0 where it does not. There
            places lie from 0 to below it.
        shape: GAUSSIAN (exp(-x**2 / 2)), EXPONENTIAL (exp(-x)) or DISC (1 up to x = 1).
    """
    cdef Ends parts = joined(ends)
    cdef Stream stream = begin_stream(seed, number)
    cdef Kernel kernel = Kernel(shape, scale, peak, REACH[shape] * scale)
    cdef Grid grid
    cdef int64_t n
    cdef int axis
    cdef int64_t[::1] begin
    cdef int32_t[::1] out
    cells, low, width = grid_of(np.asarray(target_at), np.asarray(extent), scale)
    grid.axes = <int>extent.shape[0]
    grid.cells[:] = [1, 1, 1]
    for axis in range(grid.axes):
        grid.cells[axis], grid.low[axis], grid.width[axis] = cells[axis], low[axis], width[axis]
        grid.extent[axis] = extent[axis]
    firsts, order = sorted_into(np.asarray(target_at), cells, low, width)
    cdef int64_t[::1] first_of_cell = firsts
    cdef int32_t[::1] by_cell = order
    cdef const double[:, ::1] at = np.ascontiguousarray(np.asarray(target_at)[order])
    grid.begin, grid.order = &first_of_cell[0], &by_cell[0]
    rows = np.zeros(size + 1, np.int64)
    begin = rows
    with nogil:
        n = draw_near(&parts, &kernel, &grid, &source_at[0, 0], &at[0, 0], &stream,
                      &begin[0], NULL)
    rows[parts.first_source + parts.sources :] = n
    targets = np.empty(n, np.int32)
    if n:
        out, stream = targets, begin_stream(seed, number)
        with nogil:
            draw_near(&parts, &kernel, &grid, &source_at[0, 0], &at[0, 0], &stream,
                      &begin[0], &out[0])
    return rows, targets


def grid_of(at, extent, scale):
    """Cells, first place and width by axis of a grid over the places `at`.

    A cell is at least as wide as the kernel, and has some targets on the mean.
    """
    most = max(int((len(at) / 4) ** (1 / at.shape[1])), 1)
    low = np.where(extent > 0, 0.0, at.min(axis=0))
    span = np.where(extent > 0, extent, at.max(axis=0) - low)
    cells = np.clip(span // scale, 1, most).astype(np.int64)
    return cells, low, np.where(span > 0, span / cells, 1.0)


def sorted_into(at, cells, low, width):
    """Where the targets of each cell begin, and the targets by cell."""
    which = np.clip(((at - low) // width).astype(np.int64), 0, cells - 1)
    cell = np.ravel_multi_index(tuple(which.T), tuple(cells))
    begin = np.zeros(np.prod(cells) + 1, np.int64)
    np.cumsum(np.bincount(cell, minlength=len(begin) - 1), out=begin[1:])
    return begin, np.argsort(cell, kind="stable").astype(np.int32)


def distances(const int64_t[::1] rows, const int32_t[::1] targets, const double[:, ::1] source_at,
              const double[:, ::1] target_at, const double[::1] extent):
    """Length of every synapse, float32; places are those of the whole nodes."""
    cdef int64_t s, k
    cdef int axes = <int>extent.shape[0]
    cdef float[::1] out
    lengths = np.empty(targets.shape[0], np.float32)
    out = lengths
    with nogil:
        for s in range(rows.shape[0] - 1):
            for k in range(rows[s], rows[s + 1]):
                out[k] = <float>separation(
                    &source_at[s, 0], &target_at[targets[k], 0], axes, &extent[0]
                )
    return lengths


def shares(const int64_t[::1] room, int64_t total, bint multiple, uint64_t seed, uint64_t number):
    """Spread `total` synapses over targets: how many each gets, int32.

    Args:
        room: from how many sources each target may hear.
        multiple: whether more than one synapse may join a pair; otherwise `total` is at most the
            sum of `room`.
    """
    cdef Stream stream = begin_stream(seed, number)
    cdef int64_t t, all_room = np.sum(room)
    cdef int32_t[::1] out
    degree = np.zeros(room.shape[0], np.int32)
    out = degree
    with nogil:
        for t in range(room.shape[0]):
            if room[t] > 0:
                out[t] = <int32_t>share(total, room[t], all_room, multiple, &stream)
                total -= out[t]
                all_room -= room[t]
    return degree


def order_of_pairs(const int32_t[::1] source, const int32_t[::1] target, int64_t sources,
                   int64_t targets):
    """Rows of given pairs, and the order (int64) that sorts them by source, then target."""
    cdef int64_t n = source.shape[0]
    cdef int64_t[::1] slot, first, second
    rows = np.zeros(sources + 1, np.int64)
    order = np.empty(n, np.int64)
    np.cumsum(np.bincount(source, minlength=sources), out=rows[1:])
    if n == 0:
        return rows, order
    columns = np.zeros(targets + 1, np.int64)
    np.cumsum(np.bincount(target, minlength=targets), out=columns[1:])
    begin = rows.copy()
    slot, first, second = columns, np.empty(n, np.int64), order
    with nogil:
        sort_by_key(n, &target[0], NULL, &slot[0], &first[0])
    slot = begin
    with nogil:
        sort_by_key(n, &source[0], &first[0], &slot[0], &second[0])
    return rows, order


def split_rows(const int64_t[::1] rows, const uint16_t[::1] group, int groups):
    """Rows of each group where the synapses are parted by `group`: int64, (groups, sources + 1)."""
    cdef int64_t s, k
    cdef int g
    cdef int64_t[:, ::1] out
    parts = np.zeros((groups, rows.shape[0]), np.int64)
    out = parts
    with nogil:
        for s in range(rows.shape[0] - 1):
            for g in range(groups):
                out[g, s + 1] = out[g, s]
            for k in range(rows[s], rows[s + 1]):
                out[group[k], s + 1] += 1
    return parts


def first_fault(const int64_t[::1] rows, const int32_t[::1] targets, int64_t size):
    """The first synapse whose target is not below `size` or not in order within its row, or -1.

    `rows` must lead from 0 to the number of targets without going back.
    """
    cdef int64_t s, k, fault = -1
    cdef int32_t last
    with nogil:
        for s in range(rows.shape[0] - 1):
            last = 0
            for k in range(rows[s], rows[s + 1]):
                if targets[k] < last or targets[k] >= size:
                    fault = k
                    break
                last = targets[k]
            if fault >= 0:
                break
    return fault
