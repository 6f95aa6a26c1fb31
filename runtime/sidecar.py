"""The sidecar: a YAML file beside a NIR graph that says what NIR cannot. And `load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from reflexarc.runtime import nirfile
from reflexarc.runtime.arrays import read_arrays
from reflexarc.runtime.batch import Array
from reflexarc.runtime.beyond import Entry, Told, check_edges, node_of, values_of
from reflexarc.runtime.config import Document, Strict, read_yaml
from reflexarc.runtime.dialect import named
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.learning import misfit_of
from reflexarc.runtime.network import (
    Delay,
    FloatArray,
    Mode,
    Modulator,
    Network,
    Neurons,
    Node,
)
from reflexarc.runtime.neurons import misfit
from reflexarc.runtime.nirgraph import warn_of_loose_ends
from reflexarc.runtime.nirnode import MAX_ELEMENTS
from reflexarc.runtime.plasticity import Rule, own_rules

_SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class ModulatorEntry(Strict):
    """A port of `size` lines that rules of learning name; see `Modulator` for tau_s."""

    size: int = Field(default=1, ge=1, le=MAX_ELEMENTS)
    tau_s: float | None = Field(default=None, gt=0)


class Sidecar(Strict):
    """The keys of a sidecar file.

    Attributes:
        graph: path of the .nir file, relative to the sidecar.
        spike_area: charge of the Dirac that a spike delivers in exact mode (value times seconds).
        time_unit: the unit of the graph's times; they are scaled to seconds.
        mode, dialect, dt_s: how to run it unless the caller says otherwise.
        seed: of everything random in it.
        initial_v: first voltage by layer: one number, one for each neuron, or `array`.
        plasticity: learning rule, or a list of rules that stack, by name of the Linear or Affine
            node, of the projection or of the layer; a rule's keys are those of its class.
        refractory: seconds that v is held after a spike, by layer of a kind that NIR has: one
            number, or `array`.
        modulators: ports for rewards, errors and neuromodulators, in seconds; no edge reaches them.
        nodes: what NIR has no word for, in seconds whatever the time_unit; see `beyond`.
        order: all nodes in their order; needed beside nodes, else modulators come last.
        edges: all edges, if there are such nodes.
        arrays: path of an .npz file, relative to the sidecar, with NODE/KEY for what is large.
    """

    graph: str
    spike_area: float = Field(default=1.0, gt=0)
    time_unit: Literal["s", "ms", "us"] = "s"
    mode: Mode = "exact"
    dialect: str = "reflexarc"
    dt_s: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**64)
    initial_v: dict[str, Told | list[float]] = Field(default_factory=dict)
    plasticity: dict[str, dict[str, Any] | list[dict[str, Any]]] = Field(default_factory=dict)
    refractory: dict[str, Told] = Field(default_factory=dict)
    modulators: dict[str, ModulatorEntry] = Field(default_factory=dict)
    nodes: dict[str, Entry] = Field(default_factory=dict)
    order: list[str] | None = None
    edges: list[Annotated[list[str], Field(min_length=2, max_length=2)]] | None = None
    arrays: str | None = None


def load(
    source: str | Path | Any,
    *,
    spike_area: float | None = None,
    time_unit: str | None = None,
    mode: str | None = None,
    dialect: str | None = None,
    dt_s: float | None = None,
) -> Network:
    """Load a network from a .nir file, a sidecar .yaml, or an in-memory `nir.NIRGraph`.

    An argument overrides what the sidecar says (see `Sidecar` for the meaning and the defaults).

    Raises:
        MissingFileError: there is no such file.
        GraphError: the graph is malformed; names file, node and parameter.
        ConfigError: a wrong key or value; names file, line and key, or the argument.
        UnsupportedError: an unknown dialect.
    """
    given = {
        "spike_area": spike_area,
        "time_unit": time_unit,
        "mode": mode,
        "dialect": dialect,
        "dt_s": dt_s,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    if not isinstance(source, (str, Path)):
        if not (hasattr(source, "nodes") and hasattr(source, "edges")):
            raise ConfigError(f"load: expected a path or a NIRGraph, not {type(source).__name__}")
        return _attach(nirfile.from_graph(source), _from_arguments(overrides))
    path = Path(source)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return _attach(nirfile.read(path), _from_arguments(overrides))
    document = read_yaml(path)
    sidecar = document.validate(Sidecar)
    graph = document.file(path.parent, ("graph",), sidecar.graph)
    arrays: dict[str, Array] = {}
    if sidecar.arrays is not None:
        arrays = read_arrays(document.file(path.parent, ("arrays",), sidecar.arrays))
    network = _joined(graph, sidecar, arrays, document)
    if overrides:
        document = Document(str(path), {**document.data, **overrides}, document.lines)
    network = _attach(network, document, arrays)
    if arrays:
        document.fail(("arrays",), f"'{next(iter(arrays))}' is not needed; remove it")
    return network


def files_of(path: Path) -> list[Path]:
    """The files that `load` reads for a path: a graph, or a sidecar, its graph and its arrays.

    Raises as `load`.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        return [path]
    sidecar = read_yaml(path).validate(Sidecar)
    return [path, *(path.parent / name for name in (sidecar.graph, sidecar.arrays) if name)]


