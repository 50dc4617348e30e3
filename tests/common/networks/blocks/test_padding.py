"""Mirrored borders: where they lie, that they come off again, that noise stays noise, images too small for them."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from transmodal.networks.blocks import check_size, cropped_to, reflected_to_multiple


def test_an_image_that_fits_is_returned_itself() -> None:
    image = torch.randn(1, 1, 8, 12)
    assert reflected_to_multiple(image, 4) is image


def test_borders_are_mirrored_evenly_with_the_odd_one_last() -> None:
    image = torch.tensor([[[[0.0, 1.0, 2.0, 3.0, 4.0]] * 4]])
    assert reflected_to_multiple(image, 4)[0, 0, 0].tolist() == [1, 0, 1, 2, 3, 4, 3, 2]


@pytest.mark.parametrize("size", [(5, 9), (8, 7), (13, 16), (30, 17)])
def test_cropping_gives_the_image_back(size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size)
    padded = reflected_to_multiple(image, 8)
    assert all(found % 8 == 0 and found - wanted < 8 for found, wanted in zip(padded.shape[2:], size, strict=True))
    assert_close(cropped_to(padded, *size), image, rtol=0, atol=0)


def test_mirrored_noise_keeps_its_variance() -> None:
    padded = reflected_to_multiple(torch.randn(64, 1, 17, 17), 16)
    border = padded[:, :, :7]
    assert abs(border.std().item() - 1) < 0.05


@pytest.mark.parametrize("size", [(11, 64), (64, 11), (1, 1)])
def test_an_image_too_small_to_be_mirrored_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"found an image of {size[0]} × {size[1]} pixels; wanted .* of 32\. Pad"):
        reflected_to_multiple(torch.zeros(1, 1, *size), 32)


def test_the_smallest_image_that_can_be_mirrored_is_taken() -> None:
    assert reflected_to_multiple(torch.zeros(1, 1, 12, 12), 32).shape == (1, 1, 32, 32)


@pytest.mark.parametrize("size", [(18, 16), (16, 17), (4, 16), (16, 16, 6)])
def test_a_size_that_is_no_multiple_or_too_small_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"found an image of size .*; wanted multiples of 4, at least 8.*`patch`"):
        check_size(torch.zeros(1, 1, *size), multiple=4, smallest=8)


@pytest.mark.parametrize("size", [(8, 12), (16, 8, 20)])
def test_a_size_that_fits_is_not_refused(size: tuple[int, ...]) -> None:
    check_size(torch.zeros(1, 1, *size), multiple=4, smallest=8)
