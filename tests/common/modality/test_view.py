"""What the network sees does not depend on units, and shows the whole slice in a square."""

from __future__ import annotations

import pytest
import torch

from transmodal.modality import as_seen, evenly_spaced, seen_slices


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand((40, 30), generator=torch.Generator().manual_seed(0))


def test_units_do_not_matter(image: torch.Tensor) -> None:
    seen, _ = as_seen(image, 24)
    torch.testing.assert_close(as_seen(4000 * image - 1000, 24)[0], seen, atol=1e-4, rtol=0)


def test_an_8_bit_picture_looks_like_its_image(image: torch.Tensor) -> None:
    picture = (image * 255).round()
    assert float((as_seen(picture, 24)[0] - as_seen(image, 24)[0]).abs().max()) < 0.02


def test_the_whole_range_is_used_and_a_few_outliers_do_not_compress_it(image: torch.Tensor) -> None:
    seen, contrast = as_seen(image, 40)
    assert (float(seen.min()), float(seen.max())) == (-1.0, 1.0)
    bright = image.clone()
    bright[3, 4] = 1000.0
    assert as_seen(bright, 40)[1] == pytest.approx(contrast, rel=0.05)


def test_the_shorter_side_is_padded_on_both_sides(image: torch.Tensor) -> None:
    seen, _ = as_seen(image, 40)
    assert seen.shape == (1, 40, 40)
    assert bool((seen[..., :5] == -1).all())
    assert bool((seen[..., -5:] == -1).all())
    assert bool((seen[..., 5:-5].std(dim=2) > 0).all())


def test_a_constant_slice_shows_nothing() -> None:
    seen, contrast = as_seen(torch.full((9, 9), 7.0), 16)
    assert contrast == 0
    assert bool((seen == -1).all())


def test_a_nearly_binary_slice_keeps_its_two_values() -> None:
    image = torch.zeros(64, 64)
    image[0, 0] = 1.0
    seen, contrast = as_seen(image, 64)
    assert contrast == 1
    assert float(seen.max()) == 1


def test_slices_without_content_are_left_out_of_a_volume(image: torch.Tensor) -> None:
    volume = torch.zeros((1, 40, 30, 10))
    volume[..., 3:7] = image[None, ..., None]
    volume[..., 8] = 0.1 * image
    assert seen_slices(volume, 24).shape == (4, 1, 24, 24)
    assert len(seen_slices(torch.zeros((1, 8, 8, 3)), 24)) == 0


def test_a_lone_slice_is_a_volume_of_one(image: torch.Tensor) -> None:
    torch.testing.assert_close(seen_slices(image[None], 24), seen_slices(image[None, ..., None], 24))


def test_the_axis_that_numbers_the_slices_can_be_chosen(image: torch.Tensor) -> None:
    volume = torch.rand((1, 12, 14, 16), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen_slices(volume, 24, axis=0)[5, 0], as_seen(volume[0, 5], 24)[0][0])
    assert len(seen_slices(volume, 24, axis=1)) == 14


def test_positions_lie_in_the_middle_of_their_shares() -> None:
    assert evenly_spaced(100, 4) == [12, 37, 62, 87]
    assert evenly_spaced(3, 32) == [0, 1, 2]
