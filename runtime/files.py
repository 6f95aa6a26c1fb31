"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from reflexarc.runtime.errors import ConfigError

#: Longest name of a file that a configuration may give, in bytes.
MAX_NAME = 255


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, never a part.

    Raises:
        ConfigError: the folder is missing, full or not ours to write in.
    """
    with replacing(path) as (file,):
        file.write(data)


def inside(folder: Path, name: str) -> Path:
    """The file that `name` means in `folder`, which it may not leave.

    Raises:
        ConfigError: it is absolute, leads out of the folder (by `..` or by a link), or cannot be
            the name of a file.
    """
    plain = name and name.isprintable() and "\\" not in name and not name.startswith("~")
    steps = PurePosixPath(name).parts
    if not plain or name.startswith("/") or ".." in steps or len(os.fsencode(name)) > MAX_NAME:
        raise ConfigError(f"{name!r} is not a name inside the folder; use one such as 'nets/a.nir'")
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{name!r} leads out of the folder through a link; copy the file there")
    return folder / name


@contextmanager
def replacing(*paths: Path) -> Iterator[list[BinaryIO]]:
    """Open a file beside each path; they take the paths' places once all are whole on the disk.

    If anything goes wrong in the block, nothing has changed.

    Raises:
        ConfigError: the folder is missing, full or not ours to write in.
    """
    parts = [path.with_name(path.name + ".part") for path in paths]
    files: list[BinaryIO] = []
    try:
        for path, part in zip(paths, parts, strict=True):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            files.append(part.open("wb"))
        yield files
        for file in files:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for path, part in zip(paths, parts, strict=True):
            part.replace(path)
    except OSError as error:
        place = str(error.filename or paths[0]).removesuffix(".part")
        raise ConfigError(f"{place}: cannot be written: {error.strerror}") from None
    finally:
        for file, part in zip(files, parts, strict=False):
            file.close()
            part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder; if nothing has come of it in the end, it is gone again, and its parents too.

    Raises:
        ConfigError: it cannot be made.
    """
    new = list(takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot make this folder: {error.strerror}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            for path in new or [folder]:
                path.rmdir()
