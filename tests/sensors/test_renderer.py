"""Scenes of PyBullet drawn by both renderers."""

from contextlib import contextmanager
from math import pi

import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.runtime.errors import UnsupportedError
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import RendererSpec, make_renderer
from reflexarc.sensors.scene import Link, Scene

bullet = pytest.importorskip("pybullet", reason="PyBullet is not installed")
data = pytest.importorskip("pybullet_data")

FRONT = MountSpec(position_m=(1.4, -1.2, 1.0), target_m=(0, 0, 0.5))
WHOLE = 10**6
NEAR = MountSpec(position_m=(0.5, -0.4, 0.5), target_m=(0, 0, 0.2))


@contextmanager
def physics():
    client = bullet.connect(bullet.DIRECT)
    bullet.setAdditionalSearchPath(data.getDataPath(), physicsClientId=client)
    try:
        yield client
    finally:
        bullet.disconnect(physicsClientId=client)


def load(client, file, *place, **options):
    return bullet.loadURDF(file, *place, physicsClientId=client, **options)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def grown(mask):
    """The mask and every pixel beside it."""
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.any([np.roll(mask, shift, axis=(0, 1)) for shift in shifts], axis=0)


@pytest.mark.parametrize(
    ("file", "view", "most"),
    # TinyRenderer's samples lie half a pixel beside ours; its round shapes have a dozen sides
    [
        ("kuka_iiwa/model.urdf", FRONT, 1e-3),
        ("r2d2.urdf", FRONT, 2e-2),
        ("cartpole.urdf", FRONT, 1e-3),
        ("racecar/racecar.urdf", NEAR, 5e-3),
        ("husky/husky.urdf", FRONT, 5e-3),
        ("quadruped/minitaur.urdf", NEAR, 5e-3),
        ("a1/a1.urdf", NEAR, 5e-3),
        ("laikago/laikago.urdf", NEAR, 5e-3),
    ],
)
def test_silhouettes_and_depths_are_those_of_tinyrenderer(file, view, most):
    with physics() as client:
        body = load(client, file, [0, 0, 0.2], useFixedBase=True)
        for joint in range(bullet.getNumJoints(body, physicsClientId=client)):
            bullet.resetJointState(body, joint, 0.3, physicsClientId=client)
        scene, mount = Scene(client, most_triangles=WHOLE), Mount(view)
        size = {"width": 640, "height": 480, "near_m": 0.1}
        ours = make_renderer(RendererSpec(samples="1", **size), scene, mount)
        tiny = make_renderer(RendererSpec(renderer="tiny", samples="1", **size), scene, mount)
        ours()
        depth, bodies, _ = tiny.capture(scene.look(), 1)
        seen = bodies >= 0
        assert seen.sum() > 500
        mine = ours.labels() >= 0
        assert overlap(mine, seen) > 0.95
        further = (seen & ~grown(mine)) | (mine & ~grown(seen))
        assert further.sum() < most * seen.sum()
        # its depth buffer: far n / (far - (far - near) d)
        near, far = 0.1, 0.1 * tiny.DEPTH
        metres = far * near / (far - (far - near) * depth)
        both = seen & mine
        off = np.abs(metres[both] - ours.depth_m()[both])
        assert np.median(off) < 0.01
        assert np.mean(off < 0.05) > 0.95


def test_pictures_of_both_renderers_agree_where_light_is_flat():
    with physics() as client:
        load(client, "cube_small.urdf", [0, 0, 0.3], useFixedBase=True)
        scene = Scene(client)
        mount = Mount(MountSpec(position_m=(0.3, -0.2, 0.5), target_m=(0, 0, 0.3)))
        grey = {
            name: make_renderer(RendererSpec(renderer=name, width=64, height=64), scene, mount)()
            for name in ("raster", "tiny")
        }
        for picture in grey.values():
            assert picture.dtype == np.float32
            assert picture.shape == (64, 64)
            assert 0 <= picture.min() <= picture.max() <= 1.001


def test_every_kind_of_primitive_stands_where_it_should():
    shapes = {
        "sphere": (bullet.GEOM_SPHERE, {"radius": 0.1}, 0.0),
        "box": (bullet.GEOM_BOX, {"halfExtents": [0.1, 0.1, 0.1]}, 0.0),
        "cylinder": (bullet.GEOM_CYLINDER, {"radius": 0.1, "length": 0.2}, 0.0),
        "capsule": (bullet.GEOM_CAPSULE, {"radius": 0.1, "length": 0.2}, 0.1),
    }
    for kind, options, more in shapes.values():
        with physics() as client:
            shape = bullet.createVisualShape(
                kind, rgbaColor=[0.5, 0.5, 0.5, 1], physicsClientId=client, **options
            )
            bullet.createMultiBody(
                baseVisualShapeIndex=shape, basePosition=[0.2, 0, 1], physicsClientId=client
            )
            scene = Scene(client)
            # from far away, along y: z goes up in the picture, x to the right
            mount = Mount(MountSpec(position_m=(0.0, -20.0, 1.0), target_m=(0, 0, 1)))
            spec = {"width": 64, "height": 64, "lens": {"field_of_view_deg": 2.0}, "samples": "1"}
            camera = make_renderer(RendererSpec.model_validate(spec), scene, mount)
            camera()
            rows, columns = np.nonzero(camera.labels() == 0)
            metres = 2 * 20 * np.tan(pi / 180) / 64
            assert np.mean(columns + 0.5 - 32) * metres == pytest.approx(0.2, abs=0.01)
            assert np.mean(rows + 0.5 - 32) * metres == pytest.approx(0.0, abs=0.01)
            assert np.ptp(columns) * metres == pytest.approx(0.2, abs=0.025)
            assert np.ptp(rows) * metres == pytest.approx(0.2 + 2 * more, abs=0.025)


