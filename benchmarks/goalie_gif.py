"""Draws the goalie at play, the field as the camera sees it beside its events, as a GIF.

    python benchmarks/goalie_gif.py FILE.gif [--seed 0] [--begin 20] [--seconds 4]

A frame is 20 ms and is shown for 60: a third of real time. Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse

import numpy as np
from film import draw, paper, play, write
from PIL import Image

from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.goalie.world import Goalie

FRAME_NS, SHOWN_MS, SCALE, SIDE_PX = 20_000_000, 60, 2, 128


class Film:
    """A loop listener that keeps a frame every `FRAME_NS` from `begin_ns` on."""

    def __init__(self, world: Goalie, begin_ns: int) -> None:
        self.frames: list[Image.Image] = []
        self._render = world.renderer()
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
            field = np.repeat(grey[:, :, None], 3, axis=2)
            both = np.hstack((field, np.full((128, 4, 3), 255, np.uint8), self._events))
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
    parser.add_argument("--begin", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    scenario = Scenario.load("goalie")
    world = scenario.make_world(arguments.seed)
    assert isinstance(world, Goalie)
    film = Film(world, round(arguments.begin * 1e9))
    play(scenario, world, film, arguments.begin + arguments.seconds)
    write(film.frames, arguments.file, SHOWN_MS)


if __name__ == "__main__":
    main()
