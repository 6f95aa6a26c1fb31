"""`save`: a network as a NIR file, or as a sidecar with a NIR file and arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reflexarc.runtime import nirfile
from reflexarc.runtime.arrays import write_arrays
from reflexarc.runtime.batch import Array
from reflexarc.runtime.beyond import Told, arrays_of, entry_of, is_beyond, told
from reflexarc.runtime.config import dump_yaml
from reflexarc.runtime.errors import ConfigError, UnsupportedError
from reflexarc.runtime.files import replacing
from reflexarc.runtime.network import (
    Delay,
    Linear,
    Modulator,
    Network,
    Neurons,
    Node,
    Projection,
)
from reflexarc.runtime.plasticity import Rule

#: A projection that has more pairs than this is not written as a matrix.
LARGEST_MATRIX = 2**22
#: Voltages of layers up to this size stand in the sidecar itself.
_FEW = 16


def save(network: Network, path: str | Path) -> None:
    """Write `network` so that `load` gives it back; replaces what is there at once.

    A `.nir` file says what NIR can: how to run it (mode, dialect, dt_s, spike_area) is for the
    arguments of `load`, and projections become Linear (and Delay) nodes. A `.yaml` file says all:
    it stands beside a .nir file of the same name, which holds what NIR has words for, and an .npz
    file with what else is large.

    Raises:
        UnsupportedError: NIR has no word for something; names node, kind, receptor or rule.
        ConfigError: another kind of file, or the folder cannot be written to.
        GraphError: the name of a node that HDF5 cannot hold.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".nir":
            data = nirfile.encode(_in_words_of_nir(network, path), str(path), ordered=True)
            with replacing(path) as (file,):
                file.write(data)
        case ".yaml" | ".yml":
            _save_sidecar(network, path)
        case other:
            raise ConfigError(f"{path}: save writes .nir and .yaml, not '{other}'")


# As a NIR file alone.


def _in_words_of_nir(network: Network, path: Path) -> Network:
    """The same network without any Projection."""
    for name in network.plasticity:
        _refuse(path, name, f"no rule '{network.rules(name)[0].rule}'")
    for name in network.initial_v:
        _refuse(path, name, "no initial_v")
    nodes: dict[str, Node] = {}
    edges = list(network.edges)
    for name, node in network.nodes.items():
        if isinstance(node, Projection):
            for made in _as_matrix(node, network, path):
                nodes[made.name] = made
            if node.delay_s > 0:
                held = _delay_name(name, network)
                edges = [(held if a == name else a, b) for a, b in edges]
                edges.insert(next(k for k, e in enumerate(edges) if e[0] == held), (name, held))
        else:
            if isinstance(node, Modulator):
                _refuse(path, name, "no modulators")
            if isinstance(node, Neurons):
                _check_words(node, path)
            nodes[name] = node
    return replace(network, nodes=nodes, edges=tuple(edges))


def _refuse(path: Path, name: str, what: str) -> None:
    raise UnsupportedError(f"{path}: node '{name}': NIR has {what}; save it as .yaml")


def _check_words(node: Neurons, path: Path) -> None:
    if is_beyond(node):
        _refuse(path, node.name, f"no kind {node.kind}")
    if "refractory" in node.parameters:
        _refuse(path, node.name, "no refractory time")


def _as_matrix(node: Projection, network: Network, path: Path) -> list[Node]:
    """A projection as a Linear node, and a Delay node where it takes time."""
    if node.receptor not in ("", "input"):
        _refuse(path, node.name, f"no receptor '{node.receptor}'")
    if node.sources * node.size > LARGEST_MATRIX:
        _refuse(
            path,
            node.name,
            f"only matrices, and one of {node.size} x {node.sources} is over "
            f"{LARGEST_MATRIX} weights",
        )
    weight = np.zeros((node.size, node.sources))
    source = np.repeat(np.arange(node.sources), np.diff(node.rows))
    np.add.at(weight, (node.targets, source), node.weight.astype(np.float64))
    made: list[Node] = [Linear(name=node.name, shape=(node.size,), weight=weight)]
    if node.delay_s > 0:
        held = np.full(node.size, node.delay_s)
        made.append(Delay(name=_delay_name(node.name, network), shape=(node.size,), delay_s=held))
    return made


