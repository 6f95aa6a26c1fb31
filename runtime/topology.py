"""The order in which the nodes of a network are evaluated within one clock step."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reflexarc.runtime.network import Network


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
