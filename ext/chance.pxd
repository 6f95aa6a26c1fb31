"""A stream of random numbers whose whole state is one struct: xoshiro256++ (Blackman & Vigna 2021).

The functions are inline so that every module that draws has them in its own loops.
"""

from libc.math cimport log
from libc.stdint cimport uint32_t, uint64_t

cdef struct Stream:
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline uint64_t rotated(uint64_t word, int by) noexcept nogil:
    return (word << by) | (word >> (64 - by))


cdef inline uint64_t split_mix(uint64_t *state) noexcept nogil:
    """One step of SplitMix64 (Steele, Lea & Flood 2014), which spreads a seed over the state."""
    cdef uint64_t z
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline Stream begin_stream(uint64_t seed, uint64_t number) noexcept nogil:
    """Stream `number` of a seed; two of them have nothing in common."""
    cdef Stream stream
    cdef uint64_t state = seed
    state = split_mix(&state) ^ number
    stream.a = split_mix(&state)
    stream.b = split_mix(&state)
    stream.c = split_mix(&state)
    stream.d = split_mix(&state)
    return stream


cdef inline uint64_t next_word(Stream *stream) noexcept nogil:
    """The next 64 bits."""
    cdef uint64_t word = rotated(stream.a + stream.d, 23) + stream.a
    cdef uint64_t shifted = stream.b << 17
    stream.c ^= stream.a
    stream.d ^= stream.b
    stream.b ^= stream.c
    stream.a ^= stream.d
    stream.c ^= shifted
    stream.d = rotated(stream.d, 45)
    return word


cdef inline double next_uniform(Stream *stream) noexcept nogil:
    """Uniform above 0 and up to 1, in steps of 2**-53."""
    return <double>((next_word(stream) >> 11) + 1) * (1.0 / 9007199254740992.0)


cdef inline uint32_t next_below(Stream *stream, uint32_t n) noexcept nogil:
    """A whole number below n, each as likely as any other (Lemire 2019)."""
    cdef uint64_t product = (next_word(stream) >> 32) * n
    cdef uint32_t unfair
    if <uint32_t>product < n:
        unfair = (<uint32_t>0 - n) % n
        while <uint32_t>product < unfair:
            product = (next_word(stream) >> 32) * n
    return <uint32_t>(product >> 32)


cdef inline double next_gap(Stream *stream, double per_log) noexcept nogil:
    """How many trials fail before one succeeds; `per_log` is 1 / log(1 - p) and 0 for p = 1."""
    return log(next_uniform(stream)) * per_log
