"""One node of a NIR graph, read from its raw parameters and checked.

What old exporters left out is filled in with a warning; what is wrong is one line that names the
file, the node, the parameter and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.linearmap import same_padding
from reflexarc.runtime.network import NIR_PARAMETERS
from reflexarc.runtime.nirdraft import CONV_AXES, POOLS, Draft, Shape, Window, widens

#: Elements of all nodes together, and of one weight matrix, beyond which a file is refused.
MAX_ELEMENTS = 2**25
MAX_WEIGHTS = 2**30
#: What files written before nir 1.0.6 leave out.
_DEFAULTS = {"v_reset": 0.0, "w_in": 1.0}
_POSITIVE = {"tau", "tau_syn", "tau_mem"}
#: Nodes that keep the shape of their input, and their parameters.
_ELEMENTWISE: Mapping[str, tuple[str, ...]] = {
    **{str(kind): names for kind, names in NIR_PARAMETERS.items()},
    "Delay": ("delay",),
    "Scale": ("scale",),
    "Threshold": ("threshold",),
}
#: NIR's types, for messages.
TYPES = (
    *("Input", "Output", "NIRGraph", "Linear", "Affine", "Flatten"),
    *(*CONV_AXES, *POOLS, *_ELEMENTWISE),
)

RawNode: TypeAlias = Mapping[str, Any]


def read_node(name: str, raw: RawNode, source: str) -> Draft:
    """The draft of one node that is not a graph. Raises GraphError."""
    draft = Draft(source, name, text(raw.get("type")), {})
    match draft.type:
        case "Input" | "Output":
            draft.set_shape(_shape(draft, raw))
        case "Linear" | "Affine":
            _read_linear(draft, raw)
        case "Flatten":
            _read_flatten(draft, raw)
        case kind if kind in CONV_AXES:
            _read_conv(draft, raw, CONV_AXES[kind])
        case kind if kind in POOLS:
            _read_pool(draft, raw)
        case kind if kind in _ELEMENTWISE:
            _read_elementwise(draft, raw, _ELEMENTWISE[kind])
        case "":
            draft.fail("type", "is missing; every node needs one")
        case other:
            draft.fail("type", f"'{other}' is not a NIR type; there are {', '.join(TYPES)}")
    return draft


def text(value: Any) -> str:
    """A text of HDF5 or of memory; "" for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _shape(draft: Draft, raw: RawNode, name: str = "shape") -> Shape:
    values = _numbers(draft, raw, name).reshape(-1)
    if values.size == 0 or np.any(values != np.floor(values)) or np.any(values < 1):
        draft.fail(name, f"expected whole numbers of at least 1, not {values.tolist()}")
    if values.prod() > MAX_ELEMENTS:
        draft.fail(name, f"{values.prod():.0f} elements; at most {MAX_ELEMENTS} are allowed")
    return tuple(int(value) for value in values)


def _read_linear(draft: Draft, raw: RawNode) -> None:
    weight = _numbers(draft, raw, "weight")
    if weight.ndim < 2 or 0 in weight.shape:
        draft.fail("weight", f"expected a matrix (outputs, inputs), not shape {weight.shape}")
    *stack, outputs, inputs = weight.shape
    draft.shape_out, draft.shape_in = (*stack, outputs), (*stack, inputs)
    draft.parameters["weight"] = _block_diagonal(draft, weight) if stack else weight
    if draft.type == "Affine":
        _read_bias(draft, raw, prod(draft.shape_out))


def _block_diagonal(draft: Draft, weight: Array) -> Array:
    """One matrix of a stack of them, each of which sees its own row of the input alone."""
    blocks = weight.reshape(-1, *weight.shape[-2:])
    count, outputs, inputs = blocks.shape
    if count * outputs * count * inputs > MAX_WEIGHTS:
        draft.fail("weight", f"{count} matrices of {outputs} x {inputs} are too many; split them")
    matrix = np.zeros((count, outputs, count, inputs))
    matrix[np.arange(count), :, np.arange(count), :] = blocks
    return matrix.reshape(count * outputs, count * inputs)


def _read_bias(draft: Draft, raw: RawNode, size: int) -> None:
    bias = _numbers(draft, raw, "bias")
    if bias.size == 1 and bias.shape != (size,):
        draft.warn("a scalar bias is used for every output")
        bias = np.full(size, bias.reshape(()))
    if bias.size != size:
        shape = draft.parameters["weight"].shape
        draft.fail("bias", f"shape {bias.shape} does not fit the weight {shape}")
    draft.parameters["bias"] = bias.reshape(-1)


def _read_flatten(draft: Draft, raw: RawNode) -> None:
    first, last = (
        _whole(draft, raw, name, 1, least=-99)[0] if raw.get(name) is not None else default
        for name, default in (("start_dim", 0), ("end_dim", -1))
    )
    draft.flat_axes = (first, last)
    if not _is_given(raw, "input_type"):
        return
    if np.all(_numbers(draft, raw, "input_type") >= 1):
        draft.receive(_shape(draft, raw, "input_type"))
    else:
        draft.warn("its input_type is no shape (an old file); that of what arrives is used")


