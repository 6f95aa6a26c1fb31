"""What a network has that NIR has no word for, as entries of a sidecar and arrays beside it.

A number that all neurons share stands in the sidecar; where it says `array`, the values lie in the
arrays under NODE/PARAMETER, and so do the rows, targets and weights of a projection.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, cast

import numpy as np
from pydantic import Field

from reflexarc.ext.connect import first_fault
from reflexarc.runtime.batch import Array
from reflexarc.runtime.config import Strict
from reflexarc.runtime.network import (
    GENERATORS,
    NIR_PARAMETERS,
    OWN_PARAMETERS,
    RECEPTORS,
    FloatArray,
    Input,
    Modulator,
    Network,
    NeuronKind,
    Neurons,
    Node,
    Output,
    Projection,
)
from reflexarc.runtime.neurons import misfit
from reflexarc.runtime.nirgraph import input_size
from reflexarc.runtime.nirnode import MAX_ELEMENTS

Shape: TypeAlias = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
#: A number for all, or that there is one for each in the arrays.
Told: TypeAlias = float | Literal["array"]
#: `fail(key path, problem)` raises, and names the file.
Fail: TypeAlias = Callable[[tuple[str | int, ...], str], NoReturn]


class NeuronsEntry(Strict):
    """A layer of a kind that NIR does not have."""

    kind: Literal[
        "ALIF",
        "DeltaLIF",
        "ExpLIF",
        "AlphaLIF",
        "CondLIF",
        "AdEx",
        "Izhikevich",
        "Poisson",
        "Regular",
    ]
    shape: Shape
    parameters: dict[str, Told]


class ProjectionEntry(Strict):
    """A projection; see `Projection` for the keys."""

    kind: Literal["Projection"]
    shape: Shape
    sources: int = Field(ge=1)
    delay_s: float = Field(default=0.0, ge=0)
    receptor: str = ""


Entry: TypeAlias = Annotated[NeuronsEntry | ProjectionEntry, Field(discriminator="kind")]


def is_beyond(node: Node) -> bool:
    """Whether NIR has no word for `node`."""
    return isinstance(node, Projection | Modulator) or (
        isinstance(node, Neurons) and node.kind not in NIR_PARAMETERS
    )


def told(values: FloatArray) -> Told:
    """The number that all of `values` are, or that they differ."""
    first = values.flat[0]
    same = values.strides == (0,) or bool((values == first).all())
    return float(first) if same else "array"


# From a network to entries and arrays.


def entry_of(node: Node) -> dict[str, Any]:
    """The sidecar's entry for a node beyond NIR."""
    if isinstance(node, Projection):
        return {
            "kind": "Projection",
            "shape": list(node.shape),
            "sources": node.sources,
            "delay_s": float(node.delay_s),
            "receptor": node.receptor,
        }
    assert isinstance(node, Neurons)
    return {
        "kind": node.kind,
        "shape": list(node.shape),
        "parameters": {name: told(values) for name, values in node.parameters.items()},
    }


def arrays_of(node: Node) -> dict[str, Array]:
    """The arrays of a node beyond NIR, by their names in the file."""
    if isinstance(node, Projection):
        parts: dict[str, Array] = {
            "rows": node.rows,
            "targets": node.targets,
            "weight": node.weight,
        }
        return {f"{node.name}/{key}": array for key, array in parts.items()}
    assert isinstance(node, Neurons)
    return {
        f"{node.name}/{key}": values
        for key, values in node.parameters.items()
        if told(values) == "array"
    }


# And back.


def node_of(name: str, entry: Entry, arrays: dict[str, Array], fail: Fail) -> Node:
    """The node of an entry; takes its arrays out of `arrays`."""
    if prod(entry.shape) > MAX_ELEMENTS:
        fail(("nodes", name, "shape"), f"at most {MAX_ELEMENTS} elements are allowed")
    if isinstance(entry, ProjectionEntry):
        return _projection(name, entry, arrays, fail)
    kind = cast(NeuronKind, entry.kind)
    wanted = OWN_PARAMETERS[kind]
    for key in entry.parameters:
        if key not in wanted:
            known = ", ".join(wanted)
            fail(("nodes", name, "parameters", key), f"{kind} has none; it has {known}")
    missing = [key for key in wanted if key not in entry.parameters]
    if missing:
        fail(("nodes", name, "parameters"), f"{missing[0]} is missing; {kind} needs it")
    where, size = ("nodes", name, "parameters"), prod(entry.shape)
    found = {
        key: values_of(name, key, size, entry.parameters[key], arrays, (*where, key), fail)
        for key in wanted
    }
    wrong = misfit(kind, found)
    if wrong:
        fail((*where, wrong[0]), wrong[1])
    return Neurons(name=name, shape=tuple(entry.shape), kind=kind, parameters=found)