def _joined(path: Path, sidecar: Sidecar, arrays: dict[str, Array], document: Document) -> Network:
    """The graph of `path` with the nodes that only the sidecar has."""
    graph = nirfile.read(path)
    if not sidecar.nodes and sidecar.edges is not None:
        document.fail(("edges",), "is only for sidecars with nodes; remove it")
    if not (sidecar.nodes or sidecar.modulators):
        if sidecar.order is not None:
            document.fail(("order",), "is only for sidecars with nodes; remove it")
        return graph
    if sidecar.nodes and (sidecar.edges is None or sidecar.order is None):
        document.fail(("nodes",), "need all edges and the order of all nodes beside them")
    nodes = _all_nodes(graph, path, sidecar, arrays, document)
    order = list(nodes) if sidecar.order is None else sidecar.order
    if sorted(order) != sorted(nodes):
        document.fail(("order",), "must name every node of the graph and of the sidecar once")
    ordered = {name: nodes[name] for name in order}
    if sidecar.edges is None:
        return replace(graph, nodes=ordered)
    edges = tuple((before, after) for before, after in sidecar.edges)
    inner = {edge for edge in edges if not sidecar.nodes.keys() & set(edge)}
    odd = inner.symmetric_difference(graph.edges)
    if odd:
        before, after = min(odd)
        document.fail(("edges",), f"{before} -> {after} must be in {path.name} and here")
    network = replace(graph, nodes=ordered, edges=edges, source=document.source)
    check_edges(network, document.fail)
    return network


def _all_nodes(
    graph: Network, path: Path, sidecar: Sidecar, arrays: dict[str, Array], document: Document
) -> dict[str, Node]:
    """The nodes of the graph, and behind them those of the sidecar."""
    nodes = dict(graph.nodes)
    for key, names in (("nodes", sidecar.nodes), ("modulators", sidecar.modulators)):
        for name in names:
            if name in nodes:
                there = path.name if name in graph.nodes else "nodes"
                document.fail((key, name), f"is in {there} too; keep one")
        for name in names:
            if key == "nodes":
                nodes[name] = node_of(name, sidecar.nodes[name], arrays, document.fail)
            else:
                said = sidecar.modulators[name]
                nodes[name] = Modulator(name=name, shape=(said.size,), tau_s=said.tau_s)
    return nodes


def _from_arguments(overrides: dict[str, Any]) -> Document:
    return Document("load", {"graph": "", **overrides}, {})


