"""Damaged text: what libhdf5 would crash or hang on."""

import struct

import h5py
import pytest

from reflexarc.runtime.hdf5text import check_text


@pytest.fixture
def file(tmp_path):
    """A file of three strings, its bytes, and where their references and their heap begin."""
    path = tmp_path / "text.h5"
    with h5py.File(path, "w") as written:
        written.create_dataset("text", data=["one", "", "three"], dtype=h5py.string_dtype())
    raw = bytearray(path.read_bytes())
    with h5py.File(path) as opened:
        yield opened["text"], raw, opened["text"].id.get_offset(), raw.index(b"GCOL")


def test_sound_text_is_let_through(file):
    text, raw, _, _ = file
    check_text(text, raw)
    assert text.asstr()[()].tolist() == ["one", "", "three"]


def test_a_text_longer_than_its_object(file):
    text, raw, references, _ = file
    raw[references : references + 4] = struct.pack("<I", 4)
    with pytest.raises(ValueError, match="longer than what is there"):
        check_text(text, raw)


def test_an_object_that_is_not_in_the_heap(file):
    text, raw, references, _ = file
    raw[references + 12 : references + 16] = struct.pack("<I", 77)
    with pytest.raises(ValueError, match="longer than what is there"):
        check_text(text, raw)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0),  # no heap here
        (8, 2**40),  # longer than the file
        (8, 4096 - 512),  # its free space reaches beyond it
        (24, 2**60),  # an object reaches beyond it
        (24, 0),  # the next object is read from the middle of this one
    ],
)
def test_a_damaged_heap(file, at, value):
    text, raw, _, heap = file
    raw[heap + at : heap + at + 8] = struct.pack("<Q", value)
    with pytest.raises(ValueError, match=r"damaged|longer"):
        check_text(text, raw)


def test_free_space_of_no_size_ends_the_walk(file):
    text, raw, _, heap = file
    free = raw.index(struct.pack("<HHI", 0, 0, 0), heap + 16)
    raw[free + 8 : free + 16] = struct.pack("<Q", 0)
    with pytest.raises(ValueError, match="heap of text is damaged"):
        check_text(text, raw)
