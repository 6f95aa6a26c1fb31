"""The rasteriser: coverage without holes, exact areas, depth, clipping, lenses."""

from math import pi

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reflexarc.ext.raster import Geometry, Rasteriser
from reflexarc.sensors.mesh import Mesh, geometry, welded
from reflexarc.sensors.primitives import box, plane, sphere

SIZE, FOCAL = 32, 40.0
#: Camera from world where both frames are one.
EYE = np.eye(3, 4)
#: Every face as bright as its grey, whatever its normal.
FLAT = {"ambient": 1.0}


def camera(mode="full", size=SIZE, **options):
    options = {"background": 0.0, **options}
    centre = options.pop("centre", (size / 2, size / 2))
    return Rasteriser(size, size, (FOCAL, FOCAL), centre, mode=mode, **options)


def at(x=0.0, y=0.0, z=0.0, turn=None):
    pose = np.eye(3, 4)
    if turn is not None:
        pose[:, :3] = turn
    pose[:, 3] = x, y, z
    return pose[None]


def turned(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return q * np.sign(np.linalg.det(q))


def facing(points_px, triangles, z=1.0):
    """A mesh in the plane at depth z whose corners lie at these pixels, its front to the camera."""
    points = (np.asarray(points_px, dtype=float) - SIZE / 2) / FOCAL * z
    points = np.column_stack([points, np.full(len(points), z)])
    triangles = np.asarray(triangles)
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    wrong = np.cross(np.c_[b - a, 0 * a[:, 0]], np.c_[c - a, 0 * a[:, 0]])[:, 2] > 0
    triangles = np.where(wrong[:, None], triangles[:, ::-1], triangles)
    return Mesh(points, triangles.astype(np.int32))


def tiling(seed, n, snap):
    """A square beyond the picture in 2 n^2 triangles, corners shifted at random.

    `snap` puts them on multiples of it, in pixels: corners and edges then lie on middles of pixels.
    """
    generator = np.random.default_rng(seed)
    cell = (SIZE + 8) / n
    grid = np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1)), axis=-1) * cell - 4
    points = (grid + generator.uniform(-0.2, 0.2, grid.shape) * cell).reshape(-1, 2)
    if snap:
        points = np.round(points / snap) * snap
    k = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    corners = np.stack([k, k + 1, k + n + 2, k + n + 1], axis=1)
    corners = np.where(generator.random((len(k), 1)) < 0.5, corners, np.roll(corners, 1, axis=1))
    return points, np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from([0, 0.5, 1 / 16]))
@example(0, 5, 0.5)
def test_triangles_that_share_edges_leave_no_hole_and_hit_nothing_twice(seed, n, snap):
    points, triangles = tiling(seed, n, snap)
    mesh = facing(points, triangles)
    parts = [geometry([Mesh(mesh.points, one[None])]) for one in mesh.triangles]
    for mode in ("full", "middle"):
        raster = camera(mode)
        # in "full" each of a pixel's 16 samples counts for 1/16, which is exact
        hits = sum(raster.draw(part, at(), EYE, **FLAT) for part in parts)
        np.testing.assert_array_equal(hits, np.ones((SIZE, SIZE)))
        np.testing.assert_array_equal(raster.draw(geometry([mesh]), at(), EYE, **FLAT), hits)


@pytest.mark.parametrize("mode", ["full", "edges"])
def test_a_closed_shape_before_the_whole_picture_has_no_pinhole(mode):
    # a ball that fills the picture, from many sides: not one sample shows the background
    raster = camera(mode)
    shape = geometry([sphere(1.0)])
    for seed in range(12):
        picture = raster.draw(shape, at(z=1.3, turn=turned(seed)), EYE, **FLAT)
        assert picture.min() == 1.0


@settings(max_examples=40, deadline=None)
@given(st.floats(4.0, 12.0), st.floats(4.0, 12.0), st.floats(3.0, 15.0), st.floats(3.0, 15.0))
def test_area_of_an_upright_rectangle(x, y, width, height):
    points = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    mesh = facing(points, [[0, 1, 2], [0, 2, 3]])
    area = camera().draw(geometry([mesh]), at(), EYE, **FLAT).sum()
    # each side lies on one of 16 places in a pixel (half a step off at most) and the corners are
    # rounded to 1/256 pixel
    step = 1 / 32 + 1 / 256
    assert abs(area - width * height) <= 2 * step * (width + height) + 4 * step**2


