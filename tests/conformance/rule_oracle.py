"""The learning rules, slow and plain: what the compiled kernels and the peers are compared with.

Not a test. Load it with `runpy.run_path`. Event-driven rules take spike times in seconds and
return (times, weights): the weight after each event in the order in which the synapse sees them.
The synapse sees a presynaptic spike at its arrival less the dendritic delay and a postsynaptic
spike the dendritic delay after it was fired; at the same instant the postsynaptic one is second.
NEST's delay is all dendritic (delay_s = dendritic_delay_s), so that it sees the presynaptic spike
when it was fired. Weights are bounded after each change.
"""

import math
from itertools import pairwise

import numpy as np

PRE, POST, MODULATOR, READ = range(4)

#: Does a presynaptic spike add to its trace (else it sets it to 1), does a postsynaptic one add to
#: its own, and does a spike, once it has been paired, clear the trace of the other side?
PAIRINGS = {
    "all": (True, True, False, False),
    "nearest-symmetric": (False, False, False, False),
    "nearest-pre-centred": (True, False, True, False),
    "nearest-restricted": (False, False, True, True),
}

#: Pfister & Gerstner (2006), tables 3 and 4; 1 and seconds. tau_plus 16.8 ms, tau_minus 33.7 ms.
TRIPLETS = {
    "visual-all-full": (5e-10, 6.2e-3, 7e-3, 2.3e-4, 0.101, 0.125),
    "visual-all-minimal": (0.0, 6.5e-3, 7.1e-3, 0.0, 0.101, 0.114),
    "visual-nearest-full": (8.8e-11, 5.3e-2, 6.6e-3, 3.1e-3, 0.714, 0.040),
    "visual-nearest-minimal": (0.0, 5e-2, 8e-3, 0.0, 0.714, 0.040),
    "hippocampal-all-full": (6.1e-3, 6.7e-3, 1.6e-3, 1.4e-3, 0.946, 0.027),
    "hippocampal-all-minimal": (5.3e-3, 8e-3, 3.5e-3, 0.0, 0.946, 0.040),
    "hippocampal-nearest-full": (4.6e-3, 9.1e-3, 3e-3, 7.5e-9, 0.575, 0.047),
    "hippocampal-nearest-minimal": (4.6e-3, 9.1e-3, 3e-3, 0.0, 0.575, 0.048),
}


def triplet_set(name):
    """The parameters of one of TRIPLETS by our names."""
    names = ("a2_plus", "a3_plus", "a2_minus", "a3_minus", "tau_x_s", "tau_y_s")
    values = dict(zip(names, TRIPLETS[name], strict=True))
    return {**values, "tau_plus_s": 0.0168, "tau_minus_s": 0.0337}


def events(pre_s, post_s, delay_s=0.0, dendritic_delay_s=0.0, modulator_s=(), read_s=()):
    """(time at the synapse, kind), in order; a modulator's spike comes before what it meets."""
    seen = [(t + delay_s - dendritic_delay_s, PRE) for t in pre_s]
    seen += [(t + dendritic_delay_s, POST) for t in post_s]
    seen += [(t, MODULATOR) for t in modulator_s] + [(t, READ) for t in read_s]
    return sorted(seen, key=lambda event: (event[0], (1, 2, 0, 3)[event[1]]))


class Trace:
    """A spike train through an exponential filter; a spike adds 1 or, nearest, sets 1."""

    def __init__(self, tau_s, adds=True):
        self.tau_s, self.adds, self.value, self.t_s = tau_s, adds, 0.0, 0.0

    def at(self, t_s):
        return self.value * math.exp((self.t_s - t_s) / self.tau_s)

    def spike(self, t_s):
        self.value = 1.0 + (self.at(t_s) if self.adds else 0.0)
        self.t_s = t_s


def bounded(w, w_min, w_max):
    return min(max(w, w_min), w_max)


def pair_stdp(seen, w, *, pairing, a_plus, a_minus, tau_plus_s, tau_minus_s, w_min, w_max,
              mu_plus=0.0, mu_minus=0.0):  # fmt: skip
    """Pair STDP (Guetig et al. 2003 for mu; Morrison et al. 2008 for the pairings)."""
    pre_adds, post_adds, post_clears, pre_clears = PAIRINGS[pairing]
    x, y = Trace(tau_plus_s, pre_adds), Trace(tau_minus_s, post_adds)
    weights = []
    for t, kind in seen:
        if kind == PRE:
            share = (w - w_min) / (w_max - w_min) if mu_minus else 1.0
            w = bounded(w - a_minus * share**mu_minus * y.at(t), w_min, w_max)
            x.spike(t)
            if pre_clears:
                y.value = 0.0
        elif kind == POST:
            share = (w_max - w) / (w_max - w_min) if mu_plus else 1.0
            w = bounded(w + a_plus * share**mu_plus * x.at(t), w_min, w_max)
            y.spike(t)
            if post_clears:
                x.value = 0.0
        weights.append(w)
    return np.array([t for t, _ in seen]), np.array(weights)


