"""Reading HDF5 in a child process that may be killed by what it reads.

libhdf5 is large, and a file can be made to break it. `read_raw` has a child parse the file, under
limits of memory, time and writing, and takes plain values from it over a pipe: names, numbers,
texts. Nothing that comes back is code, and a child that dies is a damaged file and no more.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

from reflexarc.runtime import errors
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.errors import GraphError

#: How long one file may take.
PATIENCE_S = 60
#: What a child may hold: half of the machine, and what a small machine needs all the same.
MEMORY_BYTES = max(2 << 30, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
_SIZE = struct.Struct("<Q")
#: What reads a file: its nodes and edges.
Parse = Callable[[Path], tuple[Mapping[str, Any], list[tuple[str, str]]]]
#: Kinds of NumPy's dtypes whose bytes mean the same in both processes.
_PLAIN = "biufcS"


def read_raw(path: Path) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and edges of the graph in `path`, as `nirfile.parse` has them, from a child.

    Raises:
        GraphError: malformed, too large, or it broke the reader.
    """
    with _lock:
        try:
            header, blobs = _child().ask(path)
        except (OSError, EOFError, ValueError) as error:
            reason = _end_child() or str(error)
            raise GraphError(
                f"{path}: damaged: its reader {reason}; write the graph again"
            ) from None
    if "error" in header:
        kind = getattr(errors, str(header["error"]), GraphError)
        raise kind(header["text"])
    return _unpacked(header["nodes"], blobs), [(str(a), str(b)) for a, b in header["edges"]]


class _Child:
    """The process, and a conversation with it: a path, then a header and the bytes of arrays."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "reflexarc.runtime.confined"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"},
            start_new_session=True,
        )

    def ask(self, path: Path) -> tuple[Any, list[Any]]:
        """The header for `path`, and its arrays. Raises OSError, EOFError and ValueError."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        deadline_ns = monotonic_ns() + PATIENCE_S * 1_000_000_000
        self.process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
        self.process.stdin.flush()
        fd = self.process.stdout.fileno()
        (size,) = _SIZE.unpack(_read(fd, _SIZE.size, deadline_ns))
        header = json.loads(_read(fd, size, deadline_ns))
        blobs = []
        for dtype, shape in header.get("blobs", []):
            kind = np.dtype(dtype)
            if kind.kind not in _PLAIN or min(shape, default=0) < 0:
                raise ValueError("gave an array that is none")
            count = int(np.prod(shape, dtype=object))
            raw = _read(fd, count * kind.itemsize, deadline_ns)
            blobs.append(np.frombuffer(raw, kind, count).reshape(shape))
        return header, blobs

    def end(self) -> str:
        """End it; how it ended if it did so on its own."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            code = self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            code = 0
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return (
            f"was ended by signal {-code}" if code < 0 else f"ended with code {code}" * bool(code)
        )


_lock = Lock()
_children: list[_Child] = []


def _child() -> _Child:
    """The child of this process: made at the first use, and again when it has died."""
    if _children and _children[0].process.poll() is not None:
        _end_child()
    if not _children:
        _children.append(_Child())
    return _children[0]


def warm() -> None:
    """Start the child, for who will read a file soon: it starts while they do."""
    with _lock:
        _child()


def _end_child() -> str:
    return _children.pop().end() if _children else ""


@atexit.register
def _kill_child() -> None:
    """It holds nothing that has to be put away."""
    if _children:
        _children[0].process.kill()
        _end_child()


def _read(fd: int, size: int, deadline_ns: int) -> bytearray:
    """Exactly `size` bytes."""
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        left_s = (deadline_ns - monotonic_ns()) * 1e-9
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            raise TimeoutError(f"took more than {PATIENCE_S} s")
        got = os.readv(fd, [view[at : at + (1 << 20)]])
        if got == 0:
            raise EOFError("ended")
        at += got
    return data


def _packed(value: Any, blobs: list[Any]) -> Any:
    """`value` as JSON; arrays go to `blobs`."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, dict):
        return {"dict": {str(key): _packed(item, blobs) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_packed(item, blobs) for item in value]}
    array = np.asarray(value)
    if array.dtype.kind == "O":
        items = [_packed(item, blobs) for item in array.ravel().tolist()]
        return {"objects": items, "shape": array.shape}
    if array.dtype.kind not in _PLAIN:
        raise GraphError(f"expected numbers or text, not {array.dtype}")
    blobs.append(np.ascontiguousarray(array))
    return {"array": len(blobs) - 1, "scalar": not isinstance(value, np.ndarray)}


def _unpacked(value: Any, blobs: list[Any]) -> Any:
    """What `_packed` packed."""
    match value:
        case None | str():
            return value
        case {"bytes": text}:
            return text.encode("latin-1")
        case {"dict": items}:
            return {key: _unpacked(item, blobs) for key, item in items.items()}
        case {"list": items}:
            return [_unpacked(item, blobs) for item in items]
        case {"objects": items, "shape": shape}:
            array = np.empty(len(items), object)
            array[:] = [_unpacked(item, blobs) for item in items]
            return array.reshape(shape)
        case {"array": number, "scalar": scalar}:
            return blobs[number].reshape(())[()] if scalar else blobs[number]
    raise GraphError("the reader gave something that is no value")


def _confine() -> None:
    """Limits of the child: memory, no file to write, no core, no more descriptors than it needs."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _answer(parse: Parse, path: Path, out: IO[bytes]) -> None:
    blobs: list[Any] = []
    try:
        nodes, edges = parse(path)
        header = {"nodes": _packed(nodes, blobs), "edges": edges}
        header["blobs"] = [(blob.dtype.str, blob.shape) for blob in blobs]
    except errors.ReflexarcError as error:
        blobs, header = [], {"error": type(error).__name__, "text": str(error)}
    except MemoryError:
        text = f"{path}: needs more than {MEMORY_BYTES >> 20} MiB to read; write the graph again"
        blobs, header = [], {"error": "GraphError", "text": text}
    text_bytes = json.dumps(header).encode()
    out.write(_SIZE.pack(len(text_bytes)) + text_bytes)
    for blob in blobs:
        out.write(blob.data if blob.size else b"")
    out.flush()


def main() -> None:
    """Be the child: answer for one path a line until there are no more."""
    _confine()
    from reflexarc.runtime.nirfile import parse  # it reads by this module

    for line in sys.stdin.buffer:
        used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        soft = int(used_s) + PATIENCE_S
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        _answer(parse, Path(json.loads(line)), sys.stdout.buffer)


if __name__ == "__main__":
    main()
