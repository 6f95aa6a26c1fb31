"""What keeps a network in order beside its learning: thresholds, scaled and rewired synapses."""

from libc.stdint cimport int64_t

from reflexarc.ext.program cimport Arrays, Bench, Machine, Op

cdef void tune(const Op *op, const Arrays *a) noexcept nogil
cdef void scale_synapses(Machine *m, const Op *op) noexcept nogil
cdef void rewire(Machine *m, const Op *op) noexcept nogil
cdef int make_room(Bench *bench, int64_t longest) except -1
cdef void tear_down_bench(Bench *bench) noexcept nogil
cdef void cut_again(Machine *m, int64_t number) noexcept nogil
