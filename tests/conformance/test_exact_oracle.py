"""Exact mode against an independent oracle: partial fractions, a fine grid and Brent's method.

The engine has each neuron's closed form around its meeting point of time constants, foresees
crossings analytically, and multiplies out what lies between layers. The oracle does none of that:
it goes from instant to instant, looks at every neuron on a grid, and passes charges node by node.
"""

import nir
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq

import reflexarc

TOLERANCE = 1e-9
SEEDS = [1, 3, 4, 8, 9, 10, 11, 12, 14, 15, 17, 19, 21, 23]
LOOPS = (("two", "one"), ("one", "one"))


class OracleNeuron:
    """v and I as a linear system under a constant drive, by a matrix exponential."""

    def __init__(self, kind, p):
        self.p, self.kind = p, kind
        self.drive, self.state = 0.0, np.array([0.0, 0.0, 1.0])  # v, I, 1
        self.spiking = "v_threshold" in p

    def matrix(self):
        p, drive = self.p, self.drive
        if self.kind in ("LIF", "LI"):
            row = [-1 / p["tau"], 0.0, (p["v_leak"] + p["r"] * drive) / p["tau"]]
            return np.array([row, [0, 0, 0], [0, 0, 0]])
        if self.kind in ("IF", "I"):
            return np.array([[0, 0, p["r"] * drive], [0, 0, 0], [0, 0, 0]])
        v = [-1 / p["tau_mem"], p["r"] / p["tau_mem"], p["v_leak"] / p["tau_mem"]]
        i = [0.0, -1 / p["tau_syn"], p["w_in"] * drive / p["tau_syn"]]
        return np.array([v, i, [0, 0, 0]])

    def after(self, dt_s):
        return expm(self.matrix() * dt_s) @ self.state

    def charge(self, area):
        p = self.p
        if self.kind in ("LIF", "LI"):
            self.state[0] += p["r"] * area / p["tau"]
        elif self.kind in ("IF", "I"):
            self.state[0] += p["r"] * area
        else:
            self.state[1] += p["w_in"] * area / p["tau_syn"]

    def crossing(self, within_s, points=32):
        """Seconds until v > v_threshold, at most `within_s`; infinity if not."""
        if not self.spiking or within_s <= 0:
            return np.inf
        step = expm(self.matrix() * (within_s / points))
        state, limit = self.state, self.p["v_threshold"]
        for k in range(points):
            following = step @ state
            if following[0] > limit and not (k == 0 and state[0] > limit):
                low, high = within_s * k / points, within_s * (k + 1) / points
                return brentq(lambda t: self.after(t)[0] - limit, low, high, xtol=1e-16, rtol=1e-14)
            state = following
        return np.inf


