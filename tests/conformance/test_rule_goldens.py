"""Learning rules against the numbers of NEST 3.10.0 and of the papers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.network import Network
from reflexarc.runtime.plasticity import Rule

ENTRIES = json.loads((Path(__file__).parent / "rule_goldens.json").read_text())["entries"]
DT_S = 1e-4
PRE_MS, POST_MS = (20, 60, 100, 200), (30, 55, 110)


def pair_of_neurons(
    rule: Rule | Sequence[Rule], weight: float, delay_ms: float, matrix: bool = False
) -> Network:
    """A line onto a neuron by a synapse that learns; another makes the neuron fire."""
    net = reflexarc.Builder()
    pre, post = net.input("pre", 1), net.input("post", 1)
    cell = net.population("cell", 1, reflexarc.DeltaLIF(tau_s=1e-3, v_threshold=1e6))
    if matrix:
        net.linear(pre, cell, [[weight]], name="learns", plasticity=rule)
    else:
        net.project(pre, cell, reflexarc.AllToAll(), weight=weight, delay_s=delay_ms * 1e-3,
                    name="learns", plasticity=rule)  # fmt: skip
    net.project(post, cell, reflexarc.AllToAll(), weight=1e8)
    net.output("spikes", cell)
    return net.build(mode="clocked", dt_s=DT_S)


def spikes(t_ms: Sequence[float]) -> Array:
    """At the starts of steps."""
    found = np.zeros(len(t_ms), SPIKE)
    found["t_ns"] = np.rint(np.asarray(t_ms) * 1e6).astype(np.int64)
    return found


def learnt(network: Network, until_ms: float, **trains: Sequence[float]) -> float:
    """The weight at the end; `weights` replays what has not been replayed yet."""
    program = ClockedBackend().compile(network)
    program.step(round(until_ms * 1e6), {name: spikes(t_ms) for name, t_ms in trains.items()})
    return float(program.weights("learns").reshape(-1)[0])


def met(entry: dict[str, Any], network: Network) -> Array:
    """The weight just after each arrival of an entry, step by step."""
    program = ClockedBackend().compile(network)
    weights, now_ns = [], 0
    given = {name: spikes(1e3 * np.array(entry[f"{name}_s"])) for name in ("pre", "post")}
    for arrival in given["pre"]["t_ns"] + round(entry["delay_s"] * 1e9):
        until_ns = int(arrival) + round(DT_S * 1e9)
        within = {
            name: train[(train["t_ns"] >= now_ns) & (train["t_ns"] < until_ns)]
            for name, train in given.items()
        }
        program.step(until_ns, within)
        now_ns = until_ns
        weights.append(program.weights("learns").reshape(-1)[0])
    return np.array(weights)


def of_rule(rule: str) -> pytest.MarkDecorator:
    """A parametrisation over the entries of a rule."""
    chosen = [entry for entry in ENTRIES if entry["rule"] == rule]
    assert chosen
    return pytest.mark.parametrize("entry", chosen, ids=lambda entry: entry["name"])


#: The entries' names of the pairings.
PAIRINGS = {
    "all": "all_to_all",
    "nearest-symmetric": "nearest_symmetric",
    "nearest-pre-centred": "presynaptic_centred",
    "nearest-restricted": "restricted_symmetric",
}


@of_rule("pair_stdp")
def test_pair_entries(entry: dict[str, Any]) -> None:
    pairing = PAIRINGS[entry["parameters"]["pairing"]]
    rule = reflexarc.PairStdp(
        **{**entry["parameters"], "pairing": pairing}, dendritic_delay_s=entry["dendritic_delay_s"]
    )
    network = pair_of_neurons(rule, entry["weight"], 1e3 * entry["delay_s"])
    assert met(entry, network) == pytest.approx(np.array(entry["weights"]), rel=1e-11)


@of_rule("triplet_stdp")
def test_triplet_entries(entry: dict[str, Any]) -> None:
    said = dict(entry["parameters"])
    said["pairing"] = "nearest" if said.pop("nearest", False) else "all_to_all"
    # By a matrix, whose weights begin in float64; half the delay there and back is the same.
    rule = reflexarc.TripletStdp(**said, dendritic_delay_s=entry["dendritic_delay_s"] / 2)
    network = pair_of_neurons(rule, entry["weight"], 0.0, matrix=True)
    found = met({**entry, "delay_s": 0.0}, network)
    assert found == pytest.approx(np.array(entry["weights"]), rel=1e-11)


def nest_pair(pairing: str, **options: Any) -> reflexarc.PairStdp:
    """NEST's lambda 0.01, alpha 1.05, Wmax 1000; all of the delay dendritic."""
    values = {"a_plus": 10.0, "a_minus": 10.5, "w_max": 1000.0, "dendritic_delay_s": 1e-3}
    return reflexarc.PairStdp(**{**values, "pairing": pairing, **options})


PAIRS = {
    "all_to_all": 501.38934045806,
    "nearest_symmetric": 503.30925406651,
    "presynaptic_centred": 502.43708184431,
    "restricted_symmetric": 502.81969834710,
}


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize(("pairing", "weight"), PAIRS.items())
def test_pairs(pairing: str, weight: float, matrix: bool) -> None:
    # A matrix has no delay: NEST's whole delay is dendritic, so nothing changes but the arrival.
    network = pair_of_neurons(nest_pair(pairing), 500.0, 1.0, matrix)
    if matrix:
        network = pair_of_neurons(nest_pair(pairing, dendritic_delay_s=5e-4), 500.0, 0.0, True)
    found = learnt(network, 200.2 + (0.0 if matrix else 1.0), pre=PRE_MS, post=POST_MS)
    assert found == pytest.approx(weight, rel=1e-13)


@pytest.mark.parametrize(
    ("minimal", "weight"), [(False, 0.991806034930127), (True, 0.991949893702803)]
)
def test_triplets_of_the_visual_cortex(minimal: bool, weight: float) -> None:
    rule = reflexarc.TripletStdp(fit="visual_cortex", minimal=minimal, dendritic_delay_s=1e-3)
    found = learnt(pair_of_neurons(rule, 1.0, 1.0), 201.2, pre=PRE_MS, post=POST_MS)
    assert found == pytest.approx(weight, rel=1e-12)


SJOSTROM = {
    10.0: {0.1: 0.0, 10: 0.104, 20: 0.323, 40: 0.560, 50: 0.624},
    -10.0: {0.1: -0.294, 10: -0.411, 20: -0.338, 40: 0.260, 50: 0.619},
}


@pytest.mark.parametrize(
    ("lead_ms", "rate_hz", "change"),
    [(lead, rate, change) for lead, row in SJOSTROM.items() for rate, change in row.items()],
)
def test_sixty_pairings_at_a_rate(lead_ms: float, rate_hz: float, change: float) -> None:
    rule = reflexarc.TripletStdp(fit="visual_cortex", pairing="nearest", w_min=-1e30)
    pre = 20 + np.round(np.arange(60) * 1e3 / rate_hz, 1)
    end = float(pre[-1]) + 100
    found = learnt(pair_of_neurons(rule, 0.0, 0.0), end, pre=pre, post=pre + lead_ms)
    assert found == pytest.approx(change, abs=5e-4)
