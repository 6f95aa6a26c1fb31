"""One node of a NIR graph, read from its raw parameters and checked, its shape perhaps still open.

What old exporters left out is filled in with a warning; what is wrong is one line that names the
file, the node, the parameter and what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, NoReturn, TypeAlias, cast

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.linearmap import length_out, same_padding
from reflexarc.runtime.network import (
    NIR_PARAMETERS,
    Conv,
    Delay,
    Flatten,
    FloatArray,
    Input,
    Linear,
    NeuronKind,
    Neurons,
    Node,
    Output,
    Pooling,
    Scale,
    Threshold,
)

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
_CONV_AXES = {"Conv1d": 1, "Conv2d": 2}
_POOLS: Mapping[str, Literal["sum", "average"]] = {"SumPool2d": "sum", "AvgPool2d": "average"}
#: NIR's types, for messages.
TYPES = (
    *("Input", "Output", "NIRGraph", "Linear", "Affine", "Flatten"),
    *(*_CONV_AXES, *_POOLS, *_ELEMENTWISE),
)

Shape: TypeAlias = tuple[int, ...]
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
        case kind if kind in _CONV_AXES:
            _read_conv(draft, raw, _CONV_AXES[kind])
        case kind if kind in _POOLS:
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


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a convolution or pool goes over the axes of its input, one entry an axis."""

    taps: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def lengths_out(self, lengths: Shape) -> Shape:
        """How many windows there are along each axis."""
        axes = zip(lengths, self.taps, self.stride, self.padding, self.dilation, strict=True)
        return tuple(length_out(*axis) for axis in axes)


