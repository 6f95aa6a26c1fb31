"""Asking a running daemon: one JSON line there, one back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from reflexarc.runtime.bus import runtime_base, runtime_dir
from reflexarc.runtime.errors import ConfigError, LinkError, ReflexarcError

#: How long an answer may take; a checkpoint of a large network takes its time.
ANSWER_S = 10.0

Answer = dict[str, Any]


class RefusedError(ReflexarcError):
    """The daemon does not do what it was asked."""


def ask(name: str | None, verb: str, **more: Any) -> Answer:
    """The answer of the daemon `name` (None: the only one that runs) to `verb`.

    Raises:
        LinkError: no such daemon runs, or it does not answer.
        RefusedError: it answers that it will not; the message says why.
        ConfigError: a wrong name, or several daemons run and none was named.
    """
    answer = next(_converse(_socket_of(name), {"verb": verb, **more}, ANSWER_S))
    if not answer.get("ok"):
        raise RefusedError(f"{verb}: {answer.get('error', 'refused')}")
    return answer


def follow(name: str | None) -> Iterator[Answer]:
    """What the daemon says from now on: facts once a second, and every line of its log.

    Raises as `ask`; LinkError when the daemon ends.
    """
    return _converse(_socket_of(name), {"verb": "tail"}, None)


def running() -> dict[str, Path]:
    """The control sockets of the daemons that run, by name."""
    found = {}
    for path in sorted(runtime_base().glob("*/control")):
        with suppress(OSError), _connected(path):
            found[path.parent.name] = path
    return found


def _socket_of(name: str | None) -> Path:
    if name is not None:
        return runtime_dir(name) / "control"
    there = running()
    if len(there) > 1:
        raise ConfigError(f"several daemons run: {', '.join(there)}; name one")
    if not there:
        raise LinkError("no daemon runs; start one with 'reflexarc daemon FILE'")
    return next(iter(there.values()))


def _connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.connect(str(path))
    except BaseException:
        client.close()
        raise
    return client


def _converse(path: Path, request: Answer, timeout_s: float | None) -> Iterator[Answer]:
    name = path.parent.name
    try:
        with _connected(path) as client, client.makefile("rwb") as stream:
            client.settimeout(timeout_s)
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            for line in stream:
                yield json.loads(line)
    except TimeoutError:
        raise LinkError(f"daemon '{name}' did not answer within {timeout_s:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise LinkError(f"no daemon '{name}' runs; start it with 'reflexarc daemon FILE'") from None
    except OSError as error:
        raise LinkError(f"daemon '{name}': {error.strerror}") from None
    raise LinkError(f"daemon '{name}' has ended")
