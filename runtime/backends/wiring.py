"""How a network lies in the arrays of the exact engine, and what that engine refuses.

What stands between two layers (any chain of Linear, Affine, Scale, convolution, pool, Flatten and
Delay) is multiplied out into synapses, each with a weight and a delay, and compressed by source.
The synapses of a Projection are used as they lie. An edge that learns or tires has rows of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np
import numpy.typing as npt

from reflexarc.ext import exact
from reflexarc.runtime.backends.exactedges import PlasticEdge, modulator_levels, plastic_edges
from reflexarc.runtime.backends.instant import nanoseconds
from reflexarc.runtime.backends.projections import check_arrays
from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError, UnsupportedError
from reflexarc.runtime.linearmap import LinearNode, bias_of, sparse_rows
from reflexarc.runtime.network import (
    GENERATORS,
    NEURON_PARAMETERS,
    OWN_PARAMETERS,
    RECEPTORS,
    Delay,
    FloatArray,
    Input,
    Linear,
    Network,
    NeuronKind,
    Neurons,
    Node,
    Output,
    Projection,
)
from reflexarc.runtime.nirgraph import input_size
from reflexarc.runtime.topology import check_modulators

#: Shorter delays are refused: a loop of them would stand still.
SHORTEST_DELAY_S = 1e-12
#: Longer ones than three decades are taken for a mistake of unit.
LONGEST_DELAY_S = 1e9

#: The engine's kind of unit for each kind of neuron.
KINDS: Mapping[NeuronKind, int] = {
    "LIF": exact.LEAKY,
    "LI": exact.LEAKY,
    "CubaLIF": exact.CURRENT_BASED,
    "CubaLI": exact.CURRENT_BASED,
    "IF": exact.INTEGRATOR,
    "I": exact.INTEGRATOR,
    "ALIF": exact.ADAPTIVE,
    "DeltaLIF": exact.LEAKY,
    "ExpLIF": exact.EXPONENTIAL,
    "AlphaLIF": exact.ALPHA,
    "Poisson": exact.POISSON,
    "Regular": exact.REGULAR,
}
#: What a synapse acts on, by receptor.
RECEIVERS = {
    "input": exact.TO_INPUT,
    "jump": exact.TO_VOLTAGE,
    "excitatory": exact.TO_FIRST,
    "inhibitory": exact.TO_SECOND,
}
#: The engine's name of a parameter that has another one.
FIELDS = {
    "tau_mem": "tau",
    "tau_syn": "tau_syn1",
    "tau_excitatory": "tau_syn1",
    "tau_inhibitory": "tau_syn2",
    "period": "interval",
}


def build_engine(network: Network) -> tuple[exact.ExactEngine, Wiring]:
    """Lay `network` into a new engine, its constant currents switched on at time 0.

    Raises:
        UnsupportedError: a node, a rule, a graded edge or a zero-delay loop.
        GraphError: an edge between nodes that do not fit, or a neuron without a meaning.
    """
    _check_nodes(network)
    _check_edges(network)
    wiring = Wiring(network)
    fibres_of, fibres, bundles = _fibres(network, wiring)
    models, model_of = _models(network, wiring)
    engine = exact.ExactEngine(
        models=models,
        model_of=model_of,
        v=_first_voltages(network, wiring),
        random=_random_states(network.seed, wiring.units),
        fibres_of=fibres_of,
        fibres=fibres,
        bundles=bundles,
        layer_first=np.array([wiring.first_unit[name] for name in wiring.order], np.int64),
        spike_area=network.spike_area,
        edges=[_listening(k, edge, wiring) for k, edge in enumerate(wiring.plastic.values())],
        levels=wiring.levels.level,
        levels_of=wiring.levels.of,
    )
    _send_biases(network, wiring, engine)
    return engine, wiring


class Wiring:
    """Where everything of a network stands in the engine's arrays.

    Attributes:
        layers: the Neurons by name, in topological order.
        order: names of layers, then outputs; the engine's numbering of layers.
        first_unit: first unit of each of these.
        first_source: first source of each layer, Input, and node with a bias.
        no_current: Inputs that reach what a current cannot act on, and what that is.
        relays: what stands between them.
        levels: what the modulators show that rules name.
        no_spikes: those of them whose level is what is given.
        plastic: edges that learn or tire, by name; numbered in this order.
        shown: by graded Output, the layer whose voltage it shows.
    """

    def __init__(self, network: Network) -> None:
        self.levels = modulator_levels(network)
        self.plastic = plastic_edges(network, self.levels)
        self.relays = Relays(network)
        nodes = [network.nodes[name] for name in _topological(network)]
        self.layers = {node.name: node for node in nodes if isinstance(node, Neurons)}
        ports = network.outputs()
        biased = [node for node in nodes if _is_biased(node)]
        senders = [*self.layers.values(), *network.inputs(), *biased]
        self.order = [*self.layers, *(port.name for port in ports)]
        self.first_unit = _number([*self.layers.values(), *ports])
        self.first_source = _number(senders)
        self._size = {name: network.nodes[name].size for name in self.order}
        self.neurons = sum(layer.size for layer in self.layers.values())
        self.units = self.neurons + sum(port.size for port in ports)
        self.sources = sum(node.size for node in senders)
        self.no_current = {
            port.name: end for port in network.inputs() if (end := self.relays.spikes_only(port))
        }
        decaying = {name for name in self.levels.numbers if self.levels.tau_s(name) is not None}
        self.no_current |= dict.fromkeys(sorted(decaying), "a modulator with a tau_s")
        self.no_spikes = self.levels.numbers.keys() - decaying
        self.shown = {
            after: before for before, after in network.edges if _is_graded(network.nodes[before])
        }

    def units_of(self, name: str) -> tuple[int, int]:
        """First unit of a layer or Output, and the one after its last."""
        first = self.first_unit[name]
        return first, first + self._size[name]

    def locate(self, unit: int) -> tuple[str, int]:
        """Layer and index of `unit`."""
        name = max(
            (name for name in self.order if self.first_unit[name] <= unit),
            key=self.first_unit.__getitem__,
        )
        return name, unit - self.first_unit[name]


def _number(nodes: Sequence[Node]) -> dict[str, int]:
    """Where each node begins when their elements stand one after another."""
    first = np.cumsum([0, *(node.size for node in nodes)])
    return {node.name: int(begin) for node, begin in zip(nodes, first, strict=False)}


def _check_nodes(network: Network) -> None:
    for node in network.nodes.values():
        if isinstance(node, Neurons):
            _check_neurons(network, node)
        elif isinstance(node, Delay):
            _check_delay(network, node)
        elif isinstance(node, Linear):
            _check_linear(network, node)
        elif isinstance(node, Projection):
            _check_projection(network, node)
        elif not isinstance(node, Input | Output | LinearNode):
            raise UnsupportedError(
                f"{network.source}: {node.name}: the exact backend cannot run a "
                f"{type(node).__name__}; use the clocked backend"
            )


def _check_neurons(network: Network, node: Neurons) -> None:
    where = f"{network.source}: {node.name}"
    if node.kind not in KINDS:
        raise UnsupportedError(
            f"{where}: {node.kind} has no closed form, which the exact backend needs; use the "
            f"clocked backend"
        )
    missing = [name for name in NEURON_PARAMETERS[node.kind] if name not in node.parameters]
    if missing:
        raise GraphError(f"{where}: {node.kind} needs {missing[0]}")
    for name, values in node.parameters.items():
        if values.shape != (node.size,) or not np.isfinite(values).all():
            raise GraphError(f"{where}: {name} must be {node.size} finite numbers")
        if name.startswith("tau") and not (values > 0).all():
            raise GraphError(f"{where}: {name} must be above 0")
        if name in ("phase", "rate") and not (values >= 0).all():
            raise GraphError(f"{where}: {name} must not be negative")
        if name == "refractory" and not ((values == 0) | (values >= SHORTEST_DELAY_S)).all():
            raise GraphError(f"{where}: refractory must be 0, or at least {SHORTEST_DELAY_S} s")
        if name == "period" and not (values >= SHORTEST_DELAY_S).all():
            raise GraphError(f"{where}: period must be at least {SHORTEST_DELAY_S} s")
    if "v_threshold" not in node.parameters:
        return
    if not (node.parameters["v_reset"] < node.parameters["v_threshold"]).all():
        raise GraphError(
            f"{where}: v_reset must be below v_threshold; the neuron would fire without end"
        )


def _check_linear(network: Network, node: Linear) -> None:
    bias = np.zeros(node.size) if node.bias is None else node.bias
    if node.weight.ndim != 2 or len(node.weight) != node.size or bias.shape != (node.size,):
        raise GraphError(
            f"{network.source}: {node.name}: weight and bias must have {node.size} rows"
        )
    if not (np.isfinite(node.weight).all() and np.isfinite(bias).all()):
        raise GraphError(f"{network.source}: {node.name}: every weight and bias must be finite")


def _check_projection(network: Network, node: Projection) -> None:
    check_arrays(node, f"{network.source}: {node.name}")
    _check_delays(network, node, np.array([node.delay_s]))


def _check_delay(network: Network, node: Delay) -> None:
    _check_delays(network, node, node.delay_s)


def _check_delays(network: Network, node: Node, delay_s: FloatArray) -> None:
    ranged = (delay_s >= SHORTEST_DELAY_S) & (delay_s <= LONGEST_DELAY_S)
    if not (ranged | (delay_s == 0)).all():
        raise GraphError(
            f"{network.source}: {node.name}: delay must be 0, or from {SHORTEST_DELAY_S} to "
            f"{LONGEST_DELAY_S} s"
        )


def _check_edges(network: Network) -> None:
    check_modulators(network)
    fed: dict[str, str] = {}
    for before, after in network.edges:
        where = f"{network.source}: edge {before} -> {after}"
        for name in (before, after):
            if name not in network.nodes:
                raise GraphError(f"{where}: there is no node '{name}'")
        first, second = network.nodes[before], network.nodes[after]
        wanted = input_size(second)
        if first.size != wanted:
            raise GraphError(f"{where}: {first.size} elements cannot feed {wanted}")
        _check_ends(where, first, second)
        graded = isinstance(first, Neurons) and not first.spiking
        if graded and not isinstance(second, Output):
            raise UnsupportedError(
                f"{where}: '{before}' hands on a voltage; in exact mode only an Output or a "
                f"probe can take it, so make it spike or use the clocked backend"
            )
        if isinstance(second, Output) and fed.setdefault(after, before) != before:
            mixed = (first, network.nodes[fed[after]])
            if any(isinstance(node, Neurons) and not node.spiking for node in mixed):
                raise UnsupportedError(f"{where}: a voltage shares the port with '{fed[after]}'")


def _check_ends(where: str, first: Node, second: Node) -> None:
    """Refuse what a generator or a Projection cannot be joined to."""
    if isinstance(second, Neurons) and second.kind in GENERATORS:
        raise GraphError(f"{where}: a {second.kind} generator takes no input")
    if isinstance(second, Projection) and not isinstance(first, Input | Neurons):
        raise UnsupportedError(
            f"{where}: in exact mode a Projection begins at an Input or at neurons; say its delay "
            f"in delay_s"
        )
    if not isinstance(first, Projection):
        return
    if not isinstance(second, Neurons):
        raise GraphError(f"{where}: a Projection ends at a layer of neurons")
    if first.receptor not in ("", *RECEPTORS[second.kind]):
        names = ", ".join(RECEPTORS[second.kind])
        raise GraphError(f"{where}: {second.kind} has no '{first.receptor}'; it has: {names}")


def _receptor(projection: Projection, layer: Node) -> str:
    """The receptor of `layer`, which has been checked, that `projection` reaches."""
    assert isinstance(layer, Neurons)
    return projection.receptor or RECEPTORS[layer.kind][0]


def _topological(network: Network) -> list[str]:
    """Names so that whatever acts at once on another comes before it."""
    before: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in network.edges:
        node = network.nodes[target]
        if not (isinstance(node, Delay | Projection) and np.all(node.delay_s > 0)):
            before[target].append(source)
    return _sorted(network, before, "takes no time; give the loop a Delay above 0 s")


def _sorted(network: Network, before: Mapping[str, Sequence[str]], fault: str) -> list[str]:
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        loop = " -> ".join(error.args[1])
        raise UnsupportedError(f"{network.source}: the loop {loop} {fault}") from None


class Relays:
    """What stands between layers: chains of linear nodes and Delays, which part and meet again."""

    def __init__(self, network: Network) -> None:
        self._nodes = network.nodes
        self._plastic = frozenset(network.plasticity)
        self._after: dict[str, list[str]] = {name: [] for name in network.nodes}
        before: dict[str, list[str]] = {name: [] for name in network.nodes if self._is_relay(name)}
        for source, target in network.edges:
            self._after[source].append(target)
            if source in before and target in before:
                before[target].append(source)
        fault = "has no neuron in it; put a layer of neurons into the loop"
        self._order = _sorted(network, before, fault)

    def paths(self, start: Node) -> Iterator[tuple[Node, Rows]]:
        """Every layer and Output that `start` reaches, and by which synapses."""
        arrived = {start.name: [Rows.identity(start.size)]}
        for name in [start.name, *self._order]:
            parts = arrived.pop(name, [])
            if not parts:
                continue
            rows = parts[0] if len(parts) == 1 else Rows.joined(parts).merged()
            for after in self._after[name]:
                node = self._nodes[after]
                if isinstance(node, Projection) or after in self._plastic:
                    continue
                if isinstance(node, LinearNode | Delay):
                    arrived.setdefault(after, []).append(rows.through(node))
                else:
                    yield node, rows

    def projections(self, start: Node) -> Iterator[tuple[Projection, Node]]:
        """Every other Projection that begins at `start`, with each layer at which it ends."""
        for name in self._after[start.name]:
            node = self._nodes[name]
            if isinstance(node, Projection) and name not in self._plastic:
                yield from ((node, self._nodes[after]) for after in self._after[name])

    def plastic(self, start: Node) -> Iterator[str]:
        """Every edge that learns or tires and begins at `start`."""
        return (name for name in self._after[start.name] if name in self._plastic)

    def _is_relay(self, name: str) -> bool:
        return isinstance(self._nodes[name], LinearNode | Delay) and name not in self._plastic

    def spikes_only(self, start: Node) -> str:
        """What `start` reaches without a neuron between and a current cannot act on, or ''."""
        for name in self.plastic(start):
            return f"'{name}', whose rules are of spikes,"
        for projection, layer in self.projections(start):
            if _receptor(projection, layer) != "input":
                return f"the receptor '{_receptor(projection, layer)}' of '{layer.name}'"
        seen, pending = {start.name}, [start.name]
        while pending:
            for after in self._after[pending.pop()]:
                if isinstance(self._nodes[after], Output):
                    return "an Output without a neuron between"
                if after in self._plastic:
                    return f"'{after}', whose rules are of spikes,"
                if self._is_relay(after) and after not in seen:
                    seen.add(after)
                    pending.append(after)
        return ""


@dataclass(frozen=True)
class Rows:
    """Synapses, unordered: arrays of equal length, `delay_ns` in nanoseconds."""

    source: Array
    target: Array
    weight: FloatArray
    delay_ns: FloatArray

    @classmethod
    def identity(cls, size: int) -> Rows:
        """Each element to itself."""
        index = np.arange(size)
        return cls(index, index, np.ones(size), np.zeros(size))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """All rows of `parts`."""
        return cls(
            np.concatenate([rows.source for rows in parts]),
            np.concatenate([rows.target for rows in parts]),
            np.concatenate([rows.weight for rows in parts]),
            np.concatenate([rows.delay_ns for rows in parts]),
        )

    def __getitem__(self, which: Array) -> Rows:
        """Some of the rows."""
        return Rows(
            self.source[which], self.target[which], self.weight[which], self.delay_ns[which]
        )

    def through(self, node: LinearNode | Delay) -> Rows:
        """These rows followed by a linear node or a Delay."""
        if isinstance(node, Delay):
            delay_ns = self.delay_ns + nanoseconds(node.delay_s)[self.target]
            return Rows(self.source, self.target, self.weight, delay_ns)
        matrix = sparse_rows(node)
        begin = np.searchsorted(matrix.source, np.arange(input_size(node) + 1))
        fanout = np.diff(begin)[self.target]
        ours = np.repeat(np.arange(len(self.target)), fanout)
        within = np.arange(len(ours)) - np.repeat(np.cumsum(fanout) - fanout, fanout)
        theirs = begin[self.target[ours]] + within
        weight = self.weight[ours] * matrix.weight[theirs]
        return Rows(self.source[ours], matrix.target[theirs], weight, self.delay_ns[ours])

    def merged(self) -> Rows:
        """By source, delay and target; parallel ones as one, those of weight zero dropped."""
        order = np.lexsort((self.weight, self.target, self.delay_ns, self.source))
        rows = self[order]
        first = _first_of_runs(rows.source, rows.delay_ns, rows.target)
        total = np.add.reduceat(rows.weight, first) if len(first) else rows.weight
        first, total = first[total != 0], total[total != 0]
        return Rows(rows.source[first], rows.target[first], total, rows.delay_ns[first])


def _first_voltages(network: Network, wiring: Wiring) -> FloatArray:
    v = np.zeros(wiring.units)
    for name, layer in wiring.layers.items():
        if layer.kind in OWN_PARAMETERS and "v_leak" in layer.parameters:
            v[wiring.first_unit[name] :][: layer.size] = layer.parameters["v_leak"]
    for name, initial in network.initial_v.items():
        named = wiring.layers.get(name)
        if named is None or initial.shape != (named.size,) or not np.isfinite(initial).all():
            raise GraphError(
                f"{network.source}: initial_v.{name}: expected the name of a layer and one finite "
                f"number for each of its neurons"
            )
        v[wiring.first_unit[name] :][: named.size] = initial
    return v


def _random_states(seed: int, units: int) -> npt.NDArray[np.uint64]:
    """Where the random numbers of each unit begin."""
    return np.random.SeedSequence(seed).generate_state(units, np.uint64).astype(np.uint64)


def _models(network: Network, wiring: Wiring) -> tuple[Array, Array]:
    """Models, and the number of each unit's; neurons that are all alike share one.

    What a kind lacks is 0; what cannot spike has no threshold.
    """
    models, model_of, count = [], [], 0
    for number, name in enumerate(wiring.order):
        node = network.nodes[name]
        own = np.zeros(_distinct(node), exact.MODEL)
        own["kind"], own["layer"], own["v_threshold"] = exact.PORT, number, np.inf
        if isinstance(node, Neurons):
            _fill_models(own, node)
        models.append(own)
        model_of.append(count + np.arange(node.size) % len(own))
        count += len(own)
    return np.concatenate(models), np.concatenate(model_of).astype(np.int32)


def _distinct(node: Node) -> int:
    """1 where every element of `node` is like the first, else their number."""
    values = node.parameters.values() if isinstance(node, Neurons) else ()
    return 1 if all((value == value[:1]).all() for value in values) else node.size


def _fill_models(models: Array, node: Neurons) -> None:
    """Write the parameters of `node` into as many models as there are."""
    models["kind"] = KINDS[node.kind]
    first = {name: value[: len(models)] for name, value in node.parameters.items()}
    rate, i_offset = first.pop("rate", None), first.pop("i_offset", None)
    for name, value in first.items():
        models[FIELDS.get(name, name)] = value
    if i_offset is not None:  # tau dv/dt = (v_leak + r i_offset) - v + r I
        models["v_leak"] += models["r"] * i_offset
    if rate is not None:
        models["interval"] = np.divide(1.0, rate, out=np.full(len(models), np.inf), where=rate > 0)


def _synapses(network: Network, wiring: Wiring) -> Rows:
    """All synapses, their ends numbered as sources and units."""
    parts = [Rows.identity(0)]
    for name, first_source in wiring.first_source.items():
        node = network.nodes[name]
        for end, rows in [] if _is_graded(node) else wiring.relays.paths(node):
            parts.append(
                Rows(
                    rows.source + first_source,
                    rows.target + wiring.first_unit[end.name],
                    rows.weight,
                    rows.delay_ns,
                )
            )
    return Rows.joined(parts)


def _fibres(network: Network, wiring: Wiring) -> tuple[Array, Array, list[exact.Bundle]]:
    """The engine's fibres_of, fibres and bundles: by source, what is multiplied out first."""
    source, fibres, bundle = _compressed(_synapses(network, wiring), wiring)
    sources, parts, bundles = [source], [fibres], [bundle]
    bundles += [_plastic_bundle(edge, wiring) for edge in wiring.plastic.values()]
    for name, first_source in wiring.first_source.items():
        for plastic in wiring.relays.plastic(network.nodes[name]):
            edge, number = wiring.plastic[plastic], 1 + list(wiring.plastic).index(plastic)
            sent, fibres = _rows_of(edge.synapses.rows, edge.delay_s, number)
            sources.append(first_source + sent)
            parts.append(fibres)
        if name in wiring.levels.numbers:
            sources.append(np.array([first_source]))
            parts.append(wiring.levels.fibre(len(bundles)))
            bundles.append(wiring.levels.bundle(name))
        for projection, layer in wiring.relays.projections(network.nodes[name]):
            sent, fibres = _rows_of(projection.rows, projection.delay_s, len(bundles))
            sources.append(first_source + sent)
            parts.append(fibres)
            bundles.append(
                exact.Bundle(
                    projection.targets.astype(np.int32, copy=False),
                    projection.weight,
                    wiring.first_unit[layer.name],
                    RECEIVERS[_receptor(projection, layer)],
                )
            )
    source = np.concatenate(sources)
    order = np.argsort(source, kind="stable")
    fibres_of = np.searchsorted(source[order], np.arange(wiring.sources + 1))
    return fibres_of.astype(np.int64), np.concatenate(parts)[order], bundles


