"""Draws a landing, from beside and as the camera below sees it, as a GIF.

python benchmarks/land_gif.py FILE.gif
"""

from __future__ import annotations

import argparse

import numpy as np
from film import photograph, play, write
from PIL import Image, ImageDraw

from reflexarc.runtime.batch import Array
from reflexarc.runtime.loop import Tick
from reflexarc.runtime.scenario import Scenario
from reflexarc.scenarios.land.quadrotor import SIZE_PX
from reflexarc.scenarios.land.world import Land

SECONDS = 4.8
SIDE_PX = 192
FRAME_TICKS = 30
GREY, BRIGHT, DARK = 128, 255, 0


def film() -> list[Image.Image]:
    """The pictures, one every FRAME_TICKS: the quadrotor, and the events since the last."""
    scenario = Scenario.load("land", [f"seconds={SECONDS}"])
    world = scenario.make_world(scenario.spec.seed)
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

    play(scenario, world, look, SECONDS)
    return pictures


def frame(client: int, height_m: float, up_m_s: float, events: Array) -> Image.Image:
    """One picture: from beside, by who comes down with it, and the events (bright: ON)."""
    whole = Image.new("RGB", (2 * SIDE_PX, SIDE_PX + 16), "white")
    eye, at = (0.8, -0.6, height_m + 0.4), (0.0, 0.0, height_m)
    beside, _ = photograph(client, SIDE_PX, eye, at, degrees=40, depth_m=(0.1, 40))
    whole.paste(Image.fromarray(beside), (0, 16))
    eyes = Image.fromarray(events).resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST)
    whole.paste(eyes.convert("RGB"), (SIDE_PX, 16))
    pen = ImageDraw.Draw(whole)
    pen.text((4, 2), f"{height_m:.2f} m, {up_m_s:+.2f} m/s", fill="black")
    pen.text((SIDE_PX + 4, 2), "events of the camera below", fill="black")
    return whole


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file")
    write([each.quantize(24) for each in film()], parser.parse_args().file, FRAME_TICKS * 4)


if __name__ == "__main__":
    main()
