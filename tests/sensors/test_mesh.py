"""Meshes: primitives, normals, edges, files, decimation."""

import sys
from itertools import pairwise
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reflexarc.runtime.errors import (
    ConfigError,
    MissingFileError,
    MissingPartError,
    UnsupportedError,
)
from reflexarc.sensors.decimation import decimated
from reflexarc.sensors.mesh import corner_normals, edges, face_normals, geometry, welded
from reflexarc.sensors.meshfile import load_mesh, load_texture
from reflexarc.sensors.primitives import box, capsule, cylinder, plane, sphere

CLOSED = {
    "box": (box(1.0, 2.0, 3.0), 6.0, 22.0),
    "sphere": (sphere(0.5), pi / 6, pi),
    "cylinder": (cylinder(2.0, 0.5), pi / 2, 2.5 * pi),
    "capsule": (capsule(2.0, 0.5), pi / 2 + pi / 6, 3 * pi),
}


def volume(mesh):
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def area(mesh):
    return np.linalg.norm(face_normals(mesh), axis=1).sum() / 2


@pytest.mark.parametrize("name", CLOSED)
def test_primitives_are_closed_and_as_large_as_they_should_be(name):
    mesh, expected_volume, expected_area = CLOSED[name]
    # a positive volume: seen from outside, corners run against the clock
    assert volume(mesh) == pytest.approx(expected_volume, rel=1e-2)
    assert area(mesh) == pytest.approx(expected_area, rel=1e-2)
    lines = edges(mesh)
    assert (lines[:, 3] >= 0).all()
    assert len(mesh.points) - len(lines) + len(mesh.triangles) == 2  # Euler


def test_extents():
    np.testing.assert_allclose(np.ptp(box(1, 2, 3).points, axis=0), [1, 2, 3])
    np.testing.assert_allclose(np.ptp(capsule(2.0, 0.5).points, axis=0), [1, 1, 3])
    np.testing.assert_allclose(np.ptp(plane(5.0).points, axis=0), [5, 5, 0])


def test_borders():
    assert np.count_nonzero(edges(plane())[:, 3] < 0) == 4


def test_normals_are_smooth_on_a_ball_and_flat_on_a_box():
    ball = sphere(1.0)
    outward = ball.points[ball.triangles]
    assert np.einsum("ijk,ijk->ij", corner_normals(ball), outward).min() > 0.995
    flat = box(1, 2, 3)
    normals = corner_normals(flat)
    np.testing.assert_allclose(np.abs(normals).max(axis=2), 1.0)
    assert geometry([flat]).n_vertices == 26  # four a side, and the middles of two


def test_a_mirrored_mesh_is_still_seen_from_outside():
    assert volume(box(1, 1, 1).scaled((-1, 2, 1))) == pytest.approx(2.0)


def test_three_triangles_at_one_edge_have_a_border_for_the_third():
    points = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [-1, 1, 0], [-1, -1, 0]], dtype=float)
    mesh = welded(points[[[0, 1, 2], [1, 0, 3], [0, 1, 4]]])
    lines = edges(mesh)
    assert len(lines) == 8
    assert np.count_nonzero(lines[:, 3] >= 0) == 1


def silhouette(mesh, direction):
    """Area of the outline seen along a unit vector, if the mesh is convex."""
    return np.maximum(face_normals(mesh) @ direction, 0).sum() / 2


@settings(max_examples=20, deadline=None)
@given(st.integers(60, 2000), st.integers(0, 1000), st.sampled_from(["sphere", "capsule"]))
def test_decimation_keeps_bounds_closure_and_outline(target, seed, name):
    mesh = CLOSED[name][0]
    fewer = decimated(mesh, target)
    assert len(fewer.triangles) <= target
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    assert (fewer.points >= low).all()
    assert (fewer.points <= high).all()
    assert np.ptp(fewer.points, axis=0) == pytest.approx(high - low, rel=0.25)
    # closed: what goes into every corner along edges comes out again
    lines = np.stack([fewer.triangles, np.roll(fewer.triangles, -1, axis=1)], -1).reshape(-1, 2)
    there, back = np.unique(lines, axis=0), np.unique(lines[:, ::-1], axis=0)
    np.testing.assert_array_equal(there, back)
    direction = np.random.default_rng(seed).standard_normal(3)
    direction /= np.linalg.norm(direction)
    tolerance = 0.12 if target < 300 else 0.04
    assert silhouette(fewer, direction) == pytest.approx(silhouette(mesh, direction), rel=tolerance)


