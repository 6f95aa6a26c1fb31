"""The house itself: names, imports, and the compiled layer's headers."""

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

FOLDERS = ("actuators", "ext", "runtime", "scenarios", "sensors")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("clocked", "ClockedEngine"),
        ("exact", "ExactEngine"),
        ("datagrams", "DatagramReader"),
        ("ring", "EventRing"),
        ("ring", "FrameRing"),
    ],
)
def test_compiled_classes_have_the_fields_of_their_headers(module, name):
    """Cython ignores a module's own .pxd without a word when it does not find it."""
    made = getattr(importlib.import_module(f"reflexarc.ext.{module}"), name)
    assert made.__basicsize__ > object.__basicsize__


def test_no_generic_name_is_installed_at_top_level():
    installed = importlib.metadata.distribution("reflexarc").read_text("top_level.txt")
    if installed is not None:
        assert installed.split() == ["reflexarc"]


def test_nothing_was_imported_by_its_bare_name():
    bare = [name for name in sys.modules if name.partition(".")[0] in FOLDERS]
    assert bare == []


def test_every_package_is_installed():
    project = Path(__file__).parents[1] / "pyproject.toml"
    if not (project.parent / "setup.py").exists():
        pytest.skip("this is not a checkout")
    listed = tomllib.loads(project.read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(("reflexarc", *path.parent.relative_to(project.parent).parts))
        for folder in FOLDERS
        for path in (project.parent / folder).rglob("__init__.py")
        if "_root" not in path.parts
    }
    assert set(listed) == found | {"reflexarc"}


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )


def test_everything_but_a_world_imports_without_pybullet():
    code = """
import pkgutil, importlib, sys
sys.modules["pybullet"] = None
import reflexarc
for module in pkgutil.walk_packages(reflexarc.__path__, "reflexarc."):
    if module.name.endswith(("__main__", ".scribe")):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        # what only a world imports, when it is made
        if error.name != "pybullet" or not module.name.startswith("reflexarc.scenarios."):
            raise
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_the_compiled_layer_knows_numpy_only():
    code = """
import pkgutil, importlib, sys
import numpy
before = set(sys.modules)
import reflexarc.ext
for module in pkgutil.iter_modules(reflexarc.ext.__path__):
    importlib.import_module("reflexarc.ext." + module.name)
new = {name for name in set(sys.modules) - before if name.startswith("reflexarc.")}
print(*sorted(new - {"reflexarc.ext"}))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    # `reflexarc` itself loads its public names lazily
    assert all(name.startswith(("reflexarc.ext.", "reflexarc.version")) for name in loaded), loaded


@pytest.mark.parametrize("folder", ["sensors", "actuators"])
def test_sensors_and_actuators_import_only_what_they_may(folder):
    # the forms of what goes over the bus and into checkpoints, not what runs
    allowed = {"attach", "batch", "bus", "checkpoint", "clock", "config", "errors", "keys", "wire"}
    package = importlib.import_module(f"reflexarc.{folder}")
    for path in Path(package.__file__).parent.rglob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith("from reflexarc.runtime."):
                module = line.split()[1].removeprefix("reflexarc.runtime.")
                assert module in allowed, f"{path.name}: {line}"
