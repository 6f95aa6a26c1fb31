"""Keys of the bus: who a process is, and whom it talks to beyond this machine.

    make_keys(Path("keys"), "robot")      # keys/robot.public and keys/robot.secret, mode 0600

The public file is copied to the other side, which names it under `allow`; the secret one stays.
Keys are Curve25519's as ZeroMQ writes them (https://rfc.zeromq.org/spec/26/): 40 letters of Z85.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import zmq
from pydantic import Field, model_validator

from reflexarc.runtime.config import Document, Strict, dump_yaml, read_yaml
from reflexarc.runtime.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
Key = Annotated[str, Field(pattern=r"^[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$")]
#: Endpoints that never leave this machine.
LOCAL = re.compile(r"ipc://.+|tcp://(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5}|\*)")


class _KeyFile(Strict):
    """What a file of keys may say."""

    public: Key
    secret: Key | None = None


@dataclass(frozen=True)
class Curve:
    """Keys for one socket: its own pair, and the public keys of who may be at the other end."""

    public: bytes
    secret: bytes
    allowed: frozenset[bytes]


class LinkSpec(Strict):
    """Where another process is reached, and how each side knows the other.

    `secret` is this side's own file of keys; `allow` names the public files of the other side (a
    side that connects names exactly one). Both may be left out on this machine only.
    """

    endpoint: str
    secret: str | None = None
    allow: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _keys_beyond_this_machine(self) -> Self:
        if bool(self.secret) != bool(self.allow):
            raise ValueError("secret and allow: give both, or neither on this machine alone")
        if self.secret is None and not LOCAL.fullmatch(self.endpoint):
            raise ValueError(
                f"endpoint {self.endpoint} can be reached from other machines: it needs secret and "
                "allow; 'reflexarc keys' makes the files"
            )
        return self

    def curve(self, document: Document, at: tuple[str | int, ...]) -> Curve | None:
        """The keys, read; names are relative to the document's file. Raises ConfigError."""
        if self.secret is None:
            return None
        folder = Path(document.source).parent
        try:
            key = ("secret",)
            own = read_secret(folder / self.secret)
            key = ("allow",)
            allowed = frozenset(read_public(folder / name) for name in self.allow)
        except ConfigError as error:
            document.fail((*at, *key), str(error))
        return Curve(*own, allowed)


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Make the keys `name` in `folder`; the public and the secret file, both of mode 0600.

    Raises:
        ConfigError: not a name, the folder is missing, or there are keys of that name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name {name!r}: use 1 to 32 of a-z 0-9 _ -")
    public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    files = folder / f"{name}.public", folder / f"{name}.secret"
    for file in files:
        if file.is_symlink() or file.exists():
            raise ConfigError(f"{file}: exists; remove it, or choose another name")
    _write_new(files[1], {"public": public, "secret": secret})
    _write_new(files[0], {"public": public})
    return files


def _write_new(path: Path, content: dict[str, str]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made: {error.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o600)
        file.write(dump_yaml(content).encode("ascii"))


def read_public(path: Path) -> bytes:
    """The public key in `path`. Raises ConfigError."""
    return read_yaml(path).validate(_KeyFile).public.encode("ascii")


def read_secret(path: Path) -> tuple[bytes, bytes]:
    """Public and secret key in `path`, which must be ours alone. Raises ConfigError."""
    document = read_yaml(path)
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        raise ConfigError(f"{path}: others can read this secret; make new keys, or chmod 600")
    keys = document.validate(_KeyFile)
    if keys.secret is None:
        raise ConfigError(f"{path}: holds no secret key; give the .secret file")
    pair = keys.public.encode("ascii"), keys.secret.encode("ascii")
    if zmq.curve_public(pair[1]) != pair[0]:
        raise ConfigError(f"{path}: its two keys do not belong together; make new ones")
    return pair