def _delay_name(name: str, network: Network) -> str:
    """A free name for the Delay behind a projection."""
    wanted = f"{name}_delay"
    while wanted in network.nodes:
        wanted += "_"
    return wanted


# As a sidecar.


def _save_sidecar(network: Network, path: Path) -> None:
    graph, numbers = path.with_suffix(".nir"), path.with_suffix(".npz")
    inside = {name: node for name, node in network.nodes.items() if not is_beyond(node)}
    pairs = tuple((a, b) for a, b in network.edges if a in inside and b in inside)
    data = nirfile.encode(replace(network, nodes=inside, edges=pairs), str(path), ordered=True)
    arrays = _arrays(network)
    text = _sidecar(network, graph.name, numbers.name if arrays else None)
    targets = [graph, *([numbers] if arrays else []), path]
    with replacing(*targets) as files:
        files[0].write(data)
        if arrays:
            write_arrays(files[1], arrays)
        files[-1].write(dump_yaml(text).encode())


def _sidecar(network: Network, graph: str, arrays: str | None) -> dict[str, Any]:
    """The keys of `Sidecar`, those that say nothing left out."""
    beyond, modulators = _entries(network), _modulators(network)
    said: dict[str, Any] = {
        "graph": graph,
        "arrays": arrays,
        "spike_area": float(network.spike_area),
        "mode": network.mode,
        "dialect": network.dialect,
        "dt_s": None if network.dt_s is None else float(network.dt_s),
        "seed": network.seed or None,
        "initial_v": {name: _told_here(values) for name, values in network.initial_v.items()},
        "plasticity": {name: _rules(said) for name, said in network.plasticity.items()},
        "refractory": {name: told(values) for name, values in _refractory(network).items()},
        "nodes": {node.name: entry_of(node) for node in beyond},
        "modulators": modulators,
        "order": list(network.nodes) if beyond or modulators else None,
        "edges": [list(edge) for edge in network.edges] if beyond else None,
    }
    return {key: value for key, value in said.items() if value not in (None, {})}


def _rules(said: Rule | tuple[Rule, ...]) -> Any:
    """The keys of one rule, or a list of them."""
    if isinstance(said, tuple):
        return [_rules(rule) for rule in said]
    return said.model_dump(exclude_defaults=True) | {"rule": said.rule}


def _entries(network: Network) -> list[Node]:
    """What stands under `nodes`."""
    nodes = network.nodes.values()
    return [node for node in nodes if is_beyond(node) and not isinstance(node, Modulator)]


def _modulators(network: Network) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for node in network.nodes.values():
        if isinstance(node, Modulator):
            decay = {} if node.tau_s is None else {"tau_s": float(node.tau_s)}
            found[node.name] = {"size": node.size, **decay}
    return found


def _refractory(network: Network) -> dict[str, Array]:
    """Refractory times of NIR's kinds, by layer."""
    return {
        name: node.parameters["refractory"]
        for name, node in network.nodes.items()
        if isinstance(node, Neurons) and not is_beyond(node) and "refractory" in node.parameters
    }


def _told_here(values: Array) -> Told | list[float]:
    """As `told`, but a few that differ stand in the sidecar themselves."""
    said = told(values)
    return [float(value) for value in values] if said == "array" and values.size <= _FEW else said


def _arrays(network: Network) -> Mapping[str, Array]:
    """What does not stand in the sidecar."""
    arrays: dict[str, Array] = {}
    for node in _entries(network):
        arrays |= arrays_of(node)
    for name, values in _refractory(network).items():
        if told(values) == "array":
            arrays[f"{name}/refractory"] = values
    for name, values in network.initial_v.items():
        if _told_here(values) == "array":
            arrays[f"{name}/initial_v"] = values
    return arrays
