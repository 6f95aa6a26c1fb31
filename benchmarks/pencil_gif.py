"""Draws the rod on its stage beside what the two cameras see, as a GIF.

    python benchmarks/pencil_gif.py FILE.gif [--seed 0] [--begin 7] [--seconds 2.4]

A frame is 40 ms and is shown for as long. Orange events are brighter, blue darker.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.pencil.view import HEIGHT_PX, WIDTH_PX
from reflexarc.scenarios.pencil.world import Pencil

FRAME_MS, SIZE_PX, SCALE = 40, 240, 5
ON, OFF, PAPER = (213, 94, 0), (0, 114, 178), (245, 245, 245)

Pixels = npt.NDArray[np.uint8]


class Film:
    """A loop listener that keeps a frame every FRAME_MS from `begin_ns` on."""

    def __init__(self, world: Pencil, begin_ns: int) -> None:
        self.frames: list[Image.Image] = []
        self._client = world.stage.client
        self._begin_ns = begin_ns
        self._seen = _blank()

    def __call__(self, tick: Tick) -> None:
        """Add the tick's events to the frame; keep it when it is full."""
        if tick.now_ns < self._begin_ns:
            return
        for batch in tick.batches:
            if batch.stream in self._seen:
                _draw(self._seen[batch.stream], batch.values)
        if tick.until_ns % (FRAME_MS * 1_000_000) == 0:
            large = [
                np.kron(each, np.ones((SCALE, SCALE, 1), np.uint8)) for each in self._seen.values()
            ]
            parts = [picture(self._client)]
            for each in large:
                parts += [np.full((SIZE_PX, 4, 3), 255, np.uint8), each]
            self.frames.append(Image.fromarray(np.hstack(parts)).quantize(32))
            self._seen = _blank()


def picture(client: int) -> Pixels:
    """What somebody before the stage sees, shape (SIZE_PX, SIZE_PX, 3)."""
    pybullet = bullet()
    view = pybullet.computeViewMatrix((0.25, -0.45, 0.25), (0.0, 0.0, 0.085), (0, 0, 1))
    lens = pybullet.computeProjectionMatrixFOV(28, 1.0, 0.05, 5)
    pixels = pybullet.getCameraImage(
        SIZE_PX, SIZE_PX, view, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2]
    return np.reshape(np.array(pixels, np.uint8), (SIZE_PX, SIZE_PX, 4))[:, :, :3]


def _blank() -> dict[str, Pixels]:
    return {f"camera-{axis}": np.full((HEIGHT_PX, WIDTH_PX, 3), PAPER, np.uint8) for axis in "xy"}


def _draw(image: Pixels, events: npt.NDArray[Any]) -> None:
    for on, colour in ((False, OFF), (True, ON)):
        part = events[events["p"] == on]
        image[part["y"], part["x"]] = colour


def main() -> None:
    """Run the network and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=float, default=7.0)
    parser.add_argument("--seconds", type=float, default=2.4)
    options = parser.parse_args()
    scenario = Scenario.load("pencil")
    world, gate = scenario.make_world(options.seed), scenario.make_gate()
    assert isinstance(world, Pencil)
    film, clock = Film(world, round(options.begin * 1e9)), LockstepClock(scenario.spec.period_ns)
    plant = LocalPlant(world, gate.rest)
    loop = Loop(clock, plant, scenario.make_policy(), gate, listeners=[film])
    loop.run(round((options.begin + options.seconds) * 1e9) // clock.period_ns)
    plant.close()
    first, *others = film.frames
    first.save(options.file, save_all=True, append_images=others, duration=FRAME_MS, loop=0)


if __name__ == "__main__":
    main()
