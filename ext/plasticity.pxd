"""Kernels of the learning rules. Weights lie in rows by source: w[j * n + i] is source j to i."""

from libc.stdint cimport int64_t

# Parameters of PES in the engine's constants, in this order.
cdef struct Pes:
    double trace_decay
    double trace_gain
    double rate
    double w_min
    double w_max

cdef void update_trace(
    int64_t m, double *trace, const double *x, double decay, double gain
) noexcept nogil
cdef int64_t update_pes(
    int64_t n, int64_t m, double *w, const double *trace, const double *error, const Pes *rule
) noexcept nogil
