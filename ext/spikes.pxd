"""The spike record of the compiled layer."""

from libc.stdint cimport int64_t, uint32_t

cdef packed struct Spike:
    # field for field reflexarc.runtime.batch.SPIKE
    int64_t t_ns
    uint32_t i
