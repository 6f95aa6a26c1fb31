"""Writing files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from reflexarc.runtime.errors import ConfigError


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, never a part.

    Raises:
        ConfigError: the folder is missing, full or not ours to write in.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
