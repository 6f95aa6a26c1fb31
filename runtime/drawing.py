"""A network as a picture: nodes in layers from left to right, feedback curved beneath them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.files import write_atomic
from reflexarc.runtime.inspection import feedback_edges, kind_of
from reflexarc.runtime.network import Delay, Input, Network, Neurons, Node, Output
from reflexarc.runtime.plots import BLUE, GREEN, GREY, ORANGE, RED
from reflexarc.runtime.topology import evaluation_order

# Inches.
_LETTER, _PAD, _HEIGHT = 0.088, 0.24, 0.62
_GAP_X, _GAP_Y, _MARGIN, _LANE, _ROUND = 0.6, 0.3, 0.25, 0.2, 0.15
_DOTS_PER_INCH = 150
#: Matplotlib's largest picture has 2**16 pixels a side.
_LARGEST_IN = 2**16 / _DOTS_PER_INCH - 1
_LONGEST_NAME = 28


def draw(network: Network, path: Path) -> None:
    """Write a picture of the graph to a .png or .svg file.

    Raises:
        ConfigError: another suffix, a graph too large for a picture, or no place to write.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise ConfigError(f"{path}: a drawing is a .png or .svg file")
    figure = picture(network)
    if max(figure.get_size_inches()) > _LARGEST_IN:
        raise ConfigError(f"{path}: {len(network.nodes)} nodes are too many for one picture")
    buffer = io.BytesIO()
    options = {"metadata": {"Date": None}} if suffix == ".svg" else {"dpi": _DOTS_PER_INCH}
    with rc_context({"svg.hashsalt": "reflexarc"}):  # the same graph gives the same bytes
        figure.savefig(buffer, format=suffix[1:], **options)
    write_atomic(path, buffer.getvalue())


@dataclass
class _Spot:
    """A place in a layer: of a node, or of an edge that passes through (no name).

    `x`, `y` are its middle; the layer reaches from `left` to `right`.
    """

    layer: int
    name: str = ""
    width: float = 0.0
    x: float = 0.0
    y: float = 0.0
    left: float = 0.0
    right: float = 0.0
    before: list[_Spot] = field(default_factory=list)
    after: list[_Spot] = field(default_factory=list)

    @property
    def height(self) -> float:
        return _HEIGHT if self.name else _HEIGHT / 3

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2


def picture(network: Network) -> Figure:
    """The graph as a figure; one unit of its axes is one inch."""
    back = feedback_edges(network)
    columns, routes = _layered(network, back)
    width, height = _place(columns)
    lanes = _lanes(routes, columns, back)
    low = min([spot.bottom for column in columns for spot in column] + lanes)
    side = _MARGIN + (_GAP_X if back else 0.0)
    bottom, top = low - _MARGIN, height / 2 + _MARGIN
    figure = Figure((width + 2 * side, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-side, width + side), ylim=(bottom, top))
    axes.set_axis_off()
    for edge, route in routes.items():
        if edge not in back:
            _draw_forward(axes, route)
    for k, (edge, lane) in enumerate(zip(back, lanes, strict=True)):
        ends = routes[edge][0], routes[edge][-1]
        free = [spot is columns[spot.layer][-1] for spot in ends]
        _draw_back(axes, *ends, lane, free, aside=_GAP_X * (0.3 + 0.1 * (k % 5)))
    for column in columns:
        for spot in column:
            if spot.name:
                _draw_node(axes, spot, network.nodes[spot.name])
    return figure


# Where everything goes.


