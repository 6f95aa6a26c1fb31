"""Draws the arm on its first round of reaches, as a GIF.

python benchmarks/reach_payload_gif.py FILE.gif
"""

from __future__ import annotations

import argparse

from film import photograph, play, write
from PIL import Image

from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.reach_payload.world import Reach

SECONDS = 8.0
SIZE_PX = 240
FRAME_MS = 100
#: Of somebody in front of the arm.
EYE_M, LOOKS_AT_M = (1.7, -1.4, 1.1), (0.25, 0.0, 0.5)


def film() -> list[Image.Image]:
    """The pictures, one each FRAME_MS."""
    scenario = Scenario.load("reach-payload", [f"seconds={SECONDS}"])
    world = scenario.make_world(scenario.spec.seed)
    assert isinstance(world, Reach)
    pictures: list[Image.Image] = []

    def look(tick: Tick) -> None:
        if tick.now_ns % (FRAME_MS * 1_000_000) == 0:
            arm, _ = photograph(
                world.arm.client, SIZE_PX, EYE_M, LOOKS_AT_M, degrees=32, depth_m=(0.1, 5)
            )
            pictures.append(Image.fromarray(arm))

    play(scenario, world, look, SECONDS)
    return pictures


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    write([each.quantize(32) for each in film()], parser.parse_args().file, FRAME_MS)


if __name__ == "__main__":
    main()
