"""Any grid to any other in one step: places, values, edges, antialiasing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor

from transmodal.transforms.resampling import axis_weights, resampled, stretch

STORED = np.array([[-2.0, 0, 0, 31], [0, -2, 0, -7.5], [0, 0, 4, 100], [0, 0, 0, 1]])
PARALLEL = np.array([[0, 0, 3.0, -5], [0, -3, 0, -20], [5, 0, 0, 108], [0, 0, 0, 1]])


def turned(affine: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def places(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Of all voxels, mm, (3, *shape)."""
    return np.einsum("ij,j...->i...", affine[:3, :3], np.indices(shape)) + affine[:3, 3].reshape(3, 1, 1, 1)


def plane(shape: tuple[int, ...], affine: np.ndarray) -> Tensor:
    """A field that is linear in space, which linear interpolation keeps."""
    x, y, z = places(shape, affine)
    return torch.from_numpy((2 * x - 3 * y + 0.5 * z).astype(np.float32))[None]


@pytest.mark.parametrize("degrees", [0.0, 20.0], ids=["parallel", "askew"])
def test_every_new_voxel_takes_the_value_of_its_place(degrees: float) -> None:
    image = MetaTensor(plane((30, 28, 12), STORED), affine=torch.from_numpy(STORED))
    onto = turned(PARALLEL, degrees)
    onto[:3, 3] = STORED[:3, :3] @ [14.5, 13.5, 5.5] + STORED[:3, 3] - onto[:3, :3] @ [2, 3, 2.5]  # about the middle
    found = resampled(image, onto, (5, 7, 6), fill=0.0)
    torch.testing.assert_close(found.as_tensor(), plane((5, 7, 6), onto), atol=1e-3, rtol=0)
    np.testing.assert_allclose(found.affine, onto)


def test_the_same_grid_changes_nothing() -> None:
    values = torch.rand(1, 5, 6, 7)
    image = MetaTensor(values, affine=torch.from_numpy(STORED))
    torch.testing.assert_close(resampled(image, STORED, (5, 6, 7), fill=0.0).as_tensor(), values)


@pytest.mark.parametrize("degrees", [0.0, 20.0], ids=["parallel", "askew"])
def test_a_pattern_finer_than_the_new_voxels_becomes_its_mean(degrees: float) -> None:
    pattern = torch.tensor(np.indices((40, 40, 12)).sum(axis=0) % 2, dtype=torch.float32)[None]
    coarse = turned(np.diag([6.0, 6, 6, 1]), degrees)
    coarse[:3, 3] = np.array([20.0, 20, 6]) - coarse[:3, :3] @ [1.3, 1.5, 0]
    found = resampled(MetaTensor(pattern, affine=torch.eye(4)), coarse, (4, 4, 1), fill=0.0)
    torch.testing.assert_close(found.as_tensor(), torch.full((1, 4, 4, 1), 0.5), atol=0.04, rtol=0)


@pytest.mark.parametrize("degrees", [0.0, 20.0], ids=["parallel", "askew"])
def test_outside_the_image_is_the_fill(degrees: float) -> None:
    image = MetaTensor(torch.full((1, 4, 4, 4), 7.0), affine=torch.eye(4))
    onto = turned(np.eye(4), degrees)
    onto[:3, 3] = [0, 0, -10]
    found = resampled(image, onto, (3, 3, 20), fill=-1024.0).as_tensor()[0, 1, 1]
    assert found[:9].tolist() == [-1024.0] * 9
    assert found[11:13].tolist() == [7.0, 7.0]
    assert found[-5:].tolist() == [-1024.0] * 5


def test_border_voxels_reach_half_an_edge_beyond_their_middles() -> None:
    image = MetaTensor(torch.tensor([1.0, 2.0])[None, :, None, None], affine=torch.eye(4))
    onto = np.diag([0.25, 1.0, 1.0, 1.0])
    onto[0, 3] = -0.75
    found = resampled(image, onto, (10, 1, 1), fill=-5.0).as_tensor().flatten()
    torch.testing.assert_close(found, torch.tensor([-5.0, 1, 1, 1, 1.25, 1.5, 1.75, 2, 2, 2]))


def test_what_is_known_about_the_image_stays_known() -> None:
    image = MetaTensor(torch.rand(1, 4, 4, 4), affine=torch.eye(4), meta={"case": "7", "spatial_shape": (4, 4, 4)})
    found = resampled(image, np.eye(4), (2, 3, 4), fill=0.0)
    assert found.meta["case"] == "7"
    assert tuple(found.meta["spatial_shape"]) == (2, 3, 4)


def test_weights_of_every_position_inside_sum_to_one() -> None:
    weights = axis_weights(size=6, count=9, start=-1.0, step=0.9)
    sums = weights.sum(dim=1)
    torch.testing.assert_close(sums, torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1, 0]), atol=1e-6, rtol=0)


def test_a_stretch_of_samples_has_their_mean() -> None:
    """Between 0, 0, 1, 0, 0 joined by lines, the mean over the middle two sample distances is 1/2."""
    weights = axis_weights(size=5, count=1, start=2.0, step=1.0, width=2.0)
    torch.testing.assert_close(weights, torch.tensor([[0, 0.25, 0.5, 0.25, 0]]))


@pytest.mark.parametrize(("step", "width"), [(0.5, 0.0), (1.0, 0.0), (-1.25, 0.75)])
def test_only_larger_steps_stand_for_a_stretch(step: float, width: float) -> None:
    assert stretch(step) == pytest.approx(width)
