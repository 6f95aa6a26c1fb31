"""Spikes along projections: when they arrive, in which order of the step, and in which sums."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from reflexarc.runtime.backends.lowered import Lowered, Ring
from reflexarc.runtime.backends.populations import delay_steps
from reflexarc.runtime.backends.projections import Wire, wires
from reflexarc.runtime.network import RECEPTORS, Network, Neurons

#: Kinds whose synaptic variables take up spikes where they lie.
_SYNAPTIC = frozenset({"ExpLIF", "AlphaLIF", "CondLIF", "AdEx"})


class Routes:
    """The projections of a network within the program `out`.

    Attributes:
        early: arrive before the layers of the step are looked at.
        late: act on synaptic variables, after the layer's own step.
        holding: depend on earlier steps only, or act after everything else: no order is needed.
    """

    def __init__(self, network: Network, out: Lowered, dt_s: float) -> None:
        self._out = out
        out.projections = wires(network)
        self._wires = out.projections
        self._number = {name: k for k, name in enumerate(self._wires)}
        self._lags = {name: _lag(network, wire, dt_s) for name, wire in self._wires.items()}
        self._arrived: dict[str, int] = {}
        self.late = [name for name, wire in self._wires.items() if _is_synaptic(wire)]
        self.early = self._early()
        self.holding = {*self.early, *self.late}

    def _early(self) -> list[str]:
        late = set(self.late)
        return [name for name, lag in self._lags.items() if lag >= 1 and name not in late]

    def settle(self, order: list[str], single: Collection[str]) -> None:
        """Let what closes a cycle without a delay arrive a step later; make room for it all.

        `order` is that of evaluation; the nodes in `single` never send more than one spike of an
        element in a step.
        """
        position, late = {name: k for k, name in enumerate(order)}, set(self.late)
        for name, wire in self._wires.items():
            in_order = position[wire.source] < position[name] < position[wire.layer.name]
            if self._lags[name] == 0 and not in_order and name not in late:
                self._lags[name] = 1
            self.remember(wire.source, wire.projection.sources, self._lags[name], single)
            self.make_sums(wire.layer)
        self.early = self._early()

    def remember(self, name: str, size: int, lag: int, single: Collection[str]) -> int:
        """Have the spikes of a node remembered for `lag` steps; returns the number of its ring."""
        ring = Ring(len(self._out.rings), size, name not in single)
        ring = self._out.rings.setdefault(name, ring)
        ring.depth = max(ring.depth, lag + 1)
        return ring.number

    def make_sums(self, layer: Neurons) -> None:
        """Make room for the sums of a layer's receptors, where there is none yet."""
        if layer.name not in self._arrived:
            self._arrived[layer.name] = self._out.arrived
            self._out.arrived += layer.size * len(RECEPTORS[layer.kind])

    def sums(self, layer: str) -> int:
        """Where the sums of a layer's receptors begin; -1 if no projection reaches it."""
        return self._arrived.get(layer, -1)

    def reach(self, layer: str, receptor: str) -> bool:
        """Whether a projection reaches that receptor of the layer."""
        return any(
            wire.layer.name == layer and wire.receptor == receptor for wire in self._wires.values()
        )

    def deliver(self, name: str) -> None:
        """Add the operation that delivers along a projection."""
        wire = self._wires[name]
        place = RECEPTORS[wire.layer.kind].index(wire.receptor)
        found = self.place(name)
        release = self._out.release(name, ring=found["ring"], lag=found["lag"])
        self._out.emit(
            "project",
            arrived=self._arrived[wire.layer.name] + place * wire.layer.size,
            release=release,
            **found,
        )

    def number(self, name: str) -> int:
        """The number of a projection."""
        return self._number[name]

    def place(self, name: str) -> dict[str, int]:
        """Where what a projection delivers is found."""
        ring = self._out.rings[self._wires[name].source].number
        return {"ring": ring, "lag": self._lags[name], "synapses": self._number[name]}


def _is_synaptic(wire: Wire) -> bool:
    return wire.layer.kind in _SYNAPTIC and wire.receptor != "input"


def _lag(network: Network, wire: Wire, dt_s: float) -> int:
    what = f"{network.source}: projection '{wire.projection.name}': delays"
    return int(delay_steps(np.array([wire.projection.delay_s]), dt_s, what)[0])
