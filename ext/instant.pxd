"""Time as whole nanoseconds and the fraction of the next.

A difference of two times loses nothing to the age of the run, as a float64 of seconds would.
"""

from libc.stdint cimport int64_t

cdef enum:
    NS = 1_000_000_000  # nanoseconds in a second


cdef struct Time:
    int64_t ns
    double frac  # of the next nanosecond, [0, 1)


cdef inline bint earlier(Time a, Time b) noexcept nogil:
    return a.ns < b.ns or (a.ns == b.ns and a.frac < b.frac)


cdef inline bint same(Time a, Time b) noexcept nogil:
    return a.ns == b.ns and a.frac == b.frac


cdef inline double seconds_between(Time a, Time b) noexcept nogil:
    return (<double>(b.ns - a.ns) + (b.frac - a.frac)) / NS


cdef inline Time later(Time t, double ns) noexcept nogil:
    """`ns` after `t`; `ns` is not negative."""
    cdef int64_t whole = <int64_t>ns
    t.frac += ns - <double>whole
    if t.frac >= 1.0:
        t.frac -= 1.0
        whole += 1
    t.ns += whole
    return t
