"""Graphs within graphs: flattened at load, and their ports joined away.

An inner node `b` of the graph `a` becomes `a.b`. The Inputs and Outputs of an inner graph stay as
ports while shapes are found, since they tell some, and then vanish: what led into a port leads on
to what the port led to. An edge names a graph and not its ports, so a graph that an edge leads into
needs exactly one Input, and one that an edge leads out of exactly one Output; where there are
several, an edge may name the port, `a.b`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.nirnode import RawNode, text

#: Graphs nested deeper than this are taken for damage.
MAX_DEPTH = 32

Edge: TypeAlias = tuple[str, str]


@dataclass
class Flat:
    """All nodes of all graphs by their full name, and which are the ports of inner graphs."""

    source: str
    nodes: dict[str, RawNode] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    ports: set[str] = field(default_factory=set)


def flatten(nodes: Mapping[str, RawNode], edges: Iterable[Edge], source: str) -> Flat:
    """Bring every graph within `nodes` onto one level.

    Raises:
        GraphError: an edge to nowhere, into an Input or out of an Output, or one that does not
            tell which port it means; two nodes of one name.
    """
    flat = Flat(source)
    _add(flat, nodes, edges, "", 0)
    return flat


def _add(
    flat: Flat, nodes: Mapping[str, RawNode], edges: Iterable[Edge], prefix: str, depth: int
) -> None:
    if depth > MAX_DEPTH:
        raise GraphError(f"{flat.source}: graphs are nested deeper than {MAX_DEPTH} at '{prefix}'")
    for name, raw in nodes.items():
        full = prefix + name
        if _is_graph(raw):
            inner, inner_edges = _inside(raw, full, flat.source)
            _add(flat, inner, inner_edges, f"{full}.", depth + 1)
            continue
        if full in flat.nodes:
            raise GraphError(f"{flat.source}: two nodes are named '{full}'; rename one")
        flat.nodes[full] = raw
        if prefix and _type(raw) in ("Input", "Output"):
            flat.ports.add(full)
    for before, after in edges:
        level = _Level(
            flat, nodes, prefix, f"{flat.source}: edge {prefix}{before} -> {prefix}{after}"
        )
        edge = level.end(before, "Output"), level.end(after, "Input")
        if edge in flat.edges:
            warnings.warn(f"{level.where} is given twice", UserWarning, stacklevel=2)
        flat.edges[edge] = None


def _inside(raw: RawNode, name: str, source: str) -> tuple[Mapping[str, RawNode], list[Edge]]:
    """Nodes and edges of the graph `name`."""
    nodes, edges = raw.get("nodes"), raw.get("edges")
    for part, value in (("nodes", nodes), ("edges", edges)):
        if value is None:
            raise GraphError(f"{source}: node '{name}', parameter '{part}': is missing")
    assert isinstance(nodes, Mapping)
    return nodes, [(text(before), text(after)) for before, after in edges or []]


@dataclass
class _Level:
    """One graph, whose edges are read."""

    flat: Flat
    nodes: Mapping[str, RawNode]
    prefix: str
    where: str

    def end(self, name: str, port: str) -> str:
        """Full name of one end of an edge; of a graph it is its only `port`."""
        if name not in self.nodes:
            return self._named_port(name, port)
        if not _is_graph(self.nodes[name]):
            self._check_direction(name, port)
            return self.prefix + name
        inner = self.nodes[name]["nodes"]
        found = [child for child, raw in inner.items() if _type(raw) == port]
        if len(found) != 1:
            raise GraphError(
                f"{self.where}: graph '{name}' has {len(found)} nodes of type {port} "
                f"({', '.join(found) or 'none'}); "
                + (f"name one, as '{name}.{found[0]}'" if found else f"give it an {port}")
            )
        return f"{self.prefix}{name}.{found[0]}"

    def _named_port(self, name: str, port: str) -> str:
        full = self.prefix + name
        if full not in self.flat.ports or _type(self.flat.nodes[full]) != port:
            names = list(self.nodes)
            listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise GraphError(f"{self.where}: there is no node '{full}'; nodes are {listed}")
        return full

    def _check_direction(self, name: str, port: str) -> None:
        if _type(self.nodes[name]) == ("Input" if port == "Input" else "Output"):
            raise GraphError(f"{self.where}: nothing may lead into an Input or out of an Output")


def without_ports(flat: Flat) -> tuple[Edge, ...]:
    """The edges between nodes that stay, what stood between ports joined.

    Raises:
        GraphError: a loop of ports alone, or two ways between two nodes that would become one.
    """
    after: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for before, name in flat.edges:
        after[before].append(name)
    joined: dict[Edge, None] = {}
    for edge in flat.edges:
        if edge[0] in flat.ports:
            continue
        for end in _ends(edge[1], after, flat, ()):
            if (edge[0], end) in joined:
                raise GraphError(
                    f"{flat.source}: two ways lead from '{edge[0]}' to '{end}' through ports "
                    f"alone; put a Scale into one"
                )
            joined[edge[0], end] = None
    return tuple(joined)


def _ends(
    name: str, after: Mapping[str, list[str]], flat: Flat, path: tuple[str, ...]
) -> list[str]:
    """Where what reaches `name` arrives: `name` itself unless it is a port."""
    if name not in flat.ports:
        return [name]
    if name in path:
        raise GraphError(f"{flat.source}: the ports {' -> '.join(path)} lead in a circle")
    return [end for then in after[name] for end in _ends(then, after, flat, (*path, name))]


def _is_graph(raw: RawNode) -> bool:
    return _type(raw) == "NIRGraph"


def _type(raw: Any) -> str:
    return text(raw.get("type"))
