"""A neuron between two events: its closed form, what an event does, and when it may fire at all.

    tau dv/dt = v_leak - v + r (drive + synaptic currents)

A synaptic current falls exponentially (one for CURRENT_BASED, where the drive passes the filter
too; two for EXPONENTIAL) or is alpha-shaped (ALPHA): di/dt = x - i / tau_syn,
dx/dt = -x / tau_syn. The threshold of ADAPTIVE stands at v_threshold + raised, where
tau_threshold d(raised)/dt = -raised. INTEGRATOR: dv/dt = r drive.
"""

from libc.math cimport INFINITY, exp, expm1, fabs, log
from libc.stdint cimport int32_t, int64_t, uint64_t

from reflexarc.ext.instant cimport Time, seconds_between

cdef enum:  # kinds of unit
    LEAKY_KIND = 0
    CURRENT_BASED_KIND = 1
    INTEGRATOR_KIND = 2
    PORT_KIND = 3
    ADAPTIVE_KIND = 4
    EXPONENTIAL_KIND = 5
    ALPHA_KIND = 6
    POISSON_KIND = 7
    REGULAR_KIND = 8


cdef struct Model:  # constants that units share; seconds and NIR's names
    double tau
    double tau_syn1
    double tau_syn2
    double r
    double v_leak
    double v_threshold
    double v_reset
    double w_in
    double tau_threshold
    double threshold_jump
    double refractory
    double interval  # of a generator
    double phase
    double gain1  # see `gain`; the engine fills these four in
    double gain2
    double peak1  # see `peak`
    double peak2
    int32_t kind
    int32_t layer


cdef struct Unit:  # state of a unit as it was at `seen`; what every event needs comes first
    double v
    double current1
    double current2
    double drive  # constant input current, high part
    double charge  # Diracs of the present instant
    Time seen
    int32_t touched  # why the present instant concerns it
    int32_t awaited  # what is due, or 0
    double raised
    double jump  # of the voltage, at the present instant
    double rise1
    double rise2
    double drive_low
    uint64_t random
    int64_t refractory  # whether v is held at v_reset
    int64_t padding  # to two cache lines


cdef inline double gain(double tau, double tau_syn) noexcept nogil:
    """Factor of the difference of two decays in `response`; 0 where they are too alike for it."""
    if fabs(tau_syn - tau) < 0.1 * max(tau, tau_syn):
        return 0.0
    return tau_syn / (tau_syn - tau)


cdef inline double peak(const Model* m, double tau_syn) noexcept nogil:
    """The most that v rises by when a current that begins at 1 / r decays with tau_syn.

    For ALPHA, a bound on that of any current that never exceeds 1 / r.
    """
    cdef double rate = 1.0 / tau_syn - 1.0 / m.tau
    if m.kind == ALPHA_KIND:
        return min(1.0, exp(1.0) * tau_syn / m.tau)
    if fabs(rate) * m.tau < 1e-6:
        return 0.37  # exp(-1) where both are equal
    return response(m.tau, tau_syn, log(m.tau / tau_syn) / rate) * (1.0 + 1e-9)


cdef inline double response(double tau, double tau_syn, double t) noexcept nogil:
    """What a current exp(-t / tau_syn) has made of v.

    (exp(-t/tau_syn) - exp(-t/tau)) / (1 - tau/tau_syn), written so that it stays exact as the
    time constants approach each other, and is t/tau exp(-t/tau) where they meet.
    """
    return response_after(tau, tau_syn, t, exp(-t / max(tau, tau_syn)))


cdef inline double response_after(
    double tau, double tau_syn, double t, double slow_decay
) noexcept nogil:
    """`response` when the decay with the longer time constant is known already."""
    cdef double rate = fabs(tau_syn - tau) / (tau_syn * tau)
    cdef double area = -expm1(-rate * t) / rate if rate > 0.0 else t
    return slow_decay * area / tau


