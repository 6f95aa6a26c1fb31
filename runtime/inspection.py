"""What a network is before it runs: nodes, cycles, sizes, memory, expected work, doubts."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import fields
from math import prod
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reflexarc.runtime.batch import Array
from reflexarc.runtime.config import Strict
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.network import (
    Conv,
    Delay,
    Linear,
    Modulator,
    Network,
    Neurons,
    Node,
    Pooling,
    Projection,
)
from reflexarc.runtime.sidecar import load
from reflexarc.runtime.topology import evaluation_order, loose_ends

#: A Dirac that moves v by more than this many thresholds is likely one of the wrong area.
_MANY_THRESHOLDS = 20.0
#: Times are compared within this share of a step.
_GRACE = 1e-6
#: Cycles that are listed; a network may have many.
_MOST_CYCLES = 20
#: Letters in a line of what goes to a file or another command.
_PAGE = 120
#: Nodes that a row of the table names.
_MOST_NAMES = 4
_PREFIXES = ("", "k", "M", "G", "T", "P")


class NodeFacts(Strict):
    """One node: `synapses` that it delivers to, `bytes` that it holds."""

    name: str
    kind: str
    shape: list[int]
    synapses: int
    bytes: int
    says: str


class Work(Strict):
    """What is to be expected if every spiking element fires `rate_hz` spikes a second.

    Attributes:
        synaptic_events_per_s: spikes times the synapses each reaches.
        graded_products_per_step: weights that values, not spikes, pass in every clock step.
        neuron_updates_per_step: in clocked mode; an exact run touches a neuron at an event only.
        neuron_updates_per_s: the same, for steps of dt_s; None if no step is known.
    """

    rate_hz: float
    dt_s: float | None
    synaptic_events_per_s: float
    graded_products_per_step: int
    neuron_updates_per_step: int
    neuron_updates_per_s: float | None


class Inspection(Strict):
    """Everything `reflexarc inspect` says."""

    source: str
    mode: str
    dialect: str
    spike_area: float
    nodes: list[NodeFacts]
    edges: list[tuple[str, str]]
    feedback: list[tuple[str, str]]
    cycles: list[list[str]]
    neurons: int
    synapses: int
    bytes: int
    work: Work
    warnings: list[str]


def inspect(network: Network, *, rate_hz: float = 10.0, dt_s: float | None = None) -> Inspection:
    """Look `network` over. `dt_s` is the clock step to judge by (default: the network's own)."""
    step_s = network.dt_s if dt_s is None else dt_s
    nodes = [_facts(network, node) for node in network.nodes.values()]
    feedback = feedback_edges(network)
    return Inspection(
        source=network.source,
        mode=network.mode,
        dialect=network.dialect,
        spike_area=network.spike_area,
        nodes=nodes,
        edges=list(network.edges),
        feedback=feedback,
        cycles=_cycles(network, feedback),
        neurons=sum(n.size for n in network.nodes.values() if isinstance(n, Neurons)),
        synapses=sum(node.synapses for node in nodes),
        bytes=sum(node.bytes for node in nodes),
        work=_work(network, rate_hz, step_s),
        warnings=list(doubts(network, step_s)),
    )


def inspect_file(path: Path, *, rate_hz: float, dt_s: float | None) -> tuple[Network, Inspection]:
    """Load a network and look it over; what the loader warns of comes first.

    Raises:
        ConfigError: a rate below 0 or a step that is not above it; and what `load` raises.
    """
    if not 0 <= rate_hz < np.inf:
        raise ConfigError(f"--rate {rate_hz:g}: expected a number from 0")
    if dt_s is not None and not 0 < dt_s < np.inf:
        raise ConfigError(f"--dt {dt_s:g}: expected a number above 0")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = load(path)
    found = inspect(network, rate_hz=rate_hz, dt_s=dt_s)
    said = [str(warning.message).removeprefix(f"{path}: ") for warning in caught]
    own = {"source": str(path), "warnings": [*said, *found.warnings]}
    return network, found.model_copy(update=own)


# Sizes.


def kind_of(node: Node) -> str:
    """NIR's name of the node, or ours."""
    match node:
        case Neurons():
            return node.kind
        case Linear() if node.bias is not None:
            return "Affine"
        case Conv():
            return f"Conv{len(node.stride)}d"
        case Pooling():
            return "SumPool2d" if node.kind == "sum" else "AvgPool2d"
    return type(node).__name__


def synapses_of(node: Node) -> int:
    """Weights other than 0 of a node, each as often as it is used."""
    if isinstance(node, Projection):
        return len(node.targets)
    weight = getattr(node, "weight", None)
    if weight is None:
        return 0
    used = prod(node.shape[1:]) if weight.ndim > 2 else 1  # a convolution's, at every place
    return int(np.count_nonzero(weight)) * used


def _facts(network: Network, node: Node) -> NodeFacts:
    rules = ", ".join(rule.rule for rule in network.rules(node.name))
    return NodeFacts(
        name=node.name,
        kind=kind_of(node),
        shape=list(node.shape),
        synapses=synapses_of(node),
        bytes=sum(_held(array) for array in _arrays(node)),
        says="; ".join(part for part in (_says(node), rules) if part),
    )


def _arrays(node: Node) -> Iterator[Array]:
    if isinstance(node, Neurons):
        yield from node.parameters.values()
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            yield value


def _held(array: Array) -> int:
    """Bytes in memory: a number that is spread over all elements counts once."""
    own = [n for n, stride in zip(array.shape, array.strides, strict=True) if stride]
    return int(prod(own)) * array.itemsize


def _says(node: Node) -> str:
    """The parameters of a node in a few words."""
    match node:
        case Neurons():
            shown = {name: _range(values) for name, values in node.parameters.items()}
            return ", ".join(f"{name} {text}" for name, text in shown.items())
        case Projection():
            receptor = f", to {node.receptor}" if node.receptor else ""
            weight = _range(node.weight) if node.weight.size else "none"
            return f"weight {weight}, delay {node.delay_s:g} s{receptor}"
        case Linear():
            return f"weight {_range(node.weight)}"
        case Modulator(tau_s=None):
            return "for learning"
        case Modulator():
            return f"for learning, tau_s {node.tau_s:g}"
        case Delay():
            return f"delay {_range(node.delay_s)} s"
    return ""


def _range(values: Array) -> str:
    low, high = values.min(), values.max()
    return f"{low:.4g}" if low == high else f"{low:.3g} to {high:.3g}"


# Cycles.


def feedback_edges(network: Network) -> list[tuple[str, str]]:
    """The edges that lead backwards in the order in which nodes are evaluated."""
    position = {name: k for k, name in enumerate(evaluation_order(network))}
    return [(a, b) for a, b in network.edges if position[a] >= position[b]]


def _cycles(network: Network, feedback: list[tuple[str, str]]) -> list[list[str]]:
    """For each edge that leads back the shortest cycle it closes, some of them at most."""
    after: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in network.edges:
        after[source].append(target)
    return [_path(after, target, source) for source, target in feedback[:_MOST_CYCLES]]


def _path(after: dict[str, list[str]], start: str, end: str) -> list[str]:
    """The shortest way from `start` to `end`, which there is."""
    came_from = {start: start}
    pending = deque([start])
    while end not in came_from:
        name = pending.popleft()
        for following in after[name]:
            if following not in came_from:
                came_from[following] = name
                pending.append(following)
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


# Work.


def _work(network: Network, rate_hz: float, dt_s: float | None) -> Work:
    events, products = 0.0, 0
    for name, node in network.nodes.items():
        synapses = synapses_of(node)
        before = [source for source, target in network.edges if target == name]
        if synapses and before:
            if all(network.is_spiking(source) for source in before):
                events += synapses * rate_hz
            else:
                products += synapses
    updates = sum(n.size for n in network.nodes.values() if isinstance(n, Neurons))
    return Work(
        rate_hz=rate_hz,
        dt_s=dt_s,
        synaptic_events_per_s=events,
        graded_products_per_step=products,
        neuron_updates_per_step=updates,
        neuron_updates_per_s=None if dt_s is None else updates / dt_s,
    )


# Doubts.


def doubts(network: Network, dt_s: float | None) -> Iterator[str]:
    """What is allowed and yet likely not meant, one line each, that names the node."""
    for node in network.nodes.values():
        if isinstance(node, Neurons):
            yield from _doubts_of_neurons(node, network, dt_s)
        yield from _doubts_of_delay(node, dt_s)
    yield from _dangling(network)
    if dt_s is not None and network.spike_area not in (1.0, dt_s):
        yield (
            f"spike_area {network.spike_area:g} is neither 1 nor the step of {dt_s:g} s: an exact "
            "run and a clocked one will differ"
        )


def _doubts_of_neurons(node: Neurons, network: Network, dt_s: float | None) -> Iterator[str]:
    for name, values in node.parameters.items():
        if not name.startswith("tau"):
            continue
        if values.max() > 1.0:
            yield (
                f"node '{node.name}': {name} is up to {values.max():g} s; if the graph counts "
                "in milliseconds, load it with time_unit ms"
            )
        if dt_s is not None and values.min() < dt_s * (1 - _GRACE):
            yield f"node '{node.name}': {name} {values.min():g} s is below the step of {dt_s:g} s"
    v = node.parameters
    if "v_reset" in v and (v["v_reset"] >= v["v_threshold"]).any() and node.kind != "AdEx":
        yield (
            f"node '{node.name}': v_threshold is not above v_reset; the neuron will fire "
            "without end"
        )
    if node.kind == "LIF" and network.mode == "exact":
        yield from _doubts_of_area(node, network.spike_area)


def _doubts_of_area(node: Neurons, spike_area: float) -> Iterator[str]:
    v = node.parameters
    gap = np.abs(v["v_threshold"] - v["v_leak"])
    jump = float(np.median(np.abs(v["r"]) * spike_area / v["tau"] / np.maximum(gap, 1e-300)))
    if jump > _MANY_THRESHOLDS:
        yield (
            f"node '{node.name}': a spike of weight 1 and spike_area {spike_area:g} moves v by "
            f"{jump:.3g} thresholds; a graph trained with a clock step needs that as spike_area"
        )


def _doubts_of_delay(node: Node, dt_s: float | None) -> Iterator[str]:
    if dt_s is None or not isinstance(node, Delay | Projection):
        return
    steps = np.atleast_1d(node.delay_s) / dt_s
    odd = np.abs(steps - np.rint(steps)) > _GRACE
    if odd.any():
        yield (
            f"node '{node.name}': a delay of {steps[odd][0] * dt_s:g} s is no whole number of "
            f"steps of {dt_s:g} s"
        )


def _dangling(network: Network) -> Iterator[str]:
    for name, missing in loose_ends(network):
        yield f"node '{name}': no edge leads {' or '.join(missing)}"


# As text.


def console() -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PAGE)