def _layered(
    network: Network, back: list[tuple[str, str]]
) -> tuple[list[list[_Spot]], dict[tuple[str, str], list[_Spot]]]:
    """Spots by layer, and the spots that each edge passes."""
    forward = [edge for edge in network.edges if edge not in set(back)]
    depth = _depths(network, forward)
    spots = {
        name: _Spot(depth[name], name, _box_width(node)) for name, node in network.nodes.items()
    }
    columns: list[list[_Spot]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for spot in spots.values():
        columns[spot.layer].append(spot)
    routes = {}
    for source, target in network.edges:
        route = [spots[source]]
        for layer in range(depth[source] + 1, depth[target]):
            passing = _Spot(layer)
            columns[layer].append(passing)
            route.append(passing)
        route.append(spots[target])
        routes[source, target] = route
    for edge in forward:
        for first, second in pairwise(routes[edge]):
            first.after.append(second)
            second.before.append(first)
    _untangle(columns)
    return columns, routes


def _depths(network: Network, forward: list[tuple[str, str]]) -> dict[str, int]:
    """Layer of every node: one behind the last of those that lead to it; Outputs are last."""
    after: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in forward:
        after[source].append(target)
    depth = dict.fromkeys(network.nodes, 0)
    for name in evaluation_order(network):
        for following in after[name]:
            depth[following] = max(depth[following], depth[name] + 1)
    last = max(depth.values(), default=0)
    return {
        name: last if isinstance(network.nodes[name], Output) else layer
        for name, layer in depth.items()
    }


def _untangle(columns: list[list[_Spot]]) -> None:
    """Order each layer by the mean place of its neighbours, forwards and backwards in turn."""
    for sweep in range(8):
        forwards = sweep % 2 == 0
        for column in columns if forwards else columns[::-1]:
            place = {
                id(spot): _mean_place(spot.before if forwards else spot.after, columns, k)
                for k, spot in enumerate(column)
            }
            column.sort(key=lambda spot: place[id(spot)])


def _mean_place(neighbours: list[_Spot], columns: list[list[_Spot]], own: int) -> float:
    if not neighbours:
        return float(own)
    column = columns[neighbours[0].layer]
    places = {id(spot): k for k, spot in enumerate(column)}
    return sum(places[id(spot)] for spot in neighbours) / len(neighbours)


def _place(columns: list[list[_Spot]]) -> tuple[float, float]:
    """Give every spot its place; width and height of them all."""
    left = 0.0
    for column in columns:
        widest = max(spot.width for spot in column)
        for spot in column:
            spot.left, spot.x, spot.right = left, left + widest / 2, left + widest
        left += widest + _GAP_X
    _stack(columns)
    low = min(spot.bottom for column in columns for spot in column)
    high = max(spot.y + spot.height / 2 for column in columns for spot in column)
    for column in columns:
        for spot in column:
            spot.y -= (low + high) / 2
    return left - _GAP_X, high - low


def _stack(columns: list[list[_Spot]]) -> None:
    """Heights: each spot near its neighbours, in the order of its layer, none on another."""
    for column in columns:
        _spread(column, [0.0] * len(column))
    for sweep in range(12):
        forwards = sweep % 2 == 0
        for column in columns if forwards else columns[::-1]:
            wanted = []
            for spot in column:
                near = (spot.before if forwards else spot.after) or [spot]
                wanted.append(sum(other.y for other in near) / len(near))
            _spread(column, wanted)


def _spread(column: list[_Spot], wanted: list[float]) -> None:
    """From the top down as near to `wanted` as the others allow, then all moved to their mean."""
    edge = float("inf")
    for spot, y in zip(column, wanted, strict=True):
        spot.y = min(y, edge - spot.height / 2)
        edge = spot.y - spot.height / 2 - _GAP_Y
    shift = sum(y - spot.y for spot, y in zip(column, wanted, strict=True)) / len(column)
    for spot in column:
        spot.y += shift


def _lanes(
    routes: dict[tuple[str, str], list[_Spot]],
    columns: list[list[_Spot]],
    back: list[tuple[str, str]],
) -> list[float]:
    """How deep each edge that leads back goes: beneath all it passes, no two on one line."""
    taken: list[tuple[int, int, float]] = []
    lanes = []
    for edge in back:
        source, target = routes[edge][0], routes[edge][-1]
        first, last = sorted((source.layer, target.layer))
        passed = [spot for column in columns[first : last + 1] for spot in column]
        lane = min(spot.bottom for spot in passed) - 1.5 * _LANE
        while any(a <= last and first <= b and abs(lane - other) < _LANE for a, b, other in taken):
            lane -= _LANE
        taken.append((first, last, lane))
        lanes.append(lane)
    return lanes


# Ink.


def _box_width(node: Node) -> float:
    letters = max(len(_name(node)), len(_caption(node)) * 0.88)
    return letters * _LETTER + _PAD


def _name(node: Node) -> str:
    long = len(node.name) > _LONGEST_NAME
    return f"{node.name[: _LONGEST_NAME - 3]}..." if long else node.name


def _caption(node: Node) -> str:
    return f"{kind_of(node)} {' x '.join(map(str, node.shape))}"


def _colour(node: Node) -> str:
    if isinstance(node, Neurons):
        return BLUE
    if isinstance(node, Input | Output):
        return GREY
    return GREEN if isinstance(node, Delay) else ORANGE


def _draw_node(axes: Axes, spot: _Spot, node: Node) -> None:
    colour = _colour(node)
    axes.add_patch(
        FancyBboxPatch(
            (spot.x - spot.width / 2, spot.y - spot.height / 2),
            spot.width,
            spot.height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="white",
            edgecolor=colour,
            linewidth=1.6,
            zorder=3,
        )
    )
    middle: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4, "parse_math": False}
    axes.text(spot.x, spot.y + 0.1, _name(node), fontsize=9, fontweight="bold", **middle)
    axes.text(spot.x, spot.y - 0.13, _caption(node), fontsize=8, color=colour, **middle)