cdef inline double rising_response(double tau, double tau_syn, double t) noexcept nogil:
    """What a current t exp(-t / tau_syn) has made of v, as exact as `response`."""
    cdef double z = fabs(tau_syn - tau) / (tau_syn * tau) * t
    cdef double shape
    if z < 0.5:
        shape = rising_series(z, tau_syn < tau)
    elif tau_syn < tau:
        shape = (-expm1(-z) - z * exp(-z)) / (z * z)
    else:
        shape = (z + expm1(-z)) / (z * z)
    return exp(-t / max(tau, tau_syn)) * t * t * shape / tau


cdef inline double rising_series(double z, bint short_synapse) noexcept nogil:
    """The integral of s exp(-z s), or of (1 - s) exp(-z s), over s from 0 to 1, for small z."""
    cdef double term = 0.5
    cdef double total = 0.5
    cdef int k
    for k in range(1, 16):
        term *= -z / (k + 2)
        total += term * (k + 1 if short_synapse else 1)
    return total


cdef inline double decayed(
    double tau, double tau_syn, double gain, double t, double decay, double decay_syn
) noexcept nogil:
    """`response` when both decays are known."""
    return gain * (decay_syn - decay) if gain != 0.0 else response(tau, tau_syn, t)


cdef inline void advance(Unit* u, const Model* m, Time at) noexcept nogil:
    """Bring `u` from `u.seen` to `at` under its constant drive."""
    cdef double dt = seconds_between(u.seen, at)
    cdef double held = u.v
    u.seen = at
    if dt == 0.0:
        return
    if m.kind == EXPONENTIAL_KIND:
        advance_exponential(u, m, dt)
    elif m.kind == LEAKY_KIND:
        relax(u, m.v_leak + m.r * u.drive, exp(-dt / m.tau))
    elif m.kind == CURRENT_BASED_KIND:
        advance_current_based(u, m, dt)
    elif m.kind == INTEGRATOR_KIND:
        u.v += m.r * u.drive * dt
    elif m.kind == ADAPTIVE_KIND:
        relax(u, m.v_leak + m.r * u.drive, exp(-dt / m.tau))
        u.raised *= exp(-dt / m.tau_threshold)
    elif m.kind == ALPHA_KIND:
        advance_alpha(u, m, dt)
    if u.refractory:
        u.v = held


cdef inline void relax(Unit* u, double rest, double decay) noexcept nogil:
    u.v = rest + (u.v - rest) * decay


cdef inline void advance_current_based(Unit* u, const Model* m, double dt) noexcept nogil:
    cdef double level = m.w_in * u.drive
    cdef double excess = u.current1 - level
    cdef double decay = exp(-dt / m.tau)
    cdef double decay1 = exp(-dt / m.tau_syn1)
    relax(u, m.v_leak + m.r * level, decay)
    u.v += m.r * excess * decayed(m.tau, m.tau_syn1, m.gain1, dt, decay, decay1)
    u.current1 = level + excess * decay1


cdef inline void advance_exponential(Unit* u, const Model* m, double dt) noexcept nogil:
    cdef double decay = exp(-dt / m.tau)
    cdef double decay1 = exp(-dt / m.tau_syn1)
    cdef double decay2 = exp(-dt / m.tau_syn2)
    cdef double done = u.current1 * decayed(m.tau, m.tau_syn1, m.gain1, dt, decay, decay1)
    done += u.current2 * decayed(m.tau, m.tau_syn2, m.gain2, dt, decay, decay2)
    relax(u, m.v_leak + m.r * u.drive, decay)
    u.v += m.r * done
    u.current1 *= decay1
    u.current2 *= decay2


cdef inline void advance_alpha(Unit* u, const Model* m, double dt) noexcept nogil:
    cdef double decay1 = exp(-dt / m.tau_syn1)
    cdef double decay2 = exp(-dt / m.tau_syn2)
    cdef double done = u.current1 * response(m.tau, m.tau_syn1, dt)
    done += u.rise1 * rising_response(m.tau, m.tau_syn1, dt)
    done += u.current2 * response(m.tau, m.tau_syn2, dt)
    done += u.rise2 * rising_response(m.tau, m.tau_syn2, dt)
    relax(u, m.v_leak + m.r * u.drive, exp(-dt / m.tau))
    u.v += m.r * done
    u.current1 = (u.current1 + u.rise1 * dt) * decay1
    u.current2 = (u.current2 + u.rise2 * dt) * decay2
    u.rise1 *= decay1
    u.rise2 *= decay2


