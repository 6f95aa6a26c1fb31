"""A short film of a landing, from beside and as the camera below sees it.

python -m reflexarc.scenarios.land.film FILE.gif
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from reflexarc.runtime.batch import Array
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.land.quadrotor import SIZE_PX
from reflexarc.scenarios.land.world import Land

SECONDS = 4.8
SIDE_PX = 192
FRAME_TICKS = 30
GREY, BRIGHT, DARK = 128, 255, 0


def film() -> list[Image.Image]:
    """The pictures, one every FRAME_TICKS: the quadrotor, and the events since the last."""
    scenario = Scenario.load("land", [f"seconds={SECONDS}"])
    world, gate = scenario.make_world(scenario.spec.seed), scenario.make_gate()
    assert isinstance(world, Land)
    pictures: list[Image.Image] = []
    events = np.full((SIZE_PX, SIZE_PX), GREY, np.uint8)

    def look(tick: Tick) -> None:
        for batch in tick.batches:
            if batch.stream == "camera":
                seen = batch.values
                events[seen["y"], seen["x"]] = np.where(seen["p"], BRIGHT, DARK)
        if tick.now_ns // scenario.spec.period_ns % FRAME_TICKS == 0:
            truth = next(batch.values for batch in tick.batches if batch.stream == "truth")
            pictures.append(frame(world.quadrotor.client, truth[0], truth[1], events))
            events[:] = GREY

    plant, clock = LocalPlant(world, gate.rest), LockstepClock(scenario.spec.period_ns)
    Loop(clock, plant, scenario.make_policy(), gate, listeners=[look]).run(scenario.ticks)
    plant.close()
    return pictures


def frame(client: int, height_m: float, up_m_s: float, events: Array) -> Image.Image:
    """One picture: from beside, and the events (bright: ON, dark: OFF)."""
    whole = Image.new("RGB", (2 * SIDE_PX, SIDE_PX + 16), "white")
    whole.paste(Image.fromarray(beside(client, height_m)), (0, 16))
    eyes = Image.fromarray(events).resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST)
    whole.paste(eyes.convert("RGB"), (SIDE_PX, 16))
    pen = ImageDraw.Draw(whole)
    pen.text((4, 2), f"{height_m:.2f} m, {up_m_s:+.2f} m/s", fill="black")
    pen.text((SIDE_PX + 4, 2), "events of the camera below", fill="black")
    return whole


def beside(client: int, height_m: float) -> Array:
    """What somebody sees who comes down with it, uint8 of shape (SIDE_PX, SIDE_PX, 3)."""
    pybullet = bullet()
    view = pybullet.computeViewMatrix((0.8, -0.6, height_m + 0.4), (0.0, 0.0, height_m), (0, 0, 1))
    lens = pybullet.computeProjectionMatrixFOV(40, 1.0, 0.1, 40)
    pixels = pybullet.getCameraImage(
        SIDE_PX, SIDE_PX, view, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2]
    return np.reshape(np.array(pixels, np.uint8), (SIDE_PX, SIDE_PX, 4))[:, :, :3]


def main() -> None:
    """Write the file named on the command line."""
    if len(sys.argv) != 2 or Path(sys.argv[1]).suffix != ".gif":
        sys.exit("usage: python -m reflexarc.scenarios.land.film FILE.gif")
    first, *others = (each.quantize(24) for each in film())
    milliseconds = round(FRAME_TICKS * 4)
    first.save(sys.argv[1], save_all=True, append_images=others, duration=milliseconds, loop=0)


if __name__ == "__main__":
    main()
