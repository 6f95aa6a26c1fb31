"""Draws the car as it learns to keep its lane, beside what its camera sees, as a GIF.

    python benchmarks/lane_keep_gif.py FILE.gif [--seed 0] [--from 0 55] [--seconds 8]

Some seconds from each of the times `--from`: at first, and once it has learnt. A frame is 100 ms.
Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse

from film import Pixels, draw, paper, photograph, play, write
from PIL import Image, ImageDraw

from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.lane_keep.world import LaneKeep

FRAME_NS, SHOWN_MS = 100_000_000, 100
TOP_PX, SCALE = 320, 5
WIDTH, HEIGHT = 64, 32


class Film:
    """A loop listener that keeps a frame every `FRAME_NS` in each of the `spans_ns`."""

    def __init__(self, world: LaneKeep, spans_ns: list[tuple[int, int]]) -> None:
        self.frames: list[Image.Image] = []
        self._client = world.car.client
        self._spans_ns = spans_ns
        self._events = paper(WIDTH, HEIGHT)

    def __call__(self, tick: Tick) -> None:
        """Add the tick's events to the frame; show it when it is full."""
        if not any(begin <= tick.now_ns < end for begin, end in self._spans_ns):
            return
        for batch in tick.batches:
            if batch.stream == "camera":
                draw(self._events, batch.values)
        if tick.until_ns % FRAME_NS == 0:
            self.frames.append(self._frame(tick.now_ns * 1e-9))
            self._events = paper(WIDTH, HEIGHT)

    def _frame(self, now_s: float) -> Image.Image:
        """The track from above, beside the events."""
        image = Image.new("RGB", (TOP_PX + 8 + WIDTH * SCALE, TOP_PX), "white")
        image.paste(Image.fromarray(from_above(self._client)), (0, 0))
        events = Image.fromarray(self._events)
        events = events.resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.NEAREST)
        image.paste(events, (TOP_PX + 8, (TOP_PX - HEIGHT * SCALE) // 2))
        said = ImageDraw.Draw(image)
        said.text((TOP_PX + 8, 40), f"{now_s:.0f} s of learning", "black", font_size=20)
        return image.quantize(32)


def from_above(client: int) -> Pixels:
    """The whole track, shape (TOP_PX, TOP_PX, 3); its marks darkened, for white paper."""
    picture, bodies = photograph(
        client, TOP_PX, (0, 0, 7), (0, 0, 0), degrees=46, depth_m=(0.1, 20), up=(0, 1, 0)
    )
    picture[bodies > 1] = (90, 90, 90)  # neither the ground nor the car
    return picture


def main() -> None:
    """Run the network and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", type=float, nargs="+", default=[0.0, 55.0], dest="begins")
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    scenario = Scenario.load("lane-keep")
    world = scenario.make_world(arguments.seed)
    assert isinstance(world, LaneKeep)
    spans_s = [(begin, begin + arguments.seconds) for begin in arguments.begins]
    spans_ns = [(round(begin * 1e9), round(end * 1e9)) for begin, end in spans_s]
    film = Film(world, spans_ns)
    play(scenario, world, film, max(end for _, end in spans_s))
    write(film.frames, arguments.file, SHOWN_MS)


if __name__ == "__main__":
    main()
