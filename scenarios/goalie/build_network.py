"""Writes network.yaml and network.nir: the spiking network that guards the goal.

    python -m reflexarc.scenarios.goalie.build_network [FILE.yaml]

A bright ball that comes nearer is brighter below and darker above: `comes` are cells that fire
where ON events lie below OFF events, and not where they lie above, as those of a ball that bounces
back, or in a tall column, as those of somebody who walks by. A ball that rolls straight is a line
on the ground, and a line is a place on the goal line and a slope: each neuron of `lines` stands for
one pair and gathers the spikes that lie on its line, a Hough transform (Hough 1962; in spiking
neurons: Seifozzakerini et al. 2016). The common inhibition `crowd` lets only the lines with the
most of them fire. Nothing of this is trained: the weights are the camera's geometry.

What is learnt while it runs is where the paddle appears in the picture, as the paper's goalie does
(Delbruck & Lang 2013). `seen` fires where the mark on the paddle moves. `right` and `left` fire
where it is seen to the right or left of where it is felt to be, and teach `trims` (PES), which
moves the felt place and the command.

    camera -> comes (LIF) -> lines (LIF) -> places (LIF) -> place
    mark -> seen (LIF) -> right, left (LIF) -> mismatch (LI) teaches trims
    felt, trim_felt ----> right, left;    arm -> trims -> trim_felt (LI) -> trim
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from reflexarc.runtime.builder import Builder
from reflexarc.runtime.network import FloatArray, Network
from reflexarc.runtime.neurons import LI, LIF
from reflexarc.runtime.plasticity import Pes
from reflexarc.runtime.save import save
from reflexarc.scenarios.goalie.view import WIDTH_PX, pixels_per_metre, to_place

DT_S = 0.001
CELL_PX = 4
#: Rows of the picture in which balls are watched, from the top; then those of the paddle's mark.
FIELD_ROWS, MARK_TOP, MARK_ROWS = 112, 114, 8
BALL_HEIGHT_M, MARK_HEIGHT_M = 0.03, 0.09
#: Where a ball meets the paddle.
MEETS_Y_M = 0.03
PLACES: FloatArray = np.linspace(-0.32, 0.32, 33)
SLOPES: FloatArray = np.linspace(-0.36, 0.36, 13)
#: A cell fires once this share of its events, one over it, came within its time constant.
COMES, COMES_TAU_S = 0.3, 0.005
#: What an event in the cell itself counts beside one above or below.
OWN = 2.0
#: What an event counts against one further above or below: what is taller than a ball is none.
TALL = 1.0
#: How far beside its line a spike still counts (standard deviation).
BESIDE_PX = 3.0
LINE_TAU_S = 0.07
#: A spike counts by the size of a metre in the picture there to this power: near ones count more.
NEARNESS = 1.5
VOTE = 0.7
CROWDING = 0.05
ARM_LINES = 9
#: A mismatch of less than this is none.
DEAD_M = 0.003


def build() -> Network:
    """The network, the same at every call."""
    net = Builder(seed=1)
    _watch(net)
    _calibrate(net)
    return net.build(mode="clocked", dt_s=DT_S)


def _watch(net: Builder) -> None:
    """From events to places on the goal line where balls will arrive."""
    kernel = approach()
    camera = net.input("camera", kernel.shape[1])
    comes = net.population("comes", len(kernel), _jumping(COMES_TAU_S))
    net.linear(camera, comes, COMES * kernel)
    size = len(PLACES) * len(SLOPES)
    # the reset is near the threshold: a line keeps most of what it has gathered
    lines = net.population("lines", size, _jumping(LINE_TAU_S, v_reset=0.8))
    crowd = net.population("crowd", 1, _graded(0.002))
    places = net.population("places", len(PLACES), _jumping(0.005))
    net.linear(comes, lines, VOTE * votes())
    net.linear(lines, crowd, np.ones((1, size)))
    net.linear(crowd, lines, np.full((size, 1), -CROWDING))
    net.linear(lines, places, np.repeat(0.5 * np.eye(len(PLACES)), len(SLOPES), axis=1))
    net.output("place", places)


def approach() -> FloatArray:
    """What events say for a ball that comes nearer in each cell, shape (cells, lines of camera)."""
    column, row = cells(FIELD_ROWS)
    below = (row - row[:, None]) / CELL_PX
    same = column == column[:, None]
    sided = np.where(same & (np.abs(below) <= 2), np.sign(below), 0.0)
    own = OWN * (same & (below == 0))
    tall = TALL * (same & (np.abs(below) > 2) & (np.abs(below) <= 5))
    return np.hstack((own - tall - sided, own - tall + sided))  # OFF lines come first


def votes() -> FloatArray:
    """How much a spike of each cell speaks for each line, shape (lines, cells)."""
    column, row = cells(FIELD_ROWS)
    x, y = to_place(column, row, BALL_HEIGHT_M)
    place, slope = np.repeat(PLACES, len(SLOPES)), np.tile(SLOPES, len(PLACES))
    off_m = x - (place[:, None] + slope[:, None] * (y - MEETS_Y_M))
    off_px = off_m * pixels_per_metre(y, BALL_HEIGHT_M)
    closeness = np.exp(-0.5 * (off_px / BESIDE_PX) ** 2)
    near = pixels_per_metre(y, BALL_HEIGHT_M) / pixels_per_metre(MEETS_Y_M, BALL_HEIGHT_M)
    return np.asarray(np.where(closeness < 0.1, 0.0, np.round(closeness * near**NEARNESS, 2)))


def cells(rows: int) -> tuple[FloatArray, FloatArray]:
    """Column and row of the middle of each cell, row by row."""
    half = (CELL_PX - 1) / 2
    row, column = np.mgrid[0:rows:CELL_PX, 0:WIDTH_PX:CELL_PX] + half
    return column.ravel(), row.ravel()


def _calibrate(net: Builder) -> None:
    """From where the paddle is seen and felt to the trim of its command."""
    columns = WIDTH_PX // CELL_PX
    mark = net.input("mark", 2 * columns * (MARK_ROWS // CELL_PX))
    felt, arm = net.input("felt", 1), net.input("arm", ARM_LINES)
    seen = net.population("seen", columns, _jumping(0.005))
    right = net.population("right", columns, _instant())
    left = net.population("left", columns, _instant())
    mismatch = net.population("mismatch", 1, _graded(0.005))
    trim = net.population("trim_felt", 1, _graded(0.005))
    net.linear(mark, seen, np.tile(0.5 * np.eye(columns), 2 * (MARK_ROWS // CELL_PX)))
    side = net.population("side", 1, _graded(DT_S / 50))
    net.linear(felt, side, [[1.0]])
    net.linear(trim, side, [[-1.0]])
    for cells_of, sign in ((right, 1.0), (left, -1.0)):
        # fires only together with `seen`: the mismatch alone stays below the threshold of 1
        bias = sign * mark_places() - DEAD_M
        net.linear(seen, cells_of, np.eye(columns), bias)
        net.linear(side, cells_of, np.full((columns, 1), -sign))
        net.linear(cells_of, mismatch, np.full((1, columns), sign))
    teaches = Pes(modulator="mismatch", learning_rate=3e-3, tau_pre_s=0.02, w_min=-1.0, w_max=1.0)
    net.linear(arm, trim, np.zeros((1, ARM_LINES)), name="trims", plasticity=teaches)
    net.output("trim", trim)


def mark_places() -> FloatArray:
    """Where on the goal line a mark is that each column of cells sees, in m."""
    column = np.arange(0, WIDTH_PX, CELL_PX) + (CELL_PX - 1) / 2
    x, _ = to_place(column, MARK_TOP + (MARK_ROWS - 1) / 2, MARK_HEIGHT_M)
    return x


def _jumping(tau_s: float, v_reset: float = 0.0) -> LIF:
    """A leaky neuron of threshold 1 in which a spike of weight w raises the membrane by w."""
    return LIF(tau_s=tau_s, r=float(1 / -np.expm1(-DT_S / tau_s)), v_reset=v_reset)


def _instant() -> LIF:
    """A neuron that forgets within a step."""
    return LIF(tau_s=DT_S / 50)


def _graded(tau_s: float) -> LI:
    """A graded neuron: a low-pass of what it gets."""
    return LI(tau_s=tau_s)


if __name__ == "__main__":
    default = Path(__file__).with_name("network.yaml")
    save(build(), Path(sys.argv[1]) if len(sys.argv) > 1 else default)