class OracleNet:
    """Runs a `nir.NIRGraph` from instant to instant."""

    def __init__(self, graph, spike_area):
        self.graph, self.spike_area = graph, spike_area
        self.after = {name: [b for a, b in graph.edges if a == name] for name in graph.nodes}
        self.layers = {name: neurons_of(node) for name, node in graph.nodes.items()}
        self.layers = {name: neurons for name, neurons in self.layers.items() if neurons}
        self.now_s, self.queue = 0.0, []
        self.spikes = {name: [] for name in graph.nodes}
        for name, node in graph.nodes.items():
            if isinstance(node, nir.Affine):
                self.queue.append((0.0, "drive", name, np.asarray(node.bias, float)))

    def run(self, until_s, probes):
        """Voltages at the times `probes`, by layer; spikes are left in `spikes`."""
        seen = {name: [] for name in self.layers}
        for stop_s in [*sorted(probes), until_s]:
            self.go_to(stop_s)
            for name, neurons in self.layers.items():
                seen[name].append([neuron.state[0] for neuron in neurons])
        return {name: np.array(rows[:-1]) for name, rows in seen.items()}

    def go_to(self, stop_s):
        while True:
            waits = [entry[0] for entry in self.queue if entry[0] < stop_s]
            next_s = min(waits, default=stop_s)
            own = {
                (name, k): self.now_s + neuron.crossing(next_s - self.now_s)
                for name, neurons in self.layers.items()
                for k, neuron in enumerate(neurons)
            }
            first = min(own, key=own.get)
            at_s = min(next_s, own[first])
            self.advance(at_s)
            if at_s >= stop_s:
                return
            self.instant(at_s, first if own[first] <= next_s else None)

    def advance(self, at_s):
        for neurons in self.layers.values():
            for neuron in neurons:
                neuron.state = neuron.after(at_s - self.now_s)
        self.now_s = at_s

    def instant(self, at_s, crossing):
        arrived = [entry for entry in self.queue if entry[0] <= at_s + 1e-13]
        self.queue = [entry for entry in self.queue if entry[0] > at_s + 1e-13]
        for _, kind, name, value in arrived:
            self.leave(kind, name, value)
        for name, neurons in self.layers.items():
            fired = np.array(
                [
                    n.spiking and ((name, k) == crossing or n.state[0] > n.p["v_threshold"])
                    for k, n in enumerate(neurons)
                ]
            )
            for k in np.flatnonzero(fired):
                neurons[k].state[0] = neurons[k].p["v_reset"]
                self.spikes[name].append((at_s, k))
            if fired.any():
                self.leave("charge", name, fired * self.spike_area)

    def leave(self, kind, name, value):
        """Pass what leaves `name` on to its successors."""
        for after in self.after[name]:
            node = self.graph.nodes[after]
            if after in self.layers:
                for neuron, amount in zip(self.layers[after], value, strict=True):
                    if kind == "charge":
                        neuron.charge(amount)
                    else:
                        neuron.drive += amount
            elif isinstance(node, nir.Delay):
                for k, delay_s in enumerate(node.delay):
                    one = np.where(np.arange(len(value)) == k, value, 0.0)
                    if one.any():
                        self.queue.append((self.now_s + delay_s, kind, after, one))
            elif not isinstance(node, nir.Output):
                self.leave(kind, after, node.weight @ value)


def neurons_of(node):
    kind = type(node).__name__
    if kind not in ("LIF", "LI", "CubaLIF", "CubaLI", "IF", "I"):
        return []
    raw = {k: v for k, v in node.to_dict().items() if k not in ("type", "metadata")}
    return [
        OracleNeuron(kind, {k: float(v[i]) for k, v in raw.items()}) for i in range(len(raw["r"]))
    ]


def random_layer(rng, kind, size):
    tau = 10 ** rng.uniform(-3, -1.5, size)
    shared = {
        "r": rng.choice([-1.0, 1.0], p=[0.1, 0.9], size=size) * rng.uniform(0.5, 3, size),
        "v_leak": rng.uniform(-0.5, 1.3, size),
        "v_threshold": rng.uniform(-0.3, 1.2, size),
    }
    shared["v_reset"] = shared["v_threshold"] - rng.uniform(0.2, 1.5, size)
    if kind.startswith("Cuba"):
        ratio = rng.choice([1.0, 1 + 1e-9, 1 + 1e-4, 0.05, 30.0, 2.0], size)
        shared |= {"tau_mem": tau, "tau_syn": tau * ratio, "w_in": rng.uniform(-1, 3, size)}
    elif kind not in ("IF", "I"):
        shared["tau"] = tau
    if not kind.endswith("F"):
        del shared["v_threshold"], shared["v_reset"]
    if kind in ("IF", "I"):
        del shared["v_leak"]
        shared["r"] *= 10
    return getattr(nir, kind)(**shared)


