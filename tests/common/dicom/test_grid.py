"""An array is laid onto the slices of a stack by where its voxels lie, whatever its axes are."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.common.dicom.conftest import OBLIQUE
from transmodal.dicom.grid import grid_of, onto
from transmodal.dicom.headers import Frame
from transmodal.errors import InputError

NORMAL = np.cross(OBLIQUE[:3], OBLIQUE[3:])
FRAMES = [Frame(Path("a.dcm"), (5, 4), (1.5, 2.0), tuple(OBLIQUE), tuple(NORMAL * 3 * n)) for n in range(3)]
GRID = grid_of("a", FRAMES)
VOLUME = np.arange(60.0).reshape(4, 5, 3)


def turned(axes: tuple[int, ...], backwards: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels at the same places, with the axes of the array in another order and direction."""
    image, affine = VOLUME, GRID[1]
    image, affine = image.transpose(axes), affine[:, [*axes, 3]]
    for axis, flip in enumerate(backwards):
        if flip:
            image, affine = np.flip(image, axis), affine.copy()
            affine[:, 3] += affine[:, axis] * (image.shape[axis] - 1)
            affine[:, axis] *= -1
    return image, affine


def test_rows_and_columns_have_their_own_spacing_and_right_is_positive() -> None:
    shape, affine = GRID
    assert shape == (4, 5, 3)
    np.testing.assert_allclose(affine[:3, 0], 2.0 * np.array([-0.96, -0.28, 0]))  # a step along a row: next column
    np.testing.assert_allclose(affine[:3, 1], 1.5 * np.array([0.168, -0.576, 0.8]))
    np.testing.assert_allclose(affine[:3, 2], 3 * NORMAL * [-1, -1, 1])


@pytest.mark.parametrize("axes", itertools.permutations(range(3)))
@pytest.mark.parametrize("backwards", itertools.product([False, True], repeat=3))
def test_axes_in_any_order_and_direction_come_out_as_columns_rows_and_slices(
    axes: tuple[int, ...], backwards: tuple[bool, ...]
) -> None:
    np.testing.assert_array_equal(onto(*turned(axes, backwards), GRID, "a"), VOLUME)


def test_an_affine_in_single_precision_is_the_same_grid() -> None:
    np.testing.assert_array_equal(onto(VOLUME, GRID[1].astype(np.float32), GRID, "a"), VOLUME)


@pytest.mark.parametrize("thickness", [1.0, 5.0, -5.0])
def test_a_single_slice_may_have_any_thickness(thickness: float) -> None:
    grid = grid_of("a", FRAMES[:1])
    affine = grid[1].copy()
    affine[:3, 2] *= thickness
    np.testing.assert_array_equal(onto(VOLUME[..., 0], affine, grid, "a"), VOLUME[..., :1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda image, affine: (image[:, :, 1:], affine), r"\(4, 5, 2\) voxels against \(4, 5, 3\) columns"),
        (lambda image, affine: (image, affine + np.diag([0, 0, 0.1, 0])), r"corners up to 0\.20 mm away"),
        (lambda image, affine: (image, affine * [1.1, 1, 1, 1]), r"corners up to 0\.60 mm away"),
        (lambda image, affine: (image[0, 0], affine), r"an array of \(3,\)"),
        (lambda image, affine: (image, affine * 0), "with an affine of"),
    ],
)
def test_another_grid_is_refused(change, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=f"a: found an image on another grid than this series: .*{told}"):
        onto(*change(VOLUME, GRID[1]), GRID, "a")


def test_a_shift_of_a_tenth_of_a_pixel_is_the_limit() -> None:
    for shift, fits in ((0.14, True), (0.16, False)):
        affine = GRID[1].copy()
        affine[0, 3] += shift
        if fits:
            onto(VOLUME, affine, GRID, "a")
        else:
            with pytest.raises(InputError, match=r"corners up to 0\.16 mm"):
                onto(VOLUME, affine, GRID, "a")
