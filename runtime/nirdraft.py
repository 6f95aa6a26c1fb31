"""A node of a NIR graph whose shape may still be open, and how it takes one from its neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, NoReturn, TypeAlias, cast

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError
from reflexarc.runtime.linearmap import length_out
from reflexarc.runtime.network import (
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

#: NIR's types that go over an image with a window: how many axes it has, what the window does.
CONV_AXES = {"Conv1d": 1, "Conv2d": 2}
POOLS: Mapping[str, Literal["sum", "average"]] = {"SumPool2d": "sum", "AvgPool2d": "average"}

Shape: TypeAlias = tuple[int, ...]


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
            if not widens(own, shape):
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
        if len(image) == axes - 1 and channels == 1 and self.type in CONV_AXES:
            image = (1, *image)
        if len(image) != axes or image[0] != channels:
            self.fail(
                "input_shape" if self.type in CONV_AXES else "",
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
        name, shape = self.name, self.shape_out
        match self.type:
            case "Input":
                return Input(name=name, shape=shape)
            case "Output":
                return Output(name=name, shape=shape)
            case "Linear" | "Affine":
                weight = _frozen(self.parameters["weight"])
                return Linear(name=name, shape=shape, weight=weight, bias=self._bias())
            case "Flatten":
                first, last = self.flat_axes
                return Flatten(
                    name=name, shape=shape, shape_in=self.shape_in, start_dim=first, end_dim=last
                )
        if self.window is None:
            return self._finish_elementwise(shape)
        return self._finish_window(shape, self.shape_in, self.window)

    def _bias(self) -> FloatArray | None:
        bias = self.parameters.get("bias")
        return None if bias is None else _frozen(bias)

    def _finish_window(self, shape: Shape, shape_in: Shape, window: Window) -> Node:
        if self.type in CONV_AXES:
            return Conv(
                name=self.name,
                shape=shape,
                shape_in=shape_in,
                weight=_frozen(self.parameters["weight"]),
                bias=self._bias(),
                stride=window.stride,
                padding=window.padding,
                dilation=window.dilation,
                groups=window.groups,
            )
        (top, _), (left, _) = window.padding
        return Pooling(
            name=self.name,
            shape=shape,
            shape_in=shape_in,
            kind=POOLS[self.type],
            kernel=cast(tuple[int, int], window.taps),
            stride=cast(tuple[int, int], window.stride),
            padding=(top, left),
        )

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
        if not widens(value.shape, shape):
            self.fail(parameter, f"shape {value.shape} does not fit the node's {shape}")
        return _frozen(np.broadcast_to(value, shape).reshape(-1))


def _without_batch(shape: Shape, axes: int) -> Shape:
    """`shape` without leading axes of 1, as long as it has more than `axes`."""
    while len(shape) > axes and shape[0] == 1:
        shape = shape[1:]
    return shape


def widens(own: Shape, shape: Shape) -> bool:
    """Whether parameters of shape `own` can be spread over `shape`."""
    if prod(own) == 1:
        return prod(shape) > 1 or len(own) <= len(shape)
    if len(own) > len(shape):
        return False
    return all(a in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False))


def _frozen(value: Array) -> FloatArray:
    array = np.ascontiguousarray(value, dtype=np.float64)
    array.flags.writeable = False
    return array
