"""Draws the quadrotor that dodges, from behind, beside its camera's events, as a GIF.

    python benchmarks/dodge_gif.py FILE.gif [--seed 0] [--begin 0.5] [--seconds 4]

A frame is 20 ms and is shown for 60: a third of real time. Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse

import numpy as np
from film import draw, paper, play, write
from PIL import Image

from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.dodge.world import Dodge

FRAME_NS, SHOWN_MS, SCALE, SIDE_PX = 20_000_000, 60, 2, 64


class Film:
    """A loop listener that keeps a frame every `FRAME_NS` from `begin_ns` on."""

    def __init__(self, world: Dodge, begin_ns: int) -> None:
        self.frames: list[Image.Image] = []
        self._render = world.onlooker()
        self._begin_ns = begin_ns
        self._events = paper(SIDE_PX, SIDE_PX)

    def __call__(self, tick: Tick) -> None:
        """Add the tick's events to the frame; show it when it is full."""
        if tick.now_ns < self._begin_ns:
            return
        for batch in tick.batches:
            if batch.stream == "camera":
                draw(self._events, batch.values)
        if tick.until_ns % FRAME_NS == 0:
            grey = (255 * self._render() ** (1 / 2.2)).astype(np.uint8)
            behind = np.repeat(grey[:, :, None], 3, axis=2)
            events = self._events.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
            both = np.hstack((behind, np.full((128, 4, 3), 255, np.uint8), events))
            image = Image.fromarray(both).resize(
                (both.shape[1] * SCALE, both.shape[0] * SCALE), Image.Resampling.NEAREST
            )
            self.frames.append(image.quantize(32))
            self._events = paper(SIDE_PX, SIDE_PX)


def main() -> None:
    """Run the network and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=float, default=0.5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    scenario = Scenario.load("dodge")
    world = scenario.make_world(arguments.seed)
    assert isinstance(world, Dodge)
    film = Film(world, round(arguments.begin * 1e9))
    play(scenario, world, film, arguments.begin + arguments.seconds)
    write(film.frames, arguments.file, SHOWN_MS)


if __name__ == "__main__":
    main()
