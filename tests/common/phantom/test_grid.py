"""Where the voxels of a phantom lie."""

from __future__ import annotations

import numpy as np
import pytest

from transmodal.errors import InputError
from transmodal.phantom.grid import Grid

GRID = Grid((4, 6, 3), (2.0, 1.0, 5.0), centre=(10.0, -20.0, 30.0))


def test_indices_run_left_back_and_up() -> None:
    assert np.array_equal(np.diag(GRID.affine), [-2.0, -1.0, 5.0, 1.0])


def test_the_middle_of_the_grid_lies_at_the_centre() -> None:
    middle = np.array([*((np.array(GRID.shape) - 1) / 2), 1.0])
    assert np.allclose(GRID.affine @ middle, [10.0, -20.0, 30.0, 1.0])


def test_region_coordinates_agree_with_the_affine() -> None:
    i, j, k = 3, 1, 2
    patient = GRID.affine @ np.array([i, j, k, 1.0])
    region = np.array([GRID.x[i, 0, 0], GRID.y[0, j, 0], GRID.z[0, 0, k]])
    assert np.allclose(patient[:3], region + np.array(GRID.centre))


def test_the_voxel_edge_is_that_of_the_cube_of_equal_volume() -> None:
    assert GRID.voxel == pytest.approx(10 ** (1 / 3))


@pytest.mark.parametrize("shape", [(4, 4), (4, 0, 4), (4.0, 4, 4), (True, 4, 4), "444", 4])
def test_a_shape_that_is_not_three_positive_whole_numbers_is_refused(shape: object) -> None:
    with pytest.raises(InputError, match=r"phantom shape: found .*; wanted three positive whole numbers"):
        Grid(shape, (1.0, 1.0, 1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing", [(1, 1), (1, -1, 1), (1, float("nan"), 1), (1, float("inf"), 1), 2])
def test_a_spacing_that_is_not_three_positive_numbers_is_refused(spacing: object) -> None:
    with pytest.raises(InputError, match=r"phantom spacing: found .*; wanted three positive numbers in mm"):
        Grid((2, 2, 2), spacing)  # type: ignore[arg-type]