def _attach(
    network: Network, document: Document, arrays: dict[str, Array] | None = None
) -> Network:
    """Join a graph with what `document` says about it and has in its arrays."""
    sidecar = document.validate(Sidecar)
    arrays = {} if arrays is None else arrays
    try:
        named(sidecar.dialect)
    except UnsupportedError as error:
        raise UnsupportedError(f"{document.where(('dialect',))}: {error}") from None
    plasticity = {
        name: _rules(network, name, said, document) for name, said in sidecar.plasticity.items()
    }
    unit_s = _SECONDS[sidecar.time_unit]
    nodes = {
        name: node if name in sidecar.nodes else _in_seconds(node, unit_s)
        for name, node in network.nodes.items()
    }
    attached = replace(
        network,
        nodes=nodes | _with_refractory(nodes, sidecar, arrays, document),
        spike_area=sidecar.spike_area,
        seed=sidecar.seed,
        mode=sidecar.mode,
        dialect=sidecar.dialect,
        dt_s=sidecar.dt_s,
        initial_v={
            name: _voltages(network, name, said, arrays, document)
            for name, said in sidecar.initial_v.items()
        },
        plasticity=plasticity,
    )
    warn_of_loose_ends(attached)
    return attached


def _rules(network: Network, name: str, said: Any, document: Document) -> Rule | tuple[Rule, ...]:
    """The rules declared for a node, which they fit."""
    path: tuple[str | int, ...] = ("plasticity", name)
    if isinstance(said, list):
        rules = [_rule(rule, (*path, k), document) for k, rule in enumerate(said)]
    else:
        rules = [_rule(said, path, document)]
    if not rules:
        document.fail(path, "no rule; remove the key")
    misfit = misfit_of(network.nodes, name, rules)
    if misfit:
        document.fail((*path, *misfit[0]), misfit[1])
    return tuple(rules) if isinstance(said, list) else rules[0]


def _rule(said: Mapping[str, Any], path: tuple[str | int, ...], document: Document) -> Rule:
    known = own_rules()
    if said.get("rule") not in known:
        what = f"'{said['rule']}' is not known" if "rule" in said else "required key is missing"
        document.fail((*path, "rule"), f"{what}; there are: {', '.join(sorted(known))}")
    return document.validate(known[said["rule"]], path)


def _with_refractory(
    nodes: Mapping[str, Node],
    sidecar: Sidecar,
    arrays: dict[str, Array],
    document: Document,
) -> dict[str, Node]:
    """The layers that have a refractory time, with it."""
    found: dict[str, Node] = {}
    for name, said in sidecar.refractory.items():
        node, path = nodes.get(name), ("refractory", name)
        if name in sidecar.nodes or not isinstance(node, Neurons) or not node.spiking:
            document.fail(path, "no layer of neurons of that name that NIR has and that spikes")
        values = values_of(name, "refractory", node.size, said, arrays, path, document.fail)
        wrong = misfit(node.kind, {"refractory": values})
        if wrong:
            document.fail(path, wrong[1])
        found[name] = replace(node, parameters={**node.parameters, "refractory": values})
    return found


def _voltages(
    network: Network,
    name: str,
    said: Told | list[float],
    arrays: dict[str, Array],
    document: Document,
) -> FloatArray:
    node, path = network.nodes.get(name), ("initial_v", name)
    if not isinstance(node, Neurons):
        layers = ", ".join(n.name for n in network.nodes.values() if isinstance(n, Neurons))
        document.fail(path, f"no layer of neurons of that name; there are: {layers or 'none'}")
    if not isinstance(said, list):
        return values_of(name, "initial_v", node.size, said, arrays, path, document.fail)
    if len(said) != node.size:
        document.fail(path, f"{len(said)} voltages for {node.size} neurons")
    return np.array(said, np.float64)


def _in_seconds(node: Node, unit_s: float) -> Node:
    """`node` with times in units of `unit_s` scaled to seconds."""
    if unit_s == 1.0:
        return node
    if isinstance(node, Delay):
        return replace(node, delay_s=node.delay_s * unit_s)
    if not isinstance(node, Neurons):
        return node
    scaled = {
        name: value * unit_s if name.startswith("tau") else value
        for name, value in node.parameters.items()
    }
    if node.kind in ("IF", "I"):  # dv/dt = r I: here r is a rate
        scaled["r"] = scaled["r"] / unit_s
    return replace(node, parameters=scaled)
