"""Layers that the threads share out, and generators."""

from libc.stdint cimport int64_t

from reflexarc.ext.program cimport Arrays, Machine, Op

cdef int64_t bound_of(int64_t n, int64_t thread, int64_t threads) noexcept nogil
cdef void populate(Machine *m, const Op *op, int64_t thread) noexcept nogil
cdef void find_all_held(const Machine *m, const Op *op) noexcept nogil
cdef int64_t join_fired(const Op *op, const Arrays *a, int64_t threads) noexcept nogil
cdef int64_t generate(const Op *op, const Machine *m) noexcept nogil
