"""Whether the rules of an edge fit it: asked by the sidecar, the builder and the backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reflexarc.runtime.network import Linear, Network, Neurons, Node, Projection
from reflexarc.runtime.plasticity import Rule, agreed, contradiction
from reflexarc.runtime.plasticity.rule import Weights

#: What a rule can be for, in words.
_WORDS = {
    "projection": "projection",
    "matrix": "Linear or Affine node",
    "layer": "layer of neurons",
}


def misfit_of(
    nodes: Mapping[str, Node], name: str, rules: Sequence[Rule]
) -> tuple[tuple[str | int, ...], str] | None:
    """What is wrong with the rules of node `name`, as (keys below it, problem); None: nothing.

    The keys are (key,) if there is one rule, (number of the rule, key) if there are several.
    """
    sizes = {node.name: node.size for node in nodes.values()}
    roles: dict[str, str] = {}
    for k, rule in enumerate(agreed(rules)):
        at: tuple[str | int, ...] = (k,) if len(rules) > 1 else ()
        node = nodes.get(name)
        if node is None or place_of(node) not in rule.places:
            return (), _nowhere(nodes, rule)
        wrong = contradiction(rules, k) or rule.misfit(_subject(node), sizes)
        if wrong is not None:
            return (*at, wrong[0]), wrong[1]
        unknown = next((m for m in rule.modulators if m not in nodes), None)
        if unknown is not None:
            return (*at, "modulator"), f"'{unknown}' is not a node of the graph"
        if rule.role in roles:
            return (*at, "rule"), f"{roles[rule.role]} changes the {rule.role} already; keep one"
        roles[rule.role] = rule.rule
    return None


def _subject(node: Node) -> Weights:
    """What the rules of a node change: its weights, or the thresholds of a layer."""
    if isinstance(node, Linear | Projection):
        return node.weight
    return (
        node.parameters.get("v_threshold", np.zeros(0))
        if isinstance(node, Neurons)
        else np.zeros(0)
    )


def place_of(node: Node) -> str:
    """What a node is to a rule."""
    if isinstance(node, Projection):
        return "projection"
    if isinstance(node, Linear):
        return "matrix"
    return "layer" if isinstance(node, Neurons) else ""


def _nowhere(nodes: Mapping[str, Node], rule: Rule) -> str:
    there = ", ".join(n.name for n in nodes.values() if place_of(n) in rule.places)
    what = " or ".join(_WORDS[place] for place in _WORDS if place in rule.places)
    return f"no {what} of that name; there are: {there or 'none'}"


def target_of(network: Network, name: str) -> Neurons | None:
    """The one layer of neurons that an edge leads to, or None."""
    ends = [network.nodes[after] for before, after in network.edges if before == name]
    return ends[0] if len(ends) == 1 and isinstance(ends[0], Neurons) else None
