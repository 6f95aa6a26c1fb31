"""Golden numbers of the learning rules, for tests/conformance/test_rule_oracle.py.

    ENV/bin/python benchmarks/rulegoldens.py tests/conformance/rule_goldens.json

An environment with NEST 3.10 and Nengo 4.1. Each entry says what the peer ran in our terms
(seconds; names of the rules). What the peers do, from their sources:

All of NEST's synapses work when a presynaptic spike is sent, at the time t at which it was fired,
and look back at the postsynaptic spikes since the last one. All of the delay d is dendritic: a
postsynaptic spike fired at s counts at s + d. `weights[k]` is the one that presynaptic spike k
carries, so after the potentiation by all postsynaptic spikes before it and its own depression.
Pairs at one instant count on neither side; no entry has one.

- stdp_synapse: normalised to Wmax, w_min is 0; lambda (1 - w)^mu_plus x, lambda alpha w^mu_minus y;
  bounded above after each potentiation and below after each depression. a_plus = lambda Wmax,
  a_minus = lambda alpha Wmax.
- stdp_nn_symm: each postsynaptic spike pairs with the last presynaptic one, also the second after
  it. pre_centered: x sums all presynaptic spikes since the last postsynaptic one, which clears it;
  depression by the nearest postsynaptic spike, any number of times. restr: a pair only where the
  two are neighbours in the merged train; each pair once. In nn_symm and nn_restr the last
  presynaptic spike is 0.0 before there is any, so a phantom one at t = 0 potentiates: in all
  entries a presynaptic spike comes first.
- stdp_triplet: all-to-all only. tau_x is tau_plus_triplet (synapse), tau_minus and tau_y
  (tau_minus_triplet) belong to the neuron. Both second traces are read before the spike raises
  them. Never weighted by w; bounds 0 and Wmax, one-sided after each change as above.
- stdp_dopamine: the eligibility c jumps by A_plus x, -A_minus y; dw/dt = c (n - b); each dopamine
  spike adds 1 / tau_n to n when it arrives at the volume transmitter. Closed form between events;
  bounded after each piece, here of 0.1 ms since the transmitter triggers an update each step. c and
  n are per ms in NEST: what c (n - b) gives per ms there it gives per s here with tau in seconds,
  so A is the same and b, a density, is 1000 times larger.
- tsodyks2: x first recovers with the u of the spike before, then u:
  x' = 1 + (x - x u - 1) e^-h/rec, u' = U + u (1 - U) e^-h/fac; the first spike has u = U, x = 1.
  tau_fac = 0 stands for e^-h/fac = 0. The delay plays no part.
- vogels_sprekeler: at a presynaptic spike w + eta y is bounded above first and then less alpha eta
  is bounded below: it differs from bounding the sum only where w + eta y passes Wmax.

No peer has triplets of nearest spikes or SDSP (Brader et al. 2007): those entries come from our own
reference, tests/conformance/rule_oracle.py, which the tests hold against the frequency dependence
of Sjostrom's protocol and against steps of 1 us. The other rules are told of where they are run:
rulegoldens_clopath.py, rulegoldens_eprop.py (NEST) and rulegoldens_nengo.py.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import nengo
import nest
import numpy as np
from rulegoldens_clopath import clopaths
from rulegoldens_eprop import eprops
from rulegoldens_nengo import nengo_rules
from rulegoldens_nest import STEP_MS, parrot, reset, seconds

GOLDEN = ([20.0, 60.0, 100.0, 200.0], [30.0, 55.0, 110.0])
REFERENCE = runpy.run_path(
    str(Path(__file__).parents[1] / "tests" / "conformance" / "rule_oracle.py")
)


def poisson(
    seed: int, run_ms: float, rate_hz: float, delay_ms: float
) -> tuple[list[float], list[float]]:
    """Spikes of two neurons on the grid, no tie at the synapse, presynaptic first and last."""
    rng = np.random.default_rng(seed)
    steps = round(run_ms / STEP_MS)
    count = round(rate_hz * run_ms / 1000)
    pre, post = (np.sort(rng.choice(np.arange(100, steps), count, False)) for _ in range(2))
    pre = np.concatenate([[50], pre, [steps + 200]])
    post = post[~np.isin(post + round(delay_ms / STEP_MS), pre)]
    return (pre * STEP_MS).round(1).tolist(), (post * STEP_MS).round(1).tolist()


def carried(
    model: str,
    synapse: dict[str, float],
    pre_ms: list[float],
    post_ms: list[float],
    delay_ms: float,
    **post: float,
) -> list[float]:
    """The weight that each presynaptic spike carries."""
    reset()
    recorder = nest.Create("weight_recorder")
    nest.CopyModel(model, "probed", {"weight_recorder": recorder})
    source, target = parrot(pre_ms), parrot(post_ms, **post)
    receptor = 0 if model == "tsodyks2_synapse" else 1  # 1: a parrot does not repeat it
    spec = {"synapse_model": "probed", "delay": delay_ms, "receptor_type": receptor, **synapse}
    nest.Connect(source, target, syn_spec=spec)
    nest.Simulate(pre_ms[-1] + 50)
    return [float(w) for w in recorder.get("events", "weights")]


def train(pre_ms: list[float], post_ms: list[float], delay_ms: float) -> dict[str, Any]:
    """Both spike trains and NEST's delay, as ours."""
    return {
        "pre_s": seconds(pre_ms),
        "post_s": seconds(post_ms),
        "delay_s": delay_ms * 1e-3,
        "dendritic_delay_s": delay_ms * 1e-3,
    }


