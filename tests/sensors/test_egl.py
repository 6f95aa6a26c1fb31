"""OpenGL's pictures against the rasteriser's."""

import sys

import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.runtime.errors import MissingPartError, UnsupportedError
from reflexarc.sensors.lens import LensSpec
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import RendererSpec, make_renderer
from reflexarc.sensors.scene import Scene

bullet = pytest.importorskip("pybullet", reason="PyBullet is not installed")
data = pytest.importorskip("pybullet_data")
SIZE = {"width": 160, "height": 120, "near_m": 0.05}
VIEW = MountSpec(position_m=(1.4, -1.2, 1.0), target_m=(0, 0, 0.5))


@pytest.fixture
def client():
    made = bullet.connect(bullet.DIRECT)
    bullet.setAdditionalSearchPath(data.getDataPath(), physicsClientId=made)
    yield made
    bullet.disconnect(physicsClientId=made)


@pytest.fixture
def egl():
    """A function that makes the renderer, or skips where there is no OpenGL."""
    pytest.importorskip("moderngl", reason="moderngl is not installed: extra 'egl'")

    def make(scene, mount, **options):
        try:
            return make_renderer(RendererSpec(renderer="egl", **SIZE, **options), scene, mount)
        except UnsupportedError as error:
            pytest.skip(str(error))

    return make


def load(client, file, place=(0, 0, 0.2)):
    return bullet.loadURDF(file, place, useFixedBase=True, physicsClientId=client)


@pytest.mark.parametrize("samples", ["1", "4x4"])
@pytest.mark.parametrize("file", ["kuka_iiwa/model.urdf", "r2d2.urdf", "cube.urdf"])
def test_its_pictures_are_those_of_the_rasteriser(client, egl, file, samples):
    load(client, file)
    scene, mount = Scene(client), Mount(VIEW)
    lens = LensSpec(focal_px=(150.0, 140.0), centre_px=(83.0, 57.0))
    theirs = egl(scene, mount, samples=samples, lens=lens)()
    ours = make_renderer(RendererSpec(samples=samples, lens=lens, **SIZE), scene, mount)()
    assert theirs.shape == ours.shape == (120, 160)
    assert np.ptp(theirs) > 0.3
    apart = abs(theirs - ours)
    # rays lie elsewhere within a pixel, so outlines differ; textures are filtered otherwise
    assert np.mean(apart > 0.05) < 0.05
    assert np.median(apart) < 1e-3
    assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.97


def test_it_follows_what_moves_and_what_comes(client, egl):
    load(client, "cube.urdf")
    scene = Scene(client)
    renderer = egl(scene, Mount(VIEW))
    first = renderer()
    np.testing.assert_array_equal(renderer(), first)
    other = load(client, "r2d2.urdf", (0.3, -0.3, 1.0))
    second = renderer()
    assert not np.array_equal(second, first)
    bullet.removeBody(other, physicsClientId=client)
    np.testing.assert_array_equal(renderer(), first)
    bullet.resetBasePositionAndOrientation(0, [0, 0.1, 0.2], [0, 0, 0, 1], physicsClientId=client)
    assert not np.array_equal(renderer(), first)


def test_background_is_what_the_light_says(client, egl):
    renderer = egl(Scene(client), Mount(VIEW), light={"background": 0.25})
    assert (renderer() == np.float32(0.25)).all()


def test_distortion_is_refused():
    with pytest.raises(ValidationError, match="`renderer: egl` knows no distortion"):
        RendererSpec(renderer="egl", lens=LensSpec(distortion=(-0.2, 0.0, 0.0, 0.0)))


def test_without_moderngl_it_says_how_to_get_it(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(MissingPartError, match=r"pip install 'reflexarc\[egl\]'"):
        make_renderer(RendererSpec(renderer="egl", **SIZE), Scene(client), Mount(VIEW))


def test_without_opengl_it_names_what_to_use(client, monkeypatch):
    moderngl = pytest.importorskip("moderngl", reason="moderngl is not installed: extra 'egl'")

    def fail(**_):
        raise OSError("libEGL.so not found")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(UnsupportedError, match=r"libEGL.so not found\); use `renderer: raster`"):
        make_renderer(RendererSpec(renderer="egl", **SIZE), Scene(client), Mount(VIEW))
