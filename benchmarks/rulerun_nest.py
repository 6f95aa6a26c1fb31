"""The network of rulerun.py in NEST; run by benchmarks/plasticity.py in NEST's python.

python rulerun_nest.py RULE --n 10000 --k 1000 --ms 300       # one JSON object
"""

import argparse
import json
import time

import nest

WARM_MS, STEP = 100.0, 1e-5
#: As in rulerun.py; lambda is the step over Wmax.
MODELS = {
    "static": ("static_synapse", {}),
    "pair_stdp": (
        "stdp_synapse",
        {"lambda": STEP, "alpha": 1.0, "mu_plus": 0.0, "mu_minus": 0.0, "Wmax": 1.0},
    ),
    "triplet_stdp": (
        "stdp_triplet_synapse",
        {
            "tau_plus": 16.8,
            "tau_plus_triplet": 101.0,
            "Aplus": STEP,
            "Aplus_triplet": STEP,
            "Aminus": STEP,
            "Aminus_triplet": STEP,
            "Wmax": 1.0,
        },
    ),
    "r_stdp": ("stdp_dopamine_synapse", {"A_plus": STEP, "A_minus": STEP, "tau_n": 200.0}),
    "vogels": ("vogels_sprekeler_synapse", {"eta": STEP, "Wmax": 1.0}),
    "short_term": ("tsodyks2_synapse", {"U": 0.5, "u": 0.5, "tau_rec": 800.0, "tau_fac": 0.0}),
}
CELL = {"V_th": 20.0, "E_L": 0.0, "V_reset": 0.0, "t_ref": 2.0, "tau_m": 20.0, "C_m": 1.0}


def build(args):
    """Brunel's network of networks.py; returns the recorder."""
    nest.ResetKernel()
    nest.set(resolution=0.1, local_num_threads=1, rng_seed=1)
    timing = {"tau_minus": 33.7, "tau_minus_triplet": 125.0} if args.rule == "triplet_stdp" else {}
    neurons = nest.Create("iaf_psc_delta", args.n, params={**CELL, "I_e": 2.0, **timing})
    neurons.V_m = nest.random.uniform(0.0, 20.0)
    ne, ke = args.n * 4 // 5, args.k * 4 // 5
    weight = 0.1 * 1000.0 / args.k
    model, values = MODELS[args.rule]
    if args.rule == "r_stdp":
        # What NEST needs although no dopamine comes: a source, and a transmitter.
        transmitter = nest.Create("volume_transmitter")
        reward = nest.Create("parrot_neuron")
        times = {"rate": args.modulator_hz}
        nest.Connect(nest.Create("poisson_generator", params=times), reward)
        nest.Connect(reward, transmitter)
        values = {**values, "volume_transmitter": transmitter}
    nest.CopyModel(model, "learns", values)
    excitatory, inhibitory = neurons[:ne], neurons[ne:]
    for source, target, degree, w, synapse in (
        (excitatory, excitatory, ke, weight, "learns"),
        (excitatory, inhibitory, ke, weight, "static_synapse"),
        (inhibitory, neurons, args.k - ke, -5.0 * weight, "static_synapse"),
    ):
        rule = {"rule": "fixed_indegree", "indegree": degree}
        nest.Connect(source, target, rule, {"synapse_model": synapse, "weight": w, "delay": 1.5})
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    return recorder


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", choices=list(MODELS))
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--ms", type=float, default=300)
    parser.add_argument("--modulator-hz", type=float, default=0)
    args = parser.parse_args()
    nest.set_verbosity("M_ERROR")
    recorder = build(args)
    nest.Simulate(WARM_MS)
    spikes, began_s = recorder.n_events, time.process_time()
    nest.Simulate(args.ms)
    took_s = time.process_time() - began_s
    spikes = recorder.n_events - spikes
    events = spikes * args.k  # on average, of the sources' synapses
    print()
    print(
        json.dumps(
            {
                "mev_s": events / took_s * 1e-6,
                "rate_hz": spikes / args.n / args.ms * 1e3,
                "version": nest.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