PAIR_MODELS = {
    "all": "stdp_synapse",
    "nearest-symmetric": "stdp_nn_symm_synapse",
    "nearest-pre-centred": "stdp_nn_pre_centered_synapse",
    "nearest-restricted": "stdp_nn_restr_synapse",
}


def pair(
    name: str,
    pairing: str,
    spikes: tuple[list[float], list[float]],
    *,
    w: float = 500.0,
    lambda_: float = 0.01,
    alpha: float = 1.05,
    mu: tuple[float, float] = (0.0, 0.0),
    tau_ms: tuple[float, float] = (20.0, 20.0),
    delay_ms: float = 1.0,
) -> dict[str, Any]:
    """Pair STDP; Wmax is 1000."""
    synapse = {"weight": w, "Wmax": 1000.0, "lambda": lambda_, "alpha": alpha}
    synapse |= {"mu_plus": mu[0], "mu_minus": mu[1], "tau_plus": tau_ms[0]}
    weights = carried(PAIR_MODELS[pairing], synapse, *spikes, delay_ms, tau_minus=tau_ms[1])
    return {
        "name": f"pair-{pairing}-{name}",
        "rule": "pair_stdp",
        "parameters": {
            "pairing": pairing,
            "a_plus": lambda_ * 1000.0,
            "a_minus": lambda_ * alpha * 1000.0,
            "tau_plus_s": tau_ms[0] * 1e-3,
            "tau_minus_s": tau_ms[1] * 1e-3,
            "mu_plus": mu[0],
            "mu_minus": mu[1],
            "w_min": 0.0,
            "w_max": 1000.0,
        },
        "weight": w,
        **train(*spikes, delay_ms),
        "weights": weights,
    }


def pairs() -> list[dict[str, Any]]:
    """The issue's protocol, 2 s at 20 Hz with each mu, and both bounds."""
    entries = []
    slower = {"tau_ms": (16.8, 33.7), "delay_ms": 1.3}
    random = poisson(1, 2000.0, 20.0, 1.3)
    for pairing in PAIR_MODELS:
        entries.append(pair("issue", pairing, GOLDEN))
        entries.append(pair("random", pairing, random, mu=(0.4, 1.0), **slower))
    entries += [
        pair(f"random-mu-{mu[0]:g}-{mu[1]:g}", "all", random, mu=mu, **slower)
        for mu in ((0.0, 0.0), (0.4, 0.4), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0))
    ]
    busy = poisson(2, 500.0, 60.0, 1.0)
    entries += [
        pair("upper-bound", "all", busy, w=900.0, lambda_=0.1, alpha=0.2),
        pair("lower-bound", "all", busy, w=100.0, lambda_=0.05, alpha=3.0),
        pair("both-bound", "all", busy, w=500.0, lambda_=0.4, alpha=1.0),
    ]
    return entries


def triplet(
    name: str,
    published: str,
    spikes: tuple[list[float], list[float]],
    *,
    w: float = 1.0,
    w_max: float = 100.0,
    delay_ms: float = 1.0,
) -> dict[str, Any]:
    """Triplet STDP, all to all."""
    ours = REFERENCE["triplet_set"](published)
    tau = {name: round(ours[f"tau_{name}_s"] * 1e3, 1) for name in ("plus", "minus", "x", "y")}
    synapse = {"weight": w, "Wmax": w_max, "tau_plus": tau["plus"], "tau_plus_triplet": tau["x"]}
    synapse |= {"Aplus": ours["a2_plus"], "Aplus_triplet": ours["a3_plus"]}
    synapse |= {"Aminus": ours["a2_minus"], "Aminus_triplet": ours["a3_minus"]}
    post = {"tau_minus": tau["minus"], "tau_minus_triplet": tau["y"]}
    weights = carried("stdp_triplet_synapse", synapse, *spikes, delay_ms, **post)
    return {
        "name": f"triplet-{published}-{name}",
        "rule": "triplet_stdp",
        "published": published,
        "parameters": {"nearest": False, **ours, "w_min": 0.0, "w_max": w_max},
        "weight": w,
        **train(*spikes, delay_ms),
        "weights": weights,
    }


