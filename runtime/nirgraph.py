"""From the nodes and edges of NIR to a `Network`, checked.

Both a .nir file and an in-memory `nir.NIRGraph` arrive here as plain dictionaries of arrays.
`nirnest` brings nested graphs onto one level, `nirnode` reads each node; here shapes are found
along the edges and everything is put together.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from math import prod
from typing import TypeAlias

from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.network import (
    Conv,
    Flatten,
    Linear,
    Network,
    Node,
    Pooling,
    Projection,
)
from reflexarc.runtime.nirdraft import Draft
from reflexarc.runtime.nirnest import Edge, Flat, flatten, without_ports
from reflexarc.runtime.nirnode import MAX_ELEMENTS, RawNode, read_node
from reflexarc.runtime.topology import loose_ends

RawNodes: TypeAlias = Mapping[str, RawNode]
Drafts: TypeAlias = dict[str, Draft]


def build(nodes: RawNodes, edges: Iterable[Edge], source: str) -> Network:
    """Make a network of raw nodes (`type` and parameters by name) and edges.

    A raw node of type NIRGraph has `nodes` and `edges` of its own.

    Raises:
        GraphError: malformed; one line that names `source`, node and parameter.
    """
    flat = flatten(nodes, edges, source)
    drafts = {name: read_node(name, raw, source) for name, raw in flat.nodes.items()}
    _drop_unsized(drafts, flat.edges)
    _infer_shapes(drafts, flat.edges)
    _check_total(drafts, source)
    built = {name: draft.finish() for name, draft in drafts.items() if name not in flat.ports}
    _check_ports(drafts, flat)
    joined = without_ports(flat)
    _check_edges(drafts, joined, source)
    return Network(nodes=built, edges=joined, source=source)


def _drop_unsized(drafts: Drafts, edges: Iterable[Edge]) -> None:
    """Leave out what is connected to nothing and has no size of its own."""
    connected = {name for edge in edges for name in edge}
    for name, draft in list(drafts.items()):
        if name not in connected and draft.shape_out is None and not draft.settle():
            draft.warn("is connected to nothing and has no size; it is left out")
            del drafts[name]


def _infer_shapes(drafts: Drafts, edges: Iterable[Edge]) -> None:
    """Let shapes run along the edges; where none arrives, against them; else a node's own."""
    pairs = [(drafts[before], drafts[after]) for before, after in edges]
    while True:
        _run_forwards(pairs)
        if not (_step_backwards(pairs) or any(draft.settle() for draft in drafts.values())):
            break
    for draft in drafts.values():
        if draft.shape_out is not None:
            draft.warn_if_spread()


def _run_forwards(pairs: list[tuple[Draft, Draft]]) -> None:
    changed = True
    while changed:
        changed = False
        for before, after in pairs:
            if before.shape_out is not None and after.receive(before.shape_out):
                changed = True


def _step_backwards(pairs: list[tuple[Draft, Draft]]) -> bool:
    """Let nodes that keep their shape take that of a successor; whether any did."""
    return any(
        before.receive(after.shape_in)
        for before, after in pairs
        if before.own is not None and before.shape_out is None and after.shape_in is not None
    )


def _check_total(drafts: Drafts, source: str) -> None:
    """Before parameters are spread: a few bytes of file can ask for any amount of memory."""
    total = sum(prod(draft.shape_out or ()) for draft in drafts.values())
    if total > MAX_ELEMENTS:
        raise GraphError(
            f"{source}: {total} elements in all nodes together; at most {MAX_ELEMENTS} are allowed"
        )


def _check_edges(drafts: Drafts, edges: Iterable[Edge], source: str) -> None:
    for before, after in edges:
        misfit = _misfit(drafts, before, after)
        if misfit:
            raise GraphError(
                f"{source}: edge {before} -> {after}: {misfit}; correct one of the shapes"
            )


def _check_ports(drafts: Drafts, flat: Flat) -> None:
    """A port vanishes: where its shape is wrong, nothing else need be."""
    for before, after in flat.edges:
        for name in flat.ports.intersection((before, after)):
            misfit = _misfit(drafts, before, after)
            if misfit:
                drafts[name].warn(f"its shape is not used: {misfit}")


def _misfit(drafts: Drafts, before: str, after: str) -> str:
    """Why what leaves `before` cannot enter `after`, or ""."""
    given, wanted = drafts[before].shape_out, drafts[after].shape_in
    assert given is not None
    assert wanted is not None
    if drafts[after].takes(given):
        return ""
    if prod(given) == prod(wanted):
        return f"'{before}' gives shape {given}, '{after}' takes {wanted}"
    return f"'{before}' gives {prod(given)} values, '{after}' takes {prod(wanted)}"


def warn_of_loose_ends(network: Network) -> None:
    """Warn of every node that no edge leads into or out of; old exporters leave some."""
    for name, missing in loose_ends(network):
        message = f"{network.source}: node '{name}': no edge leads {' or '.join(missing)}"
        warnings.warn(message, UserWarning, stacklevel=2)


def input_size(node: Node) -> int:
    """Number of elements that `node` takes."""
    if isinstance(node, Projection):
        return node.sources
    if isinstance(node, Linear):
        return int(node.weight.shape[1])
    return prod(node.shape_in) if isinstance(node, Conv | Pooling | Flatten) else node.size
