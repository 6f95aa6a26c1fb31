"""Golden numbers of single neurons from NEST, for tests/conformance/test_neuron_goldens.py.

    ENV/bin/python benchmarks/goldens.py tests/conformance/goldens.json   # an environment with NEST

Each entry says what NEST ran, the same neuron in the parameters of `runtime/network.py` (seconds,
mV, pA, nS, nF; Izhikevich in milliseconds as published), what drove it, every spike and some
voltages. Weights are whole numbers, which float32 holds. What happens in one step of NEST, from n
to n + 1 (from its models' sources):

- The state moves to n + 1 under the inputs that it had at n; a refractory neuron keeps its voltage
  and counts down. A spike at n therefore holds it at v_reset until n + t_ref / dt.
- Synaptic variables decay for one step, then those spikes are added that arrive at n + 1: they move
  the voltage from n + 2 on. iaf_psc_delta and izhikevich add them to the voltage of n + 1 itself,
  before the test; iaf_psc_delta loses what arrives while refractory.
- The test is v >= threshold (glif_psc: >), at n + 1; reset, and the spike is stamped n + 1.
- aeif_psc_exp tests v >= v_peak after every step of its adaptive solver, adds b to w there and goes
  on for the rest of the step. iaf_cond_exp and aeif_psc_exp are solved to `gsl_error_tol`.
- izhikevich is forward Euler, both from the old v and u (`consistent_integration`).
- The models `*_ps` work in continuous time; their threshold is crossed where v reaches it.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nest
import numpy as np

MS = 1e-3  # seconds
NF = 1e-3  # from pF


@dataclass
class Train:
    """Spikes at `t_ms` that reach `receptor` with `weight` (our units) after `delay_ms`."""

    receptor: str
    weight: float
    t_ms: list[float]
    delay_ms: float = 0.1


@dataclass
class Case:
    """A neuron of NEST (its units), the same as one of our kinds, and what drives it.

    `current` is held in our port `input` for all steps; NEST has it as `I_e`, or from a generator.
    """

    name: str
    model: str
    nest: dict[str, Any]
    kind: str
    ours: dict[str, float]
    initial_v: float
    trains: list[Train] = field(default_factory=list)
    sign: dict[str, float] = field(default_factory=dict)
    dt_ms: float = 0.1
    run_ms: float = 200.0
    current: float = 0.0
    generator: bool = False
    exact: bool = False


LEAKY = {"C_m": 250.0, "tau_m": 10.0, "E_L": -70.0, "V_th": -55.0, "V_reset": -68.0, "t_ref": 2.0}
R = LEAKY["tau_m"] * MS / (LEAKY["C_m"] * NF)  # GOhm
LEAKY_OURS = {
    "r": R,
    "v_leak": -70,
    "v_threshold": -55,
    "v_reset": -68,
    "refractory": 2 * MS,
}
EXCITED = [5.0, 10.0, 10.3, 10.3, 11.0, 12.0, 12.1, 13.0, 14.0, 15.5, 30.0, 31.0, 32.0, 33.0, 34.0]
INHIBITED = [8.0, 10.3, 31.5, 60.0]
#: Spikes at whole milliseconds, for steps of 1 ms too.
WHOLE = sorted({float(round(t)) for t in EXCITED})
#: Spikes at any time, for the models in continuous time.
BETWEEN = [t + 0.0437 * (k % 7) for k, t in enumerate(EXCITED)]


def volleys(
    receptors: tuple[str, str], weights: tuple[float, float], **options: Any
) -> list[Train]:
    """Excitation and inhibition at times that suit the step and the model."""
    if options.get("dt_ms") == 1.0:
        times, delay = (WHOLE, [8.0, 31.0, 60.0]), 1.0
    else:
        times, delay = (BETWEEN if options.get("exact") else EXCITED, INHIBITED), 0.3
    return [
        Train(receptors[0], weights[0], times[0], delay),
        Train(receptors[1], weights[1], times[1], 1.0),
    ]


def synaptic(
    name: str, *, i_e: float, excited: float, tau: tuple[float, float], **options: Any
) -> list[Case]:
    """The current-based exponential and alpha neurons under the same drive."""
    cases = []
    for model, kind in (("iaf_psc_exp", "ExpLIF"), ("iaf_psc_alpha", "AlphaLIF")):
        first = (1.5 if kind == "ExpLIF" else 1.0) * excited
        trains = volleys(("excitatory", "inhibitory"), (first, -0.6 * first), **options)
        exact = options.get("exact", False)
        synapses = {"tau_excitatory": tau[0] * MS, "tau_inhibitory": tau[1] * MS}
        cases.append(
            Case(
                name=f"{kind}-{name}",
                model=model + ("_ps" if exact else ""),
                nest={**LEAKY, "tau_syn_ex": tau[0], "tau_syn_in": tau[1], "I_e": i_e},
                kind=kind,
                ours={"tau_mem": 10 * MS, **LEAKY_OURS, **synapses, "i_offset": i_e},
                initial_v=-70,
                trains=trains if excited else [],
                **options,
            )
        )
    return cases


def jumping(name: str, *, i_e: float, jump_mv: float, **options: Any) -> Case:
    """The neuron whose voltage jumps."""
    weights = (jump_mv, -0.5 * jump_mv)
    trains = volleys(("jump", "jump"), weights, **options)
    return Case(
        name=f"DeltaLIF-{name}",
        model="iaf_psc_delta" + ("_ps" if options.get("exact") else ""),
        nest={**LEAKY, "I_e": i_e},
        kind="DeltaLIF",
        ours={"tau": 10 * MS, **LEAKY_OURS, "i_offset": i_e},
        initial_v=-70,
        trains=trains if jump_mv else [],
        **options,
    )


def conductive(name: str, *, i_e: float, excited: float, **options: Any) -> Case:
    """The neuron with synaptic conductances."""
    weights = (excited, 2 * excited)
    trains = volleys(("excitatory", "inhibitory"), weights, **options)
    shared = {"C_m": 250.0, "g_L": 16.7, "E_L": -70.0, "V_th": -55.0, "V_reset": -60.0}
    synapses = {"t_ref": 2.0, "E_ex": 0.0, "E_in": -85.0, "tau_syn_ex": 5.0, "tau_syn_in": 10.0}
    return Case(
        name=f"CondLIF-{name}",
        model="iaf_cond_exp",
        nest={**shared, **synapses, "I_e": i_e},
        kind="CondLIF",
        ours={
            "c": 250 * NF,
            "g_leak": 16.7,
            "v_leak": -70,
            "v_threshold": -55,
            "v_reset": -60,
            "refractory": 2 * MS,
            "e_excitatory": 0.0,
            "e_inhibitory": -85,
            "tau_excitatory": 5 * MS,
            "tau_inhibitory": 10 * MS,
            "i_offset": i_e,
        },
        initial_v=-70,
        trains=trains if excited else [],
        sign={"inhibitory": -1.0},
        **options,
    )


def adaptive_exponential(
    name: str, *, i_e: float, t_ref: float, b: float, v_reset: float, excited: float, **options: Any
) -> Case:
    """AdEx with the parameters of Brette and Gerstner (2005) but for what is named."""
    weights = (excited, -0.6 * excited)
    trains = volleys(("excitatory", "inhibitory"), weights)
    return Case(
        name=f"AdEx-{name}",
        model="aeif_psc_exp",
        nest={
            "C_m": 281.0,
            "g_L": 30.0,
            "E_L": -70.6,
            "V_th": -50.4,
            "V_reset": v_reset,
            "V_peak": 0.0,
            "Delta_T": 2.0,
            "t_ref": t_ref,
            "a": 4.0,
            "b": b,
            "tau_w": 144.0,
            "tau_syn_ex": 2.0,
            "tau_syn_in": 4.0,
            "I_e": i_e,
            "gsl_error_tol": 1e-12,
        },
        kind="AdEx",
        ours={
            "c": 281 * NF,
            "g_leak": 30,
            "v_leak": -70.6,
            "v_threshold": -50.4,
            "v_reset": v_reset,
            "refractory": t_ref * MS,
            "delta_t": 2,
            "v_peak": 0.0,
            "a": 4,
            "b": b,
            "tau_w": 144 * MS,
            "tau_excitatory": 2 * MS,
            "tau_inhibitory": 4 * MS,
            "i_offset": i_e,
        },
        initial_v=-70.6,
        trains=trains if excited else [],
        **options,
    )


def izhikevich(name: str, *, current: float, jump: float, **options: Any) -> Case:
    """Regular spiking; u starts at b v."""
    values = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0}
    return Case(
        name=f"Izhikevich-{name}",
        model="izhikevich",
        nest={
            **values,
            "V_th": 30.0,
            "I_e": current,
            "U_m": -13.0,
            "consistent_integration": True,
        },
        kind="Izhikevich",
        ours={**values, "v_peak": 30.0, "i_offset": current},
        initial_v=-65.0,
        trains=[Train("jump", jump, WHOLE, 1.0)] if jump else [],
        run_ms=1000.0,
        **options,
    )


def adaptive_threshold() -> Case:
    """glif_psc with a threshold that spikes raise.

    It freezes the threshold's decay while refractory and decays only the old part at the spike:
    `th_spike_add` is the jump as it has decayed at the end of the refractory time.
    """
    jump, tau, t_ref = 3.0, 80.0, 2.0
    return Case(
        name="ALIF-current",
        model="glif_psc",
        nest={
            "C_m": 250.0,
            "g": 25.0,
            "E_L": -70.0,
            "V_th": -55.0,
            "V_reset": -68.0,
            "t_ref": t_ref,
            "spike_dependent_threshold": True,
            "after_spike_currents": False,
            "adapting_threshold": False,
            "th_spike_add": jump * math.exp(-t_ref / tau),
            "th_spike_decay": 1 / tau,
            "voltage_reset_fraction": 0.0,
            "voltage_reset_add": 2.0,
        },
        kind="ALIF",
        ours={
            "tau": 10 * MS,
            **LEAKY_OURS,
            "tau_threshold": tau * MS,
            "threshold_jump": jump,
        },
        initial_v=-70,
        run_ms=500.0,
        current=700,
        generator=True,
    )


def lif(**options: Any) -> Case:
    """NIR's LIF with a refractory time, driven by a current."""
    return Case(
        name="LIF-exact" if options.get("exact") else "LIF-current",
        model="iaf_psc_delta" + ("_ps" if options.get("exact") else ""),
        nest={**LEAKY, "V_reset": -70.0, "I_e": 400.0},
        kind="LIF",
        ours={"tau": 10 * MS, **LEAKY_OURS, "v_reset": -70},
        initial_v=-70,
        current=400,
        **options,
    )


