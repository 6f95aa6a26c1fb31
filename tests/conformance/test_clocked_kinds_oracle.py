"""The clocked engine's kinds against plain loops over steps, written from docs/neurons.md.

A step of a layer: the membrane moves under the synaptic variables as they stood, under the current
and the jumps of the step; those variables decay and take up the spikes that arrive; the threshold
is tested. The linear kinds are moved by matrix exponentials, the others by Runge-Kutta steps.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.network import (
    RECEPTORS,
    Input,
    Linear,
    Network,
    Neurons,
    Output,
    Projection,
)

STEPS, LINES = 40, 7
KINDS = [
    "ALIF", "DeltaLIF", "ExpLIF", "AlphaLIF", "CondLIF", "AdEx", "Izhikevich",
    "LIF", "CubaLIF", "IF",
]  # fmt: skip
#: Kinds whose receptors but `input` hold a variable that decays.
SYNAPTIC = {"ExpLIF", "AlphaLIF", "CondLIF", "AdEx"}
MILLIVOLTS = {"CondLIF", "AdEx", "Izhikevich"}


# The kinds, one class for each way to move.


class OracleLayer:
    """A layer: `v`, synaptic variables in float32 as the engine keeps them, steps still held."""

    def __init__(self, kind, p, v, dt_s):
        self.kind, self.p, self.dt_s = kind, p, dt_s
        self.v, n = v.copy(), len(v)
        self.synapses = {
            name: np.zeros(n, np.float32) for name in RECEPTORS[kind] if self.is_late(name)
        }
        self.wait, self.closest = np.zeros(n), np.inf
        self.pause = np.rint(p.get("refractory", np.zeros(n)) / dt_s)
        self.prepare()

    def is_late(self, receptor):
        """Whether spikes on `receptor` are first felt in the next step."""
        return self.kind in SYNAPTIC and receptor != "input"

    def prepare(self):
        pass

    def step(self, current, jump):
        """Move; returns who fires. What arrives at the synapses comes in between: `decayed`."""
        held = self.wait > 0
        self.move(current, jump)
        for name, value in self.synapses.items():
            decay = np.exp(-self.dt_s / self.p[f"tau_{name}"])
            self.synapses[name] = (decay * value.astype(float)).astype(np.float32)
        fired = ~held & self.above()
        if "v_threshold" in self.p and not held.all():
            distance = np.abs(self.v - self.p["v_threshold"])[~held].min()
            self.closest = min(self.closest, distance)
        self.reset(fired)
        if self.pause.any():
            self.v[held] = self.p["v_reset"][held]
            self.wait[held] -= 1
            self.wait[fired] = self.pause[fired]
        return fired

    def above(self):
        return self.v > self.p["v_threshold"]

    def reset(self, fired):
        self.v[fired] = self.p["v_reset"][fired]


def exponential(matrices):
    """The exponential of each, by its series: dt is below every time constant."""
    total = term = np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape)
    for k in range(1, 24):
        term = term @ matrices / k
        total = total + term
    return total


class Linearly(OracleLayer):
    """v' = A v + ..., moved over a step by the exponential of one matrix for each neuron.

    The vector is v, I, i_e, x_e, i_i, x_i, 1, where x is the rise of an alpha function.
    """

    def prepare(self):
        p, n = self.p, len(self.v)
        m = np.zeros((n, 7, 7))
        tau, r = p.get("tau", p.get("tau_mem", np.ones(n))), p["r"]
        if self.kind != "IF":
            m[:, 0, 0], m[:, 0, 6] = -1 / tau, (p["v_leak"] + r * p.get("i_offset", 0.0)) / tau
        m[:, 0, 1] = r / tau
        for i, name in ((2, "excitatory"), (4, "inhibitory")):
            if name in self.synapses:
                m[:, 0, i] = r / tau
                m[:, i, i] = m[:, i + 1, i + 1] = -1 / p[f"tau_{name}"]
                m[:, i, i + 1] = np.e / p[f"tau_{name}"]
        self.matrix = exponential(m * self.dt_s)
        self.currents = np.zeros((2, n))
        self.syn, self.raised = np.zeros(n), np.zeros(n)

    def move(self, current, jump):
        n = len(self.v)
        if self.kind == "CubaLIF":  # the dialect: the current first, then v under it as it is now
            a = np.exp(-self.dt_s / self.p["tau_syn"])
            self.syn = a * self.syn + self.p["w_in"] * (1 - a) * current
            current = self.syn
        if self.kind == "ALIF":
            self.raised *= np.exp(-self.dt_s / self.p["tau_threshold"])
        x = np.zeros((n, 7))
        x[:, 0], x[:, 1], x[:, 6] = self.v, current, 1.0
        for k, name in enumerate(self.synapses):
            alpha = self.kind == "AlphaLIF"
            x[:, 2 + 2 * k] = self.currents[k] if alpha else self.synapses[name]
            x[:, 3 + 2 * k] = self.synapses[name] if alpha else 0.0
        x = np.einsum("nij,nj->ni", self.matrix, x)
        self.v = x[:, 0] + jump
        self.currents = x[:, [2, 4]].T

    def above(self):
        return self.v > self.p["v_threshold"] + self.raised

    def reset(self, fired):
        super().reset(fired)
        if self.kind == "ALIF":
            self.raised[fired] += self.p["threshold_jump"][fired]


class Conductances(OracleLayer):
    """CondLIF: one classical Runge-Kutta step; the conductances are known in between."""

    def move(self, current, jump):
        p, h, v = self.p, self.dt_s, self.v
        g = {name: value.astype(float) for name, value in self.synapses.items()}

        def slope(t_s, v):
            ge = g["excitatory"] * np.exp(-t_s / p["tau_excitatory"])
            gi = g["inhibitory"] * np.exp(-t_s / p["tau_inhibitory"])
            into = ge * (p["e_excitatory"] - v) + gi * (p["e_inhibitory"] - v)
            return (p["g_leak"] * (p["v_leak"] - v) + into + current + p["i_offset"]) / p["c"]

        k1 = slope(0, v)
        k2 = slope(h / 2, v + h / 2 * k1)
        k3 = slope(h / 2, v + h / 2 * k2)
        k4 = slope(h, v + h * k3)
        self.v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class Exponentially(OracleLayer):
    """AdEx: Runge-Kutta substeps of 25 us or less, v taken as no more than the peak.

    Where in a substep the peak was reached is told by exp(-(v - v_threshold) / delta_t), which
    falls nearly linearly; the rest of it is an Euler step from the reset on.
    """

    def prepare(self):
        self.w = np.zeros_like(self.v)

    def step(self, current, jump):
        p, substeps = self.p, int(np.ceil(self.dt_s / 25e-6 - 1e-9))
        h, fired = self.dt_s / substeps, np.zeros(len(self.v), bool)
        currents = {name: value.astype(float) for name, value in self.synapses.items()}
        for _ in range(substeps):
            into = [
                current
                + p["i_offset"]
                + sum(i * np.exp(-t_s / p[f"tau_{name}"]) for name, i in currents.items())
                for t_s in (0.0, h / 2, h)
            ]
            spikes = self.substep(h, *into)
            fired |= spikes
            for name in currents:
                currents[name] = currents[name] * np.exp(-h / p[f"tau_{name}"])
        self.wait = np.maximum(self.wait - 1, 0)
        for name in currents:
            self.synapses[name] = currents[name].astype(np.float32)
        return fired

    def slopes(self, v, w, into):
        p, free = self.p, self.wait <= 0
        u = np.minimum(v, p["v_peak"])
        rise = p["g_leak"] * p["delta_t"] * np.exp((u - p["v_threshold"]) / p["delta_t"])
        leak = p["g_leak"] * (p["v_leak"] - u)
        return free * (leak + rise - w + into) / p["c"], self.adapt(u, w)

    def adapt(self, v, w):
        return (self.p["a"] * (v - self.p["v_leak"]) - w) / self.p["tau_w"]

    def substep(self, h, into, middle, after):
        p, v, w = self.p, self.v, self.w
        k1, l1 = self.slopes(v, w, into)
        k2, l2 = self.slopes(v + h / 2 * k1, w + h / 2 * l1, middle)
        k3, l3 = self.slopes(v + h / 2 * k2, w + h / 2 * l2, middle)
        k4, l4 = self.slopes(v + h * k3, w + h * l3, after)
        self.v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        self.w = w + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        fired = self.v >= p["v_peak"]
        # z = exp(-(v - v_threshold) / delta_t) falls by g_leak / c - z (leak and current) / delta_t
        z0 = np.exp(-(v - p["v_threshold"]) / p["delta_t"])
        z1 = np.exp(-(p["v_peak"] - p["v_threshold"]) / p["delta_t"])
        leak = (p["g_leak"] * (p["v_leak"] - v) - w + into) / p["c"]
        fall = p["g_leak"] / p["c"] - z0 * leak / p["delta_t"]
        when = np.clip((z0 - z1) / (h * fall), 0, 1)
        w_after = w + when * h * self.adapt(v, w) + p["b"]
        slope, _ = self.slopes(p["v_reset"], w_after, into)
        held = self.pause > 0
        v_after = p["v_reset"] + np.where(held, 0.0, (1 - when) * h * slope)
        w_after = w_after + (1 - when) * h * self.adapt(p["v_reset"], w_after)
        self.v, self.w = np.where(fired, v_after, self.v), np.where(fired, w_after, self.w)
        # Held for the rest of this step and `pause` more.
        self.wait = np.where(fired & held, self.pause + 1, self.wait)
        return fired


class Quadratically(OracleLayer):
    """Izhikevich: forward Euler in ms, both from the old values."""

    def prepare(self):
        self.u = self.p["b"] * self.v

    def move(self, current, jump):
        p, h, v, u = self.p, 1e3 * self.dt_s, self.v, self.u
        self.v = v + h * (0.04 * v**2 + 5 * v + 140 - u + current + p["i_offset"]) + jump
        self.u = u + h * p["a"] * (p["b"] * v - u)

    def above(self):
        return self.v >= self.p["v_peak"]

    def reset(self, fired):
        self.v[fired] = self.p["c"][fired]
        self.u[fired] += self.p["d"][fired]


MODELS = dict.fromkeys(KINDS, Linearly) | {
    "CondLIF": Conductances,
    "AdEx": Exponentially,
    "Izhikevich": Quadratically,
}


# A network of two layers and its oracle.


@dataclass
class Synapses:
    source: str
    target: str
    receptor: str
    lag: int
    weight: np.ndarray  # one for each pair
    pairs: np.ndarray  # (source, target), ordered; a pair may come twice


@dataclass
class Case:
    dt_s: float
    kinds: dict
    parameters: dict
    first_v: dict
    synapses: list = field(default_factory=list)
    weight: np.ndarray | None = None  # of the Linear from the levels onto `one`
    closest: float = np.inf  # how near to its threshold a voltage came

    def is_instant(self, synapses):
        """Whether its spikes can act within the step in which they were sent."""
        late = self.kinds[synapses.target] in SYNAPTIC and synapses.receptor != "input"
        return synapses.lag == 0 and not late

    def order(self):
        """What acts at once goes first; of two layers that do, the one that is met first on the way
        from the inputs: by the first projection of the file that acts at once, or by `mix`.
        """
        at_once = [(s.source, s.target) for s in self.synapses if self.is_instant(s)]
        first = next((target for source, target in at_once if source == "lines"), "one")
        forth, back = ("one", "two") in at_once, ("two", "one") in at_once
        if forth and back:
            return ["one", "two"] if first == "one" else ["two", "one"]
        return ["one", "two"] if forth else ["two", "one"]

    def network(self):
        nodes = [Input(name="lines", shape=(LINES,)), Input(name="levels", shape=(2,))]
        nodes.append(Linear(name="mix", shape=(len(self.weight),), weight=self.weight))
        edges = [("levels", "mix"), ("mix", "one")]
        for name, kind in self.kinds.items():
            size = (len(self.first_v[name]),)
            nodes.append(
                Neurons(name=name, shape=size, kind=kind, parameters=self.parameters[name])
            )
            nodes.append(Output(name=f"out {name}", shape=size))
            edges.append((name, f"out {name}"))
        for k, s in enumerate(self.synapses):
            nodes.append(self.projection(f"synapses {k}", s))
            edges += [(s.source, f"synapses {k}"), (f"synapses {k}", s.target)]
        return Network(
            nodes={node.name: node for node in nodes},
            edges=tuple(edges),
            dt_s=self.dt_s,
            initial_v=self.first_v,
        )

    def projection(self, name, s):
        sources = LINES if s.source == "lines" else len(self.first_v[s.source])
        counts = np.bincount(s.pairs[:, 0], minlength=sources)
        return Projection(
            name=name,
            shape=self.first_v[s.target].shape,
            sources=sources,
            rows=np.concatenate([[0], np.cumsum(counts)]),
            targets=s.pairs[:, 1].astype(np.int32),
            weight=s.weight.astype(np.float32),
            delay_s=s.lag * self.dt_s,
            receptor=s.receptor,
        )

    def run(self, lines, levels):
        """Voltages and spikes of each step by layer, in a loop over everything."""
        layers = {
            name: MODELS[kind](kind, self.parameters[name], self.first_v[name], self.dt_s)
            for name, kind in self.kinds.items()
        }
        v = {name: np.zeros((len(lines), len(layer.v))) for name, layer in layers.items()}
        sent = {"lines": lines} | {name: np.zeros_like(rows) for name, rows in v.items()}
        order = self.order()

        def arriving(step, target, receptor):
            """What arrives in `step`; float32, one spike after another."""
            total = np.zeros(len(layers[target].v), np.float32)
            return self.deliver(total, step, target, receptor, sent, order)

        for step in range(len(lines)):
            for name in order:
                layer = layers[name]
                current = arriving(step, name, "input").astype(float)
                if name == "one":
                    current = current + self.weight @ levels[step]
                jump = arriving(step, name, "jump").astype(float)
                sent[name][step] = layer.step(current, jump)
                v[name][step] = layer.v
            for name, layer in layers.items():
                for receptor, value in layer.synapses.items():
                    self.deliver(value, step, name, receptor, sent, order)
        self.closest = min(layer.closest for layer in layers.values())
        return v, {name: sent[name] for name in layers}

    def deliver(self, total, step, target, receptor, sent, order):
        """Add to `total` what arrives in `step`."""
        for s in self.synapses:
            if s.target == target and s.receptor == receptor:
                backwards = s.source != "lines" and order.index(s.source) >= order.index(target)
                lag = 1 if backwards and self.is_instant(s) else s.lag
                if lag <= step:
                    value = sent[s.source][step - lag][s.pairs[:, 0]].astype(np.float32)
                    added = s.weight.astype(np.float32) * value
                    np.add.at(total, s.pairs[value != 0, 1], added[value != 0])
        return total


def spread(rng, n, uniform, low, high):
    return np.full(n, rng.uniform(low, high)) if uniform else rng.uniform(low, high, n)


def random_parameters(rng, kind, n, uniform, dt_s):
    def each(low, high):
        return spread(rng, n, uniform, low, high)

    pause = rng.choice([0, 1, 3], n) * dt_s
    p = {"refractory": np.full(n, pause[0]) if uniform else pause}
    p |= {f"tau_{name}": each(2e-3, 9e-3) for name in RECEPTORS[kind] if name.endswith("ory")}
    if kind == "Izhikevich":
        p = {"a": each(0.02, 0.1), "b": each(0.2, 0.25), "c": each(-65, -50), "d": each(2, 8)}
        return p | {"v_peak": each(25, 35), "i_offset": each(8, 15)}
    if kind in MILLIVOLTS:
        p |= {"c": each(0.15, 0.3), "g_leak": each(8, 30), "v_leak": each(-70, -60)}
        p |= {"v_threshold": each(-52, -48), "v_reset": each(-66, -56), "i_offset": each(300, 700)}
    else:
        p |= {"r": each(0.5, 1.5), "v_leak": each(-0.2, 0.2), "v_reset": each(-0.3, 0.1)}
        p |= {"v_threshold": each(0.4, 0.8)}
    if kind == "CondLIF":
        p |= {"e_excitatory": each(-5, 5), "e_inhibitory": each(-85, -75)}
    if kind == "AdEx":
        p |= {"delta_t": each(1, 3), "v_peak": each(-5, 20), "a": each(0, 5), "b": each(0, 100)}
        p |= {"tau_w": each(0.03, 0.2)}
    if kind in ("LIF", "ALIF", "DeltaLIF"):
        p["tau"] = each(2e-3, 2e-2)
    if kind in ("CubaLIF", "ExpLIF", "AlphaLIF"):
        p["tau_mem"] = each(2e-3, 2e-2)
    if kind in ("DeltaLIF", "ExpLIF", "AlphaLIF"):
        p["i_offset"] = each(0, 1)
    if kind == "CubaLIF":
        p |= {"tau_syn": each(2e-3, 9e-3), "w_in": each(0.5, 2)}
    if kind == "ALIF":
        p |= {"tau_threshold": each(5e-3, 5e-2), "threshold_jump": each(0, 0.5)}
    if kind == "IF":
        p["r"] *= 100
        del p["v_leak"]
    return p


def random_synapses(rng, case, source, target, receptor, lag):
    """Some 4 synapses a target, in parallel too; weights are whole 64ths, whose sums are exact."""
    sources = LINES if source == "lines" else len(case.first_v[source])
    n, kind = len(case.first_v[target]), case.kinds[target]
    pairs = np.column_stack([rng.integers(0, sources, 4 * n), rng.integers(0, n, 4 * n)])
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    weight = rng.integers(-24, 33, len(pairs)) / 64
    if kind in MILLIVOLTS:
        weight = weight * (8 if receptor == "jump" else 128)
    elif receptor == "input":  # felt for one step only
        weight = weight * 2.0 ** np.rint(np.log2(4e-3 / case.dt_s))
    if kind == "CondLIF" and receptor != "input":
        weight = np.abs(weight) / 16
    return Synapses(source, target, receptor, lag, weight, pairs)


@st.composite
def cases(draw, kind):
    """`one` of `kind`, `two` of any, synapses from lines, forth, back and from each to itself."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.permutations([1, 63, 64, 65, 200]))
    kinds = {"one": kind, "two": draw(st.sampled_from(KINDS))}
    uniform, dt_s = draw(st.booleans()), draw(st.sampled_from([1e-3, 5e-4, 1e-4]))
    case = Case(dt_s, kinds, {}, {})
    for (name, each), n in zip(kinds.items(), sizes, strict=False):
        p = case.parameters[name] = random_parameters(rng, each, n, uniform, dt_s)
        low = p["c"] if each == "Izhikevich" else p.get("v_leak", p.get("v_reset"))
        case.first_v[name] = low + rng.uniform(0, 14 if each in MILLIVOLTS else 0.6, n)
    case.weight = rng.integers(-8, 24, (len(case.first_v["one"]), 2)) / 8
    if kind in MILLIVOLTS:
        case.weight *= 1 if kind == "Izhikevich" else 64
    lags = st.integers(0, 5)
    for target in kinds:
        for receptor in RECEPTORS[kinds[target]]:
            for source in ("lines", "lines", "one", "two"):
                synapses = random_synapses(rng, case, source, target, receptor, draw(lags))
                case.synapses.append(synapses)
    keep = draw(st.integers(1, len(case.synapses)))
    case.synapses = [case.synapses[k] for k in sorted(rng.permutation(len(case.synapses))[:keep])]
    return case, rng


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=6)
@given(data=st.data())
def test_voltages_and_spikes_are_those_of_the_plain_loop(kind, data):
    case, rng = data.draw(cases(kind))
    lines = rng.poisson(0.3, (STEPS, LINES)).astype(float)
    levels = rng.integers(-1, 3, (STEPS, 2)).astype(float)
    v, spikes = case.run(lines, levels)
    assume(case.closest > 1e-8)  # nearer, rounding decides who fires
    program = ClockedBackend(threads=data.draw(st.sampled_from([1, 1, 3]))).compile(case.network())
    ends_s = case.dt_s * np.arange(1, STEPS + 1)
    run = program.run(
        {"lines": lines, "levels": levels}, steps=STEPS, probes=dict.fromkeys(case.kinds, ends_s)
    )
    for name, each in case.kinds.items():
        assert np.array_equal(run.outputs[f"out {name}"], spikes[name])
        calm = np.ones_like(v[name], bool)
        if each == "AdEx":  # on the upswing every error grows as fast as v
            p = case.parameters[name]
            calm = v[name] < p["v_threshold"] + 3 * p["delta_t"]
        scale = 1e-4 if each in MILLIVOLTS else 1e-6
        assert run.probes[name][calm] == pytest.approx(v[name][calm], rel=1e-6, abs=scale)


