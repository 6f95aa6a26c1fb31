"""Building a network by hand: populations, projections and ports, in the order they are named.

    net = Builder(seed=1)
    lines = net.input("lines", 100)
    exc = net.population("exc", 800, ExpLIF(tau_mem_s=20e-3))
    net.project(lines, exc, FixedIndegree(10), weight=0.3)
    net.output("out", exc)
    network = net.build(mode="clocked", dt_s=1e-3)

All that is random comes from the seed and the order of the calls, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from reflexarc.runtime.batch import Array
from reflexarc.runtime.connectivity import Conduction, Pattern, Span, Synapses, single
from reflexarc.runtime.dialect import named
from reflexarc.runtime.distribution import Distribution
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.learning import misfit_of
from reflexarc.runtime.network import (
    GENERATORS,
    RECEPTORS,
    Delay,
    FloatArray,
    Input,
    Linear,
    Mode,
    Modulator,
    Network,
    Neurons,
    Node,
    Output,
    Projection,
)
from reflexarc.runtime.neurons import NeuronModel, Value, misfit
from reflexarc.runtime.nirnode import MAX_ELEMENTS
from reflexarc.runtime.parting import SIGNED, Part, grouped, parted
from reflexarc.runtime.plasticity import Rule

Delays: TypeAlias = float | Distribution | Conduction


@dataclass(frozen=True)
class Population:
    """A node of the network to be, or a part of one: `exc[:800]`.

    Attributes:
        name: of the node.
        size: elements of the part.
        first: the part's first element.
    """

    name: str
    size: int
    first: int = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> Population:
        """A part, which can be either end of a projection."""
        if not isinstance(part, slice):
            raise ConfigError(f"{self.name}[{part}]: give a range, such as {self.name}[:10]")
        begin, end, step = part.indices(self.size)
        if step != 1 or end <= begin:
            raise ConfigError(
                f"{self.name}: a part must be neighbours, at least one, of the {self.size} there"
            )
        return Population(self.name, end - begin, self.first + begin)


class Builder:
    """A network in the making; `build` gives the `Network`.

    Args:
        seed: of every random number, a whole number from 0 to below 2**64.

    Every method raises ConfigError, which names the node and what is wrong with it.
    """

    def __init__(self, seed: int = 0) -> None:
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise ConfigError(f"Builder: seed {seed} must be a whole number from 0 to below 2**64")
        self._seed = int(seed)
        self._drawn = 0
        self._nodes: dict[str, Node] = {}
        self._edges: list[tuple[str, str]] = []
        self._at: dict[str, FloatArray] = {}
        self._initial_v: dict[str, FloatArray] = {}
        self._plasticity: dict[str, Rule | tuple[Rule, ...]] = {}

    def input(
        self, name: str, shape: int | tuple[int, ...], *, positions: npt.ArrayLike | None = None
    ) -> Population:
        """Add a port where spikes or values enter."""
        return self._add(Input(name=name, shape=_shape(name, shape)), positions)

    def modulator(self, name: str, size: int = 1, tau_s: float | None = None) -> str:
        """Add a port of `size` lines for a reward, an error or a neuromodulator.

        Rules of learning name it; nothing leads to or from it. See `Modulator` for `tau_s`.

        Returns:
            The name of the node.
        """
        self._add(Modulator(name=name, shape=_shape(name, size), tau_s=tau_s))
        return name

    def population(
        self,
        name: str,
        shape: int | tuple[int, ...],
        neurons: NeuronModel,
        *,
        positions: npt.ArrayLike | None = None,
        initial_v: Value | None = None,
        plasticity: Rule | Sequence[Rule] | None = None,
    ) -> Population:
        """Add a layer of neurons.

        Args:
            name: of the node.
            shape: how many, on one axis or more.
            neurons: their kind and parameters; a parameter is a number, one for each neuron, or
                a distribution.
            positions: where they are, shape (neurons, 1 to 3 axes), for distances.
            initial_v: first voltage, likewise a number, one for each or a distribution.
            plasticity: a rule for the neurons themselves, such as IntrinsicHomeostasis.
        """
        if not isinstance(neurons, NeuronModel):
            raise ConfigError(f"population '{name}': expected a kind of neuron, not {neurons!r}")
        shape = _shape(name, shape)
        parameters = {
            key: self._values(f"population '{name}', {key}", value, prod(shape))
            for key, value in neurons.parameters().items()
        }
        wrong = misfit(neurons.kind, parameters)
        if wrong:
            raise ConfigError(f"population '{name}', {wrong[0]}: {wrong[1]}")
        node = Neurons(name=name, shape=shape, kind=neurons.kind, parameters=parameters)
        added = self._add(node, positions)
        if initial_v is not None:
            where = f"population '{name}', initial_v"
            self._initial_v[name] = self._values(where, initial_v, node.size)
        if plasticity is not None:
            self._plasticity[name] = _stacked(plasticity)
        return added

    def output(self, name: str, source: Population | int) -> Population:
        """Add a port that shows `source`; or an open one of that size, for `linear` to reach."""
        if isinstance(source, Population):
            node = self._whole(source, f"output '{name}'")
            port = self._add(Output(name=name, shape=node.shape))
            self._edges.append((source.name, name))
            return port
        return self._add(Output(name=name, shape=_shape(name, source)))

    def linear(
        self,
        source: Population,
        target: Population,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        *,
        delay_s: float = 0.0,
        name: str | None = None,
        plasticity: Rule | Sequence[Rule] | None = None,
    ) -> str:
        """Join two nodes by a matrix, NIR's Linear or Affine: y = weight x + bias.

        It takes spikes and values alike, and reaches the `input` of neurons or an output.

        Args:
            source, target: nodes or parts of them.
            weight: shape (targets, sources).
            bias: shape (targets,).
            delay_s: put a Delay behind it.
            name: of the node (default: SOURCE_to_TARGET).
            plasticity: a rule that changes the weights, or several that stack.

        Returns:
            The name of the node.
        """
        name = self._free_name(name or f"{source.name}_to_{target.name}")
        where = f"linear '{name}'"
        sender, receiver = self._node(source, where), self._node(target, where)
        if isinstance(sender, Output) or not _takes_input(receiver):
            raise ConfigError(f"{where}: nothing leads from {source.name} to {target.name}")
        full = np.zeros((receiver.size, sender.size))
        part = _numbers(f"{where}, weight", weight, (target.size, source.size))
        full[target.first :, source.first :][: target.size, : source.size] = part
        offset = None
        if bias is not None:
            offset = np.zeros(receiver.size)
            part = _numbers(f"{where}, bias", bias, (target.size,))
            offset[target.first :][: target.size] = part
        delay_s = _delay(where, delay_s)
        self._add(Linear(name=name, shape=(receiver.size,), weight=_frozen(full), bias=offset))
        self._edges.append((source.name, name))
        last = name
        if delay_s > 0:
            held = _constant(delay_s, receiver.size)
            last = self._free_name(f"{name}_delay")
            self._add(Delay(name=last, shape=(receiver.size,), delay_s=held))
            self._edges.append((name, last))
        self._edges.append((last, target.name))
        if plasticity is not None:
            self._plasticity[name] = _stacked(plasticity)
        return name

    def project(
        self,
        source: Population,
        target: Population,
        pattern: Pattern,
        *,
        weight: Value | None = None,
        delay_s: Delays = 0.0,
        delay_step_s: float | None = None,
        receptor: str | None = None,
        name: str | None = None,
        plasticity: Rule | Sequence[Rule] | None = None,
    ) -> tuple[str, ...]:
        """Join the spikes of one node to the neurons of another by sparse synapses.

        Args:
            source, target: nodes or parts of them.
            pattern: which element reaches which.
            weight: a number (default 1), a distribution, or (OneToOne, Pairs) one for each pair.
            delay_s: a number, a distribution, or a Conduction: delays by distance.
            delay_step_s: the grid that delays other than a number are rounded to; a delay is at
                least one step of it.
            receptor: what of the neurons it reaches. Unless given: the kind's first, or where it
                has two for excitation and inhibition, by the sign of the weights. A conductance
                (CondLIF) then is the weight without its sign.
            name: of the node (default: SOURCE_to_TARGET).
            plasticity: a rule that changes the weights, or several that stack.

        Returns:
            The names of the nodes it took: one for each delay and, where weights of both signs
            part to two receptors, for each sign.
        """
        base = self._free_name(name or f"{source.name}_to_{target.name}")
        where = f"projection '{base}'"
        sender, layer = self._node(source, where), self._layer(target, receptor, where)
        if not isinstance(sender, Input | Neurons) or (
            isinstance(sender, Neurons) and not sender.spiking
        ):
            raise ConfigError(f"{where}: '{source.name}' sends no spikes; use linear for values")
        try:
            synapses = pattern.draw(self._span(source, target, sender.size))
            weights = self._weights(synapses, weight)
            steps_s, step_of = self._delays(source, target, synapses, delay_s, delay_step_s)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        by_sign = receptor is None and RECEPTORS[layer.kind][:2] == SIGNED
        parts = parted(synapses, weights, steps_s, step_of, by_sign)
        names = [self._add_projection(base, where, part, sender, layer, receptor) for part in parts]
        for each in names:
            self._edges += [(source.name, each), (each, target.name)]
            if plasticity is not None:
                self._plasticity[each] = _stacked(plasticity)
        return tuple(names)

    def build(
        self,
        *,
        mode: Mode = "exact",
        dt_s: float | None = None,
        dialect: str = "reflexarc",
        spike_area: float = 1.0,
    ) -> Network:
        """The network so far, to be run as `Network` says. More can be added afterwards."""
        if mode not in get_args(Mode):
            raise ConfigError(f"build: mode '{mode}' is not known; use exact or clocked")
        for key, value in (("dt_s", dt_s), ("spike_area", spike_area)):
            if value is not None and not (value > 0 and isfinite(value)):
                raise ConfigError(f"build: {key} must be above 0, not {value}")
        named(dialect)
        self._check_rules()
        return Network(
            nodes=dict(self._nodes),
            edges=tuple(self._edges),
            source="<Builder>",
            spike_area=spike_area,
            mode=mode,
            dialect=dialect,
            dt_s=dt_s,
            initial_v=dict(self._initial_v),
            plasticity=dict(self._plasticity),
            seed=self._seed,
        )

    def _check_rules(self) -> None:
        for name, said in self._plasticity.items():
            misfit = misfit_of(self._nodes, name, said if isinstance(said, tuple) else (said,))
            if misfit:
                keys = "".join(f", {key}" for key in misfit[0])
                raise ConfigError(f"node '{name}', plasticity{keys}: {misfit[1]}")

    # Nodes.

    def _add(self, node: Node, positions: npt.ArrayLike | None = None) -> Population:
        name = node.name
        text = isinstance(name, str) and name.isprintable()
        if not text or "/" in name or name in ("", "."):
            raise ConfigError(f"node {name!r}: a name is printable text without a '/'")
        if name in self._nodes:
            raise ConfigError(f"node '{name}': there is one of that name; choose another")
        if node.size + sum(other.size for other in self._nodes.values()) > MAX_ELEMENTS:
            raise ConfigError(f"node '{name}': more than {MAX_ELEMENTS} elements in all")
        if positions is not None:
            self._at[name] = _positions(name, positions, node.size)
        self._nodes[name] = node
        return Population(name, node.size)

    def _free_name(self, wanted: str) -> str:
        name, k = wanted, 2
        while name in self._nodes:
            name, k = f"{wanted}_{k}", k + 1
        return name

    def _node(self, part: Population, where: str) -> Node:
        node = self._nodes.get(part.name) if isinstance(part, Population) else None
        if node is None or part.first + part.size > node.size:
            raise ConfigError(f"{where}: {part!r} is not of this Builder")
        if isinstance(node, Modulator):
            raise ConfigError(f"{where}: '{part.name}' is a modulator, which only rules name")
        return node

    def _whole(self, source: Population, where: str) -> Node:
        node = self._node(source, where)
        if source.size != node.size:
            raise ConfigError(f"{where}: a part of '{source.name}'; a port shows the whole of it")
        if isinstance(node, Output):
            raise ConfigError(f"{where}: nothing leads out of an Output")
        return node

    def _layer(self, target: Population, receptor: str | None, where: str) -> Neurons:
        node = self._node(target, where)
        if not isinstance(node, Neurons) or node.kind in GENERATORS:
            raise ConfigError(f"{where}: '{target.name}' has no synapses; use linear for a port")
        if receptor is not None and receptor not in RECEPTORS[node.kind]:
            known = ", ".join(RECEPTORS[node.kind])
            raise ConfigError(
                f"{where}: {node.kind} has no receptor '{receptor}'; there are: {known}"
            )
        return node

    # Random numbers.

    def _stream(self) -> tuple[int, int]:
        """Seed and number of a stream that nothing else draws from."""
        self._drawn += 1
        return self._seed, self._drawn

    def _values(self, where: str, value: Value, size: int) -> FloatArray:
        """`value` for each of `size` elements; one number for all costs one number."""
        if isinstance(value, Distribution):
            drawn = np.empty(size)
            value.fill(drawn, *self._stream())
            return _frozen(drawn)
        given = _numbers(where, value)
        if given.size == 1:
            return _constant(float(given.reshape(())), size)
        if given.size != size:
            raise ConfigError(f"{where}: {given.size} values for {size} neurons")
        return _frozen(given.reshape(-1).copy())

    def _span(self, source: Population, target: Population, size: int) -> Span:
        seed, number = self._stream()
        return Span(
            size=size,
            first_source=source.first,
            sources=source.size,
            first_target=target.first,
            targets=target.size,
            same=source.name == target.name,
            source_at=self._places(source),
            target_at=self._places(target),
            seed=seed,
            number=number,
        )

    def _places(self, part: Population) -> FloatArray | None:
        at = self._at.get(part.name)
        return None if at is None else at[part.first :][: part.size]

    def _weights(self, synapses: Synapses, weight: Value | None) -> npt.NDArray[np.float32]:
        """One weight for each synapse, or one for all."""
        if synapses.weight is not None:
            if weight is not None:
                raise ConfigError("weight: the Matrix brings its own; give one of them")
            return synapses.weight
        if isinstance(weight, Distribution):
            drawn = np.empty(len(synapses.targets), np.float32)
            weight.fill(drawn, *self._stream())
            return drawn
        given = single(_numbers("weight", 1.0 if weight is None else weight))
        if given.size == 1:
            return given.reshape(1)
        if synapses.order is None:
            raise ConfigError("weight: one for each synapse needs a pattern with given pairs")
        if given.shape != synapses.order.shape:
            raise ConfigError(f"weight: {given.size} values for {synapses.order.size} pairs")
        return given[synapses.order]

    def _delays(
        self,
        source: Population,
        target: Population,
        synapses: Synapses,
        delay_s: Delays,
        step_s: float | None,
    ) -> tuple[list[float], Array | None]:
        """The different delays, and which of them each synapse has (None: all the same)."""
        if not isinstance(delay_s, Distribution | Conduction):
            return [_delay("delay_s", delay_s)], None
        if step_s is None or not (step_s > 0 and isfinite(step_s)):
            raise ConfigError("delay_step_s: delays that differ need a grid above 0 to lie on")
        if isinstance(delay_s, Distribution):
            drawn = np.empty(len(synapses.targets), np.float32)
            delay_s.fill(drawn, *self._stream())
        else:
            at = self._at.get
            drawn = delay_s.delays_s(synapses, at(source.name), at(target.name))
        drawn /= step_s
        np.rint(drawn, out=drawn)
        np.maximum(drawn, 1.0, out=drawn)
        if drawn.size and drawn.max() >= 2**16:
            raise ConfigError("delay_step_s: a delay is over 65535 steps; give a coarser grid")
        return grouped(drawn.astype(np.uint16), step_s)

    # Projections.

    def _add_projection(
        self,
        base: str,
        where: str,
        part: Part,
        sender: Node,
        layer: Neurons,
        receptor: str | None,
    ) -> str:
        weight = part.weight
        if layer.kind == "CondLIF" and receptor != "input":
            if receptor is None:
                weight = np.abs(weight)
            elif weight.size and weight.min() < 0:
                raise ConfigError(
                    f"{where}: a conductance cannot be negative; give weights from 0, or leave "
                    "the receptor to their sign"
                )
        name = self._free_name(base + part.suffix)
        self._add(
            Projection(
                name=name,
                shape=layer.shape,
                sources=sender.size,
                rows=_frozen(part.rows),
                targets=_frozen(_narrowed(part.targets, layer.size)),
                weight=_frozen(weight),
                delay_s=part.delay_s,
                receptor=part.receptor or receptor or RECEPTORS[layer.kind][0],
            )
        )
        return name


def _stacked(plasticity: Rule | Sequence[Rule]) -> Rule | tuple[Rule, ...]:
    return plasticity if isinstance(plasticity, Rule) else tuple(plasticity)


def _narrowed(targets: npt.NDArray[np.int32], size: int) -> Array:
    """Indices into `size` elements in as few bytes as they need."""
    return targets.astype(np.uint16) if size <= 2**16 else targets


def _takes_input(node: Node) -> bool:
    return isinstance(node, Output) or (isinstance(node, Neurons) and node.kind not in GENERATORS)


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = shape if isinstance(shape, tuple) else (shape,)
    if not axes or any(not isinstance(n, int | np.integer) or n < 1 for n in axes):
        raise ConfigError(f"node '{name}': expected whole numbers of at least 1, not {shape!r}")
    return tuple(int(n) for n in axes)


def _delay(where: str, delay_s: Any) -> float:
    if not isinstance(delay_s, int | float | np.number) or not 0 <= delay_s < np.inf:
        raise ConfigError(f"{where}: delay_s must be a number from 0, not {delay_s!r}")
    return float(delay_s)


def _numbers(where: str, value: Any, shape: tuple[int, ...] | None = None) -> FloatArray:
    """`value` as float64, finite and of that shape (None: any)."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: expected numbers, not {value!r:.60}") from None
    if shape is not None and numbers.shape != shape:
        raise ConfigError(f"{where}: expected shape {shape}, not {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ConfigError(f"{where}: every value must be finite")
    return numbers


def _positions(name: str, given: npt.ArrayLike, size: int) -> FloatArray:
    at = _numbers(f"node '{name}', positions", given)
    if at.ndim == 1:
        at = at[:, None]
    if at.ndim != 2 or at.shape[0] != size or not 1 <= at.shape[1] <= 3:
        raise ConfigError(
            f"node '{name}', positions: expected shape ({size}, 1 to 3), not {at.shape}"
        )
    return _frozen(np.ascontiguousarray(at))


def _constant(value: float, size: int) -> FloatArray:
    """`value` for `size` elements at the cost of one."""
    return np.broadcast_to(np.float64(value), (size,))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
