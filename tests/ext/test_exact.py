"""The engine alone: arrays in, spikes out."""

from itertools import permutations

import numpy as np
import pytest

from reflexarc.ext import exact

TAU_S, AREA = 0.02, 0.03


def leaky_models(layers, v_threshold=1.0):
    """One leaky neuron for each entry of `layers`."""
    models = np.zeros(len(layers), exact.MODEL)
    models["tau"], models["r"], models["v_threshold"] = TAU_S, 1.0, v_threshold
    models["layer"] = layers
    return models


def chain(delay_ns=0.0, weight=1.0):
    """Source 2 -> neuron 0 -> neuron 1, each neuron a layer of its own."""
    fibres = np.zeros(2, exact.FIBRE)
    fibres["begin"], fibres["end"], fibres["synapses"] = [0, 1], [1, 2], 1
    fibres["delay_ns"][0] = delay_ns
    return exact.ExactEngine(
        models=leaky_models([0, 1]),
        model_of=np.array([0, 1], np.int32),
        v=np.zeros(2),
        random=np.zeros(2, np.uint64),
        fibres_of=np.array([0, 1, 1, 2]),
        fibres=fibres,
        bundles=[bundle([1, 0], [weight, 1.0])],
        layer_first=np.array([0, 1]),
        spike_area=AREA,
    )


def bundle(target, weight, first=0, receptor=exact.TO_INPUT):
    return exact.Bundle(np.array(target, np.int32), np.array(weight, float), first, receptor)


def send(engine, ns, kind=exact.DIRAC, value=AREA, source=2):
    count = len(ns)
    engine.send(np.array(ns), np.zeros(count), np.full(count, source), np.full(count, value), kind)


def run(engine, ns):
    emitted, runaway = engine.run(ns, 0.0, np.ones(2, np.uint8))
    assert runaway == -1
    return list(zip(emitted["at"]["ns"], emitted["unit"], strict=True))


def test_layout_of_the_header_is_used():
    # Without its .pxd the class would be an empty object, silently.
    assert exact.ExactEngine.__basicsize__ > object.__basicsize__


def test_a_spike_passes_a_chain_at_once_and_a_delay_later():
    at_once, later = chain(), chain(delay_ns=250.0)
    send(at_once, [1000])
    send(later, [1000])
    assert run(at_once, 2000) == [(1000, 0), (1000, 1)]
    assert run(later, 2000) == [(1000, 0), (1250, 1)]


def test_what_happens_at_the_end_belongs_to_the_next_run():
    engine = chain()
    send(engine, [1000])
    assert run(engine, 1000) == []
    assert run(engine, 1001) == [(1000, 0), (1000, 1)]


def test_counters_count_events():
    engine = chain()
    send(engine, [1000, 2000])
    run(engine, 5000)
    assert engine.counters() == {
        "synaptic_events": 4,
        "neuron_updates": 4,
        "spikes": 4,
        "weight_updates": 0,
    }


def test_a_current_switched_off_leaves_nothing():
    engine = chain()
    for ns, value in ((0, 0.1), (10, 0.2), (20, -0.1), (30, -0.2)):
        send(engine, [ns], exact.CURRENT, value)
    run(engine, 100)
    assert engine.state()["units"]["drive"][0] == 0.0
    assert engine.state()["units"]["drive_low"][0] == 0.0


def test_no_end_of_firing_is_reported():
    engine = chain()
    send(engine, [0], exact.CURRENT, 1e13)
    _, runaway = engine.run(1000, 0.0, np.zeros(2, np.uint8))
    assert runaway == 0


def test_an_overflow_cannot_hang():
    engine = chain()
    send(engine, [0], exact.CURRENT, 2.0)
    send(engine, [1000], value=np.inf)
    send(engine, [1000], value=-np.inf)
    run(engine, 2000)
    assert engine.now == (2000, 0.0)


def test_the_order_of_sending_does_not_matter_to_the_last_bit():
    found = set()
    for areas in permutations((0.1, 0.2, 0.3, -0.7)):
        engine = chain()
        for area in areas:
            send(engine, [1000], value=area * AREA)
        run(engine, 1001)
        found.add(engine.voltage(0, 1)[0])
    assert len(found) == 1


def test_damaged_input_is_refused_and_changes_nothing():
    engine = chain()
    run(engine, 500)
    before = engine.state()
    with pytest.raises(ValueError, match="passed"):
        send(engine, [600, 499])
    with pytest.raises(ValueError, match="source 3"):
        send(engine, [600], source=3)
    with pytest.raises(ValueError, match="kind"):
        send(engine, [600], kind=7)
    with pytest.raises(ValueError, match="forward"):
        run(engine, 499)
    assert all(np.array_equal(before[key], value) for key, value in engine.state().items())


def test_a_state_of_another_network_is_refused():
    engine = chain()
    send(engine, [1000], exact.CURRENT, 2.0)
    run(engine, 2000)
    state = engine.state()
    for key, value in (
        ("units", state["units"][:1]),
        ("due", state["due"][:0]),
        ("work", state["work"][:1]),
        ("events", np.full(1, 9, exact.EVENT)),
    ):
        with pytest.raises(ValueError, match="state"):
            engine.restore({**state, key: value})
    engine.restore(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bundles": [bundle([2, 0], [1, 1])]}, "unit"),
        ({"bundles": [bundle([1, 0], [1, 1], first=1)]}, "unit"),
        ({"bundles": [bundle([1, 0], [1, 1, 1])]}, "equal length"),
        ({"bundles": [bundle([1], [1])]}, "outside target"),
        ({"bundles": []}, "bundle"),
        ({"bundles": [bundle([1, 0], [1], receptor=5)]}, "receptor 5"),
        ({"model_of": np.array([0, 2], np.int32)}, "model"),
        ({"fibres_of": np.array([0, 1, 1, 3])}, "fibres_of"),
        ({"fibres_of": np.array([0, 2])}, "every neuron"),
        ({"layer_first": np.array([0, 0])}, "layers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    fibres = np.zeros(2, exact.FIBRE)
    fibres["begin"], fibres["end"] = [0, 1], [1, 2]
    arrays = {
        "models": leaky_models([0, 1]),
        "model_of": np.array([0, 1], np.int32),
        "v": np.zeros(2),
        "random": np.zeros(2, np.uint64),
        "fibres_of": np.array([0, 1, 1, 2]),
        "fibres": fibres,
        "bundles": [bundle([1, 0], [1, 1])],
        "layer_first": np.array([0, 1]),
        "spike_area": AREA,
    }
    with pytest.raises(ValueError, match=message):
        exact.ExactEngine(**{**arrays, **change})
