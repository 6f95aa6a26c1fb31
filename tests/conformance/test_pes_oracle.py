"""PES in a network that feeds its own error back, against a plain NumPy loop.

Spikes of a LIF layer drive a readout over plastic weights; an LI node low-passes readout minus
target and is the error. Learning is switched while it runs, and the state is carried to a fresh
program in the middle.
"""

from dataclasses import replace

import nir
import numpy as np
import pytest

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.plasticity import Pes

DT_S = 1e-3
STEPS = 300
RULE = Pes(modulator="error", learning_rate=2e-2, tau_pre_s=0.01, w_min=-0.04, w_max=0.05)


def network(modulator):
    one = np.ones(6)
    nodes = {
        "drive": nir.Input(np.array([6])),
        "target": nir.Input(np.array([2])),
        "lif": nir.LIF(tau=0.02 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
        "decode": nir.Affine(np.linspace(-0.03, 0.03, 12).reshape(2, 6), np.array([0.1, -0.1])),
        "minus": nir.Linear(-np.eye(2)),
        "error": nir.LI(tau=np.full(2, 0.005), r=np.array([1.0, 2.0]), v_leak=np.zeros(2)),
        "output": nir.Output(np.array([2])),
    }
    edges = ["drive lif", "lif decode", "decode error", "target minus", "minus error"]
    edges = [tuple(edge.split()) for edge in [*edges, "decode output"]]
    with pytest.warns(UserWarning, match="node 'error': no edge leads out of it"):
        loaded = reflexarc.load(nir.NIRGraph(nodes, edges, type_check=False))
    rule = RULE.model_copy(update={"modulator": modulator})
    return replace(loaded, plasticity={"decode": rule})


def oracle(drive, target, learning, modulator):
    """Readouts and weights of every step."""
    w, bias = np.linspace(-0.03, 0.03, 12).reshape(2, 6), np.array([0.1, -0.1])
    v, trace, error = np.zeros(6), np.zeros(6), np.zeros(2)
    a, b, keep = np.exp(-DT_S / 0.02), np.exp(-DT_S / 0.005), np.exp(-DT_S / RULE.tau_pre_s)
    for k in range(STEPS):
        v = a * v + (1 - a) * drive[k]
        fired = v > 1.0
        v = np.where(fired, 0.0, v)
        shown = w @ fired + bias
        error = b * error + (1 - b) * np.array([1.0, 2.0]) * (shown - target[k])
        trace = keep * trace + (1 - keep) / DT_S * fired
        taught = error if modulator == "error" else target[k]
        if learning[k]:
            w = np.clip(
                w - RULE.learning_rate * DT_S * np.outer(taught, trace), RULE.w_min, RULE.w_max
            )
        yield shown, w


@pytest.mark.parametrize("modulator", ["error", "target"])
def test_learning_follows_numpy(modulator):
    rng = np.random.default_rng(4)
    drive = rng.uniform(0, 4, (STEPS, 6))
    target = np.repeat(rng.uniform(-1, 1, (6, 2)), STEPS // 6, axis=0)
    learning = np.arange(STEPS) // 40 % 3 != 1
    program = ClockedBackend().compile(network(modulator), dt_s=DT_S)
    bounds = set()
    for k, (shown, w) in enumerate(oracle(drive, target, learning, modulator)):
        if k in (STEPS // 3, STEPS // 2):
            state = program.state()
            program = ClockedBackend().compile(network(modulator), dt_s=DT_S)
            program.restore(state)
        program.learning = bool(learning[k])
        left = program.step((k + 1) * 1_000_000, {"drive": drive[k], "target": target[k]})
        assert left["output"] == pytest.approx(shown, abs=1e-12)
        assert program.weights("decode") == pytest.approx(w, abs=1e-12)
        bounds |= set(w[(w == RULE.w_min) | (w == RULE.w_max)])
    assert bounds == {RULE.w_min, RULE.w_max}
