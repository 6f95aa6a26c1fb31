"""What this machine can and cannot do, and how to mend it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from reflexarc.runtime.config import Strict


class Finding(Strict):
    """One thing that was looked at.

    Attributes:
        what: the thing.
        ok: whether it is there and works.
        needed: whether nothing runs without it; otherwise it only limits what can be done.
        found: what was seen.
        mend: how to get it, where it is missing.
    """

    what: str
    ok: bool
    needed: bool
    found: str
    mend: str = ""

    def line(self) -> str:
        """For people: one line."""
        mark = "ok  " if self.ok else "MISS" if self.needed else "no  "
        text = f"{mark} {self.what:<22} {self.found}"
        return text if self.ok else f"{text}: {self.mend}"


def examine() -> list[Finding]:
    """Look at everything the package needs or can use."""
    return [
        _python(),
        *_compiled(),
        *_libraries(),
        _processor(),
        _realtime(),
        _locked_memory(),
        _runtime_folder(),
        _display(),
    ]


def require_compiled() -> None:
    """Refuse to go on without the compiled modules.

    Raises:
        MissingPartError: one is missing; the message says how to build it.
    """
    from reflexarc.runtime.errors import MissingPartError

    for finding in _compiled():
        if not finding.ok:
            raise MissingPartError(f"{finding.what}: {finding.found}; {finding.mend}")


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding(
        what="Python",
        ok=ok,
        needed=True,
        found=f"{platform.python_implementation()} {platform.python_version()}",
        mend="install Python 3.11 or later",
    )


def _compiled() -> Iterator[Finding]:
    import reflexarc.ext

    folder = Path(str(reflexarc.ext.__file__)).parent
    for source in sorted(folder.glob("*.pyi")):
        name = f"reflexarc.ext.{source.stem}"
        yield _try(
            name,
            True,
            partial(_load, name),
            "build it with 'pip install .' or, in a checkout, 'make build' (needs a C compiler)",
        )


def _libraries() -> Iterator[Finding]:
    for name, package, needed, mend in (
        ("numpy", "numpy", True, "pip install numpy"),
        ("zmq", "pyzmq", True, "pip install pyzmq"),
        ("h5py", "h5py", True, "pip install h5py"),
        ("mcap", "mcap", True, "pip install mcap"),
        ("faery", "faery", False, "pip install faery (event recordings cannot be read)"),
        (
            "pybullet",
            "pybullet",
            False,
            "pip install pybullet (no simulated worlds; wheels exist for CPython 3.11 on Linux, "
            "elsewhere pip compiles it for many minutes)",
        ),
    ):
        yield _try(name, needed, partial(_version, name, package), mend)


def _load(name: str) -> str:
    return Path(str(importlib.import_module(name).__file__)).name


def _version(name: str, package: str) -> str:
    if find_spec(name) is None:
        raise ImportError("not installed")
    return importlib.metadata.version(package)


def _try(what: str, needed: bool, look: Callable[[], str], mend: str) -> Finding:
    try:
        return Finding(what=what, ok=True, needed=needed, found=look())
    except ImportError as error:
        return Finding(what=what, ok=False, needed=needed, found=str(error), mend=mend)


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0))
    return Finding(
        what="processor",
        ok=cores >= 2,
        needed=False,
        found=f"{platform.machine()}, {cores} cores",
        mend="with one core the recorder and the world compete with the loop in wall mode",
    )


def _realtime() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    ok = os.geteuid() == 0 or soft > 0
    return Finding(
        what="real-time priority",
        ok=ok,
        needed=False,
        found="allowed" if ok else "not allowed",
        mend="add 'USER - rtprio 80' to /etc/security/limits.conf; wall mode runs without it, "
        "with more jitter",
    )


def _locked_memory() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = soft == resource.RLIM_INFINITY or os.geteuid() == 0
    found = "unlimited" if unlimited else f"{soft // 1024} KiB"
    return Finding(
        what="locked memory",
        ok=unlimited or soft >= 1 << 30,
        needed=False,
        found=found,
        mend="add 'USER - memlock unlimited' to /etc/security/limits.conf",
    )


def _runtime_folder() -> Finding:
    from reflexarc.runtime.bus import runtime_dir
    from reflexarc.runtime.errors import ReflexarcError

    try:
        folder = runtime_dir("doctor").parent
    except ReflexarcError as error:
        return Finding(
            what="socket folder",
            ok=False,
            needed=True,
            found=str(error),
            mend="set XDG_RUNTIME_DIR to a folder of your own with mode 0700",
        )
    return Finding(what="socket folder", ok=True, needed=True, found=str(folder))


def _display() -> Finding:
    display = os.environ.get("DISPLAY", "")
    return Finding(
        what="display",
        ok=bool(display),
        needed=False,
        found=display or "none",
        mend="runs are headless; the report has the pictures",
    )
