"""Writes network.nir: from pooled camera events to the activity of four eye muscles.

    python -m reflexarc.scenarios.gaze.build_network [FILE]

    camera -> cells (LIF) -> to_pan -> pan_muscles (LIF) -> pan
                          -> to_tilt -> tilt_muscles (LIF) -> tilt

A cell fires when enough events fall into it within its time constant, so that scattered noise does
not move the head. Each muscle is a pair of pools, pulling one way and the other; a pool's neurons
have rising thresholds and are recruited one after the other (Henneman's size principle).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from reflexarc.runtime.network import FloatArray, Input, Linear, Network, Neurons, Node, Output
from reflexarc.runtime.nirfile import write

DT_S = 0.001
WIDTH, HEIGHT, CELL_PX = 640, 480, 40
CELL_TAU_S = 0.02
#: Events within a cell's time constant that make it fire.
EVENTS_TO_FIRE = 20
MUSCLE_TAU_S = 0.05
POOL = 8


def build() -> Network:
    """The network, the same at every call."""
    x, y = cell_directions()
    nodes: list[Node] = [
        Input(name="camera", shape=(2 * len(x),)),
        linear("to_cells", np.tile(np.eye(len(x)), 2) / EVENTS_TO_FIRE),
        layer("cells", np.ones(len(x)), CELL_TAU_S),
        linear("to_pan", pull(-x)),
        linear("to_tilt", pull(-y)),
        layer("pan_muscles", recruitment(), MUSCLE_TAU_S),
        layer("tilt_muscles", recruitment(), MUSCLE_TAU_S),
        Output(name="pan", shape=(2 * POOL,)),
        Output(name="tilt", shape=(2 * POOL,)),
    ]
    edges = (
        ("camera", "to_cells"),
        ("to_cells", "cells"),
        ("cells", "to_pan"),
        ("cells", "to_tilt"),
        ("to_pan", "pan_muscles"),
        ("to_tilt", "tilt_muscles"),
        ("pan_muscles", "pan"),
        ("tilt_muscles", "tilt"),
    )
    return Network(nodes={node.name: node for node in nodes}, edges=edges)


def cell_directions() -> tuple[FloatArray, FloatArray]:
    """Where each cell lies in the image, from -1 (left, top) to 1 (right, bottom)."""
    y, x = np.mgrid[0 : HEIGHT // CELL_PX, 0 : WIDTH // CELL_PX] + 0.5
    return (
        (2 * CELL_PX / WIDTH * x - 1).ravel(),
        (2 * CELL_PX / HEIGHT * y - 1).ravel(),
    )


def pull(direction: FloatArray) -> FloatArray:
    """Weights from cells to the two pools of a muscle, shape (2 POOL, cells)."""
    towards, away = np.maximum(direction, 0), np.maximum(-direction, 0)
    return np.vstack([np.tile(towards, (POOL, 1)), np.tile(away, (POOL, 1))])


def recruitment() -> FloatArray:
    """Thresholds of both pools' neurons."""
    return np.tile(np.geomspace(0.5, 8.0, POOL), 2)


def linear(name: str, weight: FloatArray) -> Linear:
    """A Linear node."""
    return Linear(name=name, shape=(len(weight),), weight=weight)


def layer(name: str, v_threshold: FloatArray, tau_s: float) -> Neurons:
    """Leaky neurons in which a spike of weight w raises the membrane by w."""
    size = len(v_threshold)
    gain = 1.0 / (1.0 - np.exp(-DT_S / tau_s))
    parameters = {
        "tau": np.full(size, tau_s),
        "r": np.full(size, gain),
        "v_leak": np.zeros(size),
        "v_threshold": v_threshold,
        "v_reset": np.zeros(size),
    }
    return Neurons(name=name, shape=(size,), kind="LIF", parameters=parameters)


def main() -> None:
    """Write the file named on the command line, or the one beside this script."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("network.nir")
    write(build(), path)


if __name__ == "__main__":
    main()