def values_of(
    name: str,
    key: str,
    size: int,
    said: Told,
    arrays: dict[str, Array],
    where: tuple[str, ...],
    fail: Fail,
) -> FloatArray:
    """A parameter of `size` neurons: the number said, or the array that is taken out."""
    if said != "array":
        return np.broadcast_to(np.float64(said), (size,))
    array = arrays.pop(f"{name}/{key}", None)
    if array is None or array.dtype != np.float64 or array.shape != (size,):
        fail(where, f"the arrays need '{name}/{key}', {size} values of float64")
    if not np.isfinite(array).all():
        fail(where, "every value must be finite")
    return array


_DTYPES = {"rows": ("int64",), "targets": ("uint16", "int32"), "weight": ("float32",)}


def _projection(
    name: str, entry: ProjectionEntry, arrays: dict[str, Array], fail: Fail
) -> Projection:
    where = ("nodes", name)
    parts = []
    for key, dtypes in _DTYPES.items():
        array = arrays.pop(f"{name}/{key}", None)
        if array is None or array.dtype not in dtypes:
            fail(where, f"the arrays need '{name}/{key}', {' or '.join(dtypes)}")
        parts.append(array)
    rows, targets, weight = parts
    if rows.shape != (entry.sources + 1,) or rows[0] != 0 or (np.diff(rows) < 0).any():
        fail(where, f"rows must be {entry.sources + 1} numbers that rise from 0")
    if rows[-1] != targets.size:
        fail(where, f"rows end at {rows[-1]}, but there are {targets.size} targets")
    fault = first_fault(rows, targets.astype(np.int32, copy=False), prod(entry.shape))
    if fault >= 0:
        fail(
            where,
            f"target {targets[fault]} of synapse {fault}: must be from 0 to below "
            f"{prod(entry.shape)}, ascending for each source",
        )
    if weight.size not in (1, targets.size) or not np.isfinite(weight).all():
        fail(where, f"weight must be 1 or {targets.size} finite numbers")
    return Projection(
        name=name,
        shape=tuple(entry.shape),
        sources=entry.sources,
        rows=rows,
        targets=targets,
        weight=weight,
        delay_s=entry.delay_s,
        receptor=entry.receptor,
    )


def check_edges(network: Network, fail: Fail) -> None:
    """Every edge joins what fits, and every Projection one node to one layer with its receptor."""
    before: dict[str, list[str]] = {name: [] for name in network.nodes}
    after: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in network.edges:
        _check_edge(network, source, target, fail)
        before[target].append(source)
        after[source].append(target)
    for name, node in network.nodes.items():
        if isinstance(node, Projection):
            if len(before[name]) != 1 or len(after[name]) != 1:
                fail(
                    ("nodes", name), "a projection needs one edge that leads to it and one from it"
                )
            _check_end(node, network.nodes[after[name][0]], fail)


def _check_edge(network: Network, source: str, target: str, fail: Fail) -> None:
    for name in (source, target):
        if name not in network.nodes:
            fail(("edges",), f"{source} -> {target}: there is no node '{name}'")
    first, second = network.nodes[source], network.nodes[target]
    ends = isinstance(first, Output | Modulator), isinstance(second, Input) or takes_nothing(second)
    if any(ends):
        fail(("edges",), f"{source} -> {target}: nothing leads this way")
    if first.size != input_size(second):
        fail(
            ("edges",),
            f"{source} -> {target}: '{source}' gives {first.size} values, '{target}' takes "
            f"{input_size(second)}",
        )


def takes_nothing(node: Node) -> bool:
    """Whether `node` generates spikes by itself."""
    return isinstance(node, Neurons) and node.kind in GENERATORS


def _check_end(node: Projection, layer: Node, fail: Fail) -> None:
    known = RECEPTORS[layer.kind] if isinstance(layer, Neurons) else ()
    if not known:
        fail(("nodes", node.name), f"'{layer.name}' has no synapses; lead it to a layer")
    if node.receptor not in ("", *known):
        fail(
            ("nodes", node.name, "receptor"),
            f"'{layer.name}' has no '{node.receptor}'; there are: {', '.join(known)}",
        )
