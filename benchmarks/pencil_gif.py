"""Draws the rod on its stage beside what the two cameras see, as a GIF.

    python benchmarks/pencil_gif.py FILE.gif [--seed 0] [--begin 7] [--seconds 2.4]

A frame is 40 ms and is shown for as long. Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse

import numpy as np
from film import Pixels, draw, paper, photograph, play, write
from PIL import Image

from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.pencil.view import HEIGHT_PX, WIDTH_PX
from reflexarc.scenarios.pencil.world import Pencil

FRAME_MS, SIZE_PX, SCALE = 40, 240, 5
#: Of somebody before the stage.
EYE_M, LOOKS_AT_M = (0.25, -0.45, 0.25), (0.0, 0.0, 0.085)


class Film:
    """A loop listener that keeps a frame every FRAME_MS from `begin_ns` on."""

    def __init__(self, world: Pencil, begin_ns: int) -> None:
        self.frames: list[Image.Image] = []
        self._client = world.stage.client
        self._begin_ns = begin_ns
        self._seen = blank()

    def __call__(self, tick: Tick) -> None:
        """Add the tick's events to the frame; keep it when it is full."""
        if tick.now_ns < self._begin_ns:
            return
        for batch in tick.batches:
            if batch.stream in self._seen:
                draw(self._seen[batch.stream], batch.values)
        if tick.until_ns % (FRAME_MS * 1_000_000) == 0:
            large = [
                np.kron(each, np.ones((SCALE, SCALE, 1), np.uint8)) for each in self._seen.values()
            ]
            stage, _ = photograph(
                self._client, SIZE_PX, EYE_M, LOOKS_AT_M, degrees=28, depth_m=(0.05, 5)
            )
            parts = [stage]
            for each in large:
                parts += [np.full((SIZE_PX, 4, 3), 255, np.uint8), each]
            self.frames.append(Image.fromarray(np.hstack(parts)).quantize(32))
            self._seen = blank()


def blank() -> dict[str, Pixels]:
    """A picture for each camera."""
    return {f"camera-{axis}": paper(WIDTH_PX, HEIGHT_PX) for axis in "xy"}


def main() -> None:
    """Run the network and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=float, default=7.0)
    parser.add_argument("--seconds", type=float, default=2.4)
    options = parser.parse_args()
    scenario = Scenario.load("pencil")
    world = scenario.make_world(options.seed)
    assert isinstance(world, Pencil)
    film = Film(world, round(options.begin * 1e9))
    play(scenario, world, film, options.begin + options.seconds)
    write(film.frames, options.file, FRAME_MS)


if __name__ == "__main__":
    main()
