"""Steps between neighbouring pixels."""

from __future__ import annotations

import numpy as np

from transmodal.data.neighbours import steps_inside

VALUES = np.array([[0.0, 1.0, 3.0], [10.0, 5.0, 1.0]])


def test_steps_are_absolute_and_of_each_axis_in_turn() -> None:
    everywhere = np.ones_like(VALUES, dtype=bool)
    assert steps_inside(VALUES, everywhere, axes=(0, 1)).tolist() == [10, 4, 2, 1, 2, 5, 4]


def test_both_neighbours_have_to_lie_inside() -> None:
    inside = np.array([[True, True, False], [False, True, True]])
    assert steps_inside(VALUES, inside, axes=(0,)).tolist() == [4]
    assert steps_inside(VALUES, inside, axes=(1,)).tolist() == [1, 4]


def test_nothing_inside_has_no_steps() -> None:
    assert steps_inside(VALUES, np.zeros_like(VALUES, dtype=bool), axes=(0, 1)).shape == (0,)
