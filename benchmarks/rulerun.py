"""One learning rule in one network in this process, one JSON line; plasticity.py starts it.

    python benchmarks/rulerun.py pair_stdp --n 10000 --k 1000 --ms 300
    python benchmarks/rulerun.py r_stdp --modulator-hz 1000 --silent

Brunel's network as in networks.py; the synapses among the excitatory neurons, 64 % of all, learn,
by so little that the rate stays.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from networks import neurons, spec

import reflexarc
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.batch import SPIKE
from reflexarc.runtime.plasticity import own_rules

DT_MS = 0.1
WARM_MS = 100
#: Parameters beside the defaults.
STEP = 1e-5
RULES: dict[str, dict[str, Any]] = {
    "pair_stdp": {"a_plus": STEP, "a_minus": STEP},
    "triplet_stdp": {
        **{"a2_plus": STEP, "a3_plus": STEP, "a2_minus": STEP, "a3_minus": STEP},
        **{"tau_x_s": 0.101, "tau_y_s": 0.125},
    },
    "r_stdp": {"a_plus": STEP, "a_minus": STEP, "modulator": "reward"},
    "vogels": {"learning_rate": STEP, "sign": "positive"},
    "short_term": {"u": 0.5, "tau_recovery_s": 0.8},
}


def network(rule: str, args: argparse.Namespace) -> reflexarc.Network:
    """The network of the module's text; `static` has no rule."""
    values = spec("brunel", args.n, args.k, DT_MS)
    if args.silent:
        values |= {"I_e": 0.0, "V_init": (0.0, 1.0)}
    net = reflexarc.Builder(seed=1)
    neurons_ = net.population(
        "neurons", args.n, neurons(values), initial_v=reflexarc.Uniform(*values["V_init"])
    )
    net.modulator("reward", tau_s=0.2)
    excitatory, inhibitory = neurons_[: values["ne"]], neurons_[values["ne"] :]
    for source, target, degree, weight in (
        (excitatory, excitatory, values["ke"], values["w_e"]),
        (excitatory, inhibitory, values["ke"], values["w_e"]),
        (inhibitory, neurons_, values["ki"], values["w_i"]),
    ):
        learns = rule_of(rule, args) if source is target else None
        pattern = reflexarc.FixedIndegree(degree, allow_self=True, allow_multiple=True)
        net.project(source, target, pattern, weight=reflexarc.Normal(weight, 0.0),
                    delay_s=values["delay"] * 1e-3, plasticity=learns)  # fmt: skip
    net.output("spikes", neurons_)
    return net.build(mode="clocked", dt_s=DT_MS * 1e-3)


def rule_of(rule: str, args: argparse.Namespace) -> Any:
    """The rule, or None for `static`."""
    if rule == "static":
        return None
    said = RULES[rule] | ({} if rule == "short_term" else {"precision": args.precision})
    return own_rules()[rule](**said)


def rewards(hz: float, from_ms: float, until_ms: float) -> np.ndarray:
    """Regular spikes at the modulator."""
    t_ns = np.arange(from_ms * 1e6, until_ms * 1e6, 1e9 / hz) if hz else np.zeros(0)
    found = np.zeros(len(t_ns), SPIKE)
    found["t_ns"] = t_ns.astype(np.int64)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", choices=["static", *RULES])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--ms", type=float, default=300)
    parser.add_argument("--silent", action="store_true", help="no spike at all")
    parser.add_argument("--modulator-hz", type=float, default=0)
    parser.add_argument("--precision", choices=["single", "double"], default="single")
    args = parser.parse_args()
    program = ClockedBackend().compile(network(args.rule, args))
    given = rewards(args.modulator_hz, 0, WARM_MS)
    program.step(WARM_MS * 1_000_000, {"reward": given})
    given = rewards(args.modulator_hz, WARM_MS, WARM_MS + args.ms)
    before, began_s = program.counters(), time.process_time()
    out = program.step(round((WARM_MS + args.ms) * 1e6), {"reward": given})
    took_s = time.process_time() - began_s
    events = program.counters().synaptic_events - before.synaptic_events
    print(
        json.dumps(
            {
                "mev_s": events / took_s * 1e-6,
                "us_step": took_s * 1e6 / (args.ms / DT_MS),
                "rate_hz": len(out["spikes"]) / args.n / args.ms * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
