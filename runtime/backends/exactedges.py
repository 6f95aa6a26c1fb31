"""Edges of the exact engine that learn or have short-term plasticity, and what it refuses.

Such a matrix stays an edge of its own, in full rows: it is not multiplied out with its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reflexarc.ext import exact
from reflexarc.ext.learner import is_stepped
from reflexarc.runtime.backends.instant import nanoseconds
from reflexarc.runtime.backends.learner import Edge, Synapses
from reflexarc.runtime.backends.levels import Levels
from reflexarc.runtime.backends.release import Release
from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.learning import misfit_of, target_of
from reflexarc.runtime.network import Input, Linear, Modulator, Network, Neurons, Projection
from reflexarc.runtime.plasticity import KernelRule, Rule, ShortTerm


@dataclass(frozen=True, kw_only=True)
class PlasticEdge:
    """Synapses about which something changes.

    Attributes:
        weight: shape (synapses,) or (1,), by source; that of `edge` where it learns.
        layer: what it leads to.
        edge: what its learning needs; None if no weight changes.
        release: its short-term plasticity, or None.
        frozen: whether it begins without learning.
        lag: ticks from a target's spike to when the synapses see it.
    """

    synapses: Synapses
    target: Array
    weight: Array
    delay_s: float
    receptor: str
    layer: Neurons
    edge: Edge | None
    release: Release | None
    frozen: bool
    lag: int


def modulator_levels(network: Network) -> Levels:
    """Those of the modulators that rules name.

    Raises:
        UnsupportedError: a rule that follows anything else than a Modulator of one value.
    """
    found: dict[str, Modulator] = {}
    for edge in network.plasticity:
        for rule in network.rules(edge):
            for name in () if _reason(rule) else rule.modulators:
                node = network.nodes.get(name)
                if not isinstance(node, Modulator) or node.size != 1:
                    raise UnsupportedError(
                        f"{network.source}: plasticity '{edge}': rule {rule.rule}: in exact mode "
                        f"'{name}' must be a Modulator of one value; add one, or run the network "
                        f"in clocked mode"
                    )
                found[name] = node
    return Levels(list(found.values()))


def plastic_edges(network: Network, levels: Levels) -> dict[str, PlasticEdge]:
    """Every edge with rules, by name.

    Raises:
        UnsupportedError: a rule that has no exact mode, or an edge that is multiplied out.
        ConfigError: a rule that does not fit its edge.
    """
    return {name: _edge(network, name, levels) for name in network.plasticity}


def _edge(network: Network, name: str, levels: Levels) -> PlasticEdge:
    place = f"{network.source}: plasticity '{name}'"
    rules, node = network.rules(name), network.nodes.get(name)
    misfit = misfit_of(network.nodes, name, rules)
    if misfit:
        keys = "".join(f": {key}" for key in misfit[0])
        raise ConfigError(f"{place}{keys}: {misfit[1]}")
    for rule in rules:
        reason = _reason(rule)
        if reason:
            raise UnsupportedError(
                f"{place}: rule {rule.rule} {reason}; run the network in clocked mode"
            )
    assert isinstance(node, Linear | Projection)
    layer = _layer(network, node, place)
    learns = next((rule for rule in rules if isinstance(rule, KernelRule)), None)
    release = next((rule for rule in rules if isinstance(rule, ShortTerm)), None)
    synapses, target, weight = _synapses(node)
    edge = None
    if learns is not None:
        kind = np.float64 if learns.precision == "double" or synapses.index is None else np.float32
        weight = np.array(np.broadcast_to(weight, target.shape), kind)
        named = next(iter(learns.modulators), None)
        edge = Edge(
            learns,
            synapses,
            weight,
            exact.TICK_S,
            tabled=False,
            modulator=None if named is None else levels.view(named),
            modulator_tau_s=None if named is None else levels.tau_s(named),
        )
    return PlasticEdge(
        synapses=synapses,
        target=target,
        weight=weight,
        delay_s=node.delay_s if isinstance(node, Projection) else 0.0,
        receptor=node.receptor if isinstance(node, Projection) else "",
        layer=layer,
        edge=edge,
        release=None if release is None else Release(release, synapses.sources, exact.TICK_S),
        frozen=learns is not None and learns.frozen,
        lag=0 if learns is None else _ticks(2.0 * learns.dendritic_delay_s),
    )


def _reason(rule: Rule) -> str:
    """Why the exact engine cannot carry out a rule; empty if it can."""
    if rule.clocked_only:
        return rule.clocked_only
    if isinstance(rule, ShortTerm):
        return ""
    if not isinstance(rule, KernelRule) or is_stepped(rule.kernel):
        return "is defined by clock steps"
    return ""


def _layer(network: Network, node: Linear | Projection, place: str) -> Neurons:
    """The layer that an edge leads to. Raises UnsupportedError."""
    layer = target_of(network, node.name)
    if layer is None or not layer.spiking or layer.size != node.size:
        raise UnsupportedError(f"{place}: the edge must lead to one layer of neurons, which spike")
    for before, after in network.edges:
        if after == node.name and not isinstance(network.nodes[before], Input | Neurons):
            raise UnsupportedError(
                f"{place}: in exact mode the edge must begin at an Input or at neurons, not at "
                f"'{before}'"
            )
    return layer


def _synapses(node: Linear | Projection) -> tuple[Synapses, Array, Array]:
    """What an edge joins, the target of each synapse (int32), and the weights by source."""
    if isinstance(node, Projection):
        target = np.ascontiguousarray(node.targets, np.int32)
        rows = np.ascontiguousarray(node.rows)
        synapses = Synapses(rows=rows, index=target, targets=node.size)
        return synapses, target, np.ascontiguousarray(node.weight)
    outputs, inputs = node.weight.shape
    rows = np.arange(0, node.weight.size + 1, outputs, dtype=np.int64)
    target = np.tile(np.arange(outputs, dtype=np.int32), inputs)
    synapses = Synapses(rows=rows, index=None, targets=outputs)
    return synapses, target, np.ascontiguousarray(node.weight.T).reshape(-1)


def _ticks(seconds: float) -> int:
    return round(float(nanoseconds(np.array(seconds))) * 1e-9 / exact.TICK_S)