def _plastic_bundle(edge: PlasticEdge, wiring: Wiring) -> exact.Bundle:
    receptor = RECEIVERS[edge.receptor or RECEPTORS[edge.layer.kind][0]]
    return exact.Bundle(edge.target, edge.weight, wiring.first_unit[edge.layer.name], receptor)


def _listening(number: int, edge: PlasticEdge, wiring: Wiring) -> exact.Plastic:
    """Which bundle an edge is, and which layer's spikes it learns from."""
    layer = -1 if edge.edge is None else wiring.order.index(edge.layer.name)
    return exact.Plastic(1 + number, layer, edge.lag)


def _rows_of(rows: Array, delay_s: float, bundle: int) -> tuple[Array, Array]:
    """The sources that have synapses, and the fibre of each."""
    (source,) = np.diff(rows).nonzero()
    fibres = np.zeros(len(source), exact.FIBRE)
    fibres["delay_ns"] = nanoseconds(np.array(delay_s))
    fibres["begin"], fibres["end"] = rows[source], rows[source + 1]
    fibres["synapses"] = fibres["end"] - fibres["begin"]
    fibres["bundle"], fibres["row"] = bundle, source
    return source, fibres


def _compressed(rows: Rows, wiring: Wiring) -> tuple[Array, Array, exact.Bundle]:
    """Sources, their fibres, and the synapses: by source, then delay, then target."""
    rows = rows.merged()
    begin = _first_of_runs(rows.source, rows.delay_ns)
    end = np.append(begin[1:], len(rows.source))[: len(begin)]
    reached = np.append(0, np.cumsum(rows.target < wiring.neurons))
    fibres = np.zeros(len(begin), exact.FIBRE)
    fibres["delay_ns"], fibres["begin"], fibres["end"] = rows.delay_ns[begin], begin, end
    fibres["synapses"] = reached[end] - reached[begin]
    bundle = exact.Bundle(rows.target.astype(np.int32), rows.weight, 0, exact.TO_INPUT)
    return rows.source[begin], fibres, bundle


def _first_of_runs(*columns: Array) -> Array:
    """Where any of the sorted `columns` changes."""
    changes = np.ones(len(columns[0]), bool)
    if len(changes):
        changes[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(changes)


def _is_graded(node: Node) -> bool:
    return isinstance(node, Neurons) and not node.spiking


def _is_biased(node: Node) -> bool:
    return bias_of(node) is not None


def _send_biases(network: Network, wiring: Wiring, engine: exact.ExactEngine) -> None:
    """Switch on the constant current of each Affine at time 0."""
    for name, first in wiring.first_source.items():
        node = network.nodes[name]
        bias = bias_of(node)
        if bias is None:
            continue
        end = wiring.relays.spikes_only(node)
        if end:
            raise UnsupportedError(
                f"{network.source}: {name}: a bias cannot reach {end} in exact mode; use the "
                f"clocked backend"
            )
        on = np.flatnonzero(bias)
        at = np.zeros(len(on), np.int64), np.zeros(len(on))
        engine.send(*at, first + on, np.ascontiguousarray(bias[on]), exact.CURRENT)
