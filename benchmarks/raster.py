"""Prints what a picture costs, as one JSON object: ours in each mode, and TinyRenderer.

    python benchmarks/raster.py [--repeats 9] [--scene kuka ...]

CPU time of the process, medians of `repeats` blocks in which every renderer takes its turn, so
that the ratios are of one run. `ms`: the whole picture, from reading the links' poses on. The
ratios compare "edges" with TinyRenderer at one ray and at 16 rays a pixel, and one sample of the
whole meshes with one ray. `triangles` and `faces`: what was loaded, and what of it was drawn;
`sampled`: share of the pixels with 16 samples. `off`: how far "edges" is from "4x4", largest and
mean over the picture; luminance is 0 to 1. `decimation_off`: mean distance from the picture of the
whole meshes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reflexarc.runtime.physics import bullet
from reflexarc.sensors.mount import Mount, MountSpec
from reflexarc.sensors.renderer import RasterRenderer, Renderer, RendererSpec, make_renderer
from reflexarc.sensors.scene import Scene

SIZES = ((128, 128), (346, 260))
ARM = MountSpec(position_m=(1.2, -1.0, 0.9), target_m=(0, 0, 0.55))
SCENES: dict[str, tuple[list[str], MountSpec]] = {
    "kuka": (["kuka_iiwa/model.urdf"], ARM),
    "kuka_on_checkers": (["plane.urdf", "kuka_iiwa/model.urdf"], ARM),
    "cartpole": (["cartpole.urdf"], MountSpec(position_m=(0, -2.5, 0.5), target_m=(0, 0, 0.5))),
}
WHOLE = 10**6


def load(names: list[str]) -> int:
    """A world with these URDF files of PyBullet's own; its client."""
    import pybullet_data

    pybullet = bullet()
    client: int = pybullet.connect(pybullet.DIRECT)
    pybullet.setAdditionalSearchPath(pybullet_data.getDataPath(), physicsClientId=client)
    for name in names:
        body = pybullet.loadURDF(name, useFixedBase=True, physicsClientId=client)
        for joint in range(pybullet.getNumJoints(body, physicsClientId=client)):
            pybullet.resetJointState(body, joint, 0.4, physicsClientId=client)
    return client


def cpu_ms(call: Callable[[], object], least_s: float = 0.05) -> float:
    """Mean CPU time of one call, over at least `least_s`."""
    calls, start = 0, time.process_time()
    while (passed := time.process_time() - start) < least_s:
        call()
        calls += 1
    return passed / calls * 1e3


def measure(scenes: dict[int, Scene], mount: Mount, size: tuple[int, int], repeats: int) -> Any:
    """Every renderer at one size; `scenes` by the most triangles of a mesh."""
    kinds: dict[str, Renderer] = {}
    for most, scene in scenes.items():
        suffix = "_whole" if most == WHOLE else ""
        for samples in ("edges", "4x4", "1"):
            spec = {"width": size[0], "height": size[1], "samples": samples}
            kinds[f"raster_{samples}{suffix}"] = make_renderer(
                RendererSpec.model_validate(spec), scene, mount
            )
    for samples in ("1", "4x4"):
        spec = {"width": size[0], "height": size[1], "samples": samples, "renderer": "tiny"}
        kinds[f"tiny_{samples}"] = make_renderer(
            RendererSpec.model_validate(spec), scenes[WHOLE], mount
        )
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeats):
        for name, renderer in kinds.items():
            taken[name].append(cpu_ms(renderer))
    median = {name: statistics.median(values) for name, values in taken.items()}
    pictures = {name: renderer() for name, renderer in kinds.items()}
    off = np.abs(pictures["raster_edges"] - pictures["raster_4x4"])
    fewer = np.abs(pictures["raster_4x4"] - pictures["raster_4x4_whole"])
    edges = kinds["raster_edges"]
    assert isinstance(edges, RasterRenderer)
    return {
        "ms": {name: round(value, 3) for name, value in median.items()},
        "tiny_1_over_edges": round(median["tiny_1"] / median["raster_edges"], 1),
        "tiny_4x4_over_edges": round(median["tiny_4x4"] / median["raster_edges"], 1),
        "tiny_1_over_1": round(median["tiny_1"] / median["raster_1_whole"], 1),
        "faces": edges.faces,
        "sampled": round(edges.sampled / off.size, 3),
        "off": {"largest": round(float(off.max()), 4), "mean": float(f"{off.mean():.2g}")},
        "decimation_off": float(f"{fewer.mean():.2g}"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--scene", nargs="*", choices=SCENES, default=list(SCENES))
    arguments = parser.parse_args()
    result: dict[str, Any] = {"unit": "ms of CPU time a picture"}
    for name in arguments.scene:
        files, mount = SCENES[name]
        client = load(files)
        default = RendererSpec().most_triangles
        scenes = {default: Scene(client, most_triangles=default), WHOLE: Scene(client, (), WHOLE)}
        result[name] = {
            "triangles": scenes[default].geometry.n_triangles,
            "triangles_whole": scenes[WHOLE].geometry.n_triangles,
            **{f"{w}x{h}": measure(scenes, Mount(mount), (w, h), arguments.repeats)
               for w, h in SIZES},
        }  # fmt: skip
        bullet().disconnect(physicsClientId=client)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