def test_collada_stands_as_pybullet_has_it(tmp_path):
    pytest.importorskip("collada", reason="pycollada is not installed")
    for file in ("racecar/meshes/chassis.dae", "racecar/meshes/cone.dae"):
        (tmp_path / "a.urdf").write_text(
            '<robot name="a"><link name="b"><visual><geometry>'
            f'<mesh filename="{data.getDataPath()}/{file}"/></geometry></visual></link></robot>'
        )
        with physics() as client:
            load(client, str(tmp_path / "a.urdf"))
            scene = Scene(client)
            mount = Mount(MountSpec(position_m=(0.3, -0.25, 0.25), target_m=(0.1, 0, 0.05)))
            size = {"width": 256, "height": 256, "samples": "1"}
            ours = make_renderer(RendererSpec(**size), scene, mount)
            tiny = make_renderer(RendererSpec(renderer="tiny", **size), scene, mount)
            ours()
            seen = tiny.capture(scene.look(), 1)[1] >= 0
            assert seen.sum() > 1000
            assert overlap(ours.labels() >= 0, seen) > 0.95


def test_bodies_come_and_go():
    with physics() as client:
        left = load(client, "sphere_small.urdf", [-0.2, 0, 0.5], useFixedBase=True)
        scene = Scene(client)
        mount = Mount(MountSpec(position_m=(0, -1, 0.5), target_m=(0, 0, 0.5)))
        cameras = [make_renderer(RendererSpec(width=64, height=64), scene, mount) for _ in "ab"]
        alone = cameras[0]()
        right = load(client, "sphere_small.urdf", [0.2, 0, 0.5], useFixedBase=True)
        both = cameras[0]()
        assert (both[:, :32] == alone[:, :32]).all()
        assert (both[:, 32:] != alone[:, 32:]).any()
        np.testing.assert_array_equal(cameras[1](), both)
        bullet.removeBody(left, physicsClientId=client)
        np.testing.assert_array_equal(cameras[1]()[:, :32], 0.5)
        assert scene.parts == (Link(right, -1),)
        # one goes and one comes: their number is the same
        bullet.removeBody(right, physicsClientId=client)
        load(client, "sphere_small.urdf", [-0.2, 0, 0.5], useFixedBase=True)
        np.testing.assert_array_equal(cameras[0](), alone)


def test_a_colour_that_is_changed_needs_a_refresh():
    with physics() as client:
        body = load(client, "sphere_small.urdf", [0, 0, 0.5])
        scene = Scene(client)
        mount = Mount(MountSpec(position_m=(0.2, 0, 0.5), target_m=(0, 0, 0.5)))
        camera = make_renderer(RendererSpec(width=32, height=32), scene, mount)
        before = camera()
        bullet.changeVisualShape(body, -1, rgbaColor=[0, 0, 0, 1], physicsClientId=client)
        np.testing.assert_array_equal(camera(), before)
        scene.refresh()
        assert camera().max() == 0.5 < before.max()


def test_a_camera_whose_body_is_gone_is_one_line():
    with physics() as client:
        rig = load(client, "sphere_small.urdf", [0, 0, 0.5])
        hand = Link(rig, -1)
        scene = Scene(client, also=[hand])
        camera = make_renderer(RendererSpec(width=32, height=32), scene, Mount(FRONT, hand))
        camera()
        bullet.removeBody(rig, physicsClientId=client)
        with pytest.raises(UnsupportedError, match="body 0, link -1 carries a camera") as caught:
            camera()
        assert "\n" not in str(caught.value)


def test_several_cameras_share_a_scene_and_follow_what_moves():
    with physics() as client:
        body = load(client, "sphere_small.urdf", [0, 0, 0.5])
        scene = Scene(client)
        spec = RendererSpec(width=32, height=32)
        left = make_renderer(spec, scene, Mount(FRONT))
        above = MountSpec(position_m=(0, 0, 2), target_m=(0, 0, 0), up=(0, 1, 0))
        top = make_renderer(spec, scene, Mount(above))
        first = left(), top()
        np.testing.assert_array_equal(left(), first[0])
        bullet.resetBasePositionAndOrientation(
            body, [0.1, 0, 0.5], [0, 0, 0, 1], physicsClientId=client
        )
        assert not np.array_equal(left(), first[0])
        columns = np.nonzero(top() != 0.5)[1]
        assert columns.mean() > np.nonzero(first[1] != 0.5)[1].mean() + 1


