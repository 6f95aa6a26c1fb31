"""Projections as a backend takes them: checked, each with the node it comes from and goes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reflexarc.runtime.errors import GraphError, UnsupportedError
from reflexarc.runtime.network import GENERATORS, RECEPTORS, Network, Neurons, Projection


@dataclass(frozen=True)
class Wire:
    """A projection, the name of its source, and the layer it reaches at one receptor."""

    projection: Projection
    source: str
    layer: Neurons

    @property
    def receptor(self) -> str:
        """The name of the receptor it reaches."""
        return self.projection.receptor or RECEPTORS[self.layer.kind][0]


def wires(network: Network) -> dict[str, Wire]:
    """Every projection of `network` by name.

    Raises:
        GraphError: its arrays do not fit each other or what it connects, or an edge is missing.
        UnsupportedError: it starts where no spikes are, or a generator is given an input.
    """
    found = {
        node.name: _wire(network, node)
        for node in network.nodes.values()
        if isinstance(node, Projection)
    }
    for before, after in network.edges:
        target = network.nodes.get(after)
        if isinstance(target, Neurons) and target.kind in GENERATORS:
            raise UnsupportedError(
                f"{network.source}: edge {before} -> {after}: a {target.kind} generator takes no "
                "input; remove the edge"
            )
    return found


def _wire(network: Network, node: Projection) -> Wire:
    where = f"{network.source}: projection '{node.name}'"
    sources = [before for before, after in network.edges if after == node.name]
    targets = [after for before, after in network.edges if before == node.name]
    if len(sources) != 1 or len(targets) != 1:
        raise GraphError(f"{where}: it needs one edge in and one out; make one for each pair")
    source, layer = network.nodes.get(sources[0]), network.nodes.get(targets[0])
    if not isinstance(layer, Neurons):
        raise GraphError(f"{where}: it leads to '{targets[0]}', which is no layer of neurons")
    if source is None or not network.is_spiking(source.name):
        raise UnsupportedError(f"{where}: it needs spikes, and '{sources[0]}' gives none")
    if source.size != node.sources or layer.size != node.size:
        raise GraphError(
            f"{where}: it joins {node.sources} to {node.size} elements, but '{source.name}' has "
            f"{source.size} and '{layer.name}' {layer.size}"
        )
    receptors = RECEPTORS[layer.kind]
    if node.receptor and node.receptor not in receptors:
        raise GraphError(
            f"{where}: {layer.kind} has no receptor '{node.receptor}'; there are: "
            f"{', '.join(receptors) or 'none'}"
        )
    check_arrays(node, where)
    return Wire(node, source.name, layer)


def check_arrays(node: Projection, where: str) -> None:
    """Refuse arrays that do not fit each other. Raises GraphError, which begins with `where`."""
    rows, targets, weight = node.rows, node.targets, node.weight
    if targets.dtype not in (np.uint16, np.int32) or targets.ndim != 1:
        raise GraphError(f"{where}: targets must be uint16 or int32, one for each synapse")
    if rows.dtype != np.int64 or rows.shape != (node.sources + 1,) or rows[0] != 0:
        raise GraphError(f"{where}: rows must be int64 of shape ({node.sources + 1},) from 0 on")
    if np.any(np.diff(rows) < 0) or rows[-1] != len(targets):
        raise GraphError(f"{where}: rows must ascend to the number of targets, {len(targets)}")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < node.size:
        raise GraphError(f"{where}: targets must lie within 0 to {node.size - 1}")
    falls = np.flatnonzero(targets[1:] < targets[:-1]) + 1
    if np.any(rows[np.searchsorted(rows, falls)] != falls):
        raise GraphError(f"{where}: targets must ascend within each row; sort them by source")
    if weight.dtype != np.float32 or weight.shape not in ((1,), (len(targets),)):
        raise GraphError(f"{where}: weight must be float32, one for each synapse or one for all")
    if not np.isfinite(weight.sum(dtype=np.float64)) and not np.isfinite(weight).all():
        raise GraphError(f"{where}: every weight must be finite")
    if not (np.isfinite(node.delay_s) and node.delay_s >= 0):
        raise GraphError(f"{where}: delay_s must be 0 or more, not {node.delay_s}")
