"""From the nodes and edges of NIR to a `Network`, checked.

Both a .nir file and an in-memory `nir.NIRGraph` arrive here as plain dictionaries of arrays. What
old exporters left out is filled in with a warning; what is wrong is one line that names the file,
the node, the parameter and what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn, cast

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError, UnsupportedError
from reflexarc.runtime.network import (
    NIR_PARAMETERS,
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

#: Elements of all nodes together, and of one weight matrix, beyond which a file is refused.
MAX_ELEMENTS = 2**25
MAX_WEIGHTS = 2**30
#: What files written before nir 1.0.6 leave out.
_DEFAULTS = {"v_reset": 0.0, "w_in": 1.0}
_POSITIVE = {"tau", "tau_syn", "tau_mem"}

#: NIR's types that this release runs, for messages, and those that it does not run yet.
_RUN = ", ".join(("Input", "Output", "Linear", "Affine", "Delay", *NIR_PARAMETERS))
_LATER = frozenset(
    ["NIRGraph", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Scale", "Threshold"]
)

RawNodes = Mapping[str, Mapping[str, Any]]


def build(
    nodes: RawNodes,
    edges: Iterable[tuple[str, str]],
    source: str,
    made: Iterable[Node] = (),
) -> Network:
    """Make a network of raw nodes (`type` and parameters by name) and edges.

    `made` are further nodes, those that NIR has no word for.

    Raises:
        GraphError: malformed; one line that names `source`, node and parameter.
        UnsupportedError: a NIR type that this release does not run.
    """
    drafts = {name: _draft(name, raw, source) for name, raw in nodes.items()}
    drafts |= {node.name: _finished(node, source) for node in made}
    pairs = _edges(edges, drafts, source)
    _infer_shapes(drafts, pairs)
    _check_total(drafts, source)
    built = {name: draft.finish() for name, draft in drafts.items()}
    network = Network(nodes=built, edges=pairs, source=source)
    _check_sizes(network)
    return network


@dataclass
class _Draft:
    """A node whose shape may not be known yet. `shape_in` is None where the edges decide."""

    source: str
    name: str
    type: str
    parameters: dict[str, Array]
    shape_in: tuple[int, ...] | None = None
    shape_out: tuple[int, ...] | None = None
    made: Node | None = None

    def fail(self, parameter: str, problem: str) -> NoReturn:
        place = f", parameter '{parameter}'" if parameter else ""
        raise GraphError(f"{self.source}: node '{self.name}'{place}: {problem}")

    def warn(self, message: str) -> None:
        warnings.warn(f"{self.source}: node '{self.name}': {message}", UserWarning, stacklevel=2)

    def set_shape(self, shape: tuple[int, ...]) -> None:
        self.shape_in = self.shape_out = shape

    def finish(self) -> Node:
        """The node, every parameter spread over its elements."""
        if self.made is not None:
            return self.made
        if self.shape_out is None:
            self.fail("", "all parameters are scalars and no neighbour tells the size; give arrays")
        if self.type == "Input":
            return Input(name=self.name, shape=self.shape_out)
        if self.type == "Output":
            return Output(name=self.name, shape=self.shape_out)
        if self.type in ("Linear", "Affine"):
            weight, bias = self.parameters["weight"], self.parameters.get("bias")
            return Linear(
                name=self.name,
                shape=self.shape_out,
                weight=_frozen(weight),
                bias=None if bias is None else _frozen(bias),
            )
        spread = {name: self._spread(name) for name in self.parameters}
        if self.type == "Delay":
            return Delay(name=self.name, shape=self.shape_out, delay_s=spread["delay"])
        kind = cast(NeuronKind, self.type)
        return Neurons(name=self.name, shape=self.shape_out, kind=kind, parameters=spread)

    def _spread(self, parameter: str) -> FloatArray:
        value, shape = self.parameters[parameter], cast(tuple[int, ...], self.shape_out)
        if value.size == 1:
            return _frozen(np.full(prod(shape), value.reshape(()), dtype=np.float64))
        if value.size != prod(shape):
            self.fail(parameter, f"shape {value.shape} does not fit the node's {shape}")
        return _frozen(value.reshape(-1))


def _frozen(value: Array) -> FloatArray:
    array = np.ascontiguousarray(value, dtype=np.float64)
    array.flags.writeable = False
    return array


def _finished(node: Node, source: str) -> _Draft:
    return _Draft(
        source,
        node.name,
        type(node).__name__,
        {},
        shape_in=(input_size(node),),
        shape_out=node.shape,
        made=node,
    )


def _draft(name: str, raw: Mapping[str, Any], source: str) -> _Draft:
    draft = _Draft(source, name, _text(raw.get("type")), {})
    match draft.type:
        case "Input" | "Output":
            draft.set_shape(_shape(draft, raw))
        case "Linear" | "Affine":
            _read_linear(draft, raw)
        case "Delay":
            draft.parameters["delay"] = _numbers(draft, raw, "delay")
            _shape_of_parameters(draft)
        case kind if kind in NIR_PARAMETERS:
            _read_neurons(draft, raw, NIR_PARAMETERS[cast(NeuronKind, kind)])
        case "":
            draft.fail("type", "is missing; every node needs one")
        case other if other in _LATER:
            raise UnsupportedError(
                f"{source}: node '{name}': {other} comes with the next release; "
                f"this one runs {_RUN}"
            )
        case other:
            draft.fail("type", f"'{other}' is not a NIR type; this release runs {_RUN}")
    return draft


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _shape(draft: _Draft, raw: Mapping[str, Any]) -> tuple[int, ...]:
    values = _numbers(draft, raw, "shape").reshape(-1)
    if values.size == 0 or np.any(values != np.floor(values)) or np.any(values < 1):
        draft.fail("shape", f"expected whole numbers of at least 1, not {values.tolist()}")
    if values.prod() > MAX_ELEMENTS:
        draft.fail("shape", f"{values.prod():.0f} elements; at most {MAX_ELEMENTS} are allowed")
    return tuple(int(value) for value in values)


def _read_linear(draft: _Draft, raw: Mapping[str, Any]) -> None:
    weight = draft.parameters["weight"] = _numbers(draft, raw, "weight")
    if weight.ndim != 2 or 0 in weight.shape:
        draft.fail("weight", f"expected a matrix (outputs, inputs), not shape {weight.shape}")
    if draft.type == "Affine":
        bias = _numbers(draft, raw, "bias")
        if bias.size == 1 and bias.shape != weight.shape[:1]:
            draft.warn("a scalar bias is used for every output")
            bias = np.full(weight.shape[0], bias.reshape(()))
        if bias.shape != weight.shape[:1]:
            draft.fail("bias", f"shape {bias.shape} does not fit the weight {weight.shape}")
        draft.parameters["bias"] = bias
    draft.shape_out, draft.shape_in = weight.shape[:1], weight.shape[1:]


def _read_neurons(draft: _Draft, raw: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in raw and name in _DEFAULTS:
            draft.warn(f"no {name} (an old file); {_DEFAULTS[name]:g} is used")
            draft.parameters[name] = np.asarray(_DEFAULTS[name])
        else:
            draft.parameters[name] = _numbers(draft, raw, name)
    for name in _POSITIVE.intersection(names):
        _all_above(draft, name, 0.0)
    _shape_of_parameters(draft)


def _shape_of_parameters(draft: _Draft) -> None:
    """Take the node's shape from its parameters where one of them is not a scalar."""
    if "delay" in draft.parameters and np.any(draft.parameters["delay"] < 0):
        draft.fail("delay", "a delay cannot be negative")
    given = {n: v for n, v in draft.parameters.items() if v.ndim > 0}
    if not given:
        return
    largest = max(given, key=lambda name: given[name].size)
    draft.set_shape(given[largest].shape)
    if 0 in given[largest].shape:
        draft.fail(largest, "is empty; a node has at least one element")
    written = {n: v for n, v in draft.parameters.items() if n not in _DEFAULTS or v.ndim > 0}
    for name, value in written.items():
        if value.size not in (1, given[largest].size):
            draft.fail(name, f"shape {value.shape} does not fit '{largest}' {draft.shape_out}")
    if len({value.shape for value in written.values()}) > 1:
        draft.warn(f"parameters of mixed shapes; scalars are spread over {draft.shape_out}")