def cases() -> list[Case]:
    """All of them."""
    whole = {"dt_ms": 1.0}
    return [
        lif(),
        lif(exact=True),
        adaptive_threshold(),
        *synaptic("current", i_e=400.0, excited=0.0, tau=(2.0, 4.0)),
        *synaptic("spikes", i_e=0.0, excited=900.0, tau=(2.0, 4.0)),
        *synaptic("both", i_e=350.0, excited=250.0, tau=(2.0, 4.0)),
        *synaptic("equal-tau", i_e=0.0, excited=700.0, tau=(10.0, 10.0)),
        *synaptic("1ms", i_e=350.0, excited=250.0, tau=(2.0, 4.0), **whole),
        *synaptic("exact", i_e=390.0, excited=250.0, tau=(2.0, 4.0), exact=True),
        jumping("current", i_e=400.0, jump_mv=0.0),
        jumping("spikes", i_e=200.0, jump_mv=4.0),
        jumping("1ms", i_e=200.0, jump_mv=4.0, **whole),
        jumping("exact", i_e=390.0, jump_mv=4.0, exact=True),
        conductive("current", i_e=300.0, excited=0.0),
        conductive("spikes", i_e=0.0, excited=6.0),
        conductive("both", i_e=240.0, excited=3.0),
        conductive("1ms", i_e=240.0, excited=3.0, **whole),
        adaptive_exponential(
            "tonic", i_e=800.0, t_ref=2.0, b=80.5, v_reset=-60.0, excited=0.0, run_ms=400.0
        ),
        adaptive_exponential(
            "no-refractory", i_e=800.0, t_ref=0.0, b=80.5, v_reset=-60.0, excited=0.0, run_ms=400.0
        ),
        adaptive_exponential(
            "burst", i_e=800.0, t_ref=0.0, b=80.5, v_reset=-47.0, excited=0.0, run_ms=400.0
        ),
        adaptive_exponential("spikes", i_e=300.0, t_ref=2.0, b=80.5, v_reset=-60.0, excited=1500.0),
        izhikevich("regular", current=10.0, jump=0.0),
        izhikevich("jumps", current=4.0, jump=3.0),
        izhikevich("1ms", current=4.0, jump=3.0, **whole),
    ]


