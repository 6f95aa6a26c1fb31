"""Spikes: from readings to the rates of lines, to records, and from records to filtered rates."""

import numpy as np

from libc.math cimport floor, trunc
from libc.stdint cimport int64_t
from libc.stdlib cimport qsort

# More spikes than this of one line in one step are an error of whoever asks for them.
cdef double MOST = 1e6


cdef Py_ssize_t count_passed(
    Py_ssize_t n, const double *phase, const double *expected
) noexcept nogil:
    """How many whole numbers the phases pass as they rise by `expected`; -1 - line if too many."""
    cdef Py_ssize_t line, total = 0
    cdef double end
    for line in range(n):
        end = phase[line] + expected[line]
        if not 0.0 <= end <= MOST:
            return -1 - line
        total += <Py_ssize_t>end
    return total


cdef void pass_whole_numbers(
    Py_ssize_t n, double *phase, const double *expected, Spike *spikes,
    int64_t now_ns, int64_t span_ns,
) noexcept nogil:
    """Raise the phases evenly by `expected`; one spike where one passes a whole number."""
    cdef Py_ssize_t line, nth, k = 0
    cdef double start, end, t_ns
    for line in range(n):
        start = phase[line]
        end = start + expected[line]
        phase[line] = end - floor(end)
        for nth in range(1, <Py_ssize_t>end + 1):
            t_ns = (nth - start) / (end - start) * span_ns
            spikes[k].t_ns = now_ns + <int64_t>min(t_ns, <double>(span_ns - 1))
            spikes[k].i = <uint32_t>line
            k += 1


cdef int by_time(const void *first, const void *second) noexcept nogil:
    """Order of two spikes: by time, then by line."""
    cdef const Spike *a = <const Spike *>first
    cdef const Spike *b = <const Spike *>second
    if a.t_ns != b.t_ns:
        return -1 if a.t_ns < b.t_ns else 1
    return -1 if a.i < b.i else a.i > b.i


cdef Py_ssize_t count_spikes(const Spike[:] spikes, double[::1] counts) noexcept nogil:
    """Count the spikes of each line; -1, or the first spike whose line is not there."""
    cdef Py_ssize_t k
    counts[:] = 0.0
    for k in range(spikes.shape[0]):
        if spikes[k].i >= counts.shape[0]:
            return k
        counts[spikes[k].i] += 1.0
    return -1


cdef void relax(
    Py_ssize_t n, double *rate, const double *counts, double keep, double gain
) noexcept nogil:
    """rate = keep rate + gain count."""
    cdef Py_ssize_t line
    for line in range(n):
        rate[line] = keep * rate[line] + gain * counts[line]


cdef void log_tuning(
    Py_ssize_t n, double *out, const double *centre, double value, double sigma
) noexcept nogil:
    """out = -(value - centre)^2 / (2 sigma^2)."""
    cdef Py_ssize_t line
    cdef double away
    for line in range(n):
        away = (value - centre[line]) / sigma
        out[line] = -0.5 * (away * away)


cdef void step_on(
    Py_ssize_t n, double *steps, double *reference, const double *now, const double *quantum
) noexcept nogil:
    """steps = whole quanta from the reference to now, from 0; the reference follows them all."""
    cdef Py_ssize_t line
    cdef double passed
    for line in range(n):
        passed = trunc((now[line] - reference[line]) / quantum[line])
        reference[line] += passed * quantum[line]
        steps[line] = 0.0 if passed < 0.0 else passed  # NaN stays, and is refused where it fires


def log_gaussians(const double[::1] centres, double value, double sigma):
    """The logarithm of Gaussian tuning curves at `value`, float64 of shape (n,).

    Args:
        centres: where the curves have their maximum, 0, shape (n,).
        sigma: their width, above 0.
    """
    cdef Py_ssize_t n = centres.shape[0]
    made = np.empty(n)
    cdef double[::1] out = made
    log_tuning(n, &out[0], &centres[0], value, sigma)
    return made


def quanta(double[::1] reference, const double[::1] now, const double[::1] quantum):
    """How many whole quanta each line has risen since its reference, which follows; shape (n,).

    Args:
        reference: changed in place, upwards and downwards.
        now: where the lines stand.
        quantum: the step of each line, not 0; a negative one counts falling.

    Raises:
        ValueError: sizes differ.
    """
    cdef Py_ssize_t n = reference.shape[0]
    if now.shape[0] != n or quantum.shape[0] != n:
        raise ValueError(f"{n} references, but {now.shape[0]} values, {quantum.shape[0]} quanta")
    made = np.empty(n)
    cdef double[::1] steps = made
    step_on(n, &steps[0], &reference[0], &now[0], &quantum[0])
    return made


def fire(double[::1] phase, const double[::1] expected, spike_dtype, int64_t now_ns,
         int64_t until_ns):
    """The spikes of lines whose phases rise evenly by `expected` in [now, until), by time.

    A line spikes where its phase passes a whole number; what is left over stays in `phase`.

    Args:
        phase: from 0 to below 1, one a line; changed in place.
        expected: how many spikes each line is to give, not necessarily whole, from 0.
        spike_dtype: the SPIKE dtype.
        now_ns, until_ns: the step.

    Raises:
        ValueError: sizes differ, or a line is to give a negative, non-finite or absurd number
            of spikes; the phases are unchanged then.
    """
    cdef Py_ssize_t n = phase.shape[0], total
    cdef Spike[::1] out
    if expected.shape[0] != n:
        raise ValueError(f"{n} phases, but {expected.shape[0]} numbers of spikes")
    total = count_passed(n, &phase[0], &expected[0])
    if total < 0:
        line = -1 - total
        raise ValueError(f"line {line} cannot give {expected[line]:g} spikes in one step")
    spikes = np.empty(total, dtype=spike_dtype)
    if total == 0:
        pass_whole_numbers(n, &phase[0], &expected[0], NULL, now_ns, until_ns - now_ns)
        return spikes
    out = spikes
    with nogil:
        pass_whole_numbers(n, &phase[0], &expected[0], &out[0], now_ns, until_ns - now_ns)
        if total > 1:
            qsort(&out[0], total, sizeof(Spike), by_time)
    return spikes


def filter_rates(double[::1] rate_hz, double[::1] counts, const Spike[:] spikes, double keep,
                 double gain):
    """rate = keep rate + gain count, where count is how many of `spikes` each line has.

    Args:
        rate_hz, counts: one a line; both are changed in place.

    Raises:
        ValueError: sizes differ, or a spike is of a line that is not there; the rates are
            unchanged then.
    """
    cdef Py_ssize_t odd, n = rate_hz.shape[0]
    if counts.shape[0] != n:
        raise ValueError(f"{n} rates, but {counts.shape[0]} counts")
    odd = count_spikes(spikes, counts)
    if odd >= 0:
        raise ValueError(f"spike of line {spikes[odd].i}, but there are only {n}")
    relax(n, &rate_hz[0], &counts[0], keep, gain)
