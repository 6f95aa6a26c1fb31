"""NIR files (HDF5; https://neuroir.org): read into a `Network`, written from one.

h5py is used directly and not the `nir` package, which refuses some valid graphs (mixed scalars,
unbatched output shapes) and cannot say where a file is wrong.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.confined import read_raw
from reflexarc.runtime.errors import GraphError, MissingFileError, ReflexarcError, UnsupportedError
from reflexarc.runtime.files import write_atomic
from reflexarc.runtime.hdf5text import check_text
from reflexarc.runtime.linearmap import same_padding
from reflexarc.runtime.network import (
    NIR_PARAMETERS,
    Conv,
    Delay,
    Flatten,
    Input,
    Linear,
    Modulator,
    Network,
    Neurons,
    Node,
    Output,
    Pooling,
    Scale,
    Threshold,
)
from reflexarc.runtime.nirgraph import RawNodes, build
from reflexarc.runtime.nirnest import MAX_DEPTH, Edge
from reflexarc.runtime.nirnode import MAX_WEIGHTS, text

#: The version of the format that is written.
FORMAT_VERSION = "1.0.6"
#: Deflate shrinks to a thousandth at best: what claims to hold more than that was never written.
_MOST_DEFLATED = 1100
_UNCHECKED_BYTES = 2**20
#: Larger arrays are compressed when written; most weight matrices are mostly zeros.
_COMPRESSED_BYTES = 2**12


def read(path: str | Path) -> Network:
    """Read a .nir file, in a child process with limits (see `reflexarc.runtime.confined`).

    Raises:
        MissingFileError: there is no such file.
        GraphError: not HDF5, truncated, or malformed; names file, node and parameter.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; check the name")
    nodes, edges = read_raw(path)
    return build(nodes, edges, str(path))


def parse(path: Path) -> tuple[RawNodes, list[Edge]]:
    """Nodes and edges as they stand in a .nir file, in this process. Raises GraphError."""
    if not h5py.is_hdf5(path):
        raise GraphError(f"{path}: not an HDF5 file; give a graph written by nir.write")
    try:
        with (
            path.open("rb") as handle,
            mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as raw,
            h5py.File(path, "r") as file,
        ):
            reader = _Reader(raw, str(path))
            return reader.graph(_child(file, "node", str(path)))
    except ReflexarcError:
        raise
    except Exception as error:  # damaged bytes make h5py raise nearly every kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphError(
            f"{path}: damaged or truncated ({reason}); write the graph again"
        ) from None


@dataclass
class _Reader:
    """An open file, its bytes, its name, and the groups read so far."""

    raw: Any
    source: str
    seen: set[int] = field(default_factory=set)

    def graph(self, group: Any) -> tuple[RawNodes, list[Edge]]:
        """Nodes and edges of the graph that `group` holds."""
        place = group.name.lstrip("/")
        nodes = _child(group, "nodes", self.source)
        if not isinstance(nodes, h5py.Group):
            raise GraphError(
                f"{self.source}: '{place}/nodes' is not a group of nodes; write the graph again"
            )
        self._check_first_time(nodes)
        read = {name: self._node(_child(nodes, name, self.source), name) for name in nodes}
        edges = _child(group, "edges", self.source)
        if not isinstance(edges, h5py.Dataset):
            raise GraphError(
                f"{self.source}: '{place}/edges' is not a list of pairs; write the graph again"
            )
        _check_dataset(edges, self.raw, f"{self.source}: '{place}/edges'")
        return read, _read_edges(edges, f"{self.source}: '{place}/edges'")

    def _check_first_time(self, nodes: Any) -> None:
        """Hard links let a graph hold itself, or another one many times over."""
        address = h5py.h5o.get_info(nodes.id).addr
        if address in self.seen or nodes.name.count("/") > 2 * MAX_DEPTH + 2:
            raise GraphError(
                f"{self.source}: '{nodes.name.lstrip('/')}' is in the file more than once, or too "
                f"deep; write the graph again"
            )
        self.seen.add(address)

    def _node(self, group: Any, name: str) -> dict[str, Any]:
        if not isinstance(group, h5py.Group):
            raise GraphError(f"{self.source}: node '{name}': not a group of parameters")
        values: dict[str, Any] = {}
        for key in group:
            item = _child(group, key, self.source)
            if not isinstance(item, h5py.Dataset):
                continue  # metadata, or the inside of a graph
            _check_dataset(item, self.raw, f"{self.source}: node '{name}', parameter '{key}'")
            values[key] = None if item.size is None else item[()]
        if text(values.get("type")) == "NIRGraph":
            values["nodes"], values["edges"] = self.graph(group)
        return values


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