def run(case: Case) -> dict[str, Any]:
    """What NEST makes of it, with the case beside it."""
    nest.ResetKernel()
    nest.resolution = case.dt_ms
    neuron = nest.Create(case.model, params=case.nest)
    neuron.V_m = case.initial_v
    for train in case.trains:
        times = {"spike_times": train.t_ms, "precise_times": case.exact}
        source = nest.Create("spike_generator", params=times)
        weight = train.weight * case.sign.get(train.receptor, 1.0)
        nest.Connect(source, neuron, syn_spec={"weight": weight, "delay": train.delay_ms})
    if case.generator:
        source = nest.Create("dc_generator", params={"amplitude": case.current})
        nest.Connect(source, neuron, syn_spec={"delay": case.dt_ms})
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": case.dt_ms})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, neuron)
    nest.Connect(neuron, recorder)
    nest.Simulate(case.run_ms + 5 * case.dt_ms)
    # A generator's current reaches the neuron at the end of a step: all then happens later by that.
    late = first_step(meter, case) if case.generator else 0
    entry = {key: value for key, value in asdict(case).items() if key != "trains"}
    del entry["sign"], entry["generator"]
    entry["trains"] = [asdict(train) for train in case.trains]
    times = np.array(recorder.get("events", "times"))
    if case.exact:
        return {**entry, "spikes_s": (times[times <= case.run_ms] * MS).tolist()}
    spikes = np.rint(times / case.dt_ms).astype(int) - late
    v = np.array(meter.get("events", "V_m"))
    steps = probe_steps(round(case.run_ms / case.dt_ms), spikes)
    return {
        **entry,
        "spike_steps": spikes[spikes <= case.run_ms / case.dt_ms].tolist(),
        "probe_steps": steps.tolist(),
        "probe_v": v[steps - 1 + late].tolist(),
    }


def first_step(meter: Any, case: Case) -> int:
    """Steps before the voltage first moves."""
    v = np.array(meter.get("events", "V_m"))
    return int(np.flatnonzero(v != v[0])[0])


def probe_steps(steps: int, spikes: np.ndarray) -> np.ndarray:
    """The first steps, a spread, and those around the first spikes; 1 is after one step."""
    near = np.concatenate([np.arange(spike - 1, spike + 3) for spike in spikes[:2]] or [[]])
    chosen = np.concatenate([[1, 2, 3], np.linspace(4, steps, 24), near]).astype(int)
    return np.unique(chosen[(chosen >= 1) & (chosen <= steps)])


def main() -> None:
    """Run all cases and write one JSON file."""
    nest.verbosity = nest.VerbosityLevel.ERROR
    entries = [run(case) for case in cases()]
    for entry in entries:
        found = entry.get("spike_steps", entry.get("spikes_s"))
        print(f"{entry['name']:22} {len(found):3} spikes, first {found[:4]}")
    text = json.dumps({"nest": nest.__version__, "entries": entries})
    Path(sys.argv[1]).write_text(text.replace('}, {"name"', '},\n {"name"') + "\n")


if __name__ == "__main__":
    main()