def _draw_forward(axes: Axes, route: list[_Spot]) -> None:
    """From the right of the first box to the left of the last, curved between layers only."""
    end = route[0].x + route[0].width / 2
    vertices = [(end, route[0].y)]
    for spot, following in pairwise(route):
        middle = (spot.right + following.left) / 2
        vertices += _straight(vertices[-1], (spot.right, spot.y))
        vertices += [(middle, spot.y), (middle, following.y), (following.left, following.y)]
    vertices += _straight(vertices[-1], (route[-1].x - route[-1].width / 2, route[-1].y))
    _arrow(axes, vertices, "#444444")


def _draw_back(
    axes: Axes, source: _Spot, target: _Spot, lane: float, free: list[bool], aside: float
) -> None:
    """Down to a lane and up again.

    It leaves and arrives at the underside where no box lies below (`free`), else beside the layer.
    """
    x0, x1 = source.x + 0.15, target.x - 0.15
    points = [(x0, source.bottom), (x0, lane)]
    if not free[0]:
        x0, y0 = source.right + aside, source.y - 0.15
        points = [(source.x + source.width / 2, y0), (x0, y0), (x0, lane)]
    if free[1]:
        points += [(x1, lane), (x1, target.bottom)]
    else:
        x1, y1 = target.left - aside, target.y - 0.15
        points += [(x1, lane), (x1, y1), (target.x - target.width / 2, y1)]
    _arrow(axes, _rounded(points), RED)


_Point = tuple[float, float]


def _straight(start: _Point, end: _Point) -> list[_Point]:
    """A line as a Bézier curve without its start; nothing where it has no length."""
    (x0, y0), (x1, y1) = start, end
    if abs(x1 - x0) + abs(y1 - y0) < 1e-9:
        return []
    return [
        ((2 * x0 + x1) / 3, (2 * y0 + y1) / 3),
        ((x0 + 2 * x1) / 3, (y0 + 2 * y1) / 3),
        end,
    ]


def _rounded(points: list[_Point]) -> list[_Point]:
    """The corners of upright and level lines rounded, as Bézier curves."""
    vertices = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += _straight(vertices[-1], _towards(corner, before))
        vertices += [corner, corner, _towards(corner, after)]
    return vertices + _straight(vertices[-1], points[-1])


def _towards(corner: _Point, other: _Point) -> _Point:
    """A little way from a corner, at most half of the way."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(dx), abs(dy), 1e-9)
    part = min(_ROUND / length, 0.5)
    return corner[0] + part * dx, corner[1] + part * dy


def _arrow(axes: Axes, vertices: list[tuple[float, float]], colour: str) -> None:
    codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(vertices) - 1)
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=10,
            color=colour,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )
