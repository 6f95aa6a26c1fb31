"""Build the compiled layer. Everything declarative is in pyproject.toml."""

import os
import tomllib
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
NAMES = ROOT / "build" / "names"


def lay_names() -> None:
    """Lay build/names/reflexarc/<name> -> <folder>, from the package table of pyproject.toml.

    Cython and mypy find modules by folder names. Without this tree Cython silently ignores a
    module's own .pxd, because the folder `ext` does not look like the package `reflexarc.ext`.
    """
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-dir"
    ]
    top = NAMES / "reflexarc"
    top.mkdir(parents=True, exist_ok=True)
    for old in top.iterdir():
        old.unlink()
    for name, folder in table.items():
        if name == "reflexarc":
            for file in (ROOT / folder).iterdir():
                if file.is_file():
                    _link(top / file.name, file)
        elif name.count(".") == 1:
            _link(top / name.removeprefix("reflexarc."), ROOT / folder)


def _link(link: Path, target: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))


def extensions() -> list[Extension]:
    """Name every .pyx of ext/ as a module of reflexarc.ext."""
    return [
        Extension(
            f"reflexarc.ext.{path.stem}",
            [f"ext/{path.name}"],
            include_dirs=[np.get_include(), "ext"],
            depends=[f"ext/{header.name}" for header in sorted((ROOT / "ext").glob("*.h"))],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
            # -ffp-contract=off: a fused multiply-add would make results depend on the processor.
            extra_compile_args=[
                "-O3",
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-Wno-unreachable-code-fallthrough",
                "-pthread",
            ],
            extra_link_args=["-pthread"],
        )
        for path in sorted((ROOT / "ext").glob("*.pyx"))
    ]


lay_names()
setup(
    ext_modules=cythonize(
        extensions(),
        include_path=[str(NAMES)],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": False,
            "freethreading_compatible": True,
        },
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
