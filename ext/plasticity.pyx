"""Kernels of the learning rules, one a rule; see reflexarc.runtime.plasticity for their meaning."""

from libc.math cimport fabs, isfinite
from libc.stdint cimport int64_t

# A trace below this many spikes per second counts as silence: it decays no further (denormal
# numbers are slow) and its row of weights is skipped.
cdef double FLOOR = 1e-9
TRACE_FLOOR = FLOOR


cdef void update_trace(
    int64_t m, double *trace, const double *x, double decay, double gain
) noexcept nogil:
    """Low-pass the spikes x of one step: exact for spikes of area 1 spread over the step."""
    cdef int64_t j
    cdef double value
    for j in range(m):
        value = decay * trace[j] + gain * x[j]
        trace[j] = value if fabs(value) >= FLOOR else 0.0


cdef int64_t update_pes(
    int64_t n, int64_t m, double *w, const double *trace, const double *error, const Pes *rule
) noexcept nogil:
    """w_ji -= rate * trace_j * error_i, then clip; returns the number of weights updated."""
    cdef int64_t i, j, rows = 0
    cdef double scale, value
    cdef double *row
    if rule.rate == 0.0:
        return 0
    for i in range(n):
        if not isfinite(error[i]):  # a broken error teaches nothing
            return 0
    for j in range(m):
        if trace[j] == 0.0:
            continue
        scale = rule.rate * trace[j]
        row = w + j * n
        for i in range(n):
            value = row[i] - scale * error[i]
            value = value if value >= rule.w_min else rule.w_min
            row[i] = value if value <= rule.w_max else rule.w_max
        rows += 1
    return rows * n