@dataclass
class Draft:
    """A node whose shape may not be known yet.

    `shape_in` is None where the edges decide. `own` is the shape of an elementwise node's
    parameters; axes of 1 in it may be widened to what arrives.
    """

    source: str
    name: str
    type: str
    parameters: dict[str, Array]
    shape_in: Shape | None = None
    shape_out: Shape | None = None
    own: Shape | None = None
    window: Window | None = None
    flat_axes: tuple[int, int] = (0, -1)

    def fail(self, parameter: str, problem: str) -> NoReturn:
        """Raise a GraphError that names file, node and (unless "") parameter."""
        place = f", parameter '{parameter}'" if parameter else ""
        raise GraphError(f"{self.source}: node '{self.name}'{place}: {problem}")

    def warn(self, message: str) -> None:
        """Warn, naming file and node."""
        warnings.warn(f"{self.source}: node '{self.name}': {message}", UserWarning, stacklevel=2)

    def set_shape(self, shape: Shape) -> None:
        """Both shapes at once."""
        self.shape_in = self.shape_out = shape

    # What the neighbours tell.

    def receive(self, shape: Shape) -> bool:
        """Take the shape of what arrives, where it is wanted; whether that changed anything."""
        if self.own is not None:
            return self._receive_elementwise(shape)
        if self.shape_in is not None:
            return False
        if self.type == "Flatten":
            self.shape_in, self.shape_out = shape, self._flattened(shape)
        else:
            self._receive_image(shape)
        return True

    def _receive_elementwise(self, shape: Shape) -> bool:
        own = cast(Shape, self.own)
        if self.shape_out is None:
            if not _widens(own, shape):
                return False
        elif len(self.shape_out) >= len(shape) or self.shape_out != (prod(shape),):
            return False  # else: given flat, and an image arrives
        self.set_shape(shape)
        return True

    def _receive_image(self, shape: Shape) -> None:
        window = cast(Window, self.window)
        axes = len(window.taps) + 1
        image = _without_batch(shape, axes)
        channels = self._channels(image[0])
        if len(image) == axes - 1 and channels == 1 and self.type in _CONV_AXES:
            image = (1, *image)
        if len(image) != axes or image[0] != channels:
            self.fail(
                "input_shape" if self.type in _CONV_AXES else "",
                f"shape {shape} arrives, {channels} channels and {axes - 1} axes are needed",
            )
        self.set_image(image)

    def _channels(self, arriving: int) -> int:
        """How many channels it needs; a pool takes what arrives."""
        if "weight" not in self.parameters:
            return arriving
        return int(self.parameters["weight"].shape[1]) * cast(Window, self.window).groups

    def set_image(self, image: Shape) -> None:
        """Take `image` (channels, *lengths) as the input, and what comes of it."""
        window = cast(Window, self.window)
        weight = self.parameters.get("weight")
        channels = image[0] if weight is None else len(weight)
        lengths = window.lengths_out(image[1:])
        if min(lengths) < 1:
            self.fail("", f"its window {window.taps} does not fit into the input {image}")
        self.shape_in, self.shape_out = image, (channels, *lengths)

    def _flattened(self, shape: Shape) -> Shape:
        axes = len(shape)
        first, last = (axis + axes if axis < 0 else axis for axis in self.flat_axes)
        if first >= axes and last in (first, axes - 1, axes):
            self.warn(f"start_dim {first} counts a batch axis; nothing of {shape} is flattened")
            self.flat_axes = (axes - 1, axes - 1)
            return shape
        if not 0 <= first <= last < axes:
            self.fail("start_dim", f"axes {self.flat_axes} are not among those of {shape}")
        return (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])

    def settle(self) -> bool:
        """Take the shape of its own parameters, as nobody told another; whether it had one."""
        if self.shape_out is not None or not self.own:
            return False
        self.set_shape(self.own)
        return True

    def takes(self, shape: Shape) -> bool:
        """Whether what has `shape` may enter: as many elements, and images in the same order."""
        wanted = cast(Shape, self.shape_in)
        if prod(shape) != prod(wanted):
            return False
        if self.window is None or len(shape) == 1:
            return True
        return [n for n in shape if n > 1] == [n for n in wanted if n > 1]

    def warn_if_spread(self) -> None:
        """Say so where few parameters serve many elements."""
        if self.own is None or prod(self.own) == prod(cast(Shape, self.shape_out)):
            return
        kind = f"parameters of shape {self.own}" if self.own else "scalar parameters"
        self.warn(f"{kind} are spread over {self.shape_out}, as its neighbours")

    # The node.

    def finish(self) -> Node:
        """The node, every parameter spread over its elements."""
        if self.shape_out is None or self.shape_in is None:
            if self.own is None:
                self.fail("", "nothing tells the shape of its input; connect it to an Input")
            self.fail("", "all parameters are scalars and no neighbour tells the size; give arrays")
        name, shape, window = self.name, self.shape_out, self.window
        weight, bias = self.parameters.get("weight"), self.parameters.get("bias")
        match self.type:
            case "Input":
                return Input(name=name, shape=shape)
            case "Output":
                return Output(name=name, shape=shape)
            case "Flatten":
                first, last = self.flat_axes
                return Flatten(
                    name=name, shape=shape, shape_in=self.shape_in, start_dim=first, end_dim=last
                )
            case "Linear" | "Affine":
                assert weight is not None
                return Linear(name=name, shape=shape, weight=_frozen(weight), bias=_maybe(bias))
            case kind if kind in _CONV_AXES:
                assert weight is not None
                assert window is not None
                return Conv(
                    name=name,
                    shape=shape,
                    shape_in=self.shape_in,
                    weight=_frozen(weight),
                    bias=_maybe(bias),
                    stride=window.stride,
                    padding=window.padding,
                    dilation=window.dilation,
                    groups=window.groups,
                )
            case kind if kind in _POOLS:
                assert window is not None
                (kernel, stride, padding) = (
                    cast(tuple[int, int], values)
                    for values in (window.taps, window.stride, tuple(p for p, _ in window.padding))
                )
                return Pooling(
                    name=name,
                    shape=shape,
                    shape_in=self.shape_in,
                    kind=_POOLS[kind],
                    kernel=kernel,
                    stride=stride,
                    padding=padding,
                )
        return self._finish_elementwise(shape)

    def _finish_elementwise(self, shape: Shape) -> Node:
        spread = {name: self._spread(name, shape) for name in self.parameters}
        match self.type:
            case "Delay":
                return Delay(name=self.name, shape=shape, delay_s=spread["delay"])
            case "Scale":
                return Scale(name=self.name, shape=shape, scale=spread["scale"])
            case "Threshold":
                return Threshold(name=self.name, shape=shape, threshold=spread["threshold"])
        kind = cast(NeuronKind, self.type)
        return Neurons(name=self.name, shape=shape, kind=kind, parameters=spread)

    def _spread(self, parameter: str, shape: Shape) -> FloatArray:
        value = self.parameters[parameter]
        if value.size == prod(shape):
            return _frozen(value.reshape(-1))
        if value.size == 1:
            return _frozen(np.full(prod(shape), value.reshape(())))
        if not _widens(value.shape, shape):
            self.fail(parameter, f"shape {value.shape} does not fit the node's {shape}")
        return _frozen(np.broadcast_to(value, shape).reshape(-1))