def triplets() -> list[dict[str, Any]]:
    random = poisson(3, 2000.0, 20.0, 1.0)
    entries = [triplet("issue", f"visual-all-{form}", GOLDEN) for form in ("full", "minimal")]
    published = [name for name in REFERENCE["TRIPLETS"] if "-all-" in name]
    entries += [triplet("random", name, random) for name in published]
    # Near enough to each bound to meet it.
    entries.append(triplet("upper-bound", "hippocampal-all-minimal", random, w_max=1.03))
    entries.append(triplet("lower-bound", "visual-all-full", random, w=0.03))
    return entries


def reward(
    name: str,
    spikes: tuple[list[float], list[float]],
    dopamine_ms: list[float],
    read_ms: list[float],
    *,
    a: tuple[float, float] = (1.0, 1.5),
    tau_c: float = 1000.0,
    tau_n: float = 200.0,
    b: float = 0.0,
    w: float = 10.0,
    w_max: float = 200.0,
    delay_ms: float = 1.0,
) -> dict[str, Any]:
    """Reward-modulated STDP; the weight is read at `read_ms`."""
    reset()
    transmitter = nest.Create("volume_transmitter")
    nest.Connect(parrot(dopamine_ms), transmitter, syn_spec={"delay": STEP_MS})
    common = {"volume_transmitter": transmitter, "A_plus": a[0], "A_minus": a[1], "b": b}
    common |= {"tau_plus": 20.0, "tau_c": tau_c, "tau_n": tau_n, "Wmin": 0.0, "Wmax": w_max}
    nest.CopyModel("stdp_dopamine_synapse", "probed", common)
    source, target = parrot(spikes[0]), parrot(spikes[1], tau_minus=20.0)
    spec = {"synapse_model": "probed", "weight": w, "delay": delay_ms, "receptor_type": 1}
    nest.Connect(source, target, syn_spec=spec)
    synapse = nest.GetConnections(source, target)
    weights, now = [], 0.0
    for t in read_ms:
        nest.Simulate(round(t - now, 1))
        weights.append(synapse.weight)
        now = t
    return {
        "name": f"reward-{name}",
        "rule": "reward_stdp",
        "parameters": {
            "a_plus": a[0],
            "a_minus": a[1],
            "tau_plus_s": 0.02,
            "tau_minus_s": 0.02,
            "tau_eligibility_s": tau_c * 1e-3,
            "tau_modulator_s": tau_n * 1e-3,
            "baseline": b * 1e3,
            "w_min": 0.0,
            "w_max": w_max,
        },
        "weight": w,
        **train(*spikes, delay_ms),
        "modulator_s": seconds([t + STEP_MS for t in dopamine_ms]),
        "read_s": seconds(read_ms),
        "weights": weights,
    }


def rewards() -> list[dict[str, Any]]:
    random = poisson(4, 5000.0, 8.0, 1.0)
    doses = [701.3, 705.9, 1500.2, 2222.2, 3100.7, 3900.1, 4500.5]
    read = [round(250.0 * k + 0.05, 1) for k in range(1, 23)]
    issue = ([20.0, 120.0], [30.0, 110.0])
    return [
        reward("issue", issue, [200.0, 500.0], [1100.0]),
        reward("random", random, doses, read),
        reward("random-baseline", random, doses, read, b=0.0015),
        reward("bounds", random, doses, read, w=0.2, w_max=0.3, a=(1.5, 1.5)),
    ]


def short_term(
    name: str, pre_ms: list[float], u: float, recovery_ms: float, facilitation_ms: float
) -> dict[str, Any]:
    """Tsodyks-Markram; the weight is 1."""
    synapse = {"weight": 1.0, "U": u, "u": u, "x": 1.0}
    synapse |= {"tau_rec": recovery_ms, "tau_fac": facilitation_ms}
    return {
        "name": f"short-term-{name}",
        "rule": "short_term",
        "parameters": {
            "u": u,
            "tau_recovery_s": recovery_ms * 1e-3,
            "tau_facilitation_s": facilitation_ms * 1e-3,
        },
        "pre_s": seconds(pre_ms),
        "factors": carried("tsodyks2_synapse", synapse, pre_ms, [5000.0], 1.0),
    }


def short_terms() -> list[dict[str, Any]]:
    regular = [50.0 * k for k in range(1, 7)]
    random = poisson(5, 2000.0, 20.0, 1.0)[0]
    depressing, facilitating = (0.5, 800.0, 0.0), (0.15, 130.0, 530.0)
    return [
        short_term("issue-depressing", regular, *depressing),
        short_term("issue-facilitating", regular, *facilitating),
        short_term("random-depressing", random, *depressing),
        short_term("random-facilitating", random, *facilitating),
        short_term("random-both", random, 0.3, 300.0, 50.0),
    ]


