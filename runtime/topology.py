"""Which nodes of a network are evaluated first within one clock step, and which lead back."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.network import GENERATORS, Input, Modulator, Network, Neurons, Output


def evaluation_order(network: Network, holding: Collection[str] = ()) -> list[str]:
    """Names of all nodes, sources first.

    Depth-first from the Inputs and then from the other nodes, in the order of the file, so that
    it does not depend on the order of the edges. An edge that leads backwards in this order is
    one that closes a cycle. Nodes in `holding` depend on earlier steps only (a Delay of a step or
    more): edges into them close no cycle.
    """
    after: dict[str, list[str]] = {name: [] for name in network.nodes}
    position = {name: k for k, name in enumerate(network.nodes)}
    for source, target in sorted(network.edges, key=lambda edge: position[edge[1]]):
        if target not in holding:
            after[source].append(target)
    finished: list[str] = []
    seen: set[str] = set()
    for root in [node.name for node in network.inputs()] + list(network.nodes):
        if root not in seen:
            seen.add(root)
            _visit(root, after, seen, finished)
    return finished[::-1]


def recurrent_onto_one_layer(network: Network) -> frozenset[str]:
    """Names of the nodes that stand between a layer of neurons and itself, no other between."""
    after: dict[str, list[str]] = {name: [] for name in network.nodes}
    before: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in network.edges:
        after[source].append(target)
        before[target].append(source)
    found: set[str] = set()
    for node in network.nodes.values():
        if isinstance(node, Neurons):
            found |= _between(node.name, after, network) & _between(node.name, before, network)
    return frozenset(found)


def _between(layer: str, following: dict[str, list[str]], network: Network) -> set[str]:
    """Nodes other than neurons that `layer` leads to through nothing but such nodes."""
    seen: set[str] = set()
    pending = [layer]
    while pending:
        for name in following[pending.pop()]:
            if name not in seen and not isinstance(network.nodes[name], Neurons):
                seen.add(name)
                pending.append(name)
    return seen


def _visit(root: str, after: dict[str, list[str]], seen: set[str], finished: list[str]) -> None:
    """Append `root` and what it leads to to `finished`, deepest first."""
    path: list[tuple[str, Iterator[str]]] = [(root, iter(after[root]))]
    while path:
        name, rest = path[-1]
        following = next((n for n in rest if n not in seen), None)
        if following is None:
            finished.append(name)
            path.pop()
        else:
            seen.add(following)
            path.append((following, iter(after[following])))


def check_modulators(network: Network) -> None:
    """No edge leads to or from a Modulator. Raises GraphError, which names the edge."""
    for before, after in network.edges:
        for name in (before, after):
            if isinstance(network.nodes.get(name), Modulator):
                raise GraphError(
                    f"{network.source}: edge {before} -> {after}: '{name}' is a modulator, which "
                    "rules name; make it an Input to lead it to neurons"
                )


def loose_ends(network: Network) -> Iterator[tuple[str, list[str]]]:
    """Nodes that no edge leads into or out of, and which of the two is missing.

    A modulator of learning is heard without an edge; generators take no input, and a Modulator
    has no edges.
    """
    fed = {after for _, after in network.edges}
    heard = {before for before, _ in network.edges}
    for edge in network.plasticity:
        for rule in network.rules(edge):
            heard.update(rule.modulators)
    for name, node in network.nodes.items():
        if isinstance(node, Modulator):
            continue
        takes_nothing = isinstance(node, Neurons) and node.kind in GENERATORS
        missing = []
        if name not in fed and not (isinstance(node, Input) or takes_nothing):
            missing.append("into it")
        if name not in heard and not isinstance(node, Output):
            missing.append("out of it")
        if missing:
            yield name, missing
