"""When a neuron left to itself first exceeds its threshold: closed forms and bracketed roots.

Where there is no closed form, v is cut into monotone pieces by Rolle's theorem: the zeros of a
function lie between those of its derivative, also after a multiplication by exp(t / tau), which
takes the voltage's own exponential out. What is left of a sum of exponentials after each step has
one exponential less, until its zero is known in closed form; so no crossing is missed, be it twice
or grazing, and none is searched for on a grid.
"""

from libc.math cimport INFINITY, exp, expm1, fabs, log, log1p

from reflexarc.ext.membrane cimport (
    CURRENT_BASED_KIND,
    INTEGRATOR_KIND,
    LEAKY_KIND,
    Model,
    Unit,
    response_after,
    rising_response,
)

cdef enum:
    MOST_TURNS = 3  # of the synaptic forcing


cdef struct Curve:  # v minus threshold from now on
    double excess  # now, at most 0
    double tau
    double fall  # v minus its rest
    double tau1
    double tau2
    double current1  # in units of v
    double current2
    double rise1
    double rise2
    double raised
    double tau_threshold
    double span  # after which nothing can change any more


ctypedef double (*Reading)(const Curve* c, double t) noexcept nogil


cdef inline double next_crossing(const Unit* u, const Model* m) noexcept nogil:
    """Seconds until v first exceeds the threshold: 0 if it does at once, infinity if never."""
    cdef double rest
    cdef Curve c
    if m.v_threshold == INFINITY:
        return INFINITY
    if u.v > m.v_threshold + u.raised:
        return 0.0
    rest = m.v_leak + m.r * u.drive
    if m.kind == INTEGRATOR_KIND:
        return (m.v_threshold - u.v) / (m.r * u.drive) if m.r * u.drive > 0.0 else INFINITY
    if m.kind == LEAKY_KIND:
        if rest > m.v_threshold:
            return m.tau * log1p((m.v_threshold - u.v) / (rest - m.v_threshold))
        return INFINITY
    c = curve_of(u, m)
    return first_crossing(&c)


cdef inline Curve curve_of(const Unit* u, const Model* m) noexcept nogil:
    cdef Curve c
    cdef double level = m.w_in * u.drive if m.kind == CURRENT_BASED_KIND else u.drive
    c.tau, c.tau1, c.tau2 = m.tau, m.tau_syn1, m.tau_syn2
    c.tau_threshold = m.tau_threshold
    c.excess = u.v - (m.v_threshold + u.raised)
    c.fall = u.v - (m.v_leak + m.r * level)
    c.current1, c.current2 = m.r * u.current1, m.r * u.current2
    if m.kind == CURRENT_BASED_KIND:
        c.current1 -= m.r * level
    c.rise1, c.rise2, c.raised = m.r * u.rise1, m.r * u.rise2, u.raised
    c.span = 600.0 * max(max(c.tau, c.tau_threshold), max(c.tau1, c.tau2))
    return c


cdef inline double follow(const Curve* c, double t, double* slope) noexcept nogil:
    """v minus threshold, and tau times its derivative.

    Built on the change since now, so that short waits keep full precision.
    """
    cdef double decay = exp(-t / c.tau)
    cdef double change = c.fall * (decay - 1.0 if decay < 0.5 else expm1(-t / c.tau))
    slope[0] = (c.current1 + c.current2 - c.fall) * decay
    if c.current1 != 0.0 or c.rise1 != 0.0:
        change += follow_synapse(c, c.tau1, c.current1, c.rise1, t, decay, slope)
    if c.current2 != 0.0 or c.rise2 != 0.0:
        change += follow_synapse(c, c.tau2, c.current2, c.rise2, t, decay, slope)
    if c.raised != 0.0:
        change -= c.raised * expm1(-t / c.tau_threshold)
        slope[0] += c.tau * c.raised / c.tau_threshold * exp(-t / c.tau_threshold)
    return c.excess + change