# What a delay of 0 means.


def relay(kind, lag, back_lag):
    """A line onto one neuron, that onto a second and back: every spike is enough to fire."""
    rng, n = np.random.default_rng(0), 1
    case = Case(1e-3, {"one": kind, "two": kind}, {}, {})
    for name in case.kinds:
        p = random_parameters(rng, kind, n, True, case.dt_s)
        case.parameters[name] = p | {"refractory": np.zeros(n), "i_offset": np.zeros(n)}
        case.first_v[name] = p["v_leak"].copy()
    case.weight = np.zeros((n, 2))
    first, pair = RECEPTORS[kind][0], np.zeros((1, 2), int)
    for source, target, steps in (
        ("lines", "one", 0),
        ("one", "two", lag),
        ("two", "one", back_lag),
    ):
        case.synapses.append(Synapses(source, target, first, steps, np.array([1e4]), pair))
    return case.network()


def first_steps(network):
    """The steps of the first two spikes of each layer after one spike on the line in step 0."""
    lines = np.zeros((8, LINES))
    lines[0, 0] = 1
    run = ClockedBackend().compile(network).run({"lines": lines}, steps=8)
    return [np.flatnonzero(run.outputs[f"out {name}"])[:2].tolist() for name in ("one", "two")]


def test_a_jump_without_delay_acts_in_its_step_and_back_in_the_next():
    assert first_steps(relay("DeltaLIF", 0, 0)) == [[0, 1], [0, 1]]
    assert first_steps(relay("DeltaLIF", 0, 1)) == [[0, 1], [0, 1]]
    assert first_steps(relay("DeltaLIF", 1, 0)) == [[0, 1], [1, 2]]
    assert first_steps(relay("DeltaLIF", 0, 3)) == [[0, 3], [0, 3]]


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_a_synaptic_variable_moves_the_membrane_a_step_after_its_spike(lag):
    one, two = first_steps(relay("ExpLIF", lag, 0))
    assert one[0] == 1
    assert two[0] == one[0] + lag + 1
