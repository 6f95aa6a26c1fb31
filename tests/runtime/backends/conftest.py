"""A network with something of everything that the clocked engine runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reflexarc.runtime.batch import SPIKE, Array
from reflexarc.runtime.builder import Builder
from reflexarc.runtime.connectivity import AllToAll, FixedIndegree, OneToOne
from reflexarc.runtime.distribution import Uniform
from reflexarc.runtime.network import Network
from reflexarc.runtime.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    AdEx,
    AlphaLIF,
    CondLIF,
    CubaLIF,
    DeltaLIF,
    ExpLIF,
    Izhikevich,
    Poisson,
    Regular,
)
from reflexarc.runtime.plasticity import PairStdp, Pes

DT_NS = 1_000_000
LINES = 12
RULE = PairStdp(a_plus=0.02, a_minus=0.015, tau_plus_s=4e-3, tau_minus_s=6e-3, w_max=3.0)
#: A kind, what a spike adds to it, and a current that keeps it near the threshold.
KINDS = {
    "alif": (ALIF(threshold_jump=0.3, refractory_s=2e-3, v_reset=-0.2), 20.0, 0.8),
    "delta": (DeltaLIF(tau_s=Uniform(5e-3, 20e-3), refractory_s=3e-3, i_offset=0.9), 0.4, 0.2),
    "exp": (ExpLIF(refractory_s=1e-3, i_offset=0.9), 1.5, 0.3),
    "alpha": (AlphaLIF(v_threshold=Uniform(0.5, 1.0), i_offset=0.2), 0.4, 0.2),
    "cond": (CondLIF(i_offset=80.0), 4.0, 20.0),
    "adex": (AdEx(refractory_s=2e-3, i_offset=600.0, tau_w_s=Uniform(0.05, 0.2)), 300.0, 90.0),
    "izhikevich": (Izhikevich(i_offset=8.0), 6.0, 2.0),
    "lif": (LIF(refractory_s=4e-3, tau_s=Uniform(5e-3, 20e-3)), 20.0, 0.9),
    "cuba": (CubaLIF(refractory_s=2e-3), 20.0, 0.9),
    "if": (IF(r=100.0, refractory_s=5e-3), 5.0, 0.2),
    "plain": (LIF(), 5.0, 0.9),
}


def everything(size: int = 40, seed: int = 1, dt_s: float = 1e-3) -> Network:
    """Lines, generators and a layer of every kind in a ring, with delays of 0 to 5 steps.

    Each has a current from `levels`; one projection learns pairs, one matrix learns an error.
    """
    net = Builder(seed=seed)
    lines, levels, error = net.input("lines", LINES), net.input("levels", 1), net.input("error", 2)
    noise = net.population("noise", size, Poisson(rate_hz=Uniform(20.0, 400.0)))
    beat = net.population("beat", 5, Regular(period_s=Uniform(2e-3, 9e-3), phase_s=1e-3))
    few = FixedIndegree(3)
    layers = []
    for k, (name, (model, weight, level)) in enumerate(KINDS.items()):
        layer = net.population(name, size + k, model)
        net.linear(levels, layer, np.full((size + k, 1), level))
        for source, lag in ((lines, k % 4), (noise, (k + 1) % 3), (beat, 2)):
            net.project(source, layer, few, weight=weight, delay_s=lag * dt_s)
        net.project(layer, layer, few, weight=-0.2 * weight, delay_s=k % 3 * dt_s)
        net.output(f"out {name}", layer)
        layers.append(layer)
    for k, (source, target) in enumerate(zip(layers, layers[1:] + layers[:1], strict=True)):
        weight = KINDS[target.name][1]
        net.project(source, target, few, weight=0.3 * weight, delay_s=k % 6 * dt_s)
    for name, lag in (("exp", 1), ("delta", 0)):
        target = next(layer for layer in layers if layer.name == name)
        net.project(noise, target, few, weight=0.5, delay_s=lag * dt_s, name=f"pairs {name}",
                    plasticity=RULE)  # fmt: skip
    read = net.population("read", 2, LI())
    net.linear(layers[0], read, np.zeros((2, size)), name="learns",
               plasticity=Pes(modulator="error", learning_rate=1e-3))  # fmt: skip
    net.project(noise[:1], read, AllToAll(), weight=0.1, delay_s=3 * dt_s)
    net.output("out read", read)
    copy = net.population("copy", LINES, DeltaLIF(v_threshold=0.5))
    net.project(lines, copy, OneToOne(), delay_s=4 * dt_s)
    net.output("out copy", copy)
    net.linear(copy, net.output("out error", 2), np.ones((2, LINES)))
    net.linear(error, read, np.eye(2))
    return net.build(mode="clocked", dt_s=dt_s)


def drive(first: int, last: int) -> dict[str, Array]:
    """Inputs of steps `first` to `last`: the same for a stretch however it is cut."""
    given = [
        (step * DT_NS + k, (5 * step + k * k) % LINES)
        for step in range(first, last)
        for k in range(step * step % 4)
    ]
    return {
        "lines": np.array(given, SPIKE),
        "levels": np.array([1.0]),
        "error": np.array([0.5, -0.25]),
    }


@pytest.fixture
def network() -> Callable[..., Network]:
    """Makes the network; see `everything`."""
    return everything


@pytest.fixture
def inputs() -> Callable[[int, int], dict[str, Array]]:
    """Makes its inputs; see `drive`."""
    return drive