cdef inline double follow_synapse(
    const Curve* c,
    double tau_syn,
    double current,
    double rise,
    double t,
    double decay,
    double* slope,
) noexcept nogil:
    """What a synapse has made of v; adds its share to the slope."""
    cdef double slow_decay = decay if c.tau >= tau_syn else exp(-t / tau_syn)
    cdef double done = response_after(c.tau, tau_syn, t, slow_decay)
    cdef double change = current * done
    slope[0] += c.tau * (rise - current / tau_syn) * done
    if rise != 0.0:
        done = rising_response(c.tau, tau_syn, t)
        change += rise * done
        slope[0] -= c.tau * rise / tau_syn * done
    return change


cdef inline double excess_at(const Curve* c, double t) noexcept nogil:
    cdef double slope
    return follow(c, t, &slope)


cdef inline double slope_at(const Curve* c, double t) noexcept nogil:
    cdef double slope
    follow(c, t, &slope)
    return slope


cdef inline double first_crossing(const Curve* c) noexcept nogil:
    """Piece by piece: between two turns the slope, times exp(t / tau), is monotone."""
    cdef double turns[MOST_TURNS + 1]
    cdef int count = forcing_turns(c, turns)
    cdef double low = 0.0
    cdef double low_slope = slope_at(c, 0.0)
    cdef double high, high_slope, top
    cdef int k
    if c.excess == 0.0 and low_slope > 0.0:
        return 0.0
    turns[count] = horizon(c, slope_at, turns[count - 1] if count else 0.0)
    for k in range(count + 1):
        high = turns[k]
        high_slope = slope_at(c, high)
        top = high
        if low_slope > 0.0 and high_slope < 0.0:
            top = root_between(c, slope_at, low, high)
        if excess_at(c, top) > 0.0:
            return rise_between(c, low, top)
        low, low_slope = high, high_slope
    return INFINITY


cdef inline double horizon(const Curve* c, Reading reading, double low) noexcept nogil:
    """A time after which nothing changes any more, but `reading` has not yet decayed to 0."""
    cdef double high = c.span
    cdef int step
    for step in range(60):
        if reading(c, high) != 0.0:
            break
        high = low + 0.5 * (high - low)
    return high


cdef inline double rise_between(const Curve* c, double low, double high) noexcept nogil:
    """Newton's method inside a bracket on which the threshold is passed once, upwards."""
    cdef double span = c.tau
    cdef double t, excess, slope, following
    cdef int step
    while low + span < high:
        if excess_at(c, low + span) > 0.0:
            high = low + span
        else:
            low += span
            span *= 2.0
    t = low
    for step in range(200):
        excess = follow(c, t, &slope)
        slope /= c.tau
        if excess > 0.0:
            high = t
        else:
            low = t
        following = t - excess / slope
        if slope > 0.0 and low <= following <= high:
            if fabs(following - t) <= 1e-11 * following:  # the error left is its square
                return following
        else:
            following = 0.5 * (low + high)
            if not low < following < high:
                return high
        t = following
    return t


# --- the turns of e^(t / tau) times the slope: where the synaptic currents' sum stands still -----

cdef inline int forcing_turns(const Curve* c, double* turns) noexcept nogil:
    """Where the derivative of the summed synaptic currents vanishes, ascending; how many times."""
    cdef double fewer[MOST_TURNS + 1]
    cdef double fewest[MOST_TURNS + 1]
    cdef double zero
    cdef int count = 0
    if c.rise1 == 0.0 and c.rise2 == 0.0:
        zero = balance(c)
        turns[0] = zero
        return 1 if 0.0 < zero < c.span else 0
    zero = bend_turn(c)
    fewest[0] = zero
    count = zeros(c, forcing_bend, fewest, 1 if 0.0 < zero < c.span else 0, fewer)
    return zeros(c, forcing, fewer, count, turns)


cdef inline double balance(const Curve* c) noexcept nogil:
    """When the derivatives of two exponential currents cancel, or infinity."""
    cdef double first = c.current1 / c.tau1
    cdef double second = c.current2 / c.tau2
    cdef double rate = 1.0 / c.tau1 - 1.0 / c.tau2
    if rate == 0.0 or not first * second < 0.0:
        return INFINITY
    return log(-first / second) / rate


