"""Drawings: no box on another, arrows from left to right, feedback beneath what it passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from reflexarc.runtime.drawing import draw, picture
from reflexarc.runtime.errors import ConfigError
from reflexarc.runtime.inspection import feedback_edges
from reflexarc.runtime.network import Input, Network, Neurons, Output


def graph(edges, size):
    """Node 0 enters, the last leaves, what lies between are neurons."""
    nodes = {"n0": Input(name="n0", shape=(1,))}
    for k in range(1, size - 1):
        name = f"n{k}" + "x" * (k % 5)
        nodes[name] = Neurons(name=name, shape=(1,), kind="I", parameters={"r": np.ones(1)})
    nodes["last"] = Output(name="last", shape=(1,))
    names = list(nodes)
    return Network(nodes=nodes, edges=tuple((names[a], names[b]) for a, b in edges))


@st.composite
def graphs(draw):
    size = draw(st.integers(3, 12))
    pairs = st.tuples(st.integers(0, size - 2), st.integers(1, size - 1))
    return graph(draw(st.lists(pairs, max_size=20, unique=True)), size)


def boxes(figure):
    patches = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    return [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in patches]


def arrows(figure):
    patches = [p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)]
    return [(p.get_edgecolor(), p._path_original.vertices) for p in patches]


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_every_box_stands_alone_within_the_picture(network):
    figure = picture(network)
    found = boxes(figure)
    assert len(found) == len(network.nodes)
    (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    for k, (x, y, width, height) in enumerate(found):
        assert left < x
        assert x + width < right
        assert low < y
        assert y + height < high
        for ox, oy, owidth, oheight in found[:k]:
            assert x + width < ox or ox + owidth < x or y + height < oy or oy + oheight < y, (
                "two boxes overlap"
            )


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_arrows_lead_right_and_feedback_runs_beneath(network):
    figure = picture(network)
    found = arrows(figure)
    back = len(feedback_edges(network))
    assert len(found) == len(network.edges)
    low = figure.axes[0].get_ylim()[0]
    for _, vertices in found[: len(found) - back]:
        assert (np.diff(vertices[:, 0]) >= -1e-9).all()
    for _, vertices in found[len(found) - back :]:
        lane = vertices[:, 1].min()
        assert lane > low
        first, last = vertices[:, 0].min(), vertices[:, 0].max()
        for x, y, width, _ in boxes(figure):
            if first < x and x + width < last:
                assert y > lane


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    network = graph([(0, 1), (1, 2), (2, 1), (2, 3)], 4)
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        draw(network, tmp_path / name)
    for suffix in ("png", "svg"):
        first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert first == second
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_what_cannot_be_drawn(tmp_path):
    network = graph([(0, 1), (1, 2)], 3)
    with pytest.raises(ConfigError, match=r"a drawing is a \.png or \.svg file"):
        draw(network, tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="cannot be written"):
        draw(network, tmp_path / "none" / "a.png")
    many = graph([(0, 1)], 1200)
    with pytest.raises(ConfigError, match="1200 nodes are too many for one picture"):
        draw(many, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