def triplet_stdp(seen, w, *, nearest, a2_plus, a3_plus, a2_minus, a3_minus, tau_plus_s,
                 tau_minus_s, tau_x_s, tau_y_s, w_min=-math.inf, w_max=math.inf):  # fmt: skip
    """Triplet STDP (Pfister & Gerstner 2006): r2 and o2 are read before this spike raises them."""
    r1, r2 = Trace(tau_plus_s, not nearest), Trace(tau_x_s, not nearest)
    o1, o2 = Trace(tau_minus_s, not nearest), Trace(tau_y_s, not nearest)
    weights = []
    for t, kind in seen:
        if kind == PRE:
            w = bounded(w - o1.at(t) * (a2_minus + a3_minus * r2.at(t)), w_min, w_max)
            r1.spike(t), r2.spike(t)
        elif kind == POST:
            w = bounded(w + r1.at(t) * (a2_plus + a3_plus * o2.at(t)), w_min, w_max)
            o1.spike(t), o2.spike(t)
        weights.append(w)
    return np.array([t for t, _ in seen]), np.array(weights)


def reward_stdp(seen, w, *, a_plus, a_minus, tau_plus_s, tau_minus_s, tau_eligibility_s,
                tau_modulator_s, baseline=0.0, w_min=-math.inf, w_max=math.inf):  # fmt: skip
    """STDP moves an eligibility c, and dw/dt = c (n - baseline) (Izhikevich 2007).

    A modulator's spike raises n by 1 / tau_modulator_s. Between events both decay, and the change
    of w has a closed form. Bounded at each event, not between.
    """
    x, y, n = Trace(tau_plus_s), Trace(tau_minus_s), Trace(tau_modulator_s)
    rate = 1 / tau_eligibility_s + 1 / tau_modulator_s
    c, last, weights = 0.0, 0.0, []
    for t, kind in seen:
        dt = t - last
        taught = n.at(last) / tau_modulator_s * -math.expm1(-rate * dt) / rate
        taught -= baseline * tau_eligibility_s * -math.expm1(-dt / tau_eligibility_s)
        w = bounded(w + c * taught, w_min, w_max)
        c, last = c * math.exp(-dt / tau_eligibility_s), t
        if kind == PRE:
            c -= a_minus * y.at(t)
            x.spike(t)
        elif kind == POST:
            c += a_plus * x.at(t)
            y.spike(t)
        elif kind == MODULATOR:
            n.spike(t)
        weights.append(w)
    return np.array([t for t, _ in seen]), np.array(weights)


def reward_stdp_stepped(seen, w, *, a_plus, a_minus, tau_plus_s, tau_minus_s, tau_eligibility_s,
                        tau_modulator_s, baseline=0.0, dt_s=1e-6):  # fmt: skip
    """The final weight of `reward_stdp` without bounds, by steps of the midpoint rule."""
    x = y = c = n = last = 0.0
    rates = -1 / np.array([tau_plus_s, tau_minus_s, tau_eligibility_s, tau_modulator_s])
    for t, kind in seen:
        steps = round((t - last) / dt_s)
        middle = (np.arange(steps) + 0.5) * dt_s
        w += dt_s * np.sum(
            c * np.exp(rates[2] * middle) * (n * np.exp(rates[3] * middle) - baseline)
        )
        x, y, c, n = np.array([x, y, c, n]) * np.exp(rates * steps * dt_s)
        if kind == PRE:
            x, c = x + 1, c - a_minus * y
        elif kind == POST:
            y, c = y + 1, c + a_plus * x
        elif kind == MODULATOR:
            n += 1 / tau_modulator_s
        last = t
    return w


def short_term(pre_s, *, u, tau_recovery_s, tau_facilitation_s=0.0):
    """What multiplies the weight of each spike, u x (Tsodyks-Markram, as Maass & Markram 2002)."""
    running, x, factors = u, 1.0, [u]
    for before, t in pairwise(pre_s):
        x = 1.0 + (x - x * running - 1.0) * math.exp((before - t) / tau_recovery_s)
        kept = math.exp((before - t) / tau_facilitation_s) if tau_facilitation_s else 0.0
        running = u + running * (1.0 - u) * kept
        factors.append(running * x)
    return np.array(factors)


