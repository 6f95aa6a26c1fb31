"""A short film of the arm on its first round of reaches.

python -m reflexarc.scenarios.reach_payload.film FILE.gif
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from reflexarc.runtime.batch import Array
from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Loop, Tick
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant
from reflexarc.scenarios.reach_payload.world import Reach

SECONDS = 8.0
SIZE_PX = 240
FRAME_MS = 100


def film() -> list[Image.Image]:
    """The pictures, one each FRAME_MS."""
    scenario = Scenario.load("reach-payload", [f"seconds={SECONDS}"])
    world, gate = scenario.make_world(scenario.spec.seed), scenario.make_gate()
    assert isinstance(world, Reach)
    pictures: list[Image.Image] = []

    def look(tick: Tick) -> None:
        if tick.now_ns % (FRAME_MS * 1_000_000) == 0:
            pictures.append(Image.fromarray(picture(world.arm.client)))

    plant, clock = LocalPlant(world, gate.rest), LockstepClock(scenario.spec.period_ns)
    Loop(clock, plant, scenario.make_policy(), gate, listeners=[look]).run(scenario.ticks)
    plant.close()
    return pictures


def picture(client: int) -> Array:
    """What a camera in front of the arm sees, uint8 of shape (SIZE_PX, SIZE_PX, 3)."""
    pybullet = bullet()
    view = pybullet.computeViewMatrix((1.7, -1.4, 1.1), (0.25, 0.0, 0.5), (0, 0, 1))
    lens = pybullet.computeProjectionMatrixFOV(32, 1.0, 0.1, 5)
    pixels = pybullet.getCameraImage(
        SIZE_PX, SIZE_PX, view, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2]
    return np.reshape(np.array(pixels, np.uint8), (SIZE_PX, SIZE_PX, 4))[:, :, :3]


def main() -> None:
    """Write the file named on the command line."""
    if len(sys.argv) != 2 or Path(sys.argv[1]).suffix != ".gif":
        sys.exit("usage: python -m reflexarc.scenarios.reach_payload.film FILE.gif")
    first, *others = (each.quantize(32) for each in film())
    first.save(sys.argv[1], save_all=True, append_images=others, duration=FRAME_MS, loop=0)


if __name__ == "__main__":
    main()
