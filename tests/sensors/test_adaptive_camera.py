"""The adaptive camera: nothing for a still scene, many pictures for a fast one, true times."""

from contextlib import contextmanager

import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.sensors.adaptive_camera import AdaptiveCamera, ShutterSpec
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.pixels import PixelSpec, make_pixels
from reflexarc.sensors.renderer import RasterRenderer, RendererSpec
from reflexarc.sensors.scene import Link, Scene

bullet = pytest.importorskip("pybullet", reason="PyBullet is not installed")

SIZE, STEP_NS = 32, 1_000_000
#: From 2 m away 32 pixels show 1 m.
PX_PER_M = 32.0


class Ball:
    """A dark ball that is put where it should be, along x."""

    def __init__(self, client, **shutter):
        self.client = client
        shape = bullet.createVisualShape(
            bullet.GEOM_SPHERE, radius=0.1, rgbaColor=[0.1, 0.1, 0.1, 1], physicsClientId=client
        )
        self.body = bullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=client)
        lens = {"field_of_view_deg": float(np.degrees(2 * np.arctan(0.25)))}
        spec = {"width": SIZE, "height": SIZE, "lens": lens, "light": {"ambient": 1.0}}
        mount = Mount(MountSpec(position_m=(0, -2, 0), target_m=(0, 0, 0)))
        self.renderer = RasterRenderer(RendererSpec.model_validate(spec), Scene(client), mount)
        pixels = make_pixels(PixelSpec(), SIZE, SIZE, np.random.default_rng(0))
        self.camera = AdaptiveCamera("camera", self.renderer, pixels, ShutterSpec(**shutter))
        self.plain = EventCamera(
            "camera",
            self.renderer,
            make_pixels(PixelSpec(), SIZE, SIZE, np.random.default_rng(0)),
            20_000,
        )

    def put(self, x, z=0.0):
        bullet.resetBasePositionAndOrientation(
            self.body, [x, 0, z], [0, 0, 0, 1], physicsClientId=self.client
        )

    def run(self, x_of_s, until_s, read_every=1):
        """Steps of STEP_NS; all events."""
        events = []
        for step in range(round(until_s * 1e9 / STEP_NS) + 1):
            self.put(x_of_s(step * STEP_NS * 1e-9))
            self.camera.step(step * STEP_NS)
            if step % read_every == 0:
                events.append(self.camera.read(step * STEP_NS).values)
        return np.concatenate(events)


@contextmanager
def ball(**shutter):
    client = bullet.connect(bullet.DIRECT)
    try:
        yield Ball(client, **shutter)
    finally:
        bullet.disconnect(physicsClientId=client)


def test_a_still_scene_is_drawn_once():
    with ball(longest_ns=10_000_000) as scene:
        events = scene.run(lambda _: 0.1, 0.2)
        assert len(events) == 0
        assert (scene.camera.rendered, scene.camera.repeated) == (1, 20)


def test_events_after_a_long_rest_begin_when_the_motion_does():
    with ball() as scene:
        events = scene.run(lambda t: 0.1 + max(0.0, t - 0.3) * 2.0, 0.31)
        assert len(events) > 20
        assert scene.camera.repeated == 30
        assert events["t"].min() >= 300_000
        # spread over the motion, not over the rest
        assert np.median(events["t"]) > 303_000


def first_times(events):
    """Time of the first event of each pixel, in microseconds; -1 for none."""
    times = np.full((SIZE, SIZE), -1.0)
    for t, x, y in zip(events["t"][::-1], events["x"][::-1], events["y"][::-1], strict=True):
        times[y, x] = t
    return times


def test_a_fast_ball_is_seen_at_its_times():
    speed = 6 * 1e9 / STEP_NS / PX_PER_M  # 6 pixels in a step

    def place(t_s):
        return -0.4 + speed * t_s

    with ball(motion_px=0.25, shortest_ns=10_000) as scene:
        events = scene.run(place, 0.004)
        frames = scene.camera.rendered
        reference = []
        for t_ns in range(0, 4 * STEP_NS + 1, 5_000):
            scene.put(place(t_ns * 1e-9))
            scene.plain.expose(t_ns)
        reference = scene.plain.read(4 * STEP_NS).values
    assert 60 < frames < 130  # 24 pixels by quarters
    assert len(events) == pytest.approx(len(reference), rel=0.03)
    mine, true = first_times(events), first_times(reference)
    both = (mine >= 0) & (true >= 0)
    assert both.sum() > 0.98 * (true >= 0).sum()
    off_us = np.abs(mine - true)[both]
    assert np.median(off_us) < 8  # it crosses a pixel in 167 us
    assert np.quantile(off_us, 0.95) < 60


def test_frames_follow_motion_within_their_bounds():
    with ball(motion_px=0.5, shortest_ns=100_000, longest_ns=5_000_000) as scene:
        # a tenth of a pixel in the whole run: only `longest_ns` counts
        scene.run(lambda t: 0.1 * t / 0.1 / PX_PER_M, 0.1)
        assert 19 <= scene.camera.rendered <= 22
    with ball(motion_px=0.5, shortest_ns=250_000) as scene:
        scene.run(lambda t: -0.4 + 100.0 * t, 0.008)  # 3.2 pixels a step, 4 pictures in it
        assert scene.camera.rendered == 1 + 8 * 4
    with ball(motion_px=0.5) as scene:
        scene.run(lambda t: -0.4 + 0.5 * t, 1.0)  # 16 pixels in a second
        assert 28 <= scene.camera.rendered <= 120


def test_at_rest_it_shows_what_is_there():
    with ball(motion_px=5.0, longest_ns=10**9) as scene:
        scene.run(lambda t: min(t, 0.005) * 2.0, 0.02)
        assert scene.camera.rendered == 2
        np.testing.assert_array_equal(scene.camera._show(), scene.renderer())


