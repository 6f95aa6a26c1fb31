"""The same built network in both modes: clocked spike times come to the exact ones as dt shrinks.

Input spikes and delays lie on the grid of every step. A clocked spike carries the start of its
step and a reset waits for the end of one, so that each spike of a neuron may add a step of error:
it is of first order in dt.
"""

import numpy as np
import pytest

import reflexarc
from reflexarc import ALIF, AlphaLIF, DeltaLIF, ExpLIF

GRID_S, UNTIL_S, N, LINES, AREA = 1e-3, 0.2, 20, 6, 1e-3
STEPS_S = [5e-4, 2.5e-4, 1.25e-4, 6.25e-5]
#: A kind and the weights of excitation and inhibition. No refractory time ends on the grid, where
#: an input would be in doubt: a step is held as a whole, an instant not.
KINDS = {
    "ALIF": (ALIF(v_leak=0.4, v_threshold=0.6, threshold_jump=0.3, refractory_s=2.5e-3), 2.0, -1.0),
    "DeltaLIF": (DeltaLIF(i_offset=1.3, refractory_s=2.5e-3), 0.1, -0.05),
    "ExpLIF": (ExpLIF(i_offset=0.9, refractory_s=2.5e-3), 1.0, -0.5),
    "AlphaLIF": (AlphaLIF(i_offset=0.9, refractory_s=1.5e-3), 0.5, -0.2),
}


def built(kind, seed, scale=1.0):
    """Lines onto a layer that leads to a second, with weights of both signs and several delays."""
    model, *weights = KINDS[kind] if isinstance(kind, str) else kind
    net = reflexarc.Builder(seed=seed)
    lines = net.input("lines", LINES)
    one, two = net.population("one", N, model), net.population("two", N, model)
    some = reflexarc.FixedIndegree(2)
    for source, target in ((lines, one), (lines, two), (one, two)):
        for weight, lag in zip(weights, (1, 3), strict=True):
            net.project(source, target, some, weight=weight * scale, delay_s=lag * GRID_S)
    net.output("one out", one)
    net.output("two out", two)
    return net.build(spike_area=AREA)


def trains(kind, seed, dt_s=None):
    """Spike times of each neuron of both layers, in exact mode unless there is a step."""
    rng = np.random.default_rng(seed)
    steps, line = np.nonzero(rng.random((round(UNTIL_S / GRID_S), LINES)) < 0.08)
    # What reaches `input` lasts a step in clocked mode: its charge is that of the Dirac.
    scale = AREA / dt_s if dt_s and kind == "ALIF" else 1.0
    run = reflexarc.simulate(
        built(kind, seed, scale),
        {"lines": reflexarc.Spikes(steps * GRID_S, line)},
        until_s=UNTIL_S,
        mode="clocked" if dt_s else "exact",
        dt_s=dt_s,
    )
    return [each.t_s[each.i == i] for each in run.spikes.values() for i in range(N)]


@pytest.mark.parametrize("name", ["ALIF", "DeltaLIF", "ExpLIF", "AlphaLIF", "LIF", "CubaLIF", "LI"])
def test_both_modes_begin_at_the_same_voltage(name):
    net = reflexarc.Builder()
    layer = net.population("layer", 3, getattr(reflexarc, name)(v_leak=[-60.0, 0.2, 0.4]))
    net.linear(net.input("line", 1), layer, np.zeros((3, 1)))
    net.output("out", layer)
    exact, clocked = (
        reflexarc.simulate(
            net.build(), {}, until_s=5e-3, mode=mode, dt_s=1e-3, probes={"layer": [0.0, 5e-3]}
        ).probes["layer"]
        for mode in ("exact", "clocked")
    )
    assert clocked == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("dt_s", STEPS_S)
def test_what_only_jumps_move_fires_at_the_very_same_times(dt_s):
    kind = DeltaLIF(refractory_s=2.5e-3), 0.6, -0.3
    exact, clocked = trains(kind, 1), trains(kind, 1, dt_s)
    assert sum(map(len, exact)) > 100
    assert list(map(len, clocked)) == list(map(len, exact))
    assert np.concatenate(clocked) == pytest.approx(np.concatenate(exact), rel=0, abs=1e-12)


@pytest.mark.parametrize("dt_s", STEPS_S)
@pytest.mark.parametrize("kind", KINDS)
def test_spike_times_converge(kind, dt_s):
    """In steps the errors do not grow as dt shrinks: of first order, without a jump between.

    A few are large at any step: of neurons that graze the threshold, and of those they reach.
    """
    errors, first, counts = [], [], np.zeros(2)
    for seed in range(3):
        for exact, clocked in zip(trains(kind, seed), trains(kind, seed, dt_s), strict=True):
            count = min(3, len(exact), len(clocked))
            steps = np.abs(clocked[:count] - exact[:count]) / dt_s
            errors.append(steps)
            first.append(steps[:1])
            counts += len(exact), len(clocked)
    errors, first = np.concatenate(errors), np.concatenate(first)
    assert len(first) > 100
    assert np.mean(first < 1 + 1e-6) > 0.8
    assert np.median(errors) < 1
    assert np.mean(errors < 3) > 0.9
    assert counts[1] == pytest.approx(counts[0], rel=50 * dt_s, abs=3)
