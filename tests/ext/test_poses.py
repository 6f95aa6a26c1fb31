"""Poses of links: as matrices, and between two looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexarc.ext.poses import between, place

HALF = np.sqrt(0.5)
#: At (1, 2, 3), a quarter turn about z: x goes to y.
TURNED = np.array([[1.0, 2.0, 3.0, 0.0, 0.0, HALF, HALF]])
FIRST = np.zeros(1, np.int32)


def test_a_part_is_placed_on_its_link():
    local = np.c_[np.eye(3), [0.5, 0.0, 0.0]][None]
    placed = place(np.concatenate([TURNED + 1, TURNED]), FIRST + 1, local)
    turn = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(placed[0], np.c_[turn, [1.0, 2.5, 3.0]], atol=1e-12)


@given(st.floats(0, 1), st.floats(-3.1, 3.1), st.booleans())
def test_between_two_looks_places_go_straight_and_turns_evenly(share, angle, negated):
    before = np.array([[0, 0, 0, 0, 0, 0, 1.0]])
    turn = np.array([0, np.sin(angle / 2), 0, np.cos(angle / 2)]) * (-1 if negated else 1)
    after = np.r_[2.0, -4.0, 6.0, turn][None]
    pose = between(before, after, share)[0]
    np.testing.assert_allclose(pose[:3], np.array([2, -4, 6]) * share, atol=1e-12)
    expected = [0, np.sin(angle * share / 2), 0, np.cos(angle * share / 2)]
    np.testing.assert_allclose(np.abs(pose[3:] @ expected), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(pose[3:]), 1.0, atol=1e-9)


def test_the_ends_are_the_looks_themselves():
    after = TURNED + np.eye(1, 7)
    np.testing.assert_allclose(between(TURNED, after, 0.0), TURNED, atol=1e-15)
    np.testing.assert_allclose(between(TURNED, after, 1.0), after, atol=1e-15)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="7 columns"):
        place(np.zeros((1, 6)), FIRST, np.eye(3, 4)[None])
    with pytest.raises(ValueError, match="part 0 is on link 3 of 1"):
        place(TURNED, FIRST + 3, np.eye(3, 4)[None])
    with pytest.raises(ValueError, match="before and after"):
        between(TURNED, np.zeros((2, 7)), 0.5)