@pytest.mark.parametrize("mode", ["full", "edges"])
@pytest.mark.parametrize("x", [15.9, 16.0, 16.3])
def test_area_of_a_disc(mode, x):
    n = 200
    angle = np.arange(n) * 2 * pi / n
    rim = np.array([x, 15.6]) + 11.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    k = np.arange(1, n - 1)
    mesh = facing(rim, np.stack([0 * k, k, k + 1], axis=1))
    area = camera(mode).draw(geometry([mesh]), at(), EYE, **FLAT).sum()
    polygon = n / 2 * np.sin(2 * pi / n) * 11.3**2
    assert area == pytest.approx(polygon, rel=1e-3)


def test_one_sample_a_pixel_is_worse():
    points, triangles = [[4.3, 4.4], [20.7, 6.1], [11.2, 27.9]], [[0, 1, 2]]
    mesh = geometry([facing(points, triangles)])
    a, b, c = np.array(points)
    exact = abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2
    errors = {
        name: abs(camera(mode, step=step).draw(mesh, at(), EYE, **FLAT).sum() - exact)
        for name, mode, step in (
            ("middle", "middle", 9.0), ("edges", "edges", 9.0), ("full", "full", 9.0),
            ("fine", "edges", 0.1),
        )
    }  # fmt: skip
    assert errors["full"] < 0.25
    assert errors["edges"] == errors["full"]
    assert errors["fine"] < 0.06


def test_outline_of_a_sphere():
    # seen off its axis a sphere is an ellipse; here it is on it: radius f tan(asin(r / z))
    radius, z = 0.5, 2.0
    shape = geometry([sphere(radius)])
    area = camera().draw(shape, at(z=z), EYE, **FLAT).sum()
    seen_px = FOCAL * np.tan(np.arcsin(radius / z))
    assert area == pytest.approx(pi * seen_px**2, rel=6e-3)  # 48 sides instead of a circle


@pytest.mark.parametrize("seed", range(4))
def test_depth_of_a_plane(seed):
    turn = turned(seed)
    turn[:, 2] *= -np.sign(turn[2, 2])  # the normal towards the camera
    turn[:, 1] = np.cross(turn[:, 2], turn[:, 0])
    raster = camera("middle")
    raster.draw(geometry([plane(40.0)]), at(z=3.0, turn=turn), EYE)
    depth = raster.depth_m()
    x, y = np.meshgrid(np.arange(SIZE) + 0.5 - SIZE / 2, np.arange(SIZE) + 0.5 - SIZE / 2)
    normal = turn[:, 2]
    expected = normal[2] * 3.0 / (normal[0] * x / FOCAL + normal[1] * y / FOCAL + normal[2])
    seen = np.isfinite(depth)
    assert seen.sum() > 300
    np.testing.assert_allclose(depth[seen], expected[seen], rtol=2e-3)


def test_the_nearer_hides_the_further_and_labels_say_which():
    near, far = facing([[8, 8], [20, 8], [8, 20]], [[0, 1, 2]], 1.0), plane(100.0)
    poses = np.concatenate([at(), at(z=2.0, turn=np.diag([1.0, -1.0, -1.0]))])
    raster = camera("middle")
    raster.draw(geometry([near, far]), poses, EYE)
    labels = raster.labels()
    assert labels[10, 10] == 0
    assert labels[25, 25] == 1
    assert raster.depth_m()[10, 10] == pytest.approx(1.0)
    assert raster.depth_m()[25, 25] == pytest.approx(2.0)
    raster.draw(geometry([near]), at(), EYE)
    assert raster.labels()[25, 25] == -1
    assert np.isinf(raster.depth_m()[25, 25])


def test_a_back_is_not_drawn():
    mesh = facing([[8, 8], [20, 8], [8, 20]], [[0, 1, 2]])
    back = Mesh(mesh.points, mesh.triangles[:, ::-1].copy())
    assert camera().draw(geometry([mesh]), at(), EYE).max() > 0
    assert camera().draw(geometry([back]), at(), EYE).max() == 0