def test_what_comes_and_goes_is_seen_when_it_does():
    with ball() as scene:
        scene.run(lambda _: 0.2, 0.02)
        shape = bullet.createVisualShape(
            bullet.GEOM_SPHERE, radius=0.1, rgbaColor=[0, 0, 0, 1], physicsClientId=scene.client
        )
        other = bullet.createMultiBody(
            baseVisualShapeIndex=shape, basePosition=[-0.2, 0, 0], physicsClientId=scene.client
        )
        scene.camera.step(21 * STEP_NS)
        came = scene.camera.read(21 * STEP_NS).values
        assert len(came) > 20
        assert (came["x"] < SIZE // 2).all()
        assert not came["p"].any()  # it is darker than what was there
        assert came["t"].min() >= 20_000  # within the last step
        bullet.removeBody(other, physicsClientId=scene.client)
        scene.camera.step(22 * STEP_NS)
        went = scene.camera.read(22 * STEP_NS).values
        assert len(went) == len(came)
        assert went["p"].all()
        rendered = scene.camera.rendered
        scene.put(0.25)
        scene.camera.step(23 * STEP_NS)
        assert scene.camera.rendered > rendered


def test_without_budget_left_it_yields_and_says_so():
    with ball(budget_ns=0) as scene:
        scene.run(lambda t: -0.4 + 20.0 * t, 0.01)
        assert scene.camera.rendered == 1
        assert scene.camera.yielded > 10
        np.testing.assert_array_equal(scene.camera.counts(), [1, 0, scene.camera.yielded])
        # what was put off comes as soon as it may
        scene.put(-0.4 + 20.0 * 0.01)
        scene.camera.step(11 * STEP_NS)
        assert scene.camera.rendered == 2
    with ball(budget_ns=10**12) as scene:
        scene.run(lambda t: -0.4 + 20.0 * t, 0.01)
        assert scene.camera.yielded == 0


def test_in_wall_mode_there_is_a_budget():
    with ball() as scene:
        assert scene.camera.budget_ns is None
        scene.camera.keep_pace(2 * STEP_NS)
        assert scene.camera.budget_ns == STEP_NS
    with ball(budget_ns=7) as scene:
        scene.camera.keep_pace(2 * STEP_NS)
        assert scene.camera.budget_ns == 7


#: When to stop: before the first picture, in motion, in motion between two reads, at rest.
STOPS = [0, 20, 22, 75]


@pytest.mark.parametrize("stop", STOPS)
def test_going_on_from_a_state_equals_never_having_stopped(stop):
    def step(scene, n):
        # motion, a rest from step 60 on, motion again
        scene.put(0.3 * np.sin(30e-3 * (min(n, 60) + max(0, n - 90))))
        scene.camera.step(n * STEP_NS)
        return scene.camera.read(n * STEP_NS) if n % 3 == 0 else None

    with ball(motion_px=0.3) as one, ball(motion_px=0.3) as other:
        for n in range(stop):
            step(one, n)
        other.put(0.25)  # it has a past of its own
        other.camera.step(0)
        other.camera.restore(one.camera.state())
        for n in range(stop, 120):
            mine, again = step(one, n), step(other, n)
            if mine is not None:
                assert mine.values.tobytes() == again.values.tobytes()
                assert (mine.seq, mine.t_first_ns, mine.t_last_ns) == (
                    again.seq,
                    again.t_first_ns,
                    again.t_last_ns,
                )
        np.testing.assert_array_equal(one.camera.counts(), other.camera.counts())
        assert one.camera.rendered > 50
        for name, part in one.camera.state().items():
            np.testing.assert_array_equal(part, other.camera.state()[name])


def test_a_state_of_another_scene_is_refused():
    with ball() as one, ball() as other:
        for scene in (one, other):
            scene.run(lambda t: t, 0.01)
        state = one.camera.state()
        plain = {name: part for name, part in state.items() if not name.startswith("shutter/")}
        before = other.camera.state()
        with pytest.raises(ValueError, match="not one of an adaptive camera"):
            other.camera.restore(plain)
        shape = bullet.createVisualShape(
            bullet.GEOM_SPHERE, radius=0.1, physicsClientId=other.client
        )
        bullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=other.client)
        with pytest.raises(ValueError, match="in this scene"):
            other.camera.restore(state)
        for name, part in other.camera.state().items():
            np.testing.assert_array_equal(part, before[name])


def test_the_same_motion_gives_the_same_bytes():
    def once():
        with ball(motion_px=0.3) as scene:
            return scene.run(lambda t: 0.3 * np.sin(30 * t), 0.1, read_every=3).tobytes()

    assert once() == once()


def test_a_camera_that_moves_sees_the_scene_move():
    with ball() as scene:
        client = scene.client
        rig = bullet.createMultiBody(basePosition=[0, -2, 0], physicsClientId=client)
        link = Link(rig, -1)
        mount = Mount(MountSpec(position_m=(0, 0, 0), target_m=(0, 1, 0)), link)
        seen = Scene(client, also=[link])
        renderer = RasterRenderer(scene.renderer.spec, seen, mount)
        renderer()
        assert renderer.flow_px(seen.look()) == pytest.approx(0.0, abs=1e-3)
        bullet.resetBasePositionAndOrientation(
            rig, [0.1, -2, 0], [0, 0, 0, 1], physicsClientId=client
        )
        # the ball's front is 1.9 m away, its outline 2 m: 64 pixels of focal length
        assert 3.2 < renderer.flow_px(seen.look()) < 64 * 0.1 / 1.9 + 0.01


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(ValidationError, match="must not be above"):
        ShutterSpec(shortest_ns=2_000, longest_ns=1_000)
