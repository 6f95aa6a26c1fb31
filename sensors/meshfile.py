"""Mesh files: Wavefront OBJ and COLLADA with their textures, and STL."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reflexarc.runtime.errors import (
    ConfigError,
    MissingFileError,
    MissingPartError,
    UnsupportedError,
)
from reflexarc.sensors.mesh import Floats, Image, Mesh, welded

#: Luminance of linear red, green and blue (ITU-R BT.709).
LUMA = np.array([0.2126, 0.7152, 0.0722])


@lru_cache(maxsize=64)
def load_mesh(path: Path) -> tuple[Mesh, ...]:
    """The meshes of a file, one for each texture it uses.

    Raises:
        MissingFileError: there is no such file.
        UnsupportedError: it is none of OBJ, STL and COLLADA.
        MissingPartError: it is COLLADA, and pycollada is not installed.
        ConfigError: it is damaged.
    """
    readers = {".obj": _obj, ".stl": _stl, ".dae": _dae}
    if path.suffix.lower() not in readers:
        raise UnsupportedError(
            f"{path}: a mesh of kind '{path.suffix}' cannot be drawn; convert it to .obj, .stl "
            "or .dae, or use `renderer: tiny`"
        )
    try:
        meshes = readers[path.suffix.lower()](path)
    except ConfigError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such mesh; check the URDF that names it") from None
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{path}: not a sound mesh: {error}") from None
    if not all(np.isfinite(mesh.points).all() for mesh in meshes):
        raise ConfigError(f"{path}: not a sound mesh: it has corners that are not finite")
    return meshes


def load_texture(path: Path) -> Image:
    """Linear luminance of a picture that is coded in sRGB; float32, shape (height, width).

    Raises:
        MissingFileError: there is no such file.
        ConfigError: it is not a picture.
    """
    from PIL import Image as pictures

    try:
        with pictures.open(path) as picture:
            coded = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such texture; check the mesh that names it") from None
    except OSError as error:
        raise ConfigError(f"{path}: not a picture: {error}") from None
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ LUMA, dtype=np.float32)


def _obj(path: Path) -> tuple[Mesh, ...]:
    """Triangles of an OBJ; polygons become fans, normals and lines are left out."""
    places: list[list[float]] = []
    spots: list[list[float]] = [[0.0, 0.0]]
    textures: dict[str, Path] = {}
    material = ""
    faces: dict[Path | None, list[tuple[int, int]]] = {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            places.append([float(x) for x in rest[:3]])
        elif word == "vt":
            spots.append([float(x) for x in rest[:2]])
        elif word == "mtllib":
            textures |= _textures(path.parent / " ".join(rest))
        elif word == "usemtl":
            material = " ".join(rest)
        elif word == "f":
            corners = [_corner(item, len(places), len(spots)) for item in rest]
            faces.setdefault(textures.get(material), []).extend(
                corners[k] for n in range(1, len(corners) - 1) for k in (0, n, n + 1)
            )
    points, uv = np.array(places, dtype=np.float64).reshape(-1, 3), np.array(spots)
    return tuple(_part(points, uv, np.array(corners), file) for file, corners in faces.items())


def _part(points: Floats, uv: Floats, corners: np.ndarray, texture: Path | None) -> Mesh:
    places, spots = points[corners[:, 0]].reshape(-1, 3, 3), uv[corners[:, 1]].reshape(-1, 3, 2)
    if texture is None:
        return welded(places)
    return welded(places, spots, load_texture(texture))


def _corner(item: str, places: int, spots: int) -> tuple[int, int]:
    """Indices of place and texture spot (0: none) of `v`, `v/vt`, `v//vn` or `v/vt/vn`."""
    place, spot, *_ = [*item.split("/"), ""]
    v, t = int(place), int(spot or 0)
    v, t = (v - 1 if v > 0 else places + v), (t if t >= 0 else spots + t)
    if not (0 <= v < places and 0 <= t < spots):
        raise ValueError(f"face corner '{item}' points nowhere")
    return v, t


def _textures(path: Path) -> Mapping[str, Path]:
    """The picture of each material that has one."""
    textures: dict[str, Path] = {}
    material = ""
    if not path.exists():  # as PyBullet: an OBJ may name one that is not there
        return textures
    for line in path.read_text("utf-8", errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "newmtl":
            material = " ".join(rest)
        elif word == "map_Kd" and rest:
            textures[material] = path.parent / rest[-1]
    return textures


def _stl(path: Path) -> tuple[Mesh, ...]:
    """Triangles of a binary or a text STL."""
    raw = path.read_bytes()
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    count = int.from_bytes(raw[80:84], "little") if len(raw) >= 84 else -1
    if len(raw) == 84 + count * record.itemsize:
        return (welded(np.frombuffer(raw, record, offset=84)["corners"]),)
    lines = raw.decode("ascii", errors="replace").splitlines()
    words = [line.split() for line in lines]
    places = [[float(x) for x in word[1:4]] for word in words if word[:1] == ["vertex"]]
    if not places or len(places) % 3:
        raise ValueError(f"{len(places)} corners")
    return (welded(np.array(places).reshape(-1, 3, 3)),)


def _dae(path: Path) -> tuple[Mesh, ...]:
    """Triangles of all nodes of a COLLADA file's scene, in metres.

    `up_axis` is left out, as PyBullet and RViz do: a URDF turns its meshes itself.
    """
    try:
        import collada
    except ImportError:
        raise MissingPartError(
            f"{path}: a COLLADA mesh needs pycollada; pip install 'reflexarc[collada]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy.matrix, which the library uses
        try:
            document = collada.Collada(str(path))
            shapes = list(_collada_triangles(document))
        except collada.DaeError as error:
            raise ValueError(str(error).splitlines()[0]) from None
    unit_m = document.assetInfo.unitmeter or 1.0
    return tuple(_collada_mesh(shape, unit_m, path.parent) for shape in shapes)


def _collada_triangles(document: Any) -> Iterator[Any]:
    """Every shape in the scene as triangles, its node's transform applied; lines are left out."""
    if document.scene is None:
        raise ValueError("it has no scene")
    for geometry in document.scene.objects("geometry"):
        for shape in geometry.primitives():
            triangles = shape.triangleset() if hasattr(shape, "triangleset") else shape
            if hasattr(triangles, "normal_index") and len(triangles) > 0:
                yield triangles


def _collada_mesh(shape: Any, unit_m: float, folder: Path) -> Mesh:
    places = np.asarray(shape.vertex, dtype=np.float64)[shape.vertex_index] * unit_m
    picture = getattr(shape.material and shape.material.effect.diffuse, "sampler", None)
    texture = folder / picture.surface.image.path if picture else folder
    if not (texture.is_file() and shape.texcoord_indexset):  # PyBullet never shows one
        return welded(places)
    spots = np.asarray(shape.texcoordset[0], dtype=np.float64)[shape.texcoord_indexset[0]]
    return welded(places, spots, load_texture(texture))