def vogels(seen, w, *, learning_rate, tau_s, alpha, w_min, w_max):
    """Inhibitory STDP (Vogels et al. 2011): symmetric, less alpha at each presynaptic spike.

    As in NEST, the presynaptic spike makes two changes, each bounded.
    """
    x, y = Trace(tau_s), Trace(tau_s)
    weights = []
    for t, kind in seen:
        if kind == PRE:
            raised = bounded(w + learning_rate * y.at(t), w_min, w_max)
            w = bounded(raised - learning_rate * alpha, w_min, w_max)
            x.spike(t)
        elif kind == POST:
            w = bounded(w + learning_rate * x.at(t), w_min, w_max)
            y.spike(t)
        weights.append(w)
    return np.array([t for t, _ in seen]), np.array(weights)


def sdsp(seen, v, x, *, jump_up, jump_down, drift_up, drift_down, theta_x, theta_v, theta_up,
         theta_down, tau_calcium_s, calcium_jump=1.0):  # fmt: skip
    """Spike-driven synaptic plasticity (Brader, Senn & Fusi 2007): x in [0, 1] after each event.

    v is the postsynaptic voltage that each presynaptic spike meets; theta_up and theta_down are
    (low, high), the open ranges of calcium in which x jumps. Between events x drifts, up above
    theta_x and else down, per second. The weight is the high one where x > theta_x.
    """
    calcium, last, values, voltages = Trace(tau_calcium_s), 0.0, [], iter(v)
    for t, kind in seen:
        x += (t - last) * (drift_up if x > theta_x else -drift_down)
        x, last = bounded(x, 0.0, 1.0), t
        if kind == PRE:
            c, up = calcium_jump * calcium.at(t), next(voltages) > theta_v
            low, high = theta_up if up else theta_down
            if low < c < high:
                x = bounded(x + jump_up if up else x - jump_down, 0.0, 1.0)
        elif kind == POST:
            calcium.spike(t)
        values.append(x)
    return np.array([t for t, _ in seen]), np.array(values)


def sdsp_stepped(pre_steps, post_steps, v, x, *, jump_up, jump_down, drift_up, drift_down, theta_x,
                 theta_v, theta_up, theta_down, tau_calcium_s, calcium_jump=1.0,
                 dt_s=1e-6):  # fmt: skip
    """`sdsp` step by step: x after each presynaptic spike. v by the step of the spike."""
    c, values, pre, post = 0.0, [], set(pre_steps), set(post_steps)
    keep = math.exp(-dt_s / tau_calcium_s)
    for n in range(1, max(pre_steps) + 1):
        c *= keep
        x += dt_s * drift_up if x > theta_x else -dt_s * drift_down
        x = min(max(x, 0.0), 1.0)
        if n in pre:
            if v[n] > theta_v and theta_up[0] < c < theta_up[1]:
                x = min(x + jump_up, 1.0)
            elif v[n] <= theta_v and theta_down[0] < c < theta_down[1]:
                x = max(x - jump_down, 0.0)
            values.append(x)
        if n in post:
            c += calcium_jump
    return np.array(values)


def clopath(pre_steps, v, u_plus, u_minus, w, dt_s, *, a_ltp, a_ltd, theta_plus, theta_minus,
            tau_x_s, w_min, w_max):  # fmt: skip
    """Voltage-based STDP (Clopath et al. 2010), step by step; the weight at each presynaptic spike.

    v, u_plus, u_minus are those at the end of each step, 0 being the first; u_plus and u_minus are
    already delayed. `pre_steps` says with which step each spike coincides.
    """
    x, weights = 0.0, []
    for n in range(max(pre_steps) + 1):
        x *= math.exp(-dt_s / tau_x_s)
        if v[n] > theta_plus and u_plus[n] > theta_minus:
            change = a_ltp * (v[n] - theta_plus) * (u_plus[n] - theta_minus) * dt_s * x
            w = min(w + change, w_max)
        if n in pre_steps:
            w = max(w - a_ltd * max(u_minus[n] - theta_minus, 0.0), w_min)
            x += 1 / tau_x_s
            weights.append(w)
    return np.array(weights)


def voltage_filters(v, dt_s, *, tau_plus_s, tau_minus_s, delay_s, rest):
    """u_plus and u_minus of `clopath` with v held for each step at what it is at its end."""
    filters, late = [], round(delay_s / dt_s)
    for tau_s in (tau_plus_s, tau_minus_s):
        keep, u, passed = math.exp(-dt_s / tau_s), rest, [rest] * late
        for value in v:
            u = keep * u + (1 - keep) * value
            passed.append(u)
        filters.append(np.array(passed[: len(v)]))
    return filters


