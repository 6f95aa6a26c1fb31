"""The event camera over a scene made by hand."""

import numpy as np
import pytest

from reflexarc.runtime.batch import EVENT, Schema
from reflexarc.sensors.event_camera import EventCamera
from reflexarc.sensors.pixels import PixelSpec, make_pixels

WIDTH, HEIGHT = 12, 8


class Bar:
    """A dark bar on a bright ground whose left edge can be set."""

    def __init__(self) -> None:
        self.x = 2

    def __call__(self) -> np.ndarray:
        image = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
        image[:, self.x : self.x + 3] = 25
        return image


def camera(scene: Bar, seed: int = 0, mismatch: float = 0.0) -> EventCamera:
    spec = PixelSpec(mismatch=mismatch)
    pixels = make_pixels(spec, WIDTH, HEIGHT, np.random.default_rng(seed))
    return EventCamera("camera", scene, pixels, period_ns=2_000_000)


def test_moving_bar_gives_off_in_front_and_on_behind() -> None:
    scene = Bar()
    with camera(scene) as eyes:
        assert len(eyes.read(0).values) == 0
        scene.x = 3
        batch = eyes.read(2_000_000)
    assert batch.schema is Schema.EVENTS
    assert batch.values.dtype == EVENT
    assert set(batch.values["x"][batch.values["p"]]) == {2}
    assert set(batch.values["x"][~batch.values["p"]]) == {5}
    # ln(25/255) / 0.2 = 11.6
    assert np.count_nonzero(batch.values["p"]) == 11 * HEIGHT
    assert batch.values["t"].min() >= 0
    assert batch.values["t"].max() <= 2000
    assert batch.t_last_ns == batch.values["t"][-1] * 1000


def test_reads_at_its_own_period() -> None:
    scene = Bar()
    eyes = camera(scene)
    counts = []
    for t_ns in range(0, 8_000_000, 1_000_000):
        scene.x = 2 + (t_ns // 1_000_000) % 2
        counts.append(len(eyes.read(t_ns).values))
    assert sum(counts) == 0  # at every frame the bar is back where it was
    assert [eyes.read(9_000_000).seq, eyes.read(9_000_000).seq] == [8, 9]


def test_frames_taken_between_reads_come_together() -> None:
    scene = Bar()
    eyes = camera(scene)
    for frame in range(4):
        scene.x = 2 + frame
        assert eyes.due(frame * 2_000_000)
        eyes.expose(frame * 2_000_000)
        assert not eyes.due(frame * 2_000_000 + 1)
    events = eyes.read(6_000_000).values
    assert len(events) == 3 * 2 * 11 * HEIGHT
    assert np.all(np.diff(events["t"].astype(np.int64)) >= 0)


def test_mismatch_follows_the_seed() -> None:
    def events(seed: int) -> bytes:
        scene = Bar()
        eyes = camera(scene, seed, mismatch=0.1)
        eyes.read(0)
        scene.x = 4
        return eyes.read(2_000_000).values.tobytes()

    assert events(1) == events(1)
    assert events(1) != events(2)


def test_float_and_byte_images_agree() -> None:
    scene = Bar()
    as_float = EventCamera(
        "camera",
        lambda: scene().astype(np.float32) / 255,
        make_pixels(PixelSpec(), WIDTH, HEIGHT, np.random.default_rng(0)),
        2_000_000,
    )
    as_bytes = camera(scene)
    for t_ns in (0, 2_000_000):
        np.testing.assert_array_equal(as_float.read(t_ns).values, as_bytes.read(t_ns).values)
        scene.x += 1


def test_wrong_image_size_is_refused() -> None:
    eyes = EventCamera(
        "camera",
        lambda: np.zeros((3, 3), dtype=np.float32),
        make_pixels(PixelSpec(), WIDTH, HEIGHT, np.random.default_rng(0)),
        2_000_000,
    )
    with pytest.raises(ValueError, match="shape"):
        eyes.read(0)


def noisy_camera(scene: Bar, seed: int = 0) -> EventCamera:
    spec = PixelSpec(
        preset="v2e_noisy", cutoff_hz=None, readout_rate_hz=5000, readout_latency_us=40
    )
    pixels = make_pixels(spec, WIDTH, HEIGHT, np.random.default_rng(seed))
    return EventCamera("camera", scene, pixels, period_ns=2_000_000)


def test_what_the_readout_loses_and_holds_back_is_in_the_batch() -> None:
    scene = Bar()
    eyes = noisy_camera(scene)
    batches = []
    for n in range(40):
        scene.x = 2 + n % 4
        batches.append(eyes.read(n * 2_000_000))
    pixels = eyes._pixels
    assert sum(batch.dropped for batch in batches) == pixels.dropped > 0
    assert batches[-1].backlog == pixels.backlog > 0
    assert all(batch.t_last_ns <= 2_000_000 * n for n, batch in enumerate(batches))


def test_going_on_from_a_state_equals_never_having_stopped() -> None:
    scene = Bar()
    eyes, again = noisy_camera(scene), noisy_camera(scene)
    for n in range(20):
        scene.x = 2 + n % 4
        eyes.expose(n * 2_000_000)
        if n % 3 == 0:
            eyes.read(n * 2_000_000)
    again.restore(eyes.state())
    for n in range(20, 40):
        scene.x = 2 + n % 4
        one, other = eyes.read(n * 2_000_000), again.read(n * 2_000_000)
        assert one.values.tobytes() == other.values.tobytes()
        assert (one.seq, one.dropped, one.backlog) == (other.seq, other.dropped, other.backlog)
        assert (one.t_first_ns, one.t_last_ns) == (other.t_first_ns, other.t_last_ns)


def test_a_state_of_another_camera_is_refused() -> None:
    eyes = noisy_camera(Bar())
    state = eyes.state()
    with pytest.raises(ValueError, match="pattern"):
        noisy_camera(Bar(), seed=1).restore(state)
    with pytest.raises(ValueError, match="event camera"):
        eyes.restore({name: part for name, part in state.items() if name != "clock"})