def test_a_camera_rides_on_a_link():
    with physics() as client:
        body = load(client, "kuka_iiwa/model.urdf", useFixedBase=True)
        load(client, "plane.urdf")
        hand = Link(body, 6)
        scene = Scene(client, also=[hand])
        spec = MountSpec(position_m=(0, 0, 0.1), target_m=(0, 0, 1), up=(0, 1, 0))
        camera = make_renderer(RendererSpec(width=48, height=48), scene, Mount(spec, hand))
        straight_up = camera()
        assert (straight_up == 0.5).all()  # an empty sky
        bullet.resetJointState(body, 5, -2.0, physicsClientId=client)
        assert not np.array_equal(camera(), straight_up)
        # the camera stands where the link is
        state = bullet.getLinkState(body, 6, computeForwardKinematics=1, physicsClientId=client)
        turn = np.array(bullet.getMatrixFromQuaternion(state[5])).reshape(3, 3)
        eye = np.array(state[4]) + turn @ (0, 0, 0.1)
        view = Mount(spec, hand).camera(scene, scene.look())
        np.testing.assert_allclose(view[:, :3] @ eye + view[:, 3], 0, atol=1e-6)
        np.testing.assert_allclose(view[:, :3] @ turn[:, 2], [0, 0, 1], atol=1e-6)


def test_a_base_whose_mass_lies_beside_its_origin_is_drawn_at_its_origin(tmp_path):
    (tmp_path / "a.urdf").write_text(
        '<robot name="a"><link name="b"><inertial><origin xyz="0.3 0.2 0.1" rpy="0.4 0 0"/>'
        '<mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="2" iyz="0" izz="3"/></inertial>'
        '<visual><origin xyz="0.5 0 0"/><geometry><box size="1 1 1"/></geometry></visual>'
        "</link></robot>"
    )
    with physics() as client:
        load(client, str(tmp_path / "a.urdf"), [1, 2, 3])
        scene = Scene(client)
        pose = scene.poses(scene.look())[0]
        np.testing.assert_allclose(pose, np.c_[np.eye(3), [1.5, 2, 3]], atol=1e-6)
        np.testing.assert_allclose(scene.frame(Link(0, -1), scene.look())[:, 3], [1, 2, 3])


def test_what_is_transparent_is_left_out():
    with physics() as client:
        shape = bullet.createVisualShape(
            bullet.GEOM_SPHERE, radius=1, rgbaColor=[1, 1, 1, 0], physicsClientId=client
        )
        bullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=client)
        assert Scene(client).geometry.n_triangles == 0


def test_a_mesh_without_a_file_is_refused_in_one_line():
    with physics() as client:
        shape = bullet.createVisualShape(
            bullet.GEOM_MESH,
            vertices=[[0, 0, 0], [1, 0, 0], [0, 1, 0]],
            indices=[0, 1, 2],
            physicsClientId=client,
        )
        bullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=client)
        with pytest.raises(UnsupportedError, match="body 0, link -1") as caught:
            Scene(client)
        assert "\n" not in str(caught.value)


def test_meshes_are_decimated_at_load():
    with physics() as client:
        load(client, "kuka_iiwa/model.urdf", useFixedBase=True)
        whole = Scene(client, most_triangles=10**6)
        fewer = Scene(client, most_triangles=200)
        assert fewer.geometry.n_triangles <= 8 * 200 < whole.geometry.n_triangles
        spec = RendererSpec(width=96, height=96, samples="1")
        masks = []
        for scene in (whole, fewer):
            camera = make_renderer(spec, scene, Mount(FRONT))
            camera()
            masks.append(camera.labels() >= 0)
        assert overlap(*masks) > 0.95


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"renderer": "gl"}, "Input should be 'raster', 'tiny' or 'egl'"),
        ({"samples": "8x8"}, "Input should be"),
        ({"renderer": "tiny", "lens": {"distortion": [0.1, 0, 0, 0]}}, "knows only field_of_view"),
        ({"lens": {"distortion": [-9.0, 0, 0, 0]}}, "folds a picture"),
        ({"light": {"to_light": [0, 0, 0]}}, "must not be 0"),
        ({"width": 4}, "greater than or equal to 8"),
    ],
)
def test_a_wrong_camera_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        RendererSpec.model_validate(given)


def test_a_mount_that_looks_nowhere_is_refused():
    with pytest.raises(ValidationError, match="must differ"):
        MountSpec(position_m=(0, 0, 1), target_m=(0, 0, 2))
