"""Volumes as slices in any orientation: the same voxels at the same places, in the plane that a radiologist expects."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from transmodal.dicom.grid import grid_of, onto
from transmodal.dicom.placing import as_frames
from transmodal.errors import InputError

FILE = Path("a.dcm")
SHAPE = (5, 6, 7)
AXIAL, CORONAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)
ORDERS = [(axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def affine(axes: tuple[int, ...], signs: tuple[int, ...], edges: tuple[float, ...] = (1.0, 1.2, 1.4)) -> np.ndarray:
    """Voxel axes along the world axes ``axes`` (RAS), with these edges of voxels in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for voxel, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[world, voxel] = sign * edges[voxel]
    matrix[:3, 3] = (10.0, -20.0, 30.0)
    return matrix


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_every_voxel_stays_where_it_is(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    image, matrix = np.random.default_rng(0).normal(size=SHAPE), affine(axes, signs)
    values, frames = as_frames(image, matrix, FILE)
    np.testing.assert_array_equal(onto(image, matrix, grid_of("here", frames), "here"), values)


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_voxels_that_are_about_cubes_become_axial_slices_from_the_feet(
    axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    _, frames = as_frames(np.zeros(SHAPE), affine(axes, signs), FILE)
    assert frames[0].orientation == AXIAL
    assert len(frames) == SHAPE[axes.index(2)]
    assert [frame.position[2] for frame in frames] == sorted(frame.position[2] for frame in frames)


@pytest.mark.parametrize(("world", "plane"), [(0, SAGITTAL), (1, CORONAL), (2, AXIAL)])
def test_long_voxels_become_slices_across_their_length(world: int, plane: tuple[float, ...]) -> None:
    axes = (world, *(axis for axis in range(3) if axis != world))
    _, frames = as_frames(np.zeros(SHAPE), affine(axes, (1, 1, 1), edges=(4.0, 1.0, 1.2)), FILE)
    assert frames[0].orientation == plane
    assert (len(frames), frames[0].thickness) == (SHAPE[0], (4.0,))


def test_slices_lie_along_their_normal() -> None:
    for axes, signs in ORDERS:
        _, frames = as_frames(np.zeros(SHAPE), affine(axes, signs, edges=(4.0, 1.0, 1.2)), FILE)
        normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
        assert np.dot(np.subtract(frames[-1].position, frames[0].position), normal) > 0


def test_an_oblique_volume_keeps_its_directions() -> None:
    turn = np.array([[0.96, 0.28, 0], [-0.168, 0.576, 0.8], [0.224, -0.768, 0.6]]).T
    matrix = np.eye(4)
    matrix[:3, :3] = turn * (1.0, 1.1, 1.2)
    image = np.random.default_rng(0).normal(size=SHAPE)
    values, frames = as_frames(image, matrix, FILE)
    np.testing.assert_array_equal(onto(image, matrix, grid_of("here", frames), "here"), values)


def test_a_single_slice_is_a_volume_of_one() -> None:
    values, frames = as_frames(np.zeros((5, 6)), np.diag([-1.0, -1.0, 3.0, 1.0]), FILE)
    assert (values.shape, len(frames), frames[0].size) == ((5, 6, 1), 1, (6, 5))


@pytest.mark.parametrize("lean", [(0, 1), (0, 2), (1, 2)])
def test_axes_that_lean_on_each_other_are_refused(lean: tuple[int, int]) -> None:
    matrix = np.eye(4)
    matrix[lean] = 0.2
    with pytest.raises(InputError, match="found a sheared affine: axes lean on each other by 1"):
        as_frames(np.zeros(SHAPE), matrix, FILE)


def test_an_affine_of_single_precision_is_at_right_angles() -> None:
    turn = np.array([[0.96, 0.28, 0], [-0.168, 0.576, 0.8], [0.224, -0.768, 0.6]]).T
    matrix = np.eye(4)
    matrix[:3, :3] = (turn * (0.7, 0.7, 1.2)).astype(np.float32)
    _, frames = as_frames(np.zeros((512, 512, 9)), matrix, FILE)
    assert len(frames) == 9