def test_decimation_uses_what_it_is_given_and_leaves_small_meshes_alone():
    mesh = sphere(1.0)
    assert decimated(mesh, 5000) is mesh
    assert len(decimated(mesh, 1000).triangles) > 500


def test_decimation_keeps_a_box_a_box():
    # a finely divided box; its flat sides need few triangles
    n = np.linspace(-0.5, 0.5, 11)
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            for u0, u1 in pairwise(n):
                for v0, v1 in pairwise(n):
                    square = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
                    quad = np.insert(square, axis, 0.5 * sign, axis=1)
                    if (sign > 0) == (axis == 1):
                        quad = quad[::-1]
                    sides += [quad[[0, 1, 2]], quad[[0, 2, 3]]]
    mesh = welded(sides)
    assert volume(mesh) == pytest.approx(1.0)
    fewer = decimated(mesh, 200)
    assert volume(fewer) == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(np.ptp(fewer.points, axis=0), 1.0)


TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"


def test_obj(tmp_path):
    file = tmp_path / "a.obj"
    file.write_text(f"# comment\n{TETRAHEDRON}f 1 3 2\nf 1//1 2//1 4//1\nf -3 -2 -1\nf 1 4 3\n")
    (mesh,) = load_mesh(file)
    assert volume(mesh) == pytest.approx(1 / 6)
    assert mesh.texture is None