def test_a_floor_under_the_camera_is_cut_at_the_near_plane():
    # it reaches from far behind to far ahead; seen from 1 m above it fills the lower half exactly
    turn = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    pose = at(turn=turn)
    pose[0, 1, 3] = 1.0
    picture = camera().draw(geometry([plane(1e5)]), pose, EYE, **FLAT)
    assert picture[SIZE // 2 :].min() == 1.0
    assert picture[: SIZE // 2].max() == 0.0


@pytest.mark.parametrize("mode", ["full", "edges"])
def test_inside_a_box_nothing_is_seen_and_through_its_front_the_rest_is(mode):
    raster = camera(mode)
    assert raster.draw(geometry([box(4, 4, 4)]), at(), EYE, **FLAT).max() == 0
    half_behind = raster.draw(geometry([box(0.2, 0.2, 4)]), at(x=0.5, z=1.0), EYE, **FLAT)
    assert 0 < half_behind.sum() < SIZE * SIZE


def test_lambert():
    # a face whose normal is 60 degrees from the light
    mesh = geometry([facing([[8, 8], [20, 8], [8, 20]], [[0, 1, 2]])])
    raster = camera("middle")
    for ambient, expected in ((0.0, 0.5), (0.4, 0.7)):
        light = (np.sin(pi / 3), 0.0, -np.cos(pi / 3))
        assert raster.draw(mesh, at(), EYE, light, ambient)[10, 10] == pytest.approx(expected)
    assert raster.draw(mesh, at(), EYE, (0.0, 0.0, 1.0), 0.25)[10, 10] == pytest.approx(0.25)


def test_samples_at_edges_alone_equal_samples_everywhere_at_edges():
    shape = geometry([sphere(0.5), box(0.6, 0.5, 0.4), sphere(0.3).with_grey(0.4)])
    edges, full = camera("edges", size=64, step=9.0), camera("full", size=64)
    worst, differing, total = 0.0, 0, 0
    for seed in range(8):
        generator = np.random.default_rng(seed)
        poses = np.concatenate(
            [at(*generator.uniform(-0.4, 0.4, 2), generator.uniform(1.2, 2), turned(seed + k))
             for k in range(3)]
        )  # fmt: skip
        light = generator.standard_normal(3)
        one, other = edges.draw(shape, poses, EYE, light), full.draw(shape, poses, EYE, light)
        off = np.abs(one - other)
        worst, differing, total = (
            max(worst, off.max()),
            differing + (off > 0.01).sum(),
            total + 4096,
        )
        assert edges.sampled < 0.5 * 4096
    assert worst < 0.03
    assert differing / total < 1e-3


def test_a_wire_thinner_than_a_pixel_is_not_lost():
    # its samples lie between the middles of pixels: only its outline can say that they are needed
    points = [[16.55, 2.2], [16.85, 2.2], [16.85, 29.8], [16.55, 29.8]]
    mesh = geometry([facing(points, [[0, 1, 2], [0, 2, 3]])])
    assert camera("middle").draw(mesh, at(), EYE, **FLAT).max() == 0.0
    edges = camera("edges").draw(mesh, at(), EYE, **FLAT)
    np.testing.assert_array_equal(edges, camera().draw(mesh, at(), EYE, **FLAT))
    assert edges.sum() == pytest.approx(0.3 * 27.6, rel=0.1)


@pytest.mark.parametrize("lean", [0.0, 0.25, 1 / 16, 3.0])
def test_something_dark_before_something_bright_moves_in_small_steps(lean):
    dark, raster = 20 / 255 / np.log(20), camera("edges", background=0.5)
    coarse = camera("edges", background=0.5, step=9.0)
    off = {}
    for name, one in (("fine", raster), ("coarse", coarse)):
        worst = 0.0
        for x in 10 + 1 / 32 + np.arange(5) / 5:  # a black strip that leans
            corners = [[x, 0], [30, 0], [30, 32], [x + 32 * lean, 32]]
            if lean > 0.5:
                corners = [[0, x], [32, x + 32 / lean], [32, 32], [0, 32]]
            mesh = geometry([facing(corners, [[0, 1, 2], [0, 2, 3]]).with_grey(0.0)])
            shown = one.draw(mesh, at(), EYE, **FLAT)
            true = exactly(corners)
            level = np.abs(shown - 0.5 * (1 - true)) / np.maximum(shown, dark)
            worst = max(worst, level.max())
        off[name] = worst
    assert raster.fine > 0
    assert coarse.fine == 0
    assert off["fine"] < 0.2 < off["coarse"]


def exactly(corners):
    """What share of each pixel a convex polygon hides, by 64 x 64 samples."""
    n = 64
    x, y = np.meshgrid((np.arange(SIZE * n) + 0.5) / n, (np.arange(SIZE * n) + 0.5) / n)
    inside = np.ones(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    return inside.reshape(SIZE, n, SIZE, n).mean(axis=(1, 3))


LENS = (-0.3, 0.08, 0.002, -0.001)


def bent(x, y):
    k1, k2, p1, p2 = LENS
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return (
        FOCAL * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + SIZE / 2,
        FOCAL * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + SIZE / 2,
    )


def test_a_lens_bends_long_edges():
    # a square of two triangles; its area under the lens, by its outline in many pieces
    side = np.linspace(-0.33, 0.33, 500)
    low, high = np.full(500, -0.33), np.full(500, 0.33)
    x, y = bent(np.r_[side, high, side[::-1], low], np.r_[low, side, high, side[::-1]])
    exact = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    corners = bent(np.array([-0.33, 0.33, 0.33, -0.33]), np.array([-0.33, -0.33, 0.33, 0.33]))
    straight = (
        abs(np.sum(corners[0] * np.roll(corners[1], -1) - corners[1] * np.roll(corners[0], -1))) / 2
    )
    square = (
        np.array([[-0.33, -0.33], [0.33, -0.33], [0.33, 0.33], [-0.33, 0.33]]) * FOCAL + SIZE / 2
    )
    mesh = geometry([facing(square, [[0, 1, 2], [0, 2, 3]])])
    raster = camera(distortion=LENS, slopes=(0.6, 0.6))
    area = raster.draw(mesh, at(), EYE, **FLAT).sum()
    assert abs(straight - exact) > 8
    assert area == pytest.approx(exact, abs=2.5)  # 0.05 pixel along 4 sides of 23
    assert raster.faces > 2


def test_depth_of_a_floor_under_a_lens():
    # it reaches far ahead and behind: its corners say little of what lies between
    turn = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    pose = at(turn=turn)
    pose[0, 1, 3] = 0.2
    raster = camera("middle", distortion=LENS, slopes=(0.6, 0.6))
    raster.draw(geometry([plane(200.0)]), pose, EYE)
    depth = raster.depth_m()
    for slope in (0.1, 0.2, 0.3):
        for side in (-0.3, 0.0, 0.2):
            x, y = bent(side, slope)
            # the pixel's middle lies up to half a pixel from there: 0.2 / slope changes by so much
            off = abs(depth[int(y), int(x)] * slope - 0.2)
            assert off < 0.2 * (0.5 / FOCAL / slope * 1.2 + 0.01)


def test_under_a_lens_there_are_no_holes():
    raster = camera(distortion=LENS, slopes=(0.6, 0.6))
    shape = geometry([sphere(1.0), box(3, 3, 3)])
    for seed in range(10):
        poses = np.concatenate([at(z=1.3, turn=turned(seed)), at(z=3.0, turn=turned(seed + 50))])
        assert raster.draw(shape, poses, EYE, **FLAT).min() > 0.999


@pytest.mark.parametrize(("texels_a_pixel", "least"), [(4.2, 0.94), (5.0, 0.94), (7.0, 0.9)])
def test_samples_neither_blur_a_texture_nor_skip_its_texels(texels_a_pixel, least):
    n = round(SIZE * texels_a_pixel)
    texture = np.random.default_rng(0).uniform(0, 1, (n, n)).astype(np.float32)
    half = SIZE / 2 / FOCAL
    corners = (
        half
        * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=float)[
            [[0, 3, 2], [0, 2, 1]]
        ]
    )
    spots = (corners[..., :2] / half * [1, -1] + 1) / 2
    mesh = geometry([welded(corners, spots, texture)])
    picture = camera().draw(mesh, at(z=1.0), EYE, **FLAT)
    finer = Rasteriser(8 * SIZE, 8 * SIZE, (8 * FOCAL,) * 2, (4 * SIZE,) * 2, mode="full")
    true = finer.draw(mesh, at(z=1.0), EYE, **FLAT).reshape(SIZE, 8, SIZE, 8).mean(axis=(1, 3))
    assert picture.std() == pytest.approx(true.std(), rel=0.08)
    assert np.corrcoef(picture.ravel(), true.ravel())[0, 1] > least


def test_textures_are_laid_on_the_right_way_up_and_smoothed_far_away():
    texture = np.zeros((64, 64), np.float32)
    texture[:32, :32] = 1.0  # upper left
    corners = [[[0, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [1, 0, 0]]]
    # x to the right and y down, as the camera sees it; v is upwards
    spots = np.array(corners)[:, :, :2] * [1, -1] + [0, 1]
    mesh = geometry([welded(corners, spots.astype(float), texture)])
    raster = camera("full", centre=(0, 0))
    near = raster.draw(mesh, at(z=1.3), EYE, **FLAT)
    assert near[5, 5] == pytest.approx(1.0)
    assert near[5, 25] == pytest.approx(0.0)
    assert near[25, 5] == pytest.approx(0.0)
    far = raster.draw(mesh, at(z=40.0), EYE, **FLAT)
    assert far[0, 0] == pytest.approx(0.25, abs=0.05)  # one pixel shows it all


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "pixels"),
        ({"mode": "none"}, "mode must be one of"),
        ({"focal_px": (0.0, 1.0)}, "above 0"),
        ({"near_m": float("nan")}, "finite"),
        ({"step": 0.0}, "step must be above 0"),
        ({"centre_px": (1e5, 0)}, "centre"),
    ],
)
def test_a_wrong_camera_is_refused(change, message):
    options = {"width": 8, "height": 8, "focal_px": (9.0, 9.0), "centre_px": (4.0, 4.0)} | change
    with pytest.raises(ValueError, match=message):
        Rasteriser(**options)


