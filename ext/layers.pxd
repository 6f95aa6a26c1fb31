"""Operations on whole layers: weights, convolutions, NIR's neurons under a dialect, delays, PES."""

from libc.stdint cimport int32_t, int64_t

from reflexarc.ext.program cimport Arrays, Op

cdef int64_t scan(int64_t n, const double *x, int32_t *events) noexcept nogil
cdef int64_t linear(const Op *op, const Arrays *a) noexcept nogil
cdef int64_t convolve(const Op *op, const Arrays *a) noexcept nogil
cdef void scale(int64_t n, double *y, const double *x, const double *by) noexcept nogil
cdef void mark_above(int64_t n, double *y, const double *v, const double *limit) noexcept nogil
cdef int64_t neurons(const Op *op, const Arrays *a) noexcept nogil
cdef void delay_read(const Op *op, const Arrays *a, int64_t step) noexcept nogil
cdef void delay_write(const Op *op, const Arrays *a, int64_t step) noexcept nogil
cdef void modulate(const Op *op, const Arrays *a, bint held) noexcept nogil
cdef int64_t pes(const Op *op, const Arrays *a, bint learning) noexcept nogil
