"""Averages of one translation per plane."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer
from torch import Tensor

from transmodal.errors import InputError
from transmodal.inferers import PlaneAverage, SliceWiseInferer

PLANES = [SliceWiseInferer(SimpleInferer(), axis=axis) for axis in range(3)]


def mean_of_slice(image: Tensor) -> Tensor:
    """Each slice replaced by its mean: a function of the plane."""
    return image.mean(dim=(2, 3), keepdim=True).expand_as(image)


def test_each_plane_has_an_equal_share() -> None:
    volume = torch.rand(2, 1, 3, 4, 5)
    found = PlaneAverage(PLANES)(volume, mean_of_slice)
    means = [volume.mean(dim=[other for other in (2, 3, 4) if other != axis], keepdim=True) for axis in (2, 3, 4)]
    torch.testing.assert_close(found, sum(means) / 3 + torch.zeros_like(volume))


def test_one_plane_is_that_inferer() -> None:
    volume = torch.rand(1, 1, 3, 4, 5)
    expected = PLANES[1](volume, mean_of_slice)
    torch.testing.assert_close(PlaneAverage([PLANES[1]])(volume, mean_of_slice), expected)


def test_a_picture_goes_through_the_first_inferer_alone() -> None:
    def forbidden(inputs: Tensor, network: object) -> Tensor:
        raise AssertionError("a picture has one plane")

    picture = torch.rand(2, 1, 4, 5)
    found = PlaneAverage([PLANES[0], forbidden])(picture, mean_of_slice)  # type: ignore[list-item]
    torch.testing.assert_close(found, mean_of_slice(picture))


def test_the_input_is_left_as_it_is() -> None:
    volume = torch.rand(1, 1, 3, 4, 5)
    before = volume.clone()
    PlaneAverage([SimpleInferer(), SimpleInferer()])(volume, lambda image: image)
    assert torch.equal(volume, before)


def test_metadata_of_the_source_stays_with_the_average() -> None:
    volume = MetaTensor(torch.rand(1, 1, 3, 4, 5), affine=2 * torch.eye(4))
    found = PlaneAverage(PLANES)(volume, mean_of_slice)
    assert isinstance(found, MetaTensor)
    assert torch.equal(found.affine, volume.affine)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(InputError, match="PlaneAverage, inferers: found an empty list"):
        PlaneAverage([])
