"""Text in HDF5 files, checked before libhdf5 reads it.

A string of variable length is a length and a place in a global heap (HDF5 File Format
Specification 3.0, III.E). libhdf5 2.0 trusts both: damaged ones make it read outside its memory or
walk for ever, and no exception ends that.
"""

from __future__ import annotations

import struct
from typing import Any

#: Length, address of the heap, index of the object in it.
_REFERENCE = struct.Struct("<IQI")
#: Index, count of references, reserved, size.
_OBJECT = struct.Struct("<HHIQ")
_HEADER_BYTES = 16


def check_text(dataset: Any, raw: Any) -> None:
    """Refuse a dataset whose strings do not lie within the heaps of its file.

    Args:
        dataset: an h5py dataset of strings.
        raw: the bytes of its file.

    Raises:
        ValueError: a reference or a heap is damaged. Chunked strings are not looked at; no NIR
            writer makes them.
    """
    offset = dataset.id.get_offset()
    if offset is None or not dataset.dtype.hasobject:
        return
    heaps: dict[int, dict[int, int]] = {}
    references = raw[offset : offset + _REFERENCE.size * dataset.size]
    for length, address, index in _REFERENCE.iter_unpack(references):
        if address not in heaps:
            heaps[address] = _object_sizes(raw, address) if length else {}
        if length > heaps[address].get(index, 0):
            raise ValueError("a text is longer than what is there")


def _object_sizes(raw: Any, address: int) -> dict[int, int]:
    """Sizes in bytes of the objects of the heap at `address`, by index."""
    end = address + int.from_bytes(raw[address + 8 : address + 16], "little")
    if raw[address : address + 5] != b"GCOL\x01" or end > len(raw):
        raise ValueError("a heap of text is damaged")
    sizes: dict[int, int] = {}
    at = address + _HEADER_BYTES
    while at + _OBJECT.size <= end:
        index, _, _, size = _OBJECT.unpack_from(raw, at)
        if index == 0:  # free space, which fills the rest
            if size != end - at:
                raise ValueError("a heap of text is damaged")
            return sizes
        sizes[index] = size
        at += _OBJECT.size + (size + 7) // 8 * 8
    if at > end:
        raise ValueError("a heap of text is damaged")
    return sizes
