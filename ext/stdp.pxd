"""Pair STDP along a projection, brought up to date only when a source fires."""

from libc.stdint cimport int32_t, int64_t, uint16_t

cdef extern from "stdp.h":
    ctypedef struct Target:
        int32_t last
        int32_t previous
        float trace
    ctypedef struct Stdp:
        Target *target
        int64_t *spikes
        int64_t *history
        int64_t depth
        const float *decay_plus
        const float *decay_minus
        int64_t window
        float up
        float down
        float w_min
        float w_max
    void learn_row16(const Stdp *s, float *arrived, const uint16_t *targets, float *weights,
                     int64_t count, int64_t now, int64_t since, int64_t fired, float trace,
                     float value) noexcept nogil
    void learn_row32(const Stdp *s, float *arrived, const int32_t *targets, float *weights,
                     int64_t count, int64_t now, int64_t since, int64_t fired, float trace,
                     float value) noexcept nogil
    void settle_row16(const Stdp *s, const uint16_t *targets, float *weights, int64_t count,
                      int64_t since, int64_t fired, float trace) noexcept nogil
    void settle_row32(const Stdp *s, const int32_t *targets, float *weights, int64_t count,
                      int64_t since, int64_t fired, float trace) noexcept nogil

# A source that has to be looked after when it stays silent.
cdef struct Due:
    int64_t source
    int64_t fired

# A projection that learns. Steps are counted from the start of the program.
cdef struct Learner:
    Stdp stdp
    int64_t sources
    int64_t targets
    const uint16_t *targets16
    const int32_t *targets32
    float *weights
    int64_t *fired      # step of each source's latest arrival, or -1
    int64_t *since      # up to which step of the targets its synapses have been raised
    float *trace        # of its arrivals, as it was then
    Due *due            # a ring of `due_room`, a power of two
    int64_t due_room
    int64_t due_first
    int64_t due_count
    int64_t exhausted   # no memory

cdef void learn(Learner *l, float *arrived, int64_t source, int64_t begin, int64_t end,
                int64_t now, float value) noexcept nogil
cdef void settle(Learner *l, int64_t source, int64_t begin, int64_t end) noexcept nogil
cdef void settle_due(Learner *l, const int64_t *first, const int64_t *last,
                     int64_t now) noexcept nogil
cdef void note_source(Learner *l, int64_t source, int64_t now) noexcept nogil
cdef void settle_all(Learner *l, const int64_t *rows, int64_t now) noexcept nogil
cdef void skip_to(Learner *l, int64_t now) noexcept nogil
cdef void note_settled(Learner *l, int64_t now) noexcept nogil
cdef void note_targets(Learner *l, const int32_t *fired, int64_t count, int64_t now) noexcept nogil
cdef bint widen_due(Learner *l) noexcept nogil