def _read_edges(dataset: Any, where: str) -> list[Edge]:
    if dataset.size == 0:
        return []
    if dataset.ndim != 2 or dataset.shape[1] != 2 or dataset.dtype.kind not in "OSiu":
        raise GraphError(
            f"{where} must be pairs of node names, not shape {dataset.shape} of {dataset.dtype}"
        )
    return [(_end(before), _end(after)) for before, after in dataset[()]]


def _end(name: Any) -> str:
    """A node's name; the first versions of NIR numbered the nodes."""
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


def from_graph(graph: Any, source: str = "<NIRGraph>") -> Network:
    """Convert an in-memory `nir.NIRGraph` (anything with `nodes` and `edges` like it).

    Raises:
        GraphError: as `read`.
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


def encode(network: Network, path: str, *, ordered: bool = False) -> bytes:
    """What `write` writes; `path` is for messages.

    Readers see the nodes in their order if `ordered`, and by name otherwise.
    """
    for name in network.nodes:
        if "/" in name or "\0" in name or name in ("", "."):
            raise GraphError(f"{path}: node '{name}': HDF5 cannot hold this name; rename the node")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write_graph(file, network, ordered)
    return buffer.getvalue()


def _write_graph(file: Any, network: Network, ordered: bool) -> None:
    string = h5py.string_dtype()
    file.create_dataset("version", data=FORMAT_VERSION, dtype=string)
    graph = file.create_group("node")
    graph.create_dataset("type", data="NIRGraph", dtype=string)
    pairs = np.array(network.edges, dtype=object).reshape(-1, 2)
    graph.create_dataset("edges", data=pairs, dtype=string)
    nodes = graph.create_group("nodes", track_order=ordered)
    for name, node in network.nodes.items():
        kind, parameters = _raw(node)
        group = nodes.create_group(name)
        group.create_dataset("type", data=kind, dtype=string)
        for key, value in parameters.items():
            if isinstance(value, str):
                group.create_dataset(key, data=value, dtype=string)
                continue
            packed = {"compression": "gzip", "shuffle": True}
            options = packed if value.nbytes > _COMPRESSED_BYTES else {}
            group.create_dataset(key, data=value, **options)


def _raw(node: Node) -> tuple[str, Mapping[str, Array | str]]:
    """NIR's type and parameters of a node."""
    match node:
        case Input() if not isinstance(node, Modulator):
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
        case Scale():
            return "Scale", {"scale": node.scale.reshape(node.shape)}
        case Threshold():
            return "Threshold", {"threshold": node.threshold.reshape(node.shape)}
        case Flatten():
            axes = {"start_dim": np.array(node.start_dim), "end_dim": np.array(node.end_dim)}
            return "Flatten", {**axes, "input_type": np.array(node.shape_in)}
        case Conv():
            return f"Conv{len(node.stride)}d", _raw_conv(node)
        case Pooling():
            kind = "SumPool2d" if node.kind == "sum" else "AvgPool2d"
            windows = {"kernel_size": node.kernel, "stride": node.stride, "padding": node.padding}
            return kind, {name: np.array(value) for name, value in windows.items()}
        case Neurons() if node.kind in NIR_PARAMETERS:
            names = NIR_PARAMETERS[node.kind]
            return node.kind, {name: node.parameters[name].reshape(node.shape) for name in names}
    raise UnsupportedError(f"node '{node.name}': {type(node).__name__} is not a NIR type")


def _raw_conv(node: Conv) -> dict[str, Array | str]:
    channels, *lengths = node.shape
    # The word where it fits: `nir` 1.0.8 takes a square kernel for granted where it counts.
    same = node.padding == same_padding(node.weight.shape[2:], node.dilation)
    same = same and set(node.stride) == {1}
    if not same and any(before != after for before, after in node.padding):
        raise UnsupportedError(
            f"node '{node.name}': NIR has no padding that differs before and after an axis"
        )
    one_axis = len(lengths) == 1
    return {
        "weight": node.weight,
        "bias": np.zeros(channels) if node.bias is None else node.bias,
        "stride": np.array(node.stride),
        "dilation": np.array(node.dilation),
        "padding": "same" if same else np.array([before for before, _ in node.padding]),
        "groups": np.array(node.groups),
        "input_shape": np.array(node.shape_in[1] if one_axis else node.shape_in[1:]),
    }
