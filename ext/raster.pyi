from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MODES: dict[str, int]

class Geometry:
    n_vertices: int
    n_triangles: int
    n_parts: int
    def __init__(
        self,
        vertices: npt.ArrayLike,
        normals: npt.ArrayLike,
        grey: npt.ArrayLike,
        uv: npt.ArrayLike,
        triangles: npt.ArrayLike,
        edges: npt.ArrayLike,
        parts: npt.ArrayLike,
        texture: npt.ArrayLike,
        textures: Sequence[npt.NDArray[np.float32]] = (),
    ) -> None: ...

class Rasteriser:
    width: int
    height: int
    contrast: float
    step: float
    sampled: int
    fine: int
    def __init__(
        self,
        width: int,
        height: int,
        focal_px: tuple[float, float],
        centre_px: tuple[float, float],
        distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
        slopes: tuple[float, float] | None = None,
        near_m: float = 0.01,
        mode: str = "edges",
        background: float = 0.5,
        contrast: float = 0.05,
        step: float = 0.1,
    ) -> None: ...
    def draw(
        self,
        geometry: Geometry,
        poses: npt.NDArray[np.float64],
        camera: npt.NDArray[np.float64],
        to_light: Sequence[float] = (0.0, 0.0, 1.0),
        ambient: float = 0.4,
    ) -> npt.NDArray[np.float32]: ...
    def depth_m(self) -> npt.NDArray[np.float32]: ...
    def labels(self) -> npt.NDArray[np.int32]: ...
    def flow_px(self, ways: npt.NDArray[np.float32], moves: npt.NDArray[np.float64]) -> float: ...
    @property
    def faces(self) -> int: ...