def random_graph(rng):
    """Two inputs, two spiking layers that excite and inhibit each other late, an integrator."""
    sizes = {"in.a": 2, "in.b": 3, "one": rng.integers(1, 4), "two": 2, "sum": 2}
    sizes = {name: int(size) for name, size in sizes.items()}
    nodes = {name: nir.Input(np.array([sizes[name]])) for name in ("in.a", "in.b")}
    for name in ("one", "two"):
        kind = rng.choice(["LIF", "CubaLIF", "IF"])
        nodes[name] = random_layer(rng, kind, sizes[name])
    nodes["sum"] = random_layer(rng, rng.choice(["LI", "CubaLI", "I"]), sizes["sum"])
    edges = []
    links = [
        ("in.a", "one"),
        ("in.b", "two"),
        ("in.b", "one"),
        ("one", "two"),
        ("two", "one"),
        ("one", "one"),
        ("two", "sum"),
        ("one", "sum"),
        ("in.a", "sum"),
    ]
    for before, after in links:
        name, path = f"{before}>{after}", []
        weight = rng.normal(0, 1, (sizes[after], sizes[before]))
        if (before, after) in LOOPS:
            weight = -0.1 * np.abs(weight)  # or its spikes multiply without bound
        affine = rng.random() < 0.4
        nodes[f"w {name}"] = (
            nir.Affine(weight, rng.normal(0, 0.3, sizes[after])) if affine else nir.Linear(weight)
        )
        path.append(f"w {name}")
        if (before, after) in LOOPS or rng.random() < 0.4:
            late = rng.random() < 0.5
            delay = 10 ** rng.uniform(-3.5, -2, sizes[after] if late else sizes[before])
            nodes[f"d {name}"] = nir.Delay(delay)
            path.insert(len(path) if late else 0, f"d {name}")
        edges += list(zip([before, *path], [*path, after], strict=True))
    for name in ("one", "two", "sum"):
        nodes[f"out {name}"] = nir.Output(np.array([sizes[name]]))
        edges.append((name, f"out {name}"))
    rng.shuffle(edges)
    return nir.NIRGraph(nodes, [tuple(edge) for edge in edges], type_check=False)


def random_drives(rng, graph, until_s):
    """By Input, the drives and the oracle's queue entries."""
    drives, queue = {}, []
    for name, size in (("in.a", 2), ("in.b", 3)):
        count = 12
        t_s, i = rng.uniform(0, until_s, count), rng.integers(0, size, count)
        area = rng.normal(0.004, 0.02, count)
        drives[name] = [reflexarc.Spikes(t_s, i, area)]
        queue += [
            (t, "charge", name, np.eye(size)[k] * a) for t, k, a in zip(t_s, i, area, strict=True)
        ]
        for k in range(size):
            t0_s, t1_s = np.sort(rng.uniform(0, until_s, 2))
            t1_s = rng.choice([t1_s, 1e9])
            amplitude = rng.normal(0, 1.5)
            drives[name].append(reflexarc.StepCurrent(t0_s, t1_s, k, amplitude))
            for t, sign in ((t0_s, 1.0), (t1_s, -1.0)):
                queue.append((t, "drive", name, np.eye(size)[k] * amplitude * sign))
    return drives, queue


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed, tmp_path):
    rng = np.random.default_rng(seed)
    graph, until_s = random_graph(rng), 0.05
    drives, queue = random_drives(rng, graph, until_s)
    probes_s = np.sort(rng.uniform(0, until_s, 3))
    spike_area = 0.01
    oracle = OracleNet(graph, spike_area)
    oracle.queue += queue
    voltages = oracle.run(until_s, probes_s)
    nir.write(tmp_path / "net.nir", graph)
    run = reflexarc.simulate(
        reflexarc.load(tmp_path / "net.nir", spike_area=spike_area),
        drives,
        until_s,
        mode="exact",
        probes=dict.fromkeys(("one", "two", "sum"), probes_s),
        record=["one", "two"],
    )
    for name in ("one", "two"):
        expected = sorted(oracle.spikes[name])
        assert list(run.spikes[name].i) == [i for _, i in expected]
        assert np.abs(run.spikes[name].t_s - [t for t, _ in expected]).max(initial=0) <= TOLERANCE
        assert np.array_equal(run.spikes[name].t_s, run.spikes[f"out {name}"].t_s)
    for name, rows in voltages.items():
        assert np.abs(run.probes[name] - rows).max() <= TOLERANCE