def _numbers(draft: _Draft, raw: Mapping[str, Any], name: str) -> Array:
    """Parameter `name` as float64 of its own shape, every value finite."""
    if raw.get(name) is None:
        draft.fail(name, f"is missing; {draft.type} needs it")
    value = np.asarray(raw[name])
    if value.dtype.kind not in "iufb":
        draft.fail(name, f"expected numbers, not {value.dtype}")
    if value.size > (MAX_WEIGHTS if name == "weight" else MAX_ELEMENTS):
        draft.fail(name, f"{value.size} values are more than this release takes")
    numbers = value.astype(np.float64)
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        index = tuple(int(k) for k in bad[0])
        draft.fail(name, f"value {numbers[index]} at index {list(index)}; give a finite number")
    return numbers


def _all_above(draft: _Draft, name: str, bound: float) -> None:
    value = draft.parameters[name]
    bad = np.argwhere(value <= bound)
    if len(bad):
        index = tuple(int(k) for k in bad[0])
        draft.fail(
            name, f"value {value[index]} at index {list(index)}; must be greater than {bound:g}"
        )


def _edges(
    edges: Iterable[tuple[str, str]], drafts: Mapping[str, _Draft], source: str
) -> tuple[tuple[str, str], ...]:
    pairs: dict[tuple[str, str], None] = {}
    for pair in edges:
        for name in pair:
            if name not in drafts:
                raise GraphError(
                    f"{source}: edge {pair[0]} -> {pair[1]}: there is no node '{name}'; "
                    f"nodes are {_listed(drafts)}"
                )
        if drafts[pair[1]].type == "Input" or drafts[pair[0]].type == "Output":
            raise GraphError(
                f"{source}: edge {pair[0]} -> {pair[1]}: "
                "nothing may lead into an Input or out of an Output"
            )
        if pair in pairs:
            warnings.warn(f"{source}: edge {pair[0]} -> {pair[1]} is given twice", stacklevel=2)
        pairs[pair] = None
    return tuple(pairs)


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")


