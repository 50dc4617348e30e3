"""Differences between neighbouring slices inside the body."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from transmodal.metrics import inter_slice_difference

SHAPE = (1, 8, 7, 6)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_volume_that_is_constant_along_the_axis_has_none() -> None:
    image = noise(1, 8, 7, 1).expand(SHAPE)
    assert inter_slice_difference(image, torch.ones(SHAPE), axis=2) == 0


def test_ramp_has_its_slope_whichever_way_it_runs() -> None:
    ramp = 12.5 * torch.arange(6).expand(SHAPE)
    for image in (ramp, -ramp):
        assert inter_slice_difference(image, torch.ones(SHAPE), axis=2) == pytest.approx(12.5)


def test_only_voxels_of_the_body_in_both_slices_count() -> None:
    image, mask = torch.zeros(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    image[0, 0, 0] = torch.tensor([0.0, 10.0, 1000.0])  # leaves the body in the last slice
    mask[0, 0, 0, 2] = 0
    image[0, 0, 1] = torch.tensor([5.0, 1000.0, 5.0])  # leaves it in the middle, so has no neighbours at all
    mask[0, 0, 1, 1] = 0
    # pairs inside: one of the first row, none of the second, two of the third
    assert inter_slice_difference(image, mask, axis=2) == pytest.approx(10 / 3)


def test_every_pair_of_voxels_weighs_the_same() -> None:
    image, mask = torch.zeros(1, 2, 2, 3), torch.ones(1, 2, 2, 3)
    image[..., 2] = 8.0
    mask[0, 1, :, 0] = 0  # two voxels in the first pair of slices, four in the second
    assert inter_slice_difference(image, mask, axis=2) == pytest.approx((2 * 0 + 4 * 8) / 6)


def test_own_noise_in_each_slice_shows_where_shared_noise_does_not() -> None:
    anatomy, mask = 3.0 * torch.arange(6).expand(SHAPE), torch.ones(SHAPE)
    shared = inter_slice_difference(anatomy + 40 * noise(1, 8, 7, 1), mask, axis=2)
    own = inter_slice_difference(anatomy + 40 * noise(*SHAPE), mask, axis=2)
    assert shared == pytest.approx(3, abs=1e-4)
    assert own > 10 * shared


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis_is_that_of_the_slices(axis: int) -> None:
    ramp = (4.0 * torch.arange(6) + torch.zeros(8, 7, 6)).movedim(2, axis)[None]
    found = [inter_slice_difference(ramp, torch.ones_like(ramp), other) for other in (0, 1, 2)]
    assert found == [4.0 if other == axis else 0.0 for other in (0, 1, 2)]


def test_whole_numbers_do_not_overflow() -> None:
    image = torch.tensor([-30000, 30000], dtype=torch.int16).expand(1, 2, 2, 2)
    assert inter_slice_difference(image, torch.ones(1, 2, 2, 2), axis=2) == 60000


@pytest.mark.parametrize("shape", [(1, 8, 7, 1), (1, 8, 7)])
def test_single_slice_has_no_neighbours(shape: tuple[int, ...]) -> None:
    assert math.isnan(inter_slice_difference(noise(*shape), torch.ones(shape), axis=2))


def test_body_that_no_two_slices_share_leaves_it_undefined() -> None:
    mask = torch.zeros(SHAPE)
    mask[..., ::2] = 1
    assert math.isnan(inter_slice_difference(noise(*SHAPE), mask, axis=2))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_value_that_is_not_finite_leaves_it_undefined(broken: float) -> None:
    image = noise(*SHAPE)
    image[0, 3, 3, 3] = broken
    assert math.isnan(inter_slice_difference(image, torch.ones(SHAPE), axis=2))


@pytest.mark.parametrize(("shape", "axis"), [((1, 8, 7, 5), 2), (SHAPE, 3), (SHAPE, -1)])
def test_other_shapes_and_axes_are_refused(shape: tuple[int, ...], axis: int) -> None:
    with pytest.raises(ValueError, match="wanted image and mask of one shape and axis 0, 1 or 2"):
        inter_slice_difference(noise(*SHAPE), torch.ones(shape), axis)
