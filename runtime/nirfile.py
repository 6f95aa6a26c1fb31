"""NIR files (HDF5; https://neuroir.org): read into a `Network`, written from one.

h5py is used directly and not the `nir` package, which refuses some valid graphs (mixed scalars,
unbatched output shapes) and cannot say where a file is wrong.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError, MissingFileError, ReflexarcError, UnsupportedError
from reflexarc.runtime.files import write_atomic
from reflexarc.runtime.hdf5text import check_text
from reflexarc.runtime.network import (
    NIR_PARAMETERS,
    Delay,
    Input,
    Linear,
    Network,
    Neurons,
    Node,
    Output,
)
from reflexarc.runtime.nirgraph import MAX_WEIGHTS, RawNodes, build

#: The version of the format that is written.
FORMAT_VERSION = "1.0.6"
#: Deflate shrinks to a thousandth at best: what claims to hold more than that was never written.
_MOST_DEFLATED = 1100
_UNCHECKED_BYTES = 2**20
#: Larger arrays are compressed when written; most weight matrices are mostly zeros.
_COMPRESSED_BYTES = 2**12


def read(path: str | Path) -> Network:
    """Read a .nir file. Raises what `read_raw` raises, and UnsupportedError (see `build`)."""
    return build(*read_raw(path), str(path))


def read_raw(path: str | Path) -> tuple[RawNodes, list[tuple[str, str]]]:
    """The nodes and edges of a .nir file as they stand there.

    Raises:
        MissingFileError: there is no such file.
        GraphError: not HDF5, truncated, or malformed; names file, node and parameter.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the name")
    if not h5py.is_hdf5(path):
        raise GraphError(f"{path}: not an HDF5 file; give a graph written by nir.write")
    try:
        with (
            path.open("rb") as handle,
            mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as raw,
            h5py.File(path, "r") as file,
        ):
            return _read_graph(file, raw, str(path))
    except ReflexarcError:
        raise
    except Exception as error:  # damaged bytes make h5py raise nearly every kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphError(
            f"{path}: damaged or truncated ({reason}); write the graph again"
        ) from None


def _read_graph(file: Any, raw: Any, source: str) -> tuple[RawNodes, list[tuple[str, str]]]:
    graph = _child(file, "node", source)
    nodes = _child(graph, "nodes", source)
    if not isinstance(nodes, h5py.Group):
        raise GraphError(f"{source}: 'node/nodes' is not a group of nodes; write the graph again")
    read = {name: _read_node(_child(nodes, name, source), raw, name, source) for name in nodes}
    edges = _child(graph, "edges", source)
    if not isinstance(edges, h5py.Dataset):
        raise GraphError(f"{source}: 'node/edges' is not a list of pairs; write the graph again")
    _check_dataset(edges, raw, f"{source}: 'node/edges'")
    return read, _read_edges(edges, source)


def _child(group: Any, name: str, source: str) -> Any:
    """A member of `group` that lies in this file: links could lead anywhere."""
    place = f"{group.name.rstrip('/')}/{name}".lstrip("/")
    link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
    if link is None:
        raise GraphError(f"{source}: '{place}' is missing; this is not a NIR graph")
    if not isinstance(link, h5py.HardLink):
        raise GraphError(
            f"{source}: '{place}' is a link, which is not followed; put the data itself there"
        )
    return group[name]


def _read_node(group: Any, raw: Any, name: str, source: str) -> dict[str, Any]:
    if not isinstance(group, h5py.Group):
        raise GraphError(f"{source}: node '{name}': not a group of parameters")
    values: dict[str, Any] = {}
    for key in group:
        item = _child(group, key, source)
        if not isinstance(item, h5py.Dataset):
            continue  # metadata, or the inside of a nested graph (its type is refused later)
        _check_dataset(item, raw, f"{source}: node '{name}', parameter '{key}'")
        values[key] = item[()]
    return values