def piecewise_linear(v, threshold, *, height, width):
    """The surrogate gradient of e-prop: of the voltage before the reset."""
    return height * np.maximum(0.0, 1.0 - np.abs(v - threshold) / width)


def eprop(pre, post, psi, learning_signal, w, dt_s, *, learning_rate, tau_s, kappa, kappa_reg,
          c_reg, rate_target_hz, beta, tau_threshold_s, w_min, w_max):  # fmt: skip
    """E-prop (Bellec et al. 2020; Korcsak-Gorzo et al. 2025) of one neuron, LIF with beta = 0.

    pre (steps, synapses) and post (steps,) are 0 or 1, psi and learning_signal (steps,).
    As in NEST, c_reg is for a rate per ms and the target is per step. Returns the weights after
    each step, (steps, synapses).
    """
    keep, keep_threshold = math.exp(-dt_s / tau_s), math.exp(-dt_s / tau_threshold_s)
    z_bar, epsilon, e_bar, e_reg = np.zeros((4, pre.shape[1]))
    w, rate, weights = np.array(w, float), 0.0, []
    for z, fired, gain, taught in zip(pre, post, psi, learning_signal, strict=True):
        z_bar = keep * z_bar + z
        e = gain * (z_bar - beta * epsilon)
        epsilon = keep_threshold * epsilon + e
        e_bar = kappa * e_bar + e
        e_reg = kappa_reg * e_reg + (1 - kappa_reg) * e
        rate = kappa_reg * rate + (1 - kappa_reg) * fired / (1e3 * dt_s)
        gradient = taught * e_bar + c_reg * (rate - rate_target_hz * dt_s) * e_reg
        w = np.clip(w - learning_rate * gradient, w_min, w_max)
        weights.append(w)
    return np.array(weights)


def rasters(trains, steps):
    """Spikes as 0 and 1, (steps, neurons), from the steps (1 is the first) of each neuron."""
    raster = np.zeros((steps, len(trains)))
    for neuron, fired in enumerate(trains):
        raster[np.array(fired, int) - 1, neuron] = 1.0
    return raster


def filtered(raster, tau_s, dt_s):
    """The activity in each step: its spikes and those before, each 1 / dt, through a low-pass."""
    keep, value, read = math.exp(-dt_s / tau_s), np.zeros(raster.shape[1]), []
    for fired in raster:
        value = keep * value + (1.0 - keep) / dt_s * fired
        read.append(value)
    return np.array(read)


def stepped(w, change, steps):
    """The weights in force in each step, `change(n, w)` being the one that step n computes."""
    w, taken = np.array(w, float), []
    for n in range(steps):
        taken.append(w)
        w = w + change(n, w)
    return np.array(taken)


def oja(pre, post, w, dt_s, *, learning_rate, beta, tau_pre_s, tau_post_s):
    """Oja (1982); rasters (steps, neurons), weights (post, pre)."""
    a, b = filtered(pre, tau_pre_s, dt_s), filtered(post, tau_post_s, dt_s)

    def change(n, w):
        return learning_rate * dt_s * (np.outer(b[n], a[n]) - beta * b[n][:, None] ** 2 * w)

    return stepped(w, change, len(pre))


def bcm(pre, post, w, dt_s, *, learning_rate, tau_pre_s, tau_post_s, tau_theta_s):
    """Bienenstock, Cooper & Munro (1982): theta follows the postsynaptic activity."""
    a, b = filtered(pre, tau_pre_s, dt_s), filtered(post, tau_post_s, dt_s)
    theta = filtered(post, tau_theta_s, dt_s)

    def change(n, w):
        return learning_rate * dt_s * np.outer(b[n] * (b[n] - theta[n]), a[n])

    return stepped(w, change, len(pre))


def pes(pre, error, w, dt_s, *, learning_rate, tau_pre_s):
    """Prescribed error sensitivity (MacNeil & Eliasmith 2011); error (steps, outputs)."""
    a, rate = filtered(pre, tau_pre_s, dt_s), learning_rate * dt_s / pre.shape[1]
    return stepped(w, lambda n, w: -rate * np.outer(error[n], a[n]), len(pre))


def voja(post, decoded, w, dt_s, *, learning_rate, tau_post_s, scale):
    """Vector Oja (Voelker et al. 2014); w are the scaled encoders, (neurons, dimensions)."""
    b, scale = filtered(post, tau_post_s, dt_s), np.array(scale)[:, None]

    def change(n, w):
        return learning_rate * dt_s * b[n][:, None] * (scale * decoded[n] - w)

    return stepped(w, change, len(post))