cdef inline int zeros(
    const Curve* c, Reading reading, double* turns, int count, double* found
) noexcept nogil:
    """Where `reading`, monotone between the `turns`, is zero, ascending; how many times."""
    cdef double low = 0.0
    cdef double value = reading(c, 0.0)
    cdef double high, following
    cdef int number = 0
    cdef int k
    turns[count] = horizon(c, reading, turns[count - 1] if count else 0.0)
    for k in range(count + 1):
        high = turns[k]
        following = reading(c, high)
        if (value < 0.0 and following > 0.0) or (value > 0.0 and following < 0.0):
            found[number] = root_between(c, reading, low, high)
            number += 1
        elif following == 0.0 and k < count:
            found[number] = high
            number += 1
        low, value = high, following
    return number


cdef inline double forcing(const Curve* c, double t) noexcept nogil:
    """The derivative of the summed alpha currents, times the slower exponential's inverse.

    P(t) exp(-rate t) + Q(t), P and Q linear, P that of the faster synapse.
    """
    cdef double p = c.rise1 - (c.current1 + c.rise1 * t) / c.tau1
    cdef double q = c.rise2 - (c.current2 + c.rise2 * t) / c.tau2
    cdef double rate = 1.0 / c.tau1 - 1.0 / c.tau2
    return p * exp(-rate * t) + q if rate >= 0.0 else q * exp(rate * t) + p


cdef inline double forcing_bend(const Curve* c, double t) noexcept nogil:
    """The derivative of `forcing`: (P' - rate P) exp(-rate t) + Q'."""
    cdef double p = c.rise1 - (c.current1 + c.rise1 * t) / c.tau1
    cdef double q = c.rise2 - (c.current2 + c.rise2 * t) / c.tau2
    cdef double dp = -c.rise1 / c.tau1
    cdef double dq = -c.rise2 / c.tau2
    cdef double rate = 1.0 / c.tau1 - 1.0 / c.tau2
    if rate >= 0.0:
        return (dp - rate * p) * exp(-rate * t) + dq
    return (dq + rate * q) * exp(rate * t) + dp


cdef inline double bend_turn(const Curve* c) noexcept nogil:
    """Where the derivative of `forcing_bend` vanishes: rate P = 2 P'; or infinity."""
    cdef double rate = fabs(1.0 / c.tau1 - 1.0 / c.tau2)
    cdef bint first = c.tau1 < c.tau2
    cdef double rise = c.rise1 if first else c.rise2
    cdef double tau = c.tau1 if first else c.tau2
    cdef double p = rise - (c.current1 if first else c.current2) / tau
    if rate == 0.0 or rise == 0.0:
        return INFINITY
    return 2.0 / rate + p * tau / rise


cdef inline double root_between(
    const Curve* c, Reading reading, double low, double high
) noexcept nogil:
    """The root in a bracket across which `reading` changes its sign once: regula falsi, Illinois."""
    cdef double low_value = reading(c, low)
    cdef double high_value = reading(c, high)
    cdef double span = c.tau
    cdef double value, following
    cdef double t = low
    cdef int side = 0
    cdef int step
    while low + span < high:
        value = reading(c, low + span)
        if (value > 0.0) == (low_value > 0.0) and value != 0.0:
            low, low_value = low + span, value
            span *= 2.0
        else:
            high, high_value = low + span, value
    for step in range(200):
        following = high - high_value * (high - low) / (high_value - low_value)
        if not low < following < high or fabs(following - t) <= 1e-13 * following:
            return following
        t = following
        value = reading(c, t)
        if (value > 0.0) == (high_value > 0.0):
            high, high_value = t, value
            low_value *= 0.5 if side > 0 else 1.0
            side = 1
        else:
            low, low_value = t, value
            high_value *= 0.5 if side < 0 else 1.0
            side = -1
    return t
