"""Layers that the threads share out, each a stretch of neurons; and generators.

The steps of the neurons themselves are the kernels of neurons.h.
"""

from libc.math cimport ceil
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from reflexarc.ext.program cimport (
    ADEX,
    ALIF,
    ALPHA_LIF,
    COND_LIF,
    CUBA_LIF,
    DELTA_LIF,
    EXP_LIF,
    LIF_MODEL,
    POISSON,
    Arrays,
    Machine,
    Op,
)

cdef extern from "neurons.h":
    ctypedef struct Stretch:
        int64_t first
        int64_t last
        int64_t n
        int64_t uniform
        double *state
        const double *rows
        float *arrived
        const double *current
        int32_t *events
        double *wait
        double *peak
        int32_t *held
        int64_t *held_count
        double dt
        int64_t substeps
    void find_held(const Stretch *s) noexcept nogil
    int64_t lif_step(const Stretch *s) noexcept nogil
    int64_t cuba_lif_step(const Stretch *s) noexcept nogil
    int64_t alif_step(const Stretch *s) noexcept nogil
    int64_t delta_lif_step(const Stretch *s) noexcept nogil
    int64_t exp_lif_step(const Stretch *s) noexcept nogil
    int64_t alpha_lif_step(const Stretch *s) noexcept nogil
    int64_t cond_lif_step(const Stretch *s) noexcept nogil
    int64_t adex_step(const Stretch *s) noexcept nogil
    int64_t izhikevich_step(const Stretch *s) noexcept nogil

#: A layer is shared out in pieces of this many neurons, so that no cache line has two owners.
cdef int64_t PIECE = 64


cdef int64_t bound_of(int64_t n, int64_t thread, int64_t threads) noexcept nogil:
    """The first of n neurons that belongs to `thread`."""
    cdef int64_t pieces = (n + PIECE - 1) // PIECE
    return min(n, (pieces * thread // threads) * PIECE)


cdef void populate(Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """One step of this thread's stretch of a layer."""
    cdef Stretch s = stretch_of(m, op, thread)
    m.arrays.fired_counts[op.layer * m.crew.threads + thread] = step_of(op.variant, &s)


cdef Stretch stretch_of(const Machine *m, const Op *op, int64_t thread) noexcept nogil:
    """The part of a layer that belongs to `thread`."""
    cdef const Arrays *a = &m.arrays
    cdef Stretch s
    s.first = bound_of(op.n, thread, m.crew.threads)
    s.last = bound_of(op.n, thread + 1, m.crew.threads)
    s.n, s.uniform, s.substeps = op.n, op.uniform, op.m
    s.state, s.rows = a.values + op.state, a.constants + op.params
    s.arrived = a.arrived + op.arrived if op.arrived >= 0 else NULL
    s.current = a.values + op.x if op.x >= 0 else NULL
    s.events = a.fired + op.fired + s.first
    s.wait = a.values + op.wait if op.wait >= 0 else NULL
    s.peak = a.values + op.peak if op.peak >= 0 else NULL
    s.held = a.held + op.fired + s.first
    s.held_count = &a.held_counts[op.layer * m.crew.threads + thread]
    s.dt = m.dt_ns * 1e-9
    return s


cdef inline int64_t step_of(int64_t model, const Stretch *s) noexcept nogil:
    if model == LIF_MODEL:
        return lif_step(s)
    if model == CUBA_LIF:
        return cuba_lif_step(s)
    if model == ALIF:
        return alif_step(s)
    if model == DELTA_LIF:
        return delta_lif_step(s)
    if model == EXP_LIF:
        return exp_lif_step(s)
    if model == ALPHA_LIF:
        return alpha_lif_step(s)
    if model == COND_LIF:
        return cond_lif_step(s)
    if model == ADEX:
        return adex_step(s)
    return izhikevich_step(s)


cdef void clear_list(const Op *op, const Arrays *a) noexcept nogil:
    """Let y be zero again where its list says that it is not."""
    cdef int64_t k
    cdef const int32_t *events = a.events + a.starts[op.y_list]
    for k in range(a.counts[op.y_list]):
        a.values[op.y + events[k]] = 0.0


cdef int64_t join_fired(const Op *op, const Arrays *a, int64_t threads) noexcept nogil:
    """Join the stretches into the layer's list; returns the number of spikes."""
    cdef int64_t thread, first, count, k, total = 0
    cdef int32_t *events = a.events + a.starts[op.y_list]
    clear_list(op, a)
    for thread in range(threads):
        first = bound_of(op.n, thread, threads)
        count = a.fired_counts[op.layer * threads + thread]
        memcpy(events + total, a.fired + op.fired + first, count * sizeof(int32_t))
        total += count
    for k in range(total):
        a.values[op.y + events[k]] = 1.0
    a.counts[op.y_list] = total
    return total


cdef void find_all_held(const Machine *m, const Op *op) noexcept nogil:
    """Find again, after a restore, who of a layer is refractory."""
    cdef int64_t thread
    cdef Stretch s
    if op.wait < 0:
        return
    for thread in range(m.crew.threads):
        s = stretch_of(m, op, thread)
        find_held(&s)


# --- generators -------------------------------------------------------------------------------

cdef inline uint64_t scrambled(uint64_t z) noexcept nogil:
    """The output function of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA)."""
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline double uniform_at(uint64_t seed, int64_t step, int64_t i) noexcept nogil:
    """The random number in [0, 1) of element i in a step: a function, so that it needs no state."""
    cdef uint64_t golden = <uint64_t>0x9E3779B97F4A7C15
    cdef uint64_t row = scrambled(seed + golden * <uint64_t>(step + 1))
    return <double>(scrambled(row + golden * <uint64_t>(i + 1)) >> 11) * (1.0 / 9007199254740992.0)


cdef int64_t poisson_count(double u, double none, double mean) noexcept nogil:
    """Inversion of the Poisson distribution: `none` is exp(-mean)."""
    cdef int64_t k = 0
    cdef double chance = none, sum = none
    while u >= sum and k < 1000:
        k += 1
        chance *= mean / k
        sum += chance
    return k


cdef inline int64_t regular_count(double first, double period, int64_t step) noexcept nogil:
    """Spikes at first + k period, k from 0, within [step, step + 1); all in steps."""
    cdef double before = ceil((step - first) / period)
    cdef double after = ceil((step + 1 - first) / period)
    return <int64_t>(max(after, 0.0) - max(before, 0.0))


cdef int64_t generate(const Op *op, const Machine *m) noexcept nogil:
    """Spikes of a layer of generators; returns how many."""
    cdef const Arrays *a = &m.arrays
    cdef const double *p = a.constants + op.params
    cdef int32_t *events = a.events + a.starts[op.y_list]
    cdef int64_t i, k, listed = 0, spikes = 0
    cdef uint64_t seed = scrambled(m.seed + <uint64_t>op.layer)
    clear_list(op, a)
    for i in range(op.n):
        if op.variant == POISSON:
            k = poisson_count(uniform_at(seed, m.step, i), p[i], p[op.n + i])
        else:
            k = regular_count(p[i], p[op.n + i], m.step)
        if k:
            a.values[op.y + i] = <double>k
            events[listed] = <int32_t>i
            listed += 1
            spikes += k
    a.counts[op.y_list] = listed
    return spikes