def shape_arrays(**change):
    arrays = {
        "vertices": np.eye(3),
        "normals": np.eye(3),
        "grey": np.ones(3),
        "uv": np.zeros((3, 2)),
        "triangles": [[0, 1, 2]],
        "edges": [[0, 1, 0, -1]],
        "parts": [[0, 0, 0], [3, 1, 1]],
        "texture": [-1],
    }
    return arrays | change


@pytest.mark.parametrize(
    "change",
    [
        {"triangles": [[0, 1, 3]]},
        {"triangles": [[0, -1, 2]]},
        {"edges": [[0, 1, 1, -1]]},
        {"texture": [0]},
        {"parts": [[0, 0, 0], [2, 1, 1]]},
        {"grey": np.ones(2)},
        {"vertices": np.full((3, 3), np.nan)},
    ],
)
def test_a_geometry_that_points_nowhere_is_refused(change):
    Geometry(**shape_arrays())
    with pytest.raises(ValueError):
        Geometry(**shape_arrays(**change))


def test_wrong_poses_are_refused():
    shape, raster = geometry([box(1, 1, 1)]), camera()
    with pytest.raises(ValueError, match="poses"):
        raster.draw(shape, np.zeros((2, 3, 4)), EYE)
    with pytest.raises(ValueError, match="finite"):
        raster.draw(shape, at(np.nan), EYE)
    with pytest.raises(ValueError, match="to_light"):
        raster.draw(shape, at(), EYE, (0, 0, 0))


def test_nothing_to_draw_is_the_background():
    empty = geometry([])
    picture = camera("edges", background=0.25).draw(empty, np.zeros((0, 3, 4)), EYE)
    assert (picture == 0.25).all()


def test_the_same_scene_gives_the_same_bits_after_others():
    shape, other = geometry([sphere(0.5)]), geometry([box(1, 2, 3)])
    raster = camera("edges")
    first = raster.draw(shape, at(z=2.0), EYE)
    raster.draw(other, at(z=3.0), EYE)
    assert raster.draw(shape, at(z=2.0), EYE).tobytes() == first.tobytes()
    assert camera("edges").draw(shape, at(z=2.0), EYE).tobytes() == first.tobytes()
