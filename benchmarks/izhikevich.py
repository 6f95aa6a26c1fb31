"""The twenty behaviours of Izhikevich (2004) on the clocked engine, drawn in one figure.

    python benchmarks/izhikevich.py docs/izhikevich.png

E. M. Izhikevich, "Which model to use for cortical spiking neurons?", IEEE Trans. Neural Netw. 15
(2004) 1063-1070, figure 1; parameters, inputs and first values are those of its script, and steps.

The script takes u from the v that has just peaked, the engine both from the old values. Where u is
quick this shows, and three numbers make up for it: d of the depolarizing after-potential is the
script's -21 and the 1.33 that u gains there at the peak; d of the inhibition-induced bursting is 0,
as the paper prints it, where the script has -2 and u gains 1.2 to 3.3 at a peak; the pulse that
ends the bistable firing comes 7 ms after a spike, as there, which is at 207 ms and not 216.

Three panels bend the equations, and are stated here in those of the kind, exactly or as a limit:

- class 1 and integrator have v' = 0.04 v^2 + 4.1 v + 108 - u + I. With v = w + 11.25 that is
  w' = 0.04 w^2 + 5 w + 160.3125 - (u - b 11.25) + I and u - b 11.25 obeys the same equation as u.
- accommodation has u' = a b (v + 65) without a leak: the limit of small a at the same a b, where u
  starts at b v, far from the script's -16, and the offset of the current takes up the difference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

import reflexarc
from reflexarc.runtime.network import Input, Network, Neurons, Output

Array: TypeAlias = npt.NDArray[np.float64]
Current: TypeAlias = Callable[[Array], Array]
PEAK_MV = 30.0


@dataclass(frozen=True)
class Behaviour:
    """A panel: parameters of the neuron, its first v in mV, and current by time in ms."""

    title: str
    a: float
    b: float
    c: float
    d: float
    v0: float
    run_ms: float
    dt_ms: float
    current: Current
    shift_mv: float = 0.0  # of the variable of the kind; v is that much higher
    offset: float = 0.0


@dataclass(frozen=True)
class Trace:
    """What a neuron did: times in ms, v at them in mV, the current of each step, spikes in ms."""

    t_ms: Array
    v: Array
    current: Array
    spikes_ms: Array


def step(t0: float, to: float, before: float = 0.0) -> Current:
    """`to` from `t0` on."""
    return lambda t: np.where(t > t0, to, before)


def pulses(height: float, *spans: tuple[float, float], base: float = 0.0) -> Current:
    """`height` within each of `spans`, `base` outside."""

    def current(t: Array) -> Array:
        return np.where(sum((t > begin) & (t < end) for begin, end in spans), height, base)

    return current


def ramp(t0: float, slope: float, base: float = 0.0) -> Current:
    """A current that rises by `slope` a millisecond from `t0` on."""
    return lambda t: base + slope * np.maximum(t - t0, 0.0)


def slow_and_fast_ramp(t: Array) -> Array:
    """Up to 8 within 200 ms, and up to 4 within 12.5 ms."""
    fast = np.where((t >= 300) & (t < 312.5), (t - 300) / 12.5 * 4, 0.0)
    return np.where(t < 200, t / 25, fast)


def excited_or_inhibited(t: Array) -> Array:
    """A pulse of 1 twice, the second after one of -6."""
    excited = ((t > 10) & (t < 15)) | ((t > 80) & (t < 85))
    return np.where(excited, 1.0, np.where((t > 70) & (t < 75), -6.0, 0.0))


def other_quadratic(title: str, run_ms: float, current: Current) -> Behaviour:
    """A panel with 4.1 v + 108, in the variable of the kind."""
    shift = 11.25
    return Behaviour(
        title, 0.02, -0.1, -55 - shift, 6, -60 - shift, run_ms, 0.25, current, shift, 20.3125
    )


def accommodation(title: str) -> Behaviour:
    """The panel whose u has no leak; a is so small that it does not show."""
    a = 1e-8
    b = 0.02 / a
    v0, u0 = -65.0, -16.0
    return Behaviour(title, a, b, -55, 4, v0, 400, 0.5, slow_and_fast_ramp, offset=b * v0 - u0)


def behaviours() -> list[Behaviour]:
    """All twenty, in the order of the figure."""
    doublets = [(40, 44), (60, 64), (280, 284), (320, 324)]
    near, far = [(100 / 11, 100 / 11 + 2), (100 / 11 + 5, 100 / 11 + 7)], [(70, 72), (80, 82)]
    inhibition = pulses(75, (50, 250), base=80)
    return [
        Behaviour("tonic spiking", 0.02, 0.2, -65, 6, -70, 100, 0.25, step(10, 14)),
        Behaviour("phasic spiking", 0.02, 0.25, -65, 6, -64, 200, 0.25, step(20, 0.5)),
        Behaviour("tonic bursting", 0.02, 0.2, -50, 2, -70, 220, 0.25, step(22, 15)),
        Behaviour("phasic bursting", 0.02, 0.25, -55, 0.05, -64, 200, 0.2, step(20, 0.6)),
        Behaviour("mixed mode", 0.02, 0.2, -55, 4, -70, 160, 0.25, step(16, 10)),
        Behaviour("frequency adaptation", 0.01, 0.2, -65, 8, -70, 85, 0.25, step(8.5, 30)),
        other_quadratic("class 1 excitable", 300, ramp(30, 0.075)),
        Behaviour("class 2 excitable", 0.2, 0.26, -65, 0, -64, 300, 0.25, ramp(30, 0.015, -0.5)),
        Behaviour("spike latency", 0.02, 0.2, -65, 6, -70, 100, 0.2, pulses(7.04, (10, 13))),
        Behaviour(
            "subthreshold oscillation", 0.05, 0.26, -60, 0, -62, 200, 0.25, pulses(2, (20, 25))
        ),
        Behaviour("resonator", 0.1, 0.26, -60, -1, -62, 400, 0.25, pulses(0.65, *doublets)),
        other_quadratic("integrator", 100, pulses(9, *near, *far)),
        Behaviour("rebound spike", 0.03, 0.25, -60, 4, -64, 200, 0.2, pulses(-15, (20, 25))),
        Behaviour("rebound burst", 0.03, 0.25, -52, 0, -64, 200, 0.2, pulses(-15, (20, 25))),
        Behaviour(
            "threshold variability", 0.03, 0.25, -60, 4, -64, 100, 0.25, excited_or_inhibited
        ),
        Behaviour(
            "bistability",
            0.1,
            0.26,
            -60,
            0,
            -61,
            300,
            0.25,
            pulses(1.24, (37.5, 42.5), (207, 212), base=0.24),
        ),
        Behaviour(
            "depolarizing after-potential", 1, 0.2, -60, -19.67, -70, 50, 0.1, pulses(20, (9, 11))
        ),
        accommodation("accommodation"),
        Behaviour("inhibition-induced spiking", -0.02, -1, -60, 8, -63.8, 350, 0.5, inhibition),
        Behaviour("inhibition-induced bursting", -0.026, -1, -45, 0, -63.8, 350, 0.5, inhibition),
    ]


def run(behaviour: Behaviour, dt_ms: float | None = None) -> Trace:
    """Run one neuron; `dt_ms` is the panel's own unless given."""
    b, dt_ms = behaviour, behaviour.dt_ms if dt_ms is None else dt_ms
    values = {"a": b.a, "b": b.b, "c": b.c, "d": b.d}
    values |= {"v_peak": PEAK_MV - b.shift_mv, "i_offset": b.offset}
    parameters = {name: np.array([value], float) for name, value in values.items()}
    nodes = [
        Input(name="current", shape=(1,)),
        Neurons(name="neuron", shape=(1,), kind="Izhikevich", parameters=parameters),
        Output(name="spikes", shape=(1,)),
    ]
    network = Network(
        nodes={node.name: node for node in nodes},
        edges=(("current", "neuron"), ("neuron", "spikes")),
        initial_v={"neuron": np.array([float(b.v0)])},
    )
    steps = round(b.run_ms / dt_ms)
    begin_ms = np.arange(steps) * dt_ms
    current = b.current(begin_ms)
    done = reflexarc.simulate(
        network,
        {"current": current[:, None]},
        mode="clocked",
        dt_s=dt_ms * 1e-3,
        probes={"neuron": np.arange(1, steps + 1) * dt_ms * 1e-3},
    )
    return Trace(
        begin_ms + dt_ms,
        done.probes["neuron"][:, 0] + b.shift_mv,
        current,
        done.spikes["spikes"].t_s * 1e3 + dt_ms,
    )