def _check_dataset(item: Any, raw: Any, where: str) -> None:
    """Refuse what is too large, not in this file, or declared without being there."""
    if item.dtype.hasobject and h5py.check_string_dtype(item.dtype) is None:
        raise GraphError(f"{where}: expected numbers or text, not {item.dtype}")
    if item.external or item.is_virtual:
        raise GraphError(f"{where}: its values are in another file; put them into this one")
    if item.size is None:
        return
    if item.size > MAX_WEIGHTS:
        raise GraphError(f"{where}: {item.size} values; at most {MAX_WEIGHTS} are allowed")
    if item.nbytes > max(_UNCHECKED_BYTES, _MOST_DEFLATED * item.id.get_storage_size()):
        raise GraphError(f"{where}: {item.size} values are declared, but hardly any are there")
    check_text(item, raw)


def _read_edges(dataset: Any, source: str) -> list[tuple[str, str]]:
    if dataset.size == 0:
        return []
    if dataset.ndim != 2 or dataset.shape[1] != 2 or dataset.dtype.kind not in "OS":
        raise GraphError(
            f"{source}: 'node/edges' must be pairs of node names, not shape {dataset.shape} "
            f"of {dataset.dtype}"
        )
    return [(before.decode("utf-8"), after.decode("utf-8")) for before, after in dataset[()]]


def from_graph(graph: Any, source: str = "<NIRGraph>") -> Network:
    """Convert an in-memory `nir.NIRGraph` (anything with `nodes` and `edges` like it).

    Raises:
        GraphError, UnsupportedError: as `read`.
    """
    nodes = {str(name): node.to_dict() for name, node in graph.nodes.items()}
    return build(nodes, [(str(a), str(b)) for a, b in graph.edges], source)


def write(network: Network, path: str | Path) -> None:
    """Write the graph of `network` so that `nir.read` accepts it; replaces `path` at once.

    The sidecar's part (spike_area, plasticity, refractory, ...) is not in the format and is not
    written; `reflexarc.save` sees to it.

    Raises:
        ConfigError: the folder cannot be written to, or a node's name has a '/' (HDF5 would take
            it for two).
    """
    write_atomic(Path(path), encode(network, str(path)))


def encode(network: Network, path: str) -> bytes:
    """What `write` writes; `path` is for messages."""
    for name in network.nodes:
        if "/" in name or name in ("", "."):
            raise GraphError(f"{path}: node '{name}': HDF5 cannot hold this name; rename the node")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write_graph(file, network)
    return buffer.getvalue()


def _write_graph(file: Any, network: Network) -> None:
    text = h5py.string_dtype()
    file.create_dataset("version", data=FORMAT_VERSION, dtype=text)
    graph = file.create_group("node")
    graph.create_dataset("type", data="NIRGraph", dtype=text)
    pairs = np.array(network.edges, dtype=object).reshape(-1, 2)
    graph.create_dataset("edges", data=pairs, dtype=text)
    nodes = graph.create_group("nodes", track_order=True)
    for name, node in network.nodes.items():
        kind, parameters = _raw(node)
        group = nodes.create_group(name)
        group.create_dataset("type", data=kind, dtype=text)
        for key, value in parameters.items():
            packed = {"compression": "gzip", "shuffle": True}
            options = packed if value.nbytes > _COMPRESSED_BYTES else {}
            group.create_dataset(key, data=value, **options)


def _raw(node: Node) -> tuple[str, Mapping[str, Array]]:
    """NIR's type and parameters of a node."""
    match node:
        case Input():
            return "Input", {"shape": np.array(node.shape)}
        case Output():
            return "Output", {"shape": np.array(node.shape)}
        case Linear(bias=None):
            return "Linear", {"weight": node.weight}
        case Linear(bias=bias):
            assert bias is not None
            return "Affine", {"weight": node.weight, "bias": bias}
        case Delay():
            return "Delay", {"delay": node.delay_s.reshape(node.shape)}
        case Neurons() if node.kind in NIR_PARAMETERS:
            names = NIR_PARAMETERS[node.kind]
            return node.kind, {name: node.parameters[name].reshape(node.shape) for name in names}
    raise UnsupportedError(f"node '{node.name}': {type(node).__name__} is not a NIR type")
