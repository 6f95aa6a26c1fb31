"""PES, Voja, Oja and BCM as Nengo 4.1 runs them, for benchmarks/rulegoldens.py.

What happens in step n of Nengo's reference simulator, n = 1, 2, ... ending at n dt:

1. The weights take the change that step n - 1 computed: w[n] = w[n - 1] + delta[n - 1].
2. Neurons fire; a spike is 1 / dt for one step. The weights w[n] carry it.
3. A rule's filters, unlike those of connections, have no delay of a step: the activity contains the
   spikes s of step n: a[n] = k a[n - 1] + (1 - k) s[n] / dt, k = e^(-dt / tau), a[0] = 0. The
   theta of BCM filters the spikes of the postsynaptic neuron themselves, not the activity.
4. delta[n] = f(a[n], w[n], error[n]): an error or a decoded value that comes without a synapse is
   of this step.

So a spike of step n is carried by w[n] and moves the weights from w[n + 1] on. Nothing is bounded.

- PES descends and divides its rate by the number of presynaptic neurons:
  delta = -rate dt / n_pre error a.
- Oja: delta = rate dt (post pre - beta post^2 w). BCM: delta = rate dt post (post - theta) pre.
- Voja moves the encoders as scaled by the gain / radius of each neuron, and only those of neurons
  that fire: delta = rate dt post (scale x - encoder).
"""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np

DT_S = 1e-3
STEPS = 600
READ = [1, 2, 3, 50, 100, 200, 300, 400, 500, 600]


def neurons(count: int, seed: int, dimensions: int = 1) -> nengo.Ensemble:
    """Neurons that fire at 30 to 150 Hz by their bias alone."""
    rng = np.random.default_rng(seed)
    return nengo.Ensemble(
        count,
        dimensions,
        gain=rng.uniform(0.5, 2.0, count),
        bias=rng.uniform(1.2, 4.0, count),
        neuron_type=nengo.LIF(),
        seed=seed,
    )


def wave(t: float) -> np.ndarray:
    """A vector that changes sign and jumps now and then, exact in binary."""
    step = round(t / DT_S)
    return np.array([1.0, -0.5]) * (-1) ** (step // 128) * (1 + step // 64 % 3) / 4


def steps_of(spikes: np.ndarray) -> list[list[int]]:
    """The steps in which each neuron fired, the first step being 1."""
    return [(np.flatnonzero(train) + 1).tolist() for train in spikes.T]


def entry(
    name: str, parameters: dict[str, Any], trains: dict[str, np.ndarray], weights: np.ndarray
) -> dict[str, Any]:
    """An entry; weights are those in force in the steps `read_steps`, postsynaptic rows."""
    return {
        "name": f"{name}-nengo",
        "rule": name,
        "parameters": parameters,
        "dt_s": DT_S,
        "steps": STEPS,
        **{f"{side}_steps": steps_of(spikes) for side, spikes in trains.items()},
        "read_steps": READ,
        "weights": weights[np.array(READ) - 1].tolist(),
    }


def run(model: nengo.Network) -> nengo.Simulator:
    simulator = nengo.Simulator(model, dt=DT_S, progress_bar=False)
    simulator.run_steps(STEPS)
    return simulator


def between(name: str, rule: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """A rule between the neurons of two ensembles."""
    initial = np.random.default_rng(7).uniform(-1e-3, 2e-3, (3, 4))
    with nengo.Network(seed=1) as model:
        pre, post = neurons(4, 2), neurons(3, 3)
        synapses = nengo.Connection(
            pre.neurons, post.neurons, transform=initial, learning_rule_type=rule
        )
        probes = [nengo.Probe(side.neurons, "output") for side in (pre, post)]
        weights = nengo.Probe(synapses, "weights")
    data = run(model).data
    trains = dict(zip(("pre", "post"), (data[probe] for probe in probes), strict=True))
    return {**entry(name, parameters, trains, data[weights]), "weight": initial.tolist()}


def oja() -> dict[str, Any]:
    rule = nengo.Oja(learning_rate=1e-5, pre_synapse=0.005, post_synapse=0.01, beta=2.0)
    taus = {"tau_pre_s": 0.005, "tau_post_s": 0.01}
    return between("oja", rule, {"learning_rate": 1e-5, "beta": 2.0, **taus})


def bcm() -> dict[str, Any]:
    rule = nengo.BCM(learning_rate=1e-9, pre_synapse=0.005, post_synapse=0.01, theta_synapse=0.2)
    taus = {"tau_pre_s": 0.005, "tau_post_s": 0.01, "tau_theta_s": 0.2}
    return between("bcm", rule, {"learning_rate": 1e-9, **taus})


def pes() -> dict[str, Any]:
    """Decoders that an error teaches; the error is `wave`."""
    initial = np.random.default_rng(8).uniform(-1e-3, 1e-3, (2, 4))
    with nengo.Network(seed=1) as model:
        pre, out = neurons(4, 2), nengo.Node(size_in=2)
        error = nengo.Node(wave)
        decoders = nengo.Connection(
            pre.neurons,
            out,
            transform=initial,
            learning_rule_type=nengo.PES(learning_rate=1e-3, pre_synapse=0.005),
        )
        nengo.Connection(error, decoders.learning_rule, synapse=None)
        spikes, weights = nengo.Probe(pre.neurons, "output"), nengo.Probe(decoders, "weights")
    data = run(model).data
    found = entry(
        "pes", {"learning_rate": 1e-3, "tau_pre_s": 0.005}, {"pre": data[spikes]}, data[weights]
    )
    return {**found, "weight": initial.tolist(), "error": errors()}


def voja() -> dict[str, Any]:
    """Encoders that move towards `wave`."""
    with nengo.Network(seed=1) as model:
        source, post = nengo.Node(wave), neurons(3, 3, dimensions=2)
        rule = nengo.Voja(learning_rate=1e-2, post_synapse=0.005)
        synapses = nengo.Connection(source, post, synapse=None, learning_rule_type=rule)
        spikes = nengo.Probe(post.neurons, "output")
        weights = nengo.Probe(synapses.learning_rule, "scaled_encoders")
    simulator = run(model)
    data, built = simulator.data, simulator.data[post]
    parameters = {"learning_rate": 1e-2, "tau_post_s": 0.005, "scale": built.gain.tolist()}
    found = entry("voja", parameters, {"post": data[spikes]}, data[weights])
    initial = built.encoders * built.gain[:, None]
    return {**found, "weight": initial.tolist(), "decoded": errors()}


def errors() -> list[list[float]]:
    """`wave` in each step from the first."""
    return [wave(step * DT_S).tolist() for step in range(1, STEPS + 1)]


def nengo_rules() -> list[dict[str, Any]]:
    """All of them."""
    return [oja(), bcm(), pes(), voja()]
