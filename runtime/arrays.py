"""The arrays beside a sidecar: an .npz file of plain numbers, each on one axis.

Read as strictly as all else that others may have written: nothing is unpickled or inflated, and
no more is allocated than the file holds.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from reflexarc.runtime.batch import Array
from reflexarc.runtime.errors import GraphError, MissingFileError, ReflexarcError

_DTYPES = frozenset(np.dtype(name) for name in ("<f8", "<f4", "<i8", "<i4", "<u2"))
_CHUNK_BYTES = 2**20


def write_arrays(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """Write `arrays` by name; each has one axis."""
    np.savez(file, allow_pickle=False, **{f"{name}": array for name, array in arrays.items()})


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of `path`, read-only.

    Raises:
        MissingFileError: there is no such file.
        GraphError: damaged, or holds other things than plain numbers; names file and array.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; it belongs beside the sidecar")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise GraphError(f"{path}: an array is there twice; save the network again")
            return {
                info.filename.removesuffix(".npy"): _read(archive, info, path)
                for info in archive.infolist()
            }
    except ReflexarcError:
        raise
    except Exception as error:  # damaged bytes make zipfile and numpy raise nearly every kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphError(
            f"{path}: damaged or truncated ({reason}); save the network again"
        ) from None


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Array:
    where = f"{path}: array '{info.filename.removesuffix('.npy')}'"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise GraphError(f"{where}: is compressed; save the network again")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise GraphError(f"{where}: .npy version {version}; save the network again")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if len(shape) != 1 or dtype not in _DTYPES:
            raise GraphError(f"{where}: expected numbers on one axis, not {dtype} of {shape}")
        if shape[0] * dtype.itemsize != info.file_size - member.tell():
            raise GraphError(f"{where}: {shape[0]} values are declared, but others are there")
        array = np.empty(shape, dtype)
        raw = array.view(np.uint8)
        for begin in range(0, raw.size, _CHUNK_BYTES):
            part = raw[begin : begin + _CHUNK_BYTES]
            part[:] = np.frombuffer(member.read(part.size), np.uint8)
        if member.read(1):  # at the end the checksum is compared
            raise EOFError("goes on too long")
    array.flags.writeable = False
    return array
