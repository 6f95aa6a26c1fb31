"""What the clocked backend refuses of layers, which a builder or a file would not let through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.contract import chain, generators, layer, wired
from reflexarc.runtime.errors import ConfigError, GraphError, UnsupportedError
from reflexarc.runtime.network import OWN_PARAMETERS, Delay, Input, Linear, Network, NeuronKind
from reflexarc.runtime.plasticity import PairStdp, Pes

LEAKY = {"tau": 0.01, "r": 4.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
DELTA = {**LEAKY, "refractory": 0.0, "i_offset": 0.0}


def line(error: type[Exception], network: Network) -> str:
    """What compiling is refused with: one line that names the file."""
    with pytest.raises(error) as caught:
        ClockedBackend().compile(network, dt_s=1e-3)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("<memory>: ")
    return text


def fed(kind: NeuronKind, **values: float) -> Network:
    return chain(Input(name="input", shape=(2,)), layer("cells", 2, kind, **values))


@pytest.mark.parametrize("kind", sorted(OWN_PARAMETERS))
def test_a_parameter_that_is_missing_is_named(kind: NeuronKind) -> None:
    names = OWN_PARAMETERS[kind]
    for missing in names:
        values = {name: 1.0 for name in names if name != missing}
        assert f"'cells': {kind} needs {missing}" in line(
            GraphError, chain(layer("cells", 2, kind, **values))
        )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("tau", np.ones(1), "tau must be 2 numbers, one for each neuron"),
        ("tau", np.ones(3), "tau must be 2 numbers, one for each neuron"),
        ("v_reset", np.ones((2, 1)), "v_reset must be 2 numbers"),
        ("tau", np.array([1.0, 0.0]), "tau: value 0; must be greater than 0"),
        ("refractory", np.array([0.0, -1.0]), "refractory: value -1; cannot be negative"),
        ("i_offset", np.array([0.0, np.nan]), "i_offset: every value must be finite"),
    ],
)
def test_parameters_that_do_not_fit_are_named(name: str, value: np.ndarray, reason: str) -> None:
    network = fed("DeltaLIF", **DELTA)
    cells = network.nodes["cells"]
    wrong = replace(cells, parameters={**cells.parameters, name: value})
    network = replace(network, nodes={**network.nodes, "cells": wrong})
    assert f"'cells': {reason}" in line(GraphError, network)


def test_the_shape_counts_for_kinds_of_nir_too() -> None:
    network = fed("LIF", **LEAKY)
    cells = replace(network.nodes["cells"], parameters={k: np.ones(1) for k in LEAKY})
    network = replace(network, nodes={**network.nodes, "cells": cells})
    assert "'cells': tau must be 2 numbers" in line(GraphError, network)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cells", np.zeros(1)),
        ("cells", np.zeros(3)),
        ("cells", np.array([0.0, np.inf])),
        ("input", np.zeros(2)),
        ("nobody", np.zeros(2)),
    ],
)
def test_first_voltages_that_do_not_fit_are_refused(name: str, value: np.ndarray) -> None:
    network = replace(fed("DeltaLIF", **DELTA), initial_v={name: value})
    assert f"initial_v.{name}: expected the name of a layer" in line(GraphError, network)


@pytest.mark.parametrize("delay_s", [2e4, 1e7, 1e300])
def test_a_delay_that_cannot_be_remembered_is_refused(delay_s: float) -> None:
    reason = "delays must be 0 to 16777216 steps of 0.001 s"
    assert f"projection 'wires': {reason}" in line(UnsupportedError, wired(delay_s=delay_s))
    held = Delay(name="held", shape=(2,), delay_s=np.array([0.0, delay_s]))
    network = chain(Input(name="input", shape=(2,)), held)
    assert f"node 'held': {reason}" in line(UnsupportedError, network)


def test_more_spikes_a_step_than_can_be_drawn_are_refused() -> None:
    text = line(UnsupportedError, generators("Poisson", rate=8e5))
    assert "'source': rate: 800 spikes a step; the most is 700, so give a shorter dt_s" in text
    program = ClockedBackend().compile(generators("Poisson", rate=7e5), dt_s=1e-3)
    left = program.step(1_000_000, {})["output"]
    assert np.bincount(left["i"], minlength=3) == pytest.approx([700] * 3, abs=6 * 700**0.5)


def test_pairs_need_a_layer_that_fires() -> None:
    network = wired()
    cells = layer("cells", 3, "LI", tau=0.01, r=1.0, v_leak=0.0)
    rule = PairStdp(a_plus=0.1, a_minus=0.1)
    network = replace(network, nodes={**network.nodes, "cells": cells}, plasticity={"wires": rule})
    text = line(UnsupportedError, network)
    assert "'wires': rule pair_stdp needs an edge that leads to one layer of neurons, which" in text


def test_a_projection_is_no_modulator() -> None:
    network = wired()
    matrix = Linear(name="matrix", shape=(3,), weight=np.zeros((3, 2)))
    network = replace(
        network,
        nodes={**network.nodes, "matrix": matrix},
        edges=(*network.edges, ("input", "matrix"), ("matrix", "cells")),
        plasticity={"matrix": Pes(modulator="wires", learning_rate=0.1)},
    )
    text = line(ConfigError, network)
    assert "'matrix': modulator: 'wires' is a projection, which shows no values" in text


def test_the_networks_of_these_tests_run_when_nothing_is_wrong() -> None:
    for network in (fed("DeltaLIF", **DELTA), fed("LIF", **LEAKY), wired()):
        ClockedBackend().compile(network, dt_s=1e-3)