def _without_batch(shape: Shape, axes: int) -> Shape:
    """`shape` without leading axes of 1, as long as it has more than `axes`."""
    while len(shape) > axes and shape[0] == 1:
        shape = shape[1:]
    return shape


def _widens(own: Shape, shape: Shape) -> bool:
    """Whether parameters of shape `own` can be spread over `shape`."""
    if prod(own) == 1:
        return len(own) <= len(shape)
    if len(own) > len(shape):
        return False
    return all(a in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False))


def _frozen(value: Array) -> FloatArray:
    array = np.ascontiguousarray(value, dtype=np.float64)
    array.flags.writeable = False
    return array


def _maybe(value: Array | None) -> FloatArray | None:
    return None if value is None else _frozen(value)


# Reading each type.


def _shape(draft: Draft, raw: RawNode, name: str = "shape") -> Shape:
    values = _numbers(draft, raw, name).reshape(-1)
    if values.size == 0 or np.any(values != np.floor(values)) or np.any(values < 1):
        draft.fail(name, f"expected whole numbers of at least 1, not {values.tolist()}")
    if values.prod() > MAX_ELEMENTS:
        draft.fail(name, f"{values.prod():.0f} elements; at most {MAX_ELEMENTS} are allowed")
    return tuple(int(value) for value in values)


def _read_linear(draft: Draft, raw: RawNode) -> None:
    weight = draft.parameters["weight"] = _numbers(draft, raw, "weight")
    if weight.ndim != 2 or 0 in weight.shape:
        draft.fail("weight", f"expected a matrix (outputs, inputs), not shape {weight.shape}")
    if draft.type == "Affine":
        _read_bias(draft, raw, len(weight))
    draft.shape_out, draft.shape_in = weight.shape[:1], weight.shape[1:]


def _read_bias(draft: Draft, raw: RawNode, size: int) -> None:
    bias = _numbers(draft, raw, "bias")
    if bias.size == 1 and bias.shape != (size,):
        draft.warn("a scalar bias is used for every output")
        bias = np.full(size, bias.reshape(()))
    if bias.shape != (size,):
        shape = draft.parameters["weight"].shape
        draft.fail("bias", f"shape {bias.shape} does not fit the weight {shape}")
    draft.parameters["bias"] = bias


def _read_flatten(draft: Draft, raw: RawNode) -> None:
    first, last = (
        _whole(draft, raw, name, 1, least=-99)[0] if raw.get(name) is not None else default
        for name, default in (("start_dim", 0), ("end_dim", -1))
    )
    draft.flat_axes = (first, last)
    if _is_given(raw, "input_type"):
        draft.receive(_shape(draft, raw, "input_type"))


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
        if value.size not in (1, prod(own)) and not _widens(value.shape, own):
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
