"""What the parts of benchmarks/rulegoldens.py that run NEST share."""

from __future__ import annotations

from typing import Any

import nest

STEP_MS = 0.1


def reset() -> None:
    """An empty NEST."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = STEP_MS


def parrot(times_ms: list[float], **parameters: float) -> Any:
    """A neuron that fires at `times_ms`."""
    sent = [round(t - STEP_MS, 1) for t in times_ms]
    source = nest.Create("spike_generator", params={"spike_times": sent})
    neuron = nest.Create("parrot_neuron", params=parameters)
    nest.Connect(source, neuron, syn_spec={"delay": STEP_MS})
    return neuron


def seconds(times_ms: list[float]) -> list[float]:
    """Milliseconds on the grid as seconds, without the digits of rounding."""
    return [round(t * 1e-3, 7) for t in times_ms]
