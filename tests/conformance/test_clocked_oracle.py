"""Every dialect on random graphs against plain loops written from ../shared/nir/DIALECTS.json.

The oracle keeps a value for each node and evaluates node by node with NumPy; the engine lowers
the graph to one flat program over event lists. Weights and factors are kept dyadic where a
threshold may be hit exactly, so that the order of a sum does not matter.
"""

import math
from itertools import pairwise

import nir
import numpy as np
import pytest

import reflexarc

DT_S = 2.0**-10
STEPS = 60
EULER = {
    "decay": "euler",
    "gain": "graph",
    "threshold": ">",
    "reset": "v_reset",
    "v0": "0",
    "if_gain": "r*dt",
    "rec_bias_at_t0": True,
    "shift": 0,
}
UNIT = {**EULER, "decay": "exp", "gain": "unit", "threshold": ">=", "reset": "subtract_each"}
RULES = {
    "norse": {**EULER, "v0": "leak", "if_gain": "1", "rec_bias_at_t0": False, "no_reset": True,
              "no_r": ("LIF", "LI", "IF"), "leaking_synapse": True},
    "snntorch": {**EULER, "no_reset": True},
    "snntorch_subtract": {**EULER, "reset": "quirk"},
    "spyx_2023": {**EULER, "reset": "subtract", "shift": 1},
    "spikingjelly": {**EULER, "threshold": ">=", "v0": "reset", "rec_bias_at_t0": False},
    "sinabs": {**UNIT, "clip": ("IF",), "if_gain": "1"},
    "rockpool": {**UNIT, "before_decay": True, "no_rec_bias": True},
    "nengo_lif": {**EULER, "decay": "exp", "gain": "1 - decay"},
    "nengo_2023": {**EULER, "decay": "exp", "gain": "1 - decay", "no_reset": True, "shift": 1,
                   "euler_synapse": True, "rectified": True},
    "lava_float": {**EULER, "shift": 1},
}  # fmt: skip


class OracleLayer:
    """One layer under one dialect, a step at a time."""

    def __init__(self, node, rule):
        self.kind, self.rule = type(node).__name__, rule
        self.p = {k: np.asarray(v, float) for k, v in vars(node).items() if k not in IGNORED}
        if self.kind in rule.get("no_r", ()):
            self.p["r"] = np.ones_like(self.p["r"])
        size = len(self.p["r"])
        if rule.get("no_reset"):
            self.p["v_reset"] = np.zeros(size)
        first = {"0": None, "leak": "v_leak", "reset": "v_reset"}[rule["v0"]]
        self.v = self.p.get(first, np.zeros(size)).copy()
        leaks = rule.get("leaking_synapse") and self.kind.startswith("Cuba")
        self.rest = self.p["v_leak"] if leaks else np.zeros(size)
        self.current = self.rest.copy()
        self.spiking = "v_threshold" in self.p

    def low_pass(self, tau, gain, decay=None):
        if (decay or self.rule["decay"]) == "euler":
            return 1 - DT_S / tau, gain * DT_S / tau
        a = np.array([math.exp(-DT_S / t) for t in tau])
        return a, np.ones_like(tau) if self.rule["gain"] == "unit" else gain * (1 - a)

    def step(self, x):
        p, rule = self.p, self.rule
        before = self.v > p.get("v_threshold", np.inf)
        if "tau_syn" in p:
            a, g = self.low_pass(
                p["tau_syn"], p["w_in"], "euler" if "euler_synapse" in rule else None
            )
            self.current = (
                a * (self.current + g * x) if rule.get("before_decay") else a * self.current + g * x
            )
            self.current += (1 - a) * self.rest
            x = self.current
        if self.kind in ("IF", "I"):
            self.v = self.v + (x if rule["if_gain"] == "1" else p["r"] * DT_S * x)
        else:
            a, g = self.low_pass(p["tau_mem"] if "tau_mem" in p else p["tau"], p["r"])
            self.v = a * self.v + g * x + (1 - a) * p["v_leak"]
        return self.fire(before) if self.spiking else self.v

    def fire(self, before):
        limit, rule = self.p["v_threshold"], self.rule
        if rule["reset"] == "quirk":
            self.v = self.v - before * limit
        z = (self.v >= limit if rule["threshold"] == ">=" else self.v > limit).astype(float)
        if rule["reset"] == "v_reset":
            self.v = np.where(z > 0, self.p["v_reset"], self.v)
            if rule.get("rectified"):
                self.v = np.maximum(self.v, 0)
        elif rule["reset"] == "subtract":
            self.v = self.v - z * limit
        elif rule["reset"] == "quirk":
            self.v = self.v - (z - before) * limit
        else:
            z = z * np.trunc(self.v / limit)
            self.v = self.v - z * limit
            if self.kind in rule.get("clip", ()):
                self.v = np.maximum(self.v, -limit)
        return z