def test_obj_with_polygons_and_a_texture_upside_up(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = 255  # the top row
    Image.fromarray(pixels).save(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nKd 1 1 1\nmap_Kd t.png\n")
    (tmp_path / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "usemtl paint\nf 1/1 2/2 3/3 4/4\n"
    )
    (mesh,) = load_mesh(tmp_path / "a.obj")
    assert mesh.triangles.shape == (2, 3)
    np.testing.assert_array_equal(mesh.uv, mesh.points[mesh.triangles][:, :, :2])
    np.testing.assert_array_equal(mesh.texture[0], 1.0)
    assert mesh.texture[1:].max() == 0.0


def test_textures_are_decoded_from_srgb(tmp_path):
    Image.fromarray(np.full((2, 3, 3), 188, np.uint8)).save(tmp_path / "t.png")
    texture = load_texture(tmp_path / "t.png")
    assert texture.shape == (2, 3)
    np.testing.assert_allclose(texture, 0.503, atol=1e-3)


@pytest.mark.parametrize("binary", [True, False])
def test_stl(tmp_path, binary):
    mesh = box(1, 2, 3)
    corners = mesh.points[mesh.triangles]
    file = tmp_path / "a.STL"
    if binary:
        record = np.zeros(len(corners), [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
        record["c"] = corners
        file.write_bytes(
            b"solid or not".ljust(80) + len(corners).to_bytes(4, "little") + record.tobytes()
        )
    else:
        lines = [f"vertex {x} {y} {z}" for x, y, z in corners.reshape(-1, 3)]
        file.write_text("\n".join(["solid a", *lines, "endsolid a"]))
    (read,) = load_mesh(file)
    assert volume(read) == pytest.approx(6.0, rel=1e-6)


#: A square in inches, as one polygon, whose node lifts it by 2 and whose axes say y upwards.
COLLADA = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit meter="0.0254" name="inch"/><up_axis>Y_UP</up_axis></asset>
<library_images><image id="i"><init_from>t.png</init_from></image></library_images>
<library_effects><effect id="e"><profile_COMMON>
<newparam sid="s"><surface type="2D"><init_from>i</init_from></surface></newparam>
<newparam sid="p"><sampler2D><source>s</source></sampler2D></newparam>
<technique sid="t"><lambert><diffuse><texture texture="p" texcoord="UV"/></diffuse></lambert>
</technique></profile_COMMON></effect></library_effects>
<library_materials><material id="m"><instance_effect url="#e"/></material></library_materials>
<library_geometries><geometry id="g"><mesh>
<source id="v"><float_array id="va" count="12">0 0 0 1 0 0 1 1 0 0 1 0</float_array>
<technique_common><accessor source="#va" count="4" stride="3"><param name="X" type="float"/>
<param name="Y" type="float"/><param name="Z" type="float"/></accessor></technique_common></source>
<source id="u"><float_array id="ua" count="8">0 0 1 0 1 1 0 1</float_array>
<technique_common><accessor source="#ua" count="4" stride="2"><param name="S" type="float"/>
<param name="T" type="float"/></accessor></technique_common></source>
<vertices id="w"><input semantic="POSITION" source="#v"/></vertices>
<polylist count="1" material="paint"><input semantic="VERTEX" source="#w" offset="0"/>
<input semantic="TEXCOORD" source="#u" offset="1" set="0"/>
<vcount>4</vcount><p>0 0 1 1 2 2 3 3</p></polylist></mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="c"><node><translate>0 0 2</translate>
<instance_geometry url="#g"><bind_material><technique_common>
<instance_material symbol="paint" target="#m"/></technique_common></bind_material>
</instance_geometry></node></visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#c"/></scene></COLLADA>
"""


def test_collada_with_a_node_a_unit_and_a_texture(tmp_path):
    pytest.importorskip("collada", reason="pycollada is not installed")
    (tmp_path / "a.dae").write_text(COLLADA)
    (plain,) = load_mesh(tmp_path / "a.dae")
    assert plain.texture is None  # the picture is not there
    assert area(plain) == pytest.approx(0.0254**2)
    np.testing.assert_allclose(plain.points[:, 2], 2 * 0.0254)
    Image.fromarray(np.full((2, 2, 3), 255, np.uint8)).save(tmp_path / "t.png")
    (tmp_path / "b.dae").write_text(COLLADA)
    (painted,) = load_mesh(tmp_path / "b.dae")
    np.testing.assert_array_equal(painted.texture, 1.0)
    corners = painted.points[painted.triangles][:, :, :2] / 0.0254
    np.testing.assert_allclose(painted.uv, corners, atol=1e-6)


def test_collada_without_its_library_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "collada", None)
    (tmp_path / "a.dae").write_text(COLLADA)
    with pytest.raises(MissingPartError, match=r"pip install 'reflexarc\[collada\]'") as caught:
        load_mesh(tmp_path / "a.dae")
    assert "\n" not in str(caught.value)


def test_a_texture_that_is_missing_is_named(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd gone.png\n")
    (tmp_path / "a.obj").write_text(f"mtllib a.mtl\n{TETRAHEDRON}usemtl paint\nf 1 2 3\n")
    with pytest.raises(MissingFileError, match=r"gone\.png: no such texture"):
        load_mesh(tmp_path / "a.obj")


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("a.ply", "", UnsupportedError, "convert it"),
        ("a.dae", "<COLLADA", ConfigError, "not a sound mesh"),
        ("c.dae", COLLADA.replace('url="#c"', 'url="#d"'), ConfigError, "not a sound mesh"),
        ("c.obj", "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", ConfigError, "not finite"),
        ("a.obj", "v 0 0\nf 1 2 3\n", ConfigError, "not a sound mesh"),
        ("b.obj", TETRAHEDRON + "f 1 2 9\n", ConfigError, "points nowhere"),
        ("a.stl", "solid\nvertex 1 2\n", ConfigError, "not a sound mesh"),
        (None, "", MissingFileError, "no such mesh"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, name, text, error, message):
    if name and name.endswith(".dae"):
        pytest.importorskip("collada", reason="pycollada is not installed")
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=message) as caught:
        load_mesh(tmp_path / (name or "none.obj"))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