def draw(path: Path) -> None:
    """All twenty in one figure: the voltage above, what was injected below."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.family": "sans-serif", "font.size": 8})
    figure, axes = plt.subplots(5, 4, figsize=(10, 10.4))
    for letter, behaviour, axis in zip(
        "ABCDEFGHIJKLMNOPQRST", behaviours(), axes.flat, strict=True
    ):
        _panel(axis, f"({letter}) {behaviour.title}", run(behaviour))
    axes[0, 1].plot([190, 190], [-30, 20], color="black", linewidth=1.5)
    axes[0, 1].text(186, -5, "50 mV", ha="right", va="center", fontsize=7)
    lines = axes[0, 0].get_lines()[:2]
    labels = ["membrane potential", "injected current (scaled to its range in each panel)"]
    figure.legend(lines, labels, loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(h_pad=1.6, w_pad=1.2, rect=(0, 0.025, 1, 1))
    figure.savefig(path, dpi=150)


def _panel(axis: Any, title: str, trace: Trace) -> None:
    v = trace.v.copy()
    v[np.searchsorted(trace.t_ms, trace.spikes_ms - 1e-6)] = PEAK_MV
    span = np.ptp(trace.current) or 1.0
    current = -100.0 + 14.0 * (trace.current - trace.current.min()) / span
    axis.plot(trace.t_ms, v, color="#1f3b73", linewidth=0.9)
    axis.plot(trace.t_ms, current, color="#c2571a", linewidth=0.9)
    bar = 20 if trace.t_ms[-1] < 250 else 50
    axis.plot([trace.t_ms[-1] - bar, trace.t_ms[-1]], [-112, -112], color="black", linewidth=1.5)
    axis.text(trace.t_ms[-1] - bar / 2, -115, f"{bar} ms", ha="center", va="top", fontsize=7)
    axis.set_title(title, fontsize=8.5, loc="left")
    axis.set(xlim=(0, trace.t_ms[-1]), ylim=(-126, 38))
    axis.set_axis_off()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
