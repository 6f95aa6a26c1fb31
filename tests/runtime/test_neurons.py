"""The kinds of neuron as classes, against the table of kinds and parameters."""

import dataclasses
from typing import get_args

import numpy as np
import pytest

from reflexarc.runtime import neurons
from reflexarc.runtime.network import NEURON_PARAMETERS, NIR_PARAMETERS, SPIKING, NeuronKind

KINDS = {model.kind: model for model in neurons.NeuronModel.__subclasses__()}


def test_every_kind_has_a_class():
    assert set(KINDS) == set(NEURON_PARAMETERS) == set(get_args(NeuronKind))
    assert all(model.__name__ == kind for kind, model in KINDS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_has_the_parameters_of_its_kind(kind):
    model = KINDS[kind]
    wanted = NEURON_PARAMETERS[kind]
    if kind in NIR_PARAMETERS and kind in SPIKING:
        assert tuple(model().parameters()) == wanted
        assert tuple(model(refractory_s=1e-3).parameters()) == (*wanted, "refractory")
    else:
        assert tuple(model().parameters()) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_times_carry_their_unit(kind):
    for field in dataclasses.fields(KINDS[kind]):
        name = field.name
        timed = name.startswith(("tau", "refractory", "period", "phase"))
        assert name.endswith("_s") == timed
        assert name.endswith("_hz") == name.startswith("rate")


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_are_allowed(kind):
    model = KINDS[kind]()
    parameters = {key: np.array([float(value)]) for key, value in model.parameters().items()}
    assert neurons.misfit(kind, parameters) is None
    assert KINDS[kind].__doc__


@pytest.mark.parametrize(
    ("kind", "name", "value", "problem"),
    [
        ("LIF", "tau", 0.0, "greater than 0"),
        ("CubaLIF", "tau_syn", -1.0, "greater than 0"),
        ("ALIF", "tau_threshold", 0.0, "greater than 0"),
        ("ExpLIF", "refractory", -1e-3, "cannot be negative"),
        ("ExpLIF", "tau_inhibitory", 0.0, "greater than 0"),
        ("CondLIF", "c", 0.0, "greater than 0"),
        ("CondLIF", "g_leak", 0.0, "greater than 0"),
        ("AdEx", "delta_t", 0.0, "greater than 0"),
        ("AdEx", "v_reset", 20.0, "below v_peak"),
        ("Izhikevich", "c", 30.0, "below v_peak"),
        ("Poisson", "rate", -1.0, "cannot be negative"),
        ("Regular", "period", 0.0, "greater than 0"),
        ("Regular", "phase", -1.0, "cannot be negative"),
        ("IF", "r", np.nan, "finite"),
    ],
)
def test_what_a_kind_cannot_have(kind, name, value, problem):
    parameters = {key: np.array([float(v)]) for key, v in KINDS[kind]().parameters().items()}
    wrong = neurons.misfit(kind, {**parameters, name: np.array([1.0, value])})
    assert wrong is not None
    assert wrong[0] == name
    assert problem in wrong[1]