IGNORED = ("input_type", "output_type", "metadata")


class OracleNet:
    """A graph evaluated in `order`; an edge that leads backwards in it carries the last step."""

    def __init__(self, graph, order, rule):
        self.graph, self.order, self.rule = graph, order, rule
        self.before = {name: [a for a, b in graph.edges if b == name] for name in order}
        self.shown = {name: np.zeros(size_of(node)) for name, node in graph.nodes.items()}
        self.layers, self.held = {}, {}
        for name, node in graph.nodes.items():
            if self.adds_bias(name) and rule["rec_bias_at_t0"]:
                self.shown[name] = np.array(node.bias)
            elif isinstance(node, nir.Delay):
                self.held[name] = [np.zeros(size_of(node))] * 100
            elif hasattr(node, "r"):
                self.layers[name] = OracleLayer(node, rule)
                if not self.layers[name].spiking:
                    self.shown[name] = self.layers[name].v

    def step(self, inputs):
        for name in self.order:
            self.shown[name] = self.value(name, inputs)
        for name, held in self.held.items():
            held.append(self.arriving(name))

    def arriving(self, name):
        return sum(self.shown[before] for before in self.before[name])

    def value(self, name, inputs):
        node = self.graph.nodes[name]
        if name in inputs:
            return inputs[name]
        if name in self.held:
            steps = np.rint(node.delay / DT_S).astype(int)
            return np.array([self.held[name][-k][i] for i, k in enumerate(steps)])
        x = self.arriving(name)
        if name in self.layers:
            return self.layers[name].step(x)
        if self.adds_bias(name):
            return node.weight @ x + node.bias
        return node.weight @ x if hasattr(node, "weight") else x

    def adds_bias(self, name):
        """Rockpool drops it where a layer recurs onto itself; names are "before>after"."""
        before, _, after = name.partition(">")
        drops = self.rule.get("no_rec_bias") and before == after
        return isinstance(self.graph.nodes[name], nir.Affine) and not drops


def size_of(node):
    if hasattr(node, "weight"):
        return len(node.weight)
    if isinstance(node, nir.Delay):
        return len(node.delay)
    return len(node.r) if hasattr(node, "r") else int(node.input_type["input"][0])


def random_layer(rng, kind, size):
    tau = DT_S * 2.0 ** rng.integers(2, 6, size)
    p = {"r": rng.choice([0.5, 1.0, 2.0], size), "v_leak": rng.choice([0.0, 0.25, -0.5], size)}
    p |= {"v_threshold": rng.choice([0.5, 1.0, 1.5], size)}
    p |= {"v_reset": rng.choice([0.0, -0.25, 0.25], size)}
    if kind.startswith("Cuba"):
        p |= {"tau_mem": tau, "tau_syn": tau[::-1], "w_in": rng.choice([1.0, 2.0, -0.5], size)}
    elif kind not in ("IF", "I"):
        p["tau"] = tau
    else:
        del p["v_leak"]
        p["r"] = p["r"] / DT_S / 8
    if not kind.endswith("F"):
        del p["v_threshold"], p["v_reset"]
    return getattr(nir, kind)(**p)


