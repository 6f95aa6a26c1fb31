"""An event camera that renders when something has moved, and no more often than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reflexarc.ext.pixels import PixelArray
from reflexarc.ext.poses import between
from reflexarc.runtime.batch import Array, Batch
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.config import Strict
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.mesh import Floats, Image
from reflexarc.sensors.renderer import RasterRenderer

#: How much of a tick rendering may take in wall mode, where the shutter does not say.
WALL_SHARE = 0.5


class ShutterSpec(Strict):
    """When pictures are taken.

    Attributes:
        motion_px: how far anything may move in the image between two pictures.
        shortest_ns: least time between two pictures, however fast it is.
        longest_ns: most time between two pictures.
        budget_ns: how long rendering may take between two reads. What is left then is put off and
            counted; with it the events depend on the machine. None: WALL_SHARE of a tick in wall
            mode, no limit in lockstep.
    """

    motion_px: float = Field(default=0.07, gt=0, le=10)
    shortest_ns: int = Field(default=100_000, ge=1_000)
    longest_ns: int = Field(default=10_000_000, ge=1_000)
    budget_ns: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.shortest_ns > self.longest_ns:
            raise ValueError("shortest_ns must not be above longest_ns")
        return self


class AdaptiveCamera(EventCamera):
    """An event camera whose next picture follows the largest motion in the image.

    The rule is that of ESIM (Rebecq, Gehrig & Scaramuzza 2018): a picture whenever something has
    moved by `motion_px` since the last one, within the bounds of its ShutterSpec. Call `step` after
    every physics step. Between two steps links move along a line and turn along an arc, so that a
    fast thing is seen several times in a step; while nothing moves, nothing is rendered, and the
    last picture is shown again every `longest_ns`, for the pixels have noise of their own. What is
    hidden or beside the picture counts when it appears, or after `longest_ns`. When a body comes or
    goes there is a picture at once.

    Attributes:
        rendered: pictures drawn.
        repeated: times at which the last picture was shown again without being drawn.
        yielded: pictures that were due and were put off for want of `budget_ns`.
        budget_ns: that of the shutter, or what `keep_pace` made of it.
    """

    def __init__(
        self, stream: str, renderer: RasterRenderer, pixels: PixelArray, spec: ShutterSpec
    ) -> None:
        super().__init__(stream, self._show, pixels, spec.longest_ns)
        self._renderer, self._spec = renderer, spec
        self.budget_ns = spec.budget_ns
        self._image: Image | None = None
        self._geometry = renderer.scene.geometry  # of the last picture
        self._pictured = self._before = renderer.scene.look()
        self._pictured_ns = self._before_ns = 0
        self._moved_px = 0.0
        self._spent_ns = 0
        self.rendered = self.repeated = self.yielded = 0

    def keep_pace(self, period_ns: int) -> None:
        """There is a `read` every `period_ns` of real time: leave the loop its share."""
        if self._spec.budget_ns is None:
            self.budget_ns = round(WALL_SHARE * period_ns)

    def due(self, now_ns: int) -> bool:
        """Whether there was no picture yet: all others are taken by `step`."""
        del now_ns
        return self._image is None

    def counts(self) -> npt.NDArray[np.float64]:
        """rendered, repeated and yielded: a reading for the stream `pictures` of a run."""
        return np.array([self.rendered, self.repeated, self.yielded], dtype=np.float64)

    def read(self, now_ns: int) -> Batch:
        """The events of all pictures since the last call; rendering has its budget again."""
        if self._image is None:
            self.step(now_ns)
        self._spent_ns = 0
        return super().read(now_ns)

    def state(self) -> dict[str, Array]:
        """As EventCamera's, with the shutter's; the picture is drawn again from its links.

        Take it after `step`, when that has seen all bodies.
        """
        clock = [self._image is not None, self._pictured_ns, self._before_ns]
        counts = [self.rendered, self.repeated, self.yielded]
        return {
            **super().state(),
            "shutter/pictured": self._pictured.copy(),
            "shutter/before": self._before.copy(),
            "shutter/moved_px": np.array([self._moved_px]),
            "shutter/clock": np.array([*clock, *counts], dtype=np.int64),
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to `state` in a scene of the same bodies; going on equals never having stopped.

        That is bit for bit, but where a budget of time decides.

        Raises:
            ValueError: a state of another camera or another scene. Nothing has changed then.
        """
        links = self._renderer.scene.look().shape
        mine = {"pictured": links, "before": links, "moved_px": (1,), "clock": (6,)}
        mine = {f"shutter/{name}": shape for name, shape in mine.items()}
        if any(name not in state or state[name].shape != shape for name, shape in mine.items()):
            raise ValueError("the state is not one of an adaptive camera in this scene")
        super().restore({name: part for name, part in state.items() if name not in mine})
        drawn, *clock = map(int, state["shutter/clock"])
        self._pictured_ns, self._before_ns, self.rendered, self.repeated, self.yielded = clock
        self._pictured = state["shutter/pictured"].copy()
        self._before = state["shutter/before"].copy()
        self._moved_px, self._spent_ns = float(state["shutter/moved_px"][0]), 0
        self._geometry = self._renderer.scene.geometry
        self._image = self._renderer.draw(self._pictured) if drawn else None

    def step(self, now_ns: int) -> None:
        """The world has moved from the last call to `now_ns`; take the pictures that are due."""
        start_ns = perf_ns()
        links = self._renderer.scene.look()
        if self._image is None:
            self._take(links, now_ns)
        elif self._renderer.scene.geometry is not self._geometry:
            self._appear(links, now_ns)
        elif not np.array_equal(links, self._before):
            self._move(links, now_ns, start_ns)
        elif not np.array_equal(links, self._pictured):
            self._take(links, self._before_ns)  # it came to rest where it was at the last step
        elif now_ns >= self._pictured_ns + self._spec.longest_ns:
            self._repeat(now_ns)
        self._before, self._before_ns = links, now_ns
        self._spent_ns += perf_ns() - start_ns

    def _appear(self, links: Floats, now_ns: int) -> None:
        """Until now the scene was as before, whatever has come or gone."""
        if self._pictured_ns < self._before_ns:
            self._repeat(self._before_ns)
        self._take(links, now_ns)

    def _move(self, links: Floats, now_ns: int, start_ns: int) -> None:
        """Take the pictures that are due while the links go from where they were to `links`."""
        before, before_ns = self._before, self._before_ns
        if np.array_equal(before, self._pictured) and self._pictured_ns < before_ns:
            self._repeat(before_ns)
        pictured, moved_px = self._pictured, self._renderer.flow_px(links)
        for share in self._due(moved_px, now_ns):
            at_ns = before_ns + round(share * (now_ns - before_ns))
            if at_ns < self._pictured_ns + self._spec.shortest_ns:
                continue
            if self._is_spent(start_ns):
                self.yielded += 1
                continue
            self._take(links if at_ns == now_ns else between(before, links, share), at_ns)
        same = self._pictured is pictured
        self._moved_px = moved_px if same else self._renderer.flow_px(links)

    def _due(self, to_px: float, now_ns: int) -> Floats:
        """When in a step (0 to 1) pictures are due, if motion in the image grows evenly in it."""
        spec, from_px = self._spec, self._moved_px
        most = max(1, (now_ns - self._before_ns) // spec.shortest_ns)
        first, last = from_px // spec.motion_px + 1, to_px // spec.motion_px
        if last - first >= most:
            return np.arange(1, most + 1) / most
        if last >= first:
            return (np.arange(first, last + 1) * spec.motion_px - from_px) / (to_px - from_px)
        late = now_ns >= self._pictured_ns + spec.longest_ns
        return np.ones(1) if late or from_px >= spec.motion_px else np.zeros(0)

    def _is_spent(self, start_ns: int) -> bool:
        spent_ns = self._spent_ns + perf_ns() - start_ns
        return self.budget_ns is not None and spent_ns >= self.budget_ns

    def _take(self, links: Floats, at_ns: int) -> None:
        self._image = self._renderer.draw(links)
        self._geometry = self._renderer.scene.geometry
        self.rendered += 1
        self._pictured, self._moved_px = links, 0.0
        self._expose(at_ns)

    def _repeat(self, at_ns: int) -> None:
        """Show the last picture again: until now it was what there was to see."""
        self.repeated += 1
        self._expose(at_ns)

    def _expose(self, at_ns: int) -> None:
        self._pictured_ns = at_ns
        self.expose(at_ns)

    def _show(self) -> Image:
        assert self._image is not None
        return self._image
