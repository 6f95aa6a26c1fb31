"""Evolves the network's weights in `model.py`, and writes weights.yaml.

    python -m reflexarc.scenarios.land.evolve [--generations 80] [--out weights.yaml]

CMA-ES (Hansen 2016, arXiv:1604.00772, as in the package `cmaes`) from a plain proportional law that
is fitted to the neurons' rates. Every generation lands in other air, so that none is learnt by
heart. The same at every call.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from reflexarc.runtime.network import FloatArray
from reflexarc.scenarios.land.build_network import (
    CELLS,
    DT_S,
    MOST_HZ,
    RATES,
    SPAN_PER_S2,
    WEIGHTS,
    Weights,
    rates_hz,
)
from reflexarc.scenarios.land.model import land

#: The law to start from: thrust (in weights) for each 1/s off the wanted divergence, and for each
#: 1/s^2 by which it grows; then the time constant, and how fast the correction is learnt.
WANTED_PER_S, SLOPE_G_S, RATE_G_S2 = 0.72, 0.4, 0.01
TAU_S, LEARNING_RATE = 0.03, 8e-4
#: A step of 1 of the search: in a readout weight, and in the logarithm of the other two.
STEP = 0.05
POPULATION, WORLDS = 20, 4
#: What a landing costs beside its time; stricter than the score, for the model is not the world.
GENTLE_M_S, HARD_S_PER_M_S = 0.25, 20.0


def first() -> FloatArray:
    """Where the search starts: readout weights over STEP, and two logarithms."""
    divergence = np.linspace(-1.0, 5.0, 121)
    activity = rates_hz(divergence)[:, :-RATES] * DT_S
    ridge = (0.05 * activity.max()) ** 2 * len(divergence) * np.eye(CELLS - RATES)
    wanted = activity.T @ (SLOPE_G_S * (divergence - WANTED_PER_S))
    still = np.linalg.solve(activity.T @ activity + ridge, wanted)
    push = SPAN_PER_S2 * RATE_G_S2 / (MOST_HZ * DT_S * RATES / 2)
    readout = np.concatenate((still, np.tile([push, -push], RATES // 2)))
    return np.concatenate((readout / STEP, np.log([TAU_S, LEARNING_RATE])))


def weights_at(place: FloatArray) -> Weights:
    """What a place of the search stands for, in 4 digits."""
    low, high = np.log([0.004, 1e-8]), np.log([0.2, 1e-2])
    tau_s, learning_rate = np.exp(np.clip(place[CELLS:], low, high))
    return Weights(
        readout=[float(f"{STEP * each:.4g}") for each in place[:CELLS]],
        tau_s=float(f"{tau_s:.4g}"),
        learning_rate=float(f"{learning_rate:.4g}"),
    )


def cost_s(many: list[Weights], worlds: int, seed: int) -> FloatArray:
    """Mean cost of a landing of each network, in s."""
    took_s, touched_m_s = land(many, worlds, seed)
    hard_s = HARD_S_PER_M_S * np.maximum(0.0, touched_m_s - GENTLE_M_S)
    return np.asarray((took_s + hard_s).mean(axis=(0, 1)))


def main() -> None:
    """Search, tell, write."""
    from cmaes import CMA

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--generations", type=int, default=80)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    search = CMA(mean=first(), sigma=0.3, population_size=POPULATION, seed=1)
    for generation in range(options.generations):
        places = [search.ask() for _ in range(POPULATION)]
        costs = cost_s([weights_at(place) for place in places], WORLDS, generation)
        search.tell(list(zip(places, costs.tolist(), strict=True)))
        if generation % 10 == 0:
            print(f"generation {generation}: best {costs.min():.2f} s, mean {costs.mean():.2f} s")
    found = weights_at(search.mean)
    start, end = cost_s([weights_at(first()), found], 10, 10**6)
    print(f"in 10 other worlds: from {start:.2f} s to {end:.2f} s")
    options.out.write_text(yaml.safe_dump(found.model_dump(), sort_keys=False))


if __name__ == "__main__":
    main()
