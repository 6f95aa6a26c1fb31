"""The sidecar: a YAML file beside a NIR graph that says what NIR cannot. And `load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from reflexarc.runtime import nirfile
from reflexarc.runtime.config import Document, Strict, read_yaml
from reflexarc.runtime.dialect import named
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.network import Delay, FloatArray, Linear, Mode, Network, Neurons, Node
from reflexarc.runtime.plasticity import Rule

_SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class Sidecar(Strict):
    """The keys of a sidecar file.

    Attributes:
        graph: path of the .nir file, relative to the sidecar.
        spike_area: charge of the Dirac that a spike delivers in exact mode (value times seconds).
        seed: of the Poisson generators.
        time_unit: the unit of the graph's times; they are scaled to seconds.
        mode, dialect, dt_s: how to run it unless the caller says otherwise.
        initial_v: first voltage by layer, one number or one for each neuron.
        plasticity: learning rule by name of the Linear or Affine node.
    """

    graph: str
    spike_area: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)
    time_unit: Literal["s", "ms", "us"] = "s"
    mode: Mode = "exact"
    dialect: str = "reflexarc"
    dt_s: float | None = Field(default=None, gt=0)
    initial_v: dict[str, float | list[float]] = Field(default_factory=dict)
    plasticity: dict[str, Rule] = Field(default_factory=dict)


def load(
    source: str | Path | Any,
    *,
    spike_area: float | None = None,
    time_unit: str | None = None,
    mode: str | None = None,
    dialect: str | None = None,
    dt_s: float | None = None,
) -> Network:
    """Load a network from a .nir file, a sidecar .yaml, or an in-memory `nir.NIRGraph`.

    An argument overrides what the sidecar says (see `Sidecar` for the meaning and the defaults).

    Raises:
        MissingFileError: there is no such file.
        GraphError: the graph is malformed; names file, node and parameter.
        ConfigError: a wrong key or value; names file, line and key, or the argument.
        UnsupportedError: a node type or dialect that this release does not run.
    """
    given = {
        "spike_area": spike_area,
        "time_unit": time_unit,
        "mode": mode,
        "dialect": dialect,
        "dt_s": dt_s,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    if not isinstance(source, (str, Path)):
        if not (hasattr(source, "nodes") and hasattr(source, "edges")):
            raise ConfigError(f"load: expected a path or a NIRGraph, not {type(source).__name__}")
        return _attach(nirfile.from_graph(source), _from_arguments(overrides))
    path = Path(source)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return _attach(nirfile.read(path), _from_arguments(overrides))
    document = read_yaml(path)
    sidecar = document.validate(Sidecar)
    graph = path.parent / sidecar.graph
    if not graph.is_file():
        document.fail(("graph",), f"no such file: {graph}")
    if overrides:
        document = Document(str(path), {**document.data, **overrides}, document.lines)
    return _attach(nirfile.read(graph), document)


def _from_arguments(overrides: dict[str, Any]) -> Document:
    return Document("load", {"graph": "", **overrides}, {})


def _attach(network: Network, document: Document) -> Network:
    """Join a graph with what `document` says about it."""
    sidecar = document.validate(Sidecar)
    try:
        named(sidecar.dialect)
    except UnsupportedError as error:
        raise UnsupportedError(f"{document.where(('dialect',))}: {error}") from None
    for name, rule in sidecar.plasticity.items():
        _check_rule(network, name, rule, document)
    unit_s = _SECONDS[sidecar.time_unit]
    return replace(
        network,
        nodes={name: _in_seconds(node, unit_s) for name, node in network.nodes.items()},
        spike_area=sidecar.spike_area,
        seed=sidecar.seed,
        mode=sidecar.mode,
        dialect=sidecar.dialect,
        dt_s=sidecar.dt_s,
        initial_v={
            name: _voltages(network, name, value, document)
            for name, value in sidecar.initial_v.items()
        },
        plasticity=sidecar.plasticity,
    )


def _check_rule(network: Network, name: str, rule: Rule, document: Document) -> None:
    node = network.nodes.get(name)
    if not isinstance(node, Linear):
        edges = ", ".join(n.name for n in network.nodes.values() if isinstance(n, Linear))
        document.fail(
            ("plasticity", name), f"no Linear or Affine node of that name; there are: {edges}"
        )
    misfit = rule.misfit(node.weight, {n.name: n.size for n in network.nodes.values()})
    if misfit:
        document.fail(("plasticity", name, misfit[0]), misfit[1])


def _voltages(
    network: Network, name: str, value: float | list[float], document: Document
) -> FloatArray:
    node, path = network.nodes.get(name), ("initial_v", name)
    if not isinstance(node, Neurons):
        layers = ", ".join(n.name for n in network.nodes.values() if isinstance(n, Neurons))
        document.fail(path, f"no layer of neurons of that name; there are: {layers or 'none'}")
    if isinstance(value, list) and len(value) != node.size:
        document.fail(path, f"{len(value)} voltages for {node.size} neurons")
    return np.array(np.broadcast_to(np.asarray(value, np.float64), (node.size,)))


def _in_seconds(node: Node, unit_s: float) -> Node:
    """`node` with times in units of `unit_s` scaled to seconds."""
    if unit_s == 1.0:
        return node
    if isinstance(node, Delay):
        return replace(node, delay_s=node.delay_s * unit_s)
    if not isinstance(node, Neurons):
        return node
    scaled = {
        name: value * unit_s if name.startswith("tau") else value
        for name, value in node.parameters.items()
    }
    if node.kind in ("IF", "I"):  # dv/dt = r I: here r is a rate
        scaled["r"] = scaled["r"] / unit_s
    return replace(node, parameters=scaled)