cdef inline void add_charge(Unit* u, const Model* m) noexcept nogil:
    """Let the Diracs and jumps of this instant act; a voltage that is held takes none."""
    if m.kind == CURRENT_BASED_KIND:
        u.current1 += m.w_in * u.charge / m.tau_syn1
    elif not u.refractory:
        u.v += u.jump + m.r * (u.charge if m.kind == INTEGRATOR_KIND else u.charge / m.tau)
    u.charge = u.jump = 0.0


cdef inline void add_drive(Unit* u, double current) noexcept nogil:
    """Add to the constant drive with the rounding error kept (Knuth's two-sum).

    What was switched on and is switched off again leaves exactly what was there before.
    """
    cdef double total = u.drive + current
    cdef double part = total - u.drive
    u.drive_low += (u.drive - (total - part)) + (current - part)
    u.drive = total + u.drive_low
    u.drive_low -= u.drive - total


cdef inline double earliest(const Unit* u, const Model* m) noexcept nogil:
    """Seconds before which `u` cannot fire by itself; infinity if it never will.

    v is pulled towards v_leak + r (drive + currents), and no current pulls up harder than it does
    now (or, rising, than at its peak), nor lifts v by more than its peak response. Either gives a
    bound, and the later one counts.
    """
    cdef double gap = m.v_threshold + u.raised - u.v
    cdef double pull = m.v_leak + m.r * u.drive - u.v
    cdef double push1 = 0.0
    cdef double push2 = 0.0
    cdef double spare
    if gap < 0.0:
        return 0.0
    if m.kind == ADAPTIVE_KIND:
        return gap_closes(u, m, gap, pull)
    if m.kind == INTEGRATOR_KIND:
        return gap / (m.r * u.drive) if m.r * u.drive > 0.0 else INFINITY
    if m.kind == CURRENT_BASED_KIND:
        pull = m.v_leak + m.r * m.w_in * u.drive - u.v
        push1 = max(m.r * (u.current1 - m.w_in * u.drive), 0.0)
    elif m.kind == EXPONENTIAL_KIND:
        push1, push2 = max(m.r * u.current1, 0.0), max(m.r * u.current2, 0.0)
    elif m.kind == ALPHA_KIND:
        push1 = highest(m.r * u.current1, m.r * u.rise1 * m.tau_syn1)
        push2 = highest(m.r * u.current2, m.r * u.rise2 * m.tau_syn2)
    spare = gap - (push1 * m.peak1 + push2 * m.peak2)
    if spare > 0.0:
        return max(pulled(m, spare, pull), pulled(m, gap, pull + push1 + push2))
    return pulled(m, gap, pull + push1 + push2)


cdef inline double pulled(const Model* m, double gap, double pull) noexcept nogil:
    """Seconds that v takes at least to close `gap` under a constant pull.

    They are -tau log(1 - gap / pull), of which three terms are taken: it costs a division.
    """
    cdef double x
    if pull <= gap:
        return INFINITY
    x = gap / pull
    return m.tau * x * (1.0 + x * (0.5 + x / 3.0))


cdef inline double highest(double now, double rising) noexcept nogil:
    """A bound on (now + rising s) exp(-s) over s >= 0."""
    return max(now, 0.0) + max(rising, 0.0) * exp(-1.0)


cdef inline double gap_closes(
    const Unit* u, const Model* m, double gap, double pull
) noexcept nogil:
    """`earliest` for a voltage that rises while the threshold falls, both ever more slowly."""
    cdef double rate = max(pull, 0.0) / m.tau + max(u.raised, 0.0) / m.tau_threshold
    cdef double least_gap = gap - max(u.raised, 0.0)
    if rate == 0.0 or (least_gap >= 0.0 and pull <= least_gap):
        return INFINITY
    return gap / rate
