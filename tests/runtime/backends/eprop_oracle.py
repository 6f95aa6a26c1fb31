"""E-prop and its neurons, dense and plain: every step, every synapse, in float64. Not a test."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reflexarc.runtime.batch import Array


@dataclass
class Layer:
    """LIF neurons or, with a jump, ALIF: constants, then state."""

    size: int
    dt_s: float = 1e-3
    tau_s: float = 0.02
    v_threshold: float = 1.0
    v_reset: float = 0.25
    refractory_steps: int = 0
    jump: float = 0.0
    tau_threshold_s: float = 0.2
    v: Array = field(init=False)

    def __post_init__(self) -> None:
        self.decay = np.exp(-self.dt_s / self.tau_s)
        self.relaxing = np.exp(-self.dt_s / self.tau_threshold_s)
        self.v, self.raised, self.held = np.zeros((3, self.size))

    def step(self, current: Array) -> tuple[Array, Array, Array]:
        """Spikes, distance from the threshold before the reset, and who may fire."""
        free = self.held == 0
        v = self.decay * self.v + (1 - self.decay) * current
        self.raised = self.raised * self.relaxing
        above = v - self.v_threshold - self.raised
        fires = free & (above > 0)
        self.v = np.where(fires | ~free, self.v_reset, v)
        self.raised = self.raised + self.jump * fires
        self.held = np.where(fires, self.refractory_steps, np.maximum(self.held - 1, 0))
        return fires, above, free


class Eligibility:
    """The traces of every synapse, shape (targets, sources)."""

    def __init__(self, layer: Layer, sources: int, kappa: float, width: float, dampening: float):
        self.layer, self.kappa, self.width, self.dampening = layer, kappa, width, dampening
        self.slope = np.zeros(sources)
        self.raised, self.filtered = np.zeros((2, layer.size, sources))

    def step(self, arrivals: Array, above: Array, free: Array) -> Array:
        """The eligibility of this step; `filtered` is what the readout makes of it."""
        near = np.maximum(0.0, 1 - np.abs(above) / self.width)
        psi = np.where(free, self.dampening / self.width * near, 0.0)
        self.slope = self.layer.decay * self.slope + (1 - self.layer.decay) * arrivals
        e = psi[:, None] * (self.slope - self.raised)
        self.raised = self.layer.relaxing * (self.raised + self.layer.jump * e)
        self.filtered = self.kappa * self.filtered + (1 - self.kappa) * e
        return e