def _read_conv(draft: Draft, raw: RawNode, axes: int) -> None:
    weight = draft.parameters["weight"] = _numbers(draft, raw, "weight")
    if weight.ndim != axes + 2 or 0 in weight.shape:
        form = "(channels out, channels in / groups, *taps)"
        draft.fail("weight", f"expected {axes + 2} axes {form}, not shape {weight.shape}")
    (groups,) = _whole(draft, raw, "groups", 1, default=1)
    if len(weight) % groups:
        draft.fail("groups", f"{len(weight)} channels out do not fall into {groups} groups")
    if _is_given(raw, "bias"):
        _read_bias(draft, raw, len(weight))
        if not draft.parameters["bias"].any():
            del draft.parameters["bias"]
    else:
        draft.warn("no bias; none is used")
    taps = weight.shape[2:]
    stride = _whole(draft, raw, "stride", axes, default=1)
    dilation = _whole(draft, raw, "dilation", axes, default=1)
    padding = _padding(draft, raw, taps, stride, dilation)
    draft.window = Window(
        taps=taps, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    if _is_given(raw, "input_shape"):
        lengths = _shape(draft, raw, "input_shape")
        if len(lengths) != axes:
            draft.fail("input_shape", f"expected {axes} numbers, not {list(lengths)}")
        draft.set_image((weight.shape[1] * groups, *lengths))


def _padding(
    draft: Draft, raw: RawNode, taps: Shape, stride: Shape, dilation: Shape
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis; what 'same' and 'valid' mean is as in torch."""
    word = text(raw.get("padding"))
    if word == "valid":
        return ((0, 0),) * len(taps)
    if word == "same":
        if set(stride) != {1}:
            draft.fail("padding", f"'same' needs a stride of 1, not {stride}; give numbers")
        return same_padding(taps, dilation)
    if word:
        draft.fail("padding", f"'{word}' is not known; give 'same', 'valid' or numbers")
    return tuple((p, p) for p in _whole(draft, raw, "padding", len(taps), least=0, default=0))


def _read_pool(draft: Draft, raw: RawNode) -> None:
    taps = _whole(draft, raw, "kernel_size", 2)
    stride = _whole(draft, raw, "stride", 2) if _is_given(raw, "stride") else taps
    padding = _whole(draft, raw, "padding", 2, least=0, default=0)
    draft.window = Window(
        taps=taps, stride=stride, padding=tuple((p, p) for p in padding), dilation=(1, 1)
    )


def _read_elementwise(draft: Draft, raw: RawNode, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in raw and name in _DEFAULTS:
            draft.warn(f"no {name} (an old file); {_DEFAULTS[name]:g} is used")
            draft.parameters[name] = np.asarray(_DEFAULTS[name])
        else:
            draft.parameters[name] = _numbers(draft, raw, name)
    for name in _POSITIVE.intersection(names):
        _all_above(draft, name, 0.0)
    if np.any(draft.parameters.get("delay", 0.0) < 0):
        draft.fail("delay", "a delay cannot be negative")
    _own_shape(draft)


def _own_shape(draft: Draft) -> None:
    """The shape of the largest parameter; the others must fit it."""
    largest = max(draft.parameters, key=lambda name: _extent(draft.parameters[name]))
    own = draft.own = draft.parameters[largest].shape
    if 0 in own:
        draft.fail(largest, "is empty; a node has at least one element")
    written = {n: v for n, v in draft.parameters.items() if n not in _DEFAULTS or v.ndim > 0}
    for name, value in written.items():
        if value.size not in (1, prod(own)) and not widens(value.shape, own):
            draft.fail(name, f"shape {value.shape} does not fit '{largest}' {own}")
    if len({value.shape for value in written.values()}) > 1:
        draft.warn(f"parameters of mixed shapes; scalars are spread over {own}")
    if own and 1 not in own:
        draft.set_shape(own)


def _extent(value: Array) -> tuple[int, int]:
    return value.size, value.ndim


def _is_given(raw: RawNode, name: str) -> bool:
    return raw.get(name) is not None


def _whole(
    draft: Draft, raw: RawNode, name: str, count: int, *, least: int = 1, default: int | None = None
) -> tuple[int, ...]:
    """Parameter `name` as `count` whole numbers; a single one serves all."""
    if default is not None and not _is_given(raw, name):
        draft.warn(f"no {name}; {default} is used")
        return (default,) * count
    values = _numbers(draft, raw, name).reshape(-1)
    if values.size not in (1, count):
        draft.fail(name, f"expected {count} numbers, not {values.size}")
    if np.any(values != np.floor(values)) or np.any(values < least) or np.any(values > 2**31):
        draft.fail(name, f"expected whole numbers of at least {least}, not {values.tolist()}")
    return tuple(int(value) for value in np.broadcast_to(values, count))


def _numbers(draft: Draft, raw: RawNode, name: str) -> Array:
    """Parameter `name` as float64 of its own shape, every value finite."""
    if not _is_given(raw, name):
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


def _all_above(draft: Draft, name: str, bound: float) -> None:
    value = draft.parameters[name]
    bad = np.argwhere(value <= bound)
    if len(bad):
        index = tuple(int(k) for k in bad[0])
        draft.fail(
            name, f"value {value[index]} at index {list(index)}; must be greater than {bound:g}"
        )
