"""What keeps a network in order: thresholds that seek a rate, synapses scaled and rewired.

Scaling and rewiring go round the sources, as many in one step as in another, and each is visited
once a period. A visit first replays what the target's spikes have done, as a spike would.
"""

from libc.math cimport INFINITY, ceil, fabs, nextafter
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memmove

from reflexarc.ext.chance cimport Stream, begin_stream, next_below
from reflexarc.ext.learner cimport Learner, settle_row
from reflexarc.ext.populations cimport bound_of
from reflexarc.ext.program cimport Arrays, Bench, Machine, Op, Synapses, Weak

cdef extern from "steps.h":
    int64_t target_at(const Learner *l, int64_t source, int64_t k) noexcept nogil
    double strength(const Learner *l, int64_t k) noexcept nogil
    void set_strength(const Learner *l, int64_t k, double w) noexcept nogil

#: A rate below this, in spikes a second, counts as silence; denormals are slow.
cdef double _SILENT = 1e-9


# --- thresholds -------------------------------------------------------------------------------

cdef void tune(const Op *op, const Arrays *a) noexcept nogil:
    """Move the thresholds of a layer by what its neurons have just done."""
    cdef const double *p = a.constants + op.params  # eta, spikes wanted a step, lowest, highest
    cdef const double *spikes = a.values + op.x
    cdef double *threshold = a.values + op.state
    cdef double *limit = a.values + op.y
    cdef int64_t i
    if not a.learners[op.synapses].active:
        return
    for i in range(op.n):
        threshold[i] = min(max(threshold[i] + p[0] * (spikes[i] - p[1]), p[2]), p[3])
        limit[i] = threshold[i]
    if op.variant:  # fires at the threshold: above the number just below it
        for i in range(op.n):
            limit[i] = nextafter(threshold[i], -INFINITY)
    if op.weights >= 0:
        for i in range(op.n):
            a.values[op.weights + i] = threshold[i]
    if op.rows >= 0:
        for i in range(op.n):
            a.values[op.rows + i] = -threshold[i]


# --- going round ------------------------------------------------------------------------------

cdef inline int64_t first_of(int64_t sources, int64_t period, int64_t turn) noexcept nogil:
    """The first source that is visited in step `turn` of a period."""
    return turn * sources // period


# --- scaling ----------------------------------------------------------------------------------

cdef void scale_synapses(Machine *m, const Op *op) noexcept nogil:
    """Let the rates of the targets follow their spikes, and scale the rows whose turn it is."""
    cdef Learner *l = &m.arrays.learners[op.synapses]
    cdef const double *p = m.arrays.constants + op.params  # decay, unit, period, goal, gain
    cdef double *rate = m.arrays.values + op.state
    cdef int64_t period = <int64_t>p[2], turn = m.step % period, j
    follow_rates(op, &m.arrays, p[0], p[1])
    if not l.active or p[4] == 0.0:
        return
    for j in range(first_of(l.sources, period, turn), first_of(l.sources, period, turn + 1)):
        settle_row(l, j, m.step)
        scale_row(l, j, rate, p[3], p[4])
        m.counters.weight_updates += l.rows[j + 1] - l.rows[j]


cdef void follow_rates(const Op *op, const Arrays *a, double decay, double unit) noexcept nogil:
    cdef double *rate = a.values + op.state
    cdef const double *spikes = a.values + op.x
    cdef const int32_t *events = a.events + a.starts[op.x_list]
    cdef int64_t i, k
    for i in range(op.n):
        rate[i] = rate[i] * decay if rate[i] > _SILENT else 0.0
    for k in range(a.counts[op.x_list]):
        i = events[k]
        rate[i] += unit * spikes[i]


cdef void scale_row(
    Learner *l, int64_t j, const double *rate, double goal, double gain
) noexcept nogil:
    cdef int64_t k
    cdef double factor
    for k in range(l.rows[j], l.rows[j + 1]):
        factor = max(0.0, 1.0 + gain * (goal - rate[target_at(l, j, k)]))
        set_strength(l, k, strength(l, k) * factor)


# --- rewiring ---------------------------------------------------------------------------------

