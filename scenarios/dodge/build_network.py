"""Writes network.yaml and network.nir: the spiking network that gets out of the way.

    python -m reflexarc.scenarios.dodge.build_network [FILE.yaml]

A bright thing that comes nearer covers more of the picture: it makes more ON than OFF events, while
whatever moves across makes as many of both. So `edges` count both against each other in strips of
two columns, where what rises or falls, as thrown balls do, cancels out, and `looms` cells gather ON
strips against OFF strips in a window, as the LGMD of locusts gathers what grows (Rind & Bramwell
1996; on event cameras: Salt et al. 2017). A ball of radius r that will pass at b has one border
that moves at b + r and one that follows at b - r: with OFF strips counting more than ON strips it
is left alone from some b / r on, whatever its speed and distance.

What drifts aside grows at the border that leads, so the window that looms most lies ahead of all
the events around it: `moments` hold, for each window, on which side of it most events are. A spike
of a `looms` cell passes as one for a ball that goes to the `right` or to the `left`, by the sign of
its moment, and two `aside` cells race; the first one wins, and silences the other and the moving
picture that its own flight makes (Milde et al. 2017: winner takes all over directions).

What is learnt while it runs is how cautious it is. `caution` pulls all looming cells towards their
threshold; a strike teaches more of it, and each dodge a little less (PES).

    camera -> edges (LIF) -> looms (LIF) -> right, left (LIF) -> aside (LIF) -> dodge
    camera -> moments (LI) -> right, left;   aside -> busy (LI) -> looms, aside
    strike, aside -> regret (LI) teaches caution;   always -> caution (LI) -> looms
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from reflexarc.runtime.builder import Builder, Population
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save

DT_S = 0.001
SIDE_PX, CELL_PX = 64, 2
STRIPS = SIDE_PX // CELL_PX
#: A strip fires once so many more events of one polarity than of the other came in its time.
EDGE_EVENTS, EDGE_TAU_S = 3.0, 0.03
#: Middles of the windows, and how far from there an ON strip, an OFF strip and an event count, in
#: strips; an ON strip counts less towards the border.
WINDOWS: FloatArray = np.arange(1.5, STRIPS, 2.0)
ON_WITHIN, OFF_WITHIN, EVENTS_WITHIN = 8.0, 9.0, 9.0
#: So many more spikes of ON strips than of OFF ones, each of which counts `AGAINST`, are a threat.
LOOMING, AGAINST, LOOM_TAU_S = 2.5, 2.0, 0.08
MOMENT_TAU_S = 0.05
#: So many spikes for a side within its time begin a dodge; each for the other counts against it.
VOTES, RIVALRY, DODGE_TAU_S = 3.0, 0.5, 0.01
#: One dodge silences everything for about this long.
BUSY_TAU_S, BUSY = 0.15, 10.0
#: How much a strike, for as long as it is felt, and a dodge teach caution.
STRIKE_COSTS, DODGE_COSTS, LEARNING_RATE = 0.05, 0.1, 1.0
#: How often the line that is always active spikes; the scenario's encoder says the same.
ALWAYS_HZ = 200.0
MOST_CAUTION = 0.3


def build() -> Network:
    """The network, the same at every call."""
    net = Builder(seed=1)
    camera = net.input("camera", 2 * STRIPS**2)
    edges = net.population("edges", 2 * STRIPS, _jumping(EDGE_TAU_S))
    looms = net.population("looms", len(WINDOWS), _jumping(LOOM_TAU_S))
    net.linear(camera, edges, differences() / EDGE_EVENTS)
    net.linear(edges, looms, growth() / LOOMING)
    aside = _choose(net, camera, looms)
    _learn(net, aside, looms)
    net.output("dodge", aside)
    return net.build(mode="clocked", dt_s=DT_S)


def differences() -> FloatArray:
    """ON against OFF events of each strip, then the reverse, shape (2 strips, camera lines)."""
    strip = np.tile(np.eye(STRIPS), STRIPS)
    on = np.hstack((-strip, strip))  # OFF lines come first
    return np.vstack((on, -on))


def growth() -> FloatArray:
    """What strips say for something that grows in each window, shape (windows, 2 strips)."""
    on = np.maximum(1 - np.abs(_beside()) / ON_WITHIN, 0.0)
    off = (np.abs(_beside()) <= OFF_WITHIN).astype(float)
    return np.hstack((on, -AGAINST * off))


def drift() -> FloatArray:
    """What events say for something that goes to the right, shape (windows, camera lines)."""
    lever = np.where(np.abs(_beside()) <= EVENTS_WITHIN, _beside(), 0.0)
    return np.tile(-lever, 2 * STRIPS)


def _beside() -> FloatArray:
    """How far each strip lies to the right of the middle of each window."""
    return np.asarray(np.arange(STRIPS) - WINDOWS[:, None])


def _choose(net: Builder, camera: Population, looms: Population) -> Population:
    """From looming windows to a dodge to the left or to the right."""
    size = len(WINDOWS)
    moments = net.population("moments", size, LI(tau_s=MOMENT_TAU_S))
    net.linear(camera, moments, drift())
    aside = net.population("aside", 2, _jumping(DODGE_TAU_S))
    for side, name in enumerate(("right", "left")):
        sign = 1.0 - 2.0 * side
        passed = net.population(name, size, LIF(tau_s=DT_S / 50))
        # fires only together with its looming cell: the moment alone stays below the threshold
        net.linear(looms, passed, np.eye(size))
        net.linear(moments, passed, 1e-4 * sign * np.eye(size), np.full(size, 1e-9 * sign))
        votes = np.full((2, size), -RIVALRY / VOTES)
        votes[side] = 1.0 / VOTES
        net.linear(passed, aside, votes)
    busy = net.population("busy", 1, LI(tau_s=BUSY_TAU_S))
    net.linear(aside, busy, np.full((1, 2), BUSY_TAU_S / DT_S))
    net.linear(busy, looms, np.full((size, 1), -BUSY))
    net.linear(busy, aside, np.full((2, 1), -BUSY))
    return aside


def _learn(net: Builder, aside: Population, looms: Population) -> None:
    """How cautious to be, from strikes and dodges."""
    strike, always = net.input("strike", 1), net.input("always", 1)
    regret = net.population("regret", 1, LI(tau_s=0.005))
    net.linear(strike, regret, [[-STRIKE_COSTS]])
    net.linear(aside, regret, np.full((1, 2), DODGE_COSTS))
    caution = net.population("caution", 1, LI(tau_s=0.005))
    teaches = Pes(
        modulator="regret",
        learning_rate=LEARNING_RATE,
        tau_pre_s=0.005,
        w_min=0.0,
        w_max=MOST_CAUTION,
    )
    net.linear(always, caution, [[0.0]], name="cares", plasticity=teaches)
    # a weight of 1 in `cares` holds the looming cells at their threshold
    lifts = -np.expm1(-DT_S / LOOM_TAU_S) / (ALWAYS_HZ * DT_S)
    net.linear(caution, looms, np.full((len(WINDOWS), 1), lifts))


def _jumping(tau_s: float) -> LIF:
    """A leaky neuron of threshold 1 in which a spike of weight w raises the membrane by w."""
    return LIF(tau_s=tau_s, r=float(1 / -np.expm1(-DT_S / tau_s)))


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
