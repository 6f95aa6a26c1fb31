"""Short-term plasticity of an edge: what its sources have used up and not yet recovered.

Tsodyks, Pawelzik & Markram 1998, Neural Comput. 10, solved from one arrival to the next; see
reflexarc.runtime.plasticity.ShortTerm for the equations.
"""

from libc.math cimport exp
from libc.stdint cimport int64_t


cdef struct Transmitter:
    double u_rest
    double tau_recovery      # ticks
    double tau_facilitation  # ticks; 0: none
    int64_t sources
    double *u                # by source: as the latest arrival found it
    double *x
    int64_t *fired           # tick of the latest arrival, or before all time
    double *share            # of a weight that the latest arrival delivers


cdef inline double release(Transmitter *t, int64_t j, int64_t now) noexcept nogil:
    """A spike of source j arrives: the share of its weights that it delivers.

    What arrives at one tick counts as one spike.
    """
    cdef double elapsed = <double>(now - t.fired[j]), kept = 0.0
    if t.fired[j] >= 0 and t.fired[j] < now:
        t.x[j] = 1.0 + (t.x[j] - t.x[j] * t.u[j] - 1.0) * exp(-elapsed / t.tau_recovery)
        if t.tau_facilitation > 0.0:
            kept = exp(-elapsed / t.tau_facilitation)
        t.u[j] = t.u_rest + t.u[j] * (1.0 - t.u_rest) * kept
    t.fired[j] = now
    t.share[j] = t.u[j] * t.x[j]
    return t.share[j]


cdef inline void point_at(Transmitter *t, object edge):
    """Point at the arrays of a `Release` (see reflexarc.runtime.backends.release)."""
    cdef double[::1] u = edge.u, x = edge.x, share = edge.share
    cdef int64_t[::1] fired = edge.fired
    t.u_rest, t.sources = edge.u_rest, edge.sources
    t.tau_recovery, t.tau_facilitation = edge.tau_recovery, edge.tau_facilitation
    t.u, t.x, t.share, t.fired = &u[0], &x[0], &share[0], &fired[0]