def random_graph(rng, scale):
    """Two inputs, two layers in a mutual cycle, one with recurrence, a readout; and an order."""
    sizes = {"in.a": 3, "in.b": 2, "one": 4, "two": 3, "read": 2}
    nodes = {name: nir.Input(np.array([sizes[name]])) for name in ("in.a", "in.b")}
    for name in ("one", "two"):
        nodes[name] = random_layer(rng, rng.choice(["LIF", "CubaLIF", "IF"]), sizes[name])
    nodes["read"] = random_layer(rng, rng.choice(["LI", "CubaLI", "I"]), sizes["read"])
    edges = []
    order = ["in.a", "in.b"]

    def link(before, after, name, delay=None):
        weight = rng.integers(-8, 9, (sizes[after], sizes[before])) / scale
        affine = rng.random() < 0.5
        bias = rng.integers(-4, 5, sizes[after]) / 8
        nodes[name] = nir.Affine(weight, bias) if affine else nir.Linear(weight)
        path = [before, name, after]
        if delay:
            nodes[f"d {name}"] = nir.Delay(DT_S * rng.integers(*delay, sizes[before]))
            path.insert(1, f"d {name}")
        edges.extend(pairwise(path))
        return path[1:-1]

    # A Delay holds what came before: a cycle through one is closed in the Delay, not by an edge.
    early, late = rng.random(2) < 0.5
    one, back = link("in.a", "one", "a>one"), link("one", "one", "one>one")
    two = link("one", "two", "one>two", (1, 4) if early else None) + link("in.b", "two", "b>two")
    between = link("two", "one", "two>one", (1, 4) if late else None)
    if late:
        order += [*one, *between, "one", *two, "two"]
    elif early:
        order += [*two, "two", *between, *one, "one"]
    else:
        order += [*one, "one", *two, "two"]
        back += between
    before_read = link("two", "read", "two>read")
    order += [*before_read, "read", *back]
    for name in ("one", "two", "read"):
        nodes[f"out {name}"] = nir.Output(np.array([sizes[name]]))
        edges.append((name, f"out {name}"))
        order.append(f"out {name}")
    rng.shuffle(edges)
    return nir.NIRGraph(nodes, [tuple(edge) for edge in edges], type_check=False), order


@pytest.mark.filterwarnings("ignore:.*dialect .* ignores")
@pytest.mark.parametrize("dialect", RULES)
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 7])
def test_random_graphs(dialect, seed, tmp_path):
    rng, rule = np.random.default_rng(seed), RULES[dialect]
    graph, order = random_graph(rng, 64 if rule["gain"] == "unit" else 4)
    rasters = {name: rng.integers(0, 3, (STEPS, size_of(graph.nodes[name]))) for name in order[:2]}
    oracle = OracleNet(graph, order, rule)
    expected = {name: np.zeros((STEPS, size_of(graph.nodes[name]))) for name in order}
    voltages = {name: np.zeros((STEPS, len(layer.v))) for name, layer in oracle.layers.items()}
    for k in range(STEPS):
        oracle.step({name: raster[k] for name, raster in rasters.items()})
        for name, rows in expected.items():
            if k + rule["shift"] < STEPS:
                rows[k + rule["shift"]] = oracle.shown[name]
        for name, rows in voltages.items():
            if k + rule["shift"] < STEPS:
                rows[k + rule["shift"]] = oracle.layers[name].v
    nir.write(tmp_path / "net.nir", graph)
    run = reflexarc.simulate(
        reflexarc.load(tmp_path / "net.nir"),
        rasters,
        mode="clocked",
        dialect=dialect,
        dt_s=DT_S,
        probes=dict.fromkeys(voltages, DT_S * np.arange(1, STEPS + 1)),
    )
    assert expected["out one"].any() or expected["out two"].any()
    for name in ("out one", "out two"):
        assert np.array_equal(run.outputs[name], expected[name])
    assert run.outputs["out read"] == pytest.approx(expected["out read"], abs=1e-9)
    for name, rows in voltages.items():
        assert run.probes[name] == pytest.approx(rows, abs=1e-9)
