"""Random numbers into arrays; the generator itself is in the header."""

from cython cimport floating
from libc.math cimport log, sqrt


cdef void fill_uniform(Py_ssize_t n, floating *out, Stream *stream) noexcept nogil:
    """Uniform numbers above 0 and up to 1."""
    cdef Py_ssize_t k
    for k in range(n):
        out[k] = <floating>next_uniform(stream)


cdef void fill_normal(Py_ssize_t n, floating *out, Stream *stream) noexcept nogil:
    """Normal numbers of mean 0 and deviation 1, by Marsaglia's polar method."""
    cdef Py_ssize_t k
    cdef double x, y, square, factor
    for k in range(0, n, 2):
        while True:
            x = 2.0 * next_uniform(stream) - 1.0
            y = 2.0 * next_uniform(stream) - 1.0
            square = x * x + y * y
            if 0.0 < square < 1.0:
                break
        factor = sqrt(-2.0 * log(square) / square)
        out[k] = <floating>(x * factor)
        if k + 1 < n:
            out[k + 1] = <floating>(y * factor)


def uniform(floating[::1] out, uint64_t seed, uint64_t number):
    """Fill `out` with numbers above 0 and up to 1 from stream `number` of `seed`."""
    cdef Stream stream = begin_stream(seed, number)
    if out.shape[0]:
        with nogil:
            fill_uniform(out.shape[0], &out[0], &stream)


def normal(floating[::1] out, uint64_t seed, uint64_t number):
    """Fill `out` with normal numbers (mean 0, deviation 1) from stream `number` of `seed`."""
    cdef Stream stream = begin_stream(seed, number)
    if out.shape[0]:
        with nogil:
            fill_normal(out.shape[0], &out[0], &stream)