def _infer_shapes(drafts: Mapping[str, _Draft], edges: Iterable[tuple[str, str]]) -> None:
    """Let nodes with scalar parameters take the shape of a neighbour."""
    open_edges = [
        (drafts[a], drafts[b])
        for a, b in edges
        if drafts[a].shape_out is None or drafts[b].shape_in is None
    ]
    changed = True
    while changed:
        changed = False
        for before, after in open_edges:
            if after.shape_in is None and before.shape_out is not None:
                after.set_shape(before.shape_out)
                changed = True
            elif before.shape_out is None and after.shape_in is not None:
                before.set_shape(after.shape_in)
                changed = True
    for draft in {id(d): d for pair in open_edges for d in pair}.values():
        if all(value.ndim == 0 for value in draft.parameters.values()) and draft.parameters:
            draft.warn(f"scalar parameters are spread over {draft.shape_out}, as its neighbours")


def _check_total(drafts: Mapping[str, _Draft], source: str) -> None:
    """Before parameters are spread: a few bytes of file can ask for any amount of memory."""
    total = sum(prod(draft.shape_out or ()) for draft in drafts.values())
    if total > MAX_ELEMENTS:
        raise GraphError(
            f"{source}: {total} elements in all nodes together; at most {MAX_ELEMENTS} are allowed"
        )


def _check_sizes(network: Network) -> None:
    for before, after in network.edges:
        given, wanted = network.nodes[before].size, input_size(network.nodes[after])
        if given != wanted:
            raise GraphError(
                f"{network.source}: edge {before} -> {after}: '{before}' gives {given} values, "
                f"'{after}' takes {wanted}; correct one of the shapes"
            )


def input_size(node: Node) -> int:
    """Number of elements that `node` takes."""
    if isinstance(node, Projection):
        return node.sources
    return int(node.weight.shape[1]) if isinstance(node, Linear) else node.size