def inhibitory(
    name: str, spikes: tuple[list[float], list[float]], *, w: float, eta: float, alpha: float
) -> dict[str, Any]:
    """Vogels's rule; Wmax is 1."""
    synapse = {"weight": w, "eta": eta, "alpha": alpha, "tau": 20.0, "Wmax": 1.0}
    return {
        "name": f"vogels-{name}",
        "rule": "vogels",
        "parameters": {
            "learning_rate": eta,
            "alpha": alpha,
            "tau_s": 0.02,
            "w_min": 0.0,
            "w_max": 1.0,
        },
        "weight": w,
        **train(*spikes, 1.0),
        "weights": carried("vogels_sprekeler_synapse", synapse, *spikes, 1.0, tau_minus=20.0),
    }


def inhibitories() -> list[dict[str, Any]]:
    random = poisson(6, 2000.0, 20.0, 1.0)
    return [
        inhibitory("issue", GOLDEN, w=0.5, eta=0.001, alpha=0.12),
        inhibitory("random", random, w=0.5, eta=0.01, alpha=0.2),
        inhibitory("lower-bound", random, w=0.1, eta=0.05, alpha=1.0),
        inhibitory("upper-bound", random, w=0.95, eta=0.02, alpha=0.05),
    ]


def nearest_triplet(published: str) -> dict[str, Any]:
    """What NEST has no model for, from our own reference."""
    spikes = train(*poisson(3, 2000.0, 20.0, 1.0), 1.0)
    parameters = {
        "nearest": True,
        **REFERENCE["triplet_set"](published),
        "w_min": 0.0,
        "w_max": 2.0,
    }
    seen = REFERENCE["events"](**spikes)
    _, weights = REFERENCE["triplet_stdp"](seen, 1.0, **parameters)
    return {
        "name": f"triplet-{published}-random",
        "rule": "triplet_stdp",
        "published": published,
        "parameters": parameters,
        "weight": 1.0,
        **spikes,
        "weights": [w for w, (_, kind) in zip(weights, seen, strict=True) if kind == 0],
    }


#: Brader, Senn & Fusi (2007), table 1: in units of X_max, J_C and the threshold voltage.
SDSP = {
    "jump_up": 0.1,
    "jump_down": 0.1,
    "drift_up": 3.5,
    "drift_down": 3.5,
    "theta_x": 0.5,
    "theta_v": 0.8,
    "theta_up": [3.0, 13.0],
    "theta_down": [3.0, 4.0],
    "tau_calcium_s": 0.06,
}


def sdsp(name: str, seed: int, rates_hz: tuple[float, float], v: tuple[float, float]) -> Any:
    """Brader's rule from our own reference, the voltage met by each spike drawn from `v`."""
    rng = np.random.default_rng(seed)
    # On the grid, the two on odd and even steps of it.
    pre, post = (
        np.sort(rng.choice(np.arange(20, 3000), round(0.6 * rate), False)) * 0.2 + shift
        for rate, shift in zip(rates_hz, (0.0, 0.1), strict=True)
    )
    spikes = train(pre.tolist(), post.tolist(), 0.0)
    met = rng.uniform(*v, len(pre)).tolist()
    seen = REFERENCE["events"](**spikes)
    _, x = REFERENCE["sdsp"](seen, met, 0.45, **SDSP)
    return {
        "name": f"sdsp-{name}",
        "rule": "sdsp",
        "parameters": SDSP,
        "x": 0.45,
        **spikes,
        "v": met,
        "weights": [value for value, (_, kind) in zip(x, seen, strict=True) if kind == 0],
    }


def references() -> list[dict[str, Any]]:
    """Rules that no peer has."""
    published = [name for name in REFERENCE["TRIPLETS"] if "nearest" in name]
    return [
        *map(nearest_triplet, published),
        sdsp("potentiating", 21, (60.0, 80.0), (0.6, 1.0)),
        sdsp("depressing", 22, (60.0, 55.0), (0.0, 0.9)),
    ]


def main() -> None:
    """Run all of it and write one JSON file."""
    made = (
        pairs,
        triplets,
        rewards,
        short_terms,
        inhibitories,
        clopaths,
        eprops,
        nengo_rules,
        references,
    )
    entries = [entry for make in made for entry in make()]
    for entry in entries:
        found = entry.get("weights", entry.get("factors"))
        print(f"{entry['name']:44} {len(found):3} weights, last {np.ravel(found)[-1]!r}")
    versions = {"nest": nest.__version__, "nengo": nengo.__version__}
    text = json.dumps({**versions, "entries": entries})
    Path(sys.argv[1]).write_text(text.replace('}, {"name"', '},\n {"name"') + "\n")


if __name__ == "__main__":
    main()
