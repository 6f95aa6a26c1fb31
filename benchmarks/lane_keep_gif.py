"""Draws the car as it learns to keep its lane, beside what its camera sees, as a GIF.

    python benchmarks/lane_keep_gif.py FILE.gif [--seed 0] [--from 0 55] [--seconds 8]

Some seconds from each of the times `--from`: at first, and once it has learnt. A frame is 100 ms.
Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.lane_keep.world import LaneKeep

FRAME_NS, SHOWN_MS = 100_000_000, 100
TOP_PX, SCALE = 320, 5
WIDTH, HEIGHT = 64, 32
ON, OFF, PAPER = (213, 94, 0), (0, 114, 178), (245, 245, 245)

Pixels = npt.NDArray[np.uint8]


class Film:
    """A loop listener that keeps a frame every `FRAME_NS` in each of the `spans_ns`."""

    def __init__(self, world: LaneKeep, spans_ns: list[tuple[int, int]]) -> None:
        self.frames: list[Image.Image] = []
        self._client = world.car.client
        self._spans_ns = spans_ns
        self._events = blank()

    def __call__(self, tick: Tick) -> None:
        """Add the tick's events to the frame; show it when it is full."""
        if not any(begin <= tick.now_ns < end for begin, end in self._spans_ns):
            return
        for batch in tick.batches:
            if batch.stream == "camera":
                for on, colour in ((False, OFF), (True, ON)):
                    seen = batch.values[batch.values["p"] == on]
                    self._events[seen["y"], seen["x"]] = colour
        if tick.until_ns % FRAME_NS == 0:
            self.frames.append(self._frame(tick.now_ns * 1e-9))
            self._events = blank()

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


def blank() -> Pixels:
    """A picture without events."""
    return np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)


def from_above(client: int) -> Pixels:
    """The whole track, shape (TOP_PX, TOP_PX, 3); its marks darkened, for white paper."""
    pybullet = bullet()
    view = pybullet.computeViewMatrix((0, 0, 7), (0, 0, 0), (0, 1, 0))
    lens = pybullet.computeProjectionMatrixFOV(46, 1.0, 0.1, 20)
    pixels, _, parts = pybullet.getCameraImage(
        TOP_PX, TOP_PX, view, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2:5]
    picture = np.reshape(np.array(pixels, np.uint8), (TOP_PX, TOP_PX, 4))[:, :, :3].copy()
    number = np.reshape(np.array(parts), (TOP_PX, TOP_PX))
    picture[number > 1] = (90, 90, 90)  # neither the ground nor the car
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
    world, gate = scenario.make_world(arguments.seed), scenario.make_gate()
    assert isinstance(world, LaneKeep)
    spans_s = [(begin, begin + arguments.seconds) for begin in arguments.begins]
    spans_ns = [(round(begin * 1e9), round(end * 1e9)) for begin, end in spans_s]
    film = Film(world, spans_ns)
    clock = LockstepClock(scenario.spec.period_ns)
    plant = LocalPlant(world, gate.rest)
    loop = Loop(clock, plant, scenario.make_policy(), gate, listeners=[film])
    loop.run(max(end for _, end in spans_ns) // clock.period_ns)
    plant.close()
    first, *others = film.frames
    first.save(
        arguments.file,
        save_all=True,
        append_images=others,
        duration=SHOWN_MS,
        loop=0,
        optimize=True,
    )


if __name__ == "__main__":
    main()