cdef void rewire(Machine *m, const Op *op) noexcept nogil:
    """Replace weak synapses of the sources whose turn it is."""
    cdef Learner *l = &m.arrays.learners[op.synapses]
    cdef const double *p = m.arrays.constants + op.params  # period, threshold, share, w_new
    cdef int64_t period = <int64_t>p[0], turn = m.step % period, j, count
    if not l.active or p[1] <= 0.0 or p[2] <= 0.0:
        return
    for j in range(first_of(l.sources, period, turn), first_of(l.sources, period, turn + 1)):
        settle_row(l, j, m.step)
        count = choose_weak(l, j, p[1], p[2], &m.arrays.bench)
        count = draw_targets(m, op, l, j, count)
        if count > 0:
            replace(l, j, count, p[3], &m.arrays.bench)
            cut_row(m, op.synapses, j)
            m.counters.weight_updates += count


cdef int64_t choose_weak(
    const Learner *l, int64_t j, double threshold, double share, Bench *bench
) noexcept nogil:
    """List the synapses that may go, the weakest first; returns how many."""
    cdef int64_t k, found = 0, most = <int64_t>ceil(share * (l.rows[j + 1] - l.rows[j]))
    cdef double w
    for k in range(l.rows[j], l.rows[j + 1]):
        w = fabs(strength(l, k))
        if w < threshold:
            bench.weak[found].strength, bench.weak[found].place = w, k
            found += 1
    qsort(bench.weak, found, sizeof(Weak), by_strength)
    return min(found, most)


cdef int by_strength(const void *one, const void *other) noexcept nogil:
    cdef const Weak *a = <const Weak *>one
    cdef const Weak *b = <const Weak *>other
    if a.strength != b.strength:
        return 1 if a.strength > b.strength else -1
    return by_place(one, other)


cdef int by_place(const void *one, const void *other) noexcept nogil:
    cdef int64_t a = (<const Weak *>one).place, b = (<const Weak *>other).place
    return (a > b) - (a < b)


cdef int64_t draw_targets(
    Machine *m, const Op *op, const Learner *l, int64_t j, int64_t count
) noexcept nogil:
    """Draw up to `count` targets that source j does not reach, ascending; returns how many."""
    cdef Bench *bench = &m.arrays.bench
    cdef int64_t itself = j if op.variant else -1
    cdef int64_t taken = list_taken(l, j, itself, bench.taken)
    cdef int64_t left = l.targets - taken, n, passed = 0
    cdef uint64_t edge = <uint64_t>0x9E3779B97F4A7C15 * <uint64_t>(op.layer + 1)
    cdef Stream stream = begin_stream(m.seed + edge, <uint64_t>(m.step * l.sources + j))
    count = min(count, left)
    draw_below(left, count, &stream, bench.drawn)
    for n in range(count):  # from numbers among those left to targets
        while passed < taken and bench.taken[passed] <= bench.drawn[n] + passed:
            passed += 1
        bench.drawn[n] += passed
    return count


cdef int64_t list_taken(
    const Learner *l, int64_t j, int64_t itself, int64_t *taken
) noexcept nogil:
    """The targets of source j, and `itself` if it is not negative: each once, ascending."""
    cdef int64_t k, i, count = 0
    for k in range(l.rows[j], l.rows[j + 1]):
        i = target_at(l, j, k)
        if 0 <= itself <= i:
            taken[count] = itself
            count += 1
            itself = -1
        if count == 0 or taken[count - 1] != i:
            taken[count] = i
            count += 1
    if itself >= 0:
        taken[count] = itself
        count += 1
    return count


cdef void draw_below(int64_t n, int64_t count, Stream *stream, int64_t *drawn) noexcept nogil:
    """`count` numbers below n, ascending, every set as likely (Floyd; Bentley 1987, CACM 30)."""
    cdef int64_t k, x, at
    for k in range(count):
        x = next_below(stream, <uint32_t>(n - count + k + 1))
        at = place_of(drawn, k, x)
        if at < k and drawn[at] == x:
            x, at = n - count + k, k
        memmove(drawn + at + 1, drawn + at, (k - at) * sizeof(int64_t))
        drawn[at] = x


