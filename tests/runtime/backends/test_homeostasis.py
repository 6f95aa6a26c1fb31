"""Thresholds that seek a firing rate, against a plain loop and against what the rule promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend, ClockedProgram
from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.dialect import DIALECTS
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import Network, Neurons
from reflexarc.runtime.neurons import NeuronModel
from reflexarc.runtime.plasticity import IntrinsicHomeostasis

DT_S, SIZE = 1e-3, 5
#: A kind, and a current that makes it fire.
KINDS = {
    "alif": (reflexarc.ALIF(threshold_jump=0.2), 1.5),
    "delta": (reflexarc.DeltaLIF(tau_s=reflexarc.Uniform(5e-3, 20e-3), refractory_s=2e-3), 1.5),
    "exp": (reflexarc.ExpLIF(), 1.5),
    "alpha": (reflexarc.AlphaLIF(), 1.5),
    "cond": (reflexarc.CondLIF(), 300.0),
    "adex": (reflexarc.AdEx(), 900.0),
    "lif": (reflexarc.LIF(), 1.5),
    "refractory lif": (reflexarc.LIF(refractory_s=3e-3), 1.5),
    "cuba": (reflexarc.CubaLIF(), 1.5),
    "if": (reflexarc.IF(r=50.0), 1.5),
}


def layer(
    rule: IntrinsicHomeostasis, model: NeuronModel = KINDS["lif"][0], dialect: str = "reflexarc"
) -> Network:
    """A layer under currents of its own."""
    net = reflexarc.Builder(seed=3)
    current = net.input("current", SIZE)
    cells = net.population("cells", SIZE, model, plasticity=rule)
    net.linear(current, cells, np.eye(SIZE))
    net.output("spikes", cells)
    return net.build(mode="clocked", dt_s=DT_S, dialect=dialect)


def run(program: ClockedProgram, current: Array, steps: int) -> Array:
    """Spikes a step, shape (steps, SIZE)."""
    fired = np.zeros((steps, SIZE))
    for step in range(steps):
        until_ns = program.now_ns + program.dt_ns
        spikes = program.step(until_ns, {"current": current})["spikes"]
        np.add.at(fired[step], spikes["i"], 1)
    return fired


@pytest.mark.parametrize("name", KINDS)
def test_thresholds_are_those_of_the_plain_loop(name: str) -> None:
    model, level = KINDS[name]
    unit = 1.0 if level < 100 else 5.0  # mV
    rule = IntrinsicHomeostasis(rate_hz=40.0, eta=0.02 * unit)
    program = ClockedBackend().compile(layer(rule, model))
    threshold = program.thresholds("cells")
    fired = run(program, np.linspace(0.9, 1.5, SIZE) * level, 300)
    assert 5 < fired.sum() < 0.9 * fired.size
    for row in fired:
        threshold = threshold + rule.eta * (row - rule.rate_hz * DT_S)
    assert program.thresholds("cells") == pytest.approx(threshold, rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*ignores r")
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", [reflexarc.LIF(), reflexarc.IF(r=50.0)])
def test_a_moved_threshold_is_that_of_a_layer_made_with_it(
    dialect: str, model: NeuronModel
) -> None:
    rule = IntrinsicHomeostasis(rate_hz=20.0, eta=0.03, threshold_min=0.05)
    network = layer(rule, model, dialect)
    moving = ClockedBackend().compile(network)
    current = np.array([-0.7, 0.9, 1.2, 2.0, 30.0])
    run(moving, current, 150)
    moving.learning = False
    made = ClockedBackend().compile(with_thresholds(network, moving.thresholds("cells")))
    made.learning = False
    made._values[made._voltages["cells"]] = moving._values[moving._voltages["cells"]]
    found = run(moving, current, 200)
    assert np.array_equal(found, run(made, current, 200))
    other = ClockedBackend().compile(network)
    other.learning = False
    assert not np.array_equal(found, run(other, current, 200))


def with_thresholds(network: Network, threshold: Array) -> Network:
    cells = network.nodes["cells"]
    assert isinstance(cells, Neurons)
    assert len(np.unique(threshold)) > 1
    moved = replace(cells, parameters={**cells.parameters, "v_threshold": threshold})
    return replace(network, nodes={**network.nodes, "cells": moved})


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 60.0])
def test_the_rate_is_reached(rate_hz: float) -> None:
    """Within 2 % after 10 s; by the change of the threshold over (eta T) at any time."""
    rule = IntrinsicHomeostasis(rate_hz=rate_hz, eta=0.02)
    program = ClockedBackend().compile(layer(rule))
    current = np.array([0.8, 1.2, 1.5, 2.0, 2.5])
    run(program, current, 10_000)
    before = program.thresholds("cells")
    seconds = 10.0
    rates = run(program, current, 10_000).sum(axis=0) / seconds
    assert rates == pytest.approx(np.full(SIZE, rate_hz), rel=0.02)
    moved = (program.thresholds("cells") - before) / (rule.eta * seconds)
    assert rates - rate_hz == pytest.approx(moved, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(
    eta=st.floats(0.0, 2.0),
    rate_hz=st.floats(0.0, 900.0),
    low=st.floats(0.1, 1.0),
    high=st.floats(1.0, 3.0),
)
def test_bounds_are_never_left(eta: float, rate_hz: float, low: float, high: float) -> None:
    rule = IntrinsicHomeostasis(rate_hz=rate_hz, eta=eta, threshold_min=low, threshold_max=high)
    program = ClockedBackend().compile(layer(rule))
    for _ in range(20):
        run(program, np.linspace(0.0, 5.0, SIZE), 5)
        threshold = program.thresholds("cells")
        assert np.all((low <= threshold) & (threshold <= high))


def test_an_eta_of_zero_changes_no_bit() -> None:
    current = np.linspace(0.5, 4.0, SIZE)
    net = layer(IntrinsicHomeostasis(rate_hz=20.0, eta=0.0))
    plain = replace(net, plasticity={})
    moved, still = ClockedBackend().compile(net), ClockedBackend().compile(plain)
    assert run(moved, current, 300).tobytes() == run(still, current, 300).tobytes()
    assert moved.thresholds("cells").tobytes() == still.thresholds("cells").tobytes()


@pytest.mark.parametrize(
    "model", [reflexarc.Izhikevich(), reflexarc.LI(), reflexarc.Poisson(rate_hz=3.0)]
)
def test_neurons_without_a_threshold_are_refused(model: NeuronModel) -> None:
    net = reflexarc.Builder()
    net.population("cells", 2, model, plasticity=IntrinsicHomeostasis(rate_hz=1.0, eta=0.1))
    with pytest.raises(ConfigError, match=r"^node 'cells', plasticity, rule: neurons of this kind"):
        net.build(mode="clocked", dt_s=DT_S)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"threshold_min": 1.1}, "threshold_min"),
        ({"threshold_max": 0.9}, "threshold_max"),
        ({"threshold_min": 2.0, "threshold_max": 0.9}, "threshold_min"),
    ],
)
def test_a_misfit_names_its_key(values: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^node 'cells', plasticity, {key}: "):
        layer(IntrinsicHomeostasis(rate_hz=1.0, eta=0.1, **values))


def test_bounds_of_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="w_max: intrinsic_homeostasis changes no weight"):
        IntrinsicHomeostasis(rate_hz=1.0, eta=0.1, w_max=1.0)


def test_a_dialect_that_divides_needs_a_bound() -> None:
    network = layer(IntrinsicHomeostasis(rate_hz=1.0, eta=0.1), dialect="sinabs")
    with pytest.raises(UnsupportedError, match="threshold_min: dialect sinabs divides"):
        ClockedBackend().compile(network)


def test_thresholds_of_other_nodes_are_refused() -> None:
    program = ClockedBackend().compile(layer(IntrinsicHomeostasis(rate_hz=1.0, eta=0.1)))
    with pytest.raises(ValueError, match="no layer 'current' with thresholds"):
        program.thresholds("current")


def test_spikes_are_fed_as_well_as_currents() -> None:
    """A layer that only projections reach."""
    net = reflexarc.Builder()
    lines = net.input("lines", SIZE)
    cells = net.population("cells", SIZE, reflexarc.DeltaLIF(),
                           plasticity=IntrinsicHomeostasis(rate_hz=0.0, eta=0.25))  # fmt: skip
    net.project(lines, cells, reflexarc.OneToOne(), weight=1.4)
    program = ClockedBackend().compile(net.build(mode="clocked", dt_s=DT_S))
    spikes = np.zeros(4, SPIKE)
    spikes["t_ns"] = np.arange(4) * 100_000_000
    program.step(1_000_000_000, {"lines": spikes})
    assert program.thresholds("cells")[0] == 1.5  # twice above 1 and 1.25, then not above 1.5


def fired_under(dialect: str, currents: list[float]) -> list[float]:
    """Spikes of a neuron that adds up its input; each raises its threshold of 1 by 1/2."""
    rule = IntrinsicHomeostasis(rate_hz=0.0, eta=0.5, threshold_min=0.5)
    program = ClockedBackend().compile(layer(rule, reflexarc.IF(r=1000.0), dialect))
    return [float(run(program, np.full(SIZE, x), 1)[0, 0]) for x in currents]


@pytest.mark.filterwarnings("ignore:.*ignores r")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_voltage_at_the_moved_threshold_fires_where_the_dialect_says(dialect: str) -> None:
    at = DIALECTS[dialect].fires_at_threshold
    first = 1.0 if at else 1.25
    expected = [1.0, 0.0, 1.0 if at else 0.0]
    left = 0.25 if "subtract" in DIALECTS[dialect].reset and not at else 0.0
    assert fired_under(dialect, [first, 0.75 - left, 0.75]) == expected


def test_a_voltage_goes_no_lower_than_the_moved_threshold() -> None:
    assert fired_under("sinabs", [1.0, -10.0, 2.5, 0.5]) == [1.0, 0.0, 0.0, 1.0]
