"""What the films of scenarios share: events in colour, what somebody sees, the run, the GIF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from reflexarc.runtime.clock import LockstepClock
from reflexarc.runtime.loop import Listener, Loop
from reflexarc.runtime.physics import bullet
from reflexarc.runtime.scenario import Scenario
from reflexarc.runtime.world import LocalPlant, World

ON, OFF, PAPER = (213, 94, 0), (0, 114, 178), (245, 245, 245)

Pixels = npt.NDArray[np.uint8]
Place = tuple[float, float, float]


def paper(width: int, height: int) -> Pixels:
    """A picture without events."""
    return np.full((height, width, 3), PAPER, np.uint8)


def draw(image: Pixels, events: npt.NDArray[Any]) -> None:
    """Put `events` into the picture: ON over OFF."""
    for on, colour in ((False, OFF), (True, ON)):
        part = events[events["p"] == on]
        image[part["y"], part["x"]] = colour


def photograph(
    client: int,
    side_px: int,
    eye: Place,
    at: Place,
    *,
    degrees: float,
    depth_m: tuple[float, float],
    up: Place = (0.0, 0.0, 1.0),
) -> tuple[Pixels, npt.NDArray[Any]]:
    """What somebody at `eye` sees by TinyRenderer: colours, and the number of the body of each
    pixel; shapes (side_px, side_px, 3) and (side_px, side_px).
    """
    pybullet = bullet()
    view = pybullet.computeViewMatrix(eye, at, up)
    lens = pybullet.computeProjectionMatrixFOV(degrees, 1.0, *depth_m)
    pixels, _, bodies = pybullet.getCameraImage(
        side_px, side_px, view, lens, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2:5]
    picture = np.reshape(np.array(pixels, np.uint8), (side_px, side_px, 4))[:, :, :3]
    return picture.copy(), np.reshape(np.array(bodies), (side_px, side_px))


def play(scenario: Scenario, world: World, listener: Listener, seconds: float) -> None:
    """Let the network run in `world`, which is closed then."""
    gate, clock = scenario.make_gate(), LockstepClock(scenario.spec.period_ns)
    plant = LocalPlant(world, gate.rest)
    loop = Loop(clock, plant, scenario.make_policy(), gate, listeners=[listener])
    loop.run(round(seconds * 1e9) // clock.period_ns)
    plant.close()


def write(frames: Sequence[Image.Image], file: str, shown_ms: int) -> None:
    """Write a GIF that begins again at its end."""
    first, *others = frames
    first.save(file, save_all=True, append_images=others, duration=shown_ms, loop=0, optimize=True)
