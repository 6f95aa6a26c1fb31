"""Edges that learn: what rule.h declares, and the bookkeeping around a rule's kernel."""

from libc.stdint cimport int32_t, int64_t, uint16_t

cdef extern from "rule.h":
    enum:
        KERNEL_ABI
        FINE_TICKS
        MOST_DECAYS
        MOST_PARAMETERS
    ctypedef struct Decay:
        int64_t window
        double rate
        const double *coarse
        const double *fine
    ctypedef struct Target:
        int64_t last
        int64_t previous
        double trace
        double mark
    ctypedef struct Moment:
        int64_t at
        double mark
    ctypedef struct Row:
        int64_t source
        int64_t begin
        int64_t end
    ctypedef struct Due:
        int64_t source
        int64_t fired
    ctypedef struct Kernel:
        int64_t abi
        int64_t per_source
        int64_t per_target
        int64_t per_synapse
        int64_t shared
        void (*arrive)(const Learner *, Row, int64_t, float, float *) noexcept nogil
        void (*settle)(const Learner *, Row) noexcept nogil
        void (*finish)(const Learner *, Row, int64_t) noexcept nogil
        void (*sent)(Learner *, int64_t, int64_t) noexcept nogil
        double (*spiked)(Learner *, int64_t, int64_t) noexcept nogil
        double (*mark)(const Learner *, int64_t) noexcept nogil
        double (*event)(Learner *, int64_t, int64_t) noexcept nogil
        void (*step)(Learner *, int64_t) noexcept nogil
        void (*shown)(Learner *, int64_t) noexcept nogil
        void (*reached)(Learner *, int64_t) noexcept nogil
    ctypedef struct Layer:
        const double *peak
        const double *raised
        const double *wait
        const double *decay
        const double *gain
        const double *threshold
        const double *height
        const double *relaxing
        const double *jump
    ctypedef struct Learner:
        const Kernel *kernel
        double *parameter
        Decay *decay
        double w_min
        double w_max
        double sign
        double tick_s
        int64_t window
        int64_t sources
        int64_t targets
        int64_t synapses
        const int64_t *rows
        const uint16_t *targets16
        const int32_t *targets32
        float *weight32
        double *weight64
        double *of_source
        double *of_target
        double *of_synapse
        double *shared
        int64_t *fired
        int64_t *since
        Moment *begun
        Target *target
        int64_t *spikes
        Moment *history
        int64_t depth
        const double *modulator
        int64_t modulators
        double modulator_rate
        const double *voltage
        Layer layer
        const double *input
        const double *readout
        int64_t behind
        int64_t active
        int64_t updates
        Due *due
        int64_t due_room
        int64_t due_first
        int64_t due_count
        int64_t exhausted
    void carry(const Learner *l, Row row, float value, float *arrived) noexcept nogil

cdef void set_up(Learner *l, object edge)
cdef void tear_down(Learner *l) noexcept
cdef void begin(Learner *l, int64_t now) noexcept nogil
cdef void end(Learner *l, int64_t now) noexcept nogil
cdef void resume(Learner *l, int64_t now) noexcept
cdef void settle_row(Learner *l, int64_t source, int64_t now) noexcept nogil
cdef void settle_all(const Learner *l) noexcept nogil
cdef void finish_all(const Learner *l, int64_t until) noexcept nogil
cdef void skip_to(Learner *l, int64_t now) noexcept nogil
cdef void settle_due(const Learner *l, const int64_t *first, const int64_t *last,
                     int64_t now) noexcept nogil
cdef void note_settled(Learner *l, int64_t now) noexcept nogil
cdef void note_source(Learner *l, int64_t source, int64_t now) noexcept nogil
cdef void note_target(Learner *l, int64_t target, int64_t now) noexcept nogil
cdef void note_events(Learner *l, int64_t now) noexcept nogil