def show(inspection: Inspection, console: Console) -> None:
    """Print it."""
    console.print(_node_table(inspection))
    for line in _lines(inspection):
        console.print(Text(line))
    for warning in inspection.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))


def _node_table(inspection: Inspection) -> Table:
    back = set(inspection.feedback)
    table = Table(title=Text(inspection.source), title_justify="left", box=None, pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("kind")
    table.add_column("shape", justify="right")
    table.add_column("synapses", justify="right")
    table.add_column("memory", justify="right")
    table.add_column("leads to", overflow="fold")
    table.add_column("parameters", overflow="fold")
    for node in inspection.nodes:
        after = [
            f"{target} (back)" if (source, target) in back else target
            for source, target in inspection.edges
            if source == node.name
        ]
        table.add_row(
            Text(node.name),
            node.kind,
            " x ".join(map(str, node.shape)),
            f"{node.synapses:,}" if node.synapses else "",
            scaled(node.bytes, "B") if node.bytes else "",
            Text(", ".join(after[:_MOST_NAMES]) + (", ..." if len(after) > _MOST_NAMES else "")),
            Text(node.says),
        )
    return table


def _lines(inspection: Inspection) -> Iterator[str]:
    work = inspection.work
    yield ""
    yield (
        f"runs     {inspection.mode}, dialect {inspection.dialect}, "
        f"spike_area {inspection.spike_area:g}"
    )
    yield (
        f"size     {inspection.neurons:,} neurons, {inspection.synapses:,} synapses, "
        f"{scaled(inspection.bytes, 'B')}"
    )
    yield (
        f"work     at {work.rate_hz:g} Hz: {scaled(work.synaptic_events_per_s)} synaptic "
        f"events/s; clocked: {work.neuron_updates_per_step:,} neuron updates a step"
        + ("" if work.dt_s is None else f" of {work.dt_s:g} s")
    )
    if work.neuron_updates_per_s is not None:
        yield f"         {scaled(work.neuron_updates_per_s)} neuron updates/s in real time"
    if work.graded_products_per_step:
        yield f"         {work.graded_products_per_step:,} weights pass values in every step"
    for cycle in inspection.cycles:
        yield f"cycle    {' -> '.join([*cycle, cycle[0]])}"


def scaled(number: float, unit: str = "") -> str:
    """`number` with three digits and a prefix: 1234567 is `1.23 M`."""
    for prefix in _PREFIXES:
        if number < 999.5 or prefix == _PREFIXES[-1]:
            break
        number /= 1000
    return f"{number:.3g} {prefix}{unit}".rstrip()