cdef int64_t place_of(const int64_t *sorted, int64_t count, int64_t x) noexcept nogil:
    """Where the first element that is not below x stands."""
    cdef int64_t begin = 0, middle
    while begin < count:
        middle = (begin + count) // 2
        if sorted[middle] < x:
            begin = middle + 1
        else:
            count = middle
    return begin


cdef void replace(Learner *l, int64_t j, int64_t count, double w_new, Bench *bench) noexcept nogil:
    """Put the drawn targets in place of the first `count` weak synapses; the row ascends still."""
    cdef int64_t k, kept = l.rows[j + 1], n = count, write
    qsort(bench.weak, count, sizeof(Weak), by_place)
    for k in range(l.rows[j + 1] - 1, l.rows[j] - 1, -1):  # the others to the end
        if n > 0 and bench.weak[n - 1].place == k:
            n -= 1
        else:
            kept -= 1
            move(l, k, kept)
    for write in range(l.rows[j], l.rows[j + 1]):
        if n < count and (kept == l.rows[j + 1] or bench.drawn[n] < target_at(l, j, kept)):
            plant(l, write, bench.drawn[n], w_new)
            n += 1
        else:
            move(l, kept, write)
            kept += 1


cdef inline void set_target(Learner *l, int64_t k, int64_t i) noexcept nogil:
    """The targets of an edge that is rewired are the learner's own."""
    if l.targets16 != NULL:
        (<uint16_t *>l.targets16)[k] = <uint16_t>i
    else:
        (<int32_t *>l.targets32)[k] = <int32_t>i


cdef inline void move(Learner *l, int64_t k, int64_t to) noexcept nogil:
    """Let synapse k, with all that it has, stand at `to`."""
    cdef int64_t n
    set_target(l, to, target_at(l, 0, k))
    if l.weight64 != NULL:
        l.weight64[to] = l.weight64[k]
    else:
        l.weight32[to] = l.weight32[k]
    for n in range(l.kernel.per_synapse):
        l.of_synapse[n * l.synapses + to] = l.of_synapse[n * l.synapses + k]


cdef inline void plant(Learner *l, int64_t k, int64_t i, double w_new) noexcept nogil:
    """A new synapse onto target i."""
    cdef int64_t n
    set_target(l, k, i)
    set_strength(l, k, w_new)
    for n in range(l.kernel.per_synapse):
        l.of_synapse[n * l.synapses + k] = 0.0


cdef int make_room(Bench *bench, int64_t longest) except -1:
    """Let rows of up to `longest` synapses be rewired. Raises MemoryError."""
    if longest > bench.room:
        bench.weak = <Weak *>realloc(bench.weak, longest * sizeof(Weak))
        bench.taken = <int64_t *>realloc(bench.taken, (longest + 1) * sizeof(int64_t))
        bench.drawn = <int64_t *>realloc(bench.drawn, longest * sizeof(int64_t))
        if bench.weak == NULL or bench.taken == NULL or bench.drawn == NULL:
            raise MemoryError("no memory to rewire a row")
        bench.room = longest
    return 0


cdef void tear_down_bench(Bench *bench) noexcept nogil:
    free(bench.weak)
    free(bench.taken)
    free(bench.drawn)


# --- the threads' parts of a row --------------------------------------------------------------

cdef void cut_again(Machine *m, int64_t number) noexcept nogil:
    """Find again where each thread's part of each row begins."""
    cdef int64_t j
    for j in range(m.arrays.synapses[number].sources):
        cut_row(m, number, j)


cdef void cut_row(Machine *m, int64_t number, int64_t j) noexcept nogil:
    cdef const Synapses *s = &m.arrays.synapses[number]
    cdef int64_t *first = <int64_t *>s.first
    cdef int64_t thread
    for thread in range(1, m.crew.threads):
        first[thread * s.sources + j] = place_of_target(
            &m.arrays.learners[number], j, bound_of(s.targets, thread, m.crew.threads))


cdef int64_t place_of_target(const Learner *l, int64_t j, int64_t bound) noexcept nogil:
    """The place of the first target of row j that is `bound` or more."""
    cdef int64_t begin = l.rows[j], end = l.rows[j + 1], middle
    while begin < end:
        middle = (begin + end) // 2
        if target_at(l, j, middle) < bound:
            begin = middle + 1
        else:
            end = middle
    return begin
