"""The radiograph in the volume: each ray where it passed, the right way up, and no more than it tells."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from xray2ctpa_bundle.backprojection import BackProjection, back_projected, resampling_matrix

from transmodal.errors import InputError


@pytest.mark.parametrize(("out_size", "in_size"), [(6, 6), (12, 6), (6, 12), (5, 7), (1, 4), (4, 1)])
def test_every_new_sample_is_a_weighted_mean(out_size: int, in_size: int) -> None:
    weights = resampling_matrix(out_size, in_size, 0.8)
    assert weights.shape == (out_size, in_size)
    assert weights.min() >= 0
    assert_close(weights.sum(dim=1), torch.ones(out_size))


@pytest.mark.parametrize("out_size", [4, 5, 8, 16, 40])
def test_whole_axes_are_resampled_as_pytorch_does(out_size: int) -> None:
    signal = torch.randn(8, 6)
    expected = F.interpolate(signal[None, None], (out_size, 6), mode="bilinear", antialias=True, align_corners=False)
    assert_close(resampling_matrix(out_size, 8) @ signal, expected[0, 0], rtol=0, atol=1e-5)


def test_a_share_of_the_axis_is_its_middle() -> None:
    """Twelve rows of a ramp, of which the middle ten go to ten new ones unchanged."""
    ramp = torch.arange(12.0)
    assert_close(resampling_matrix(10, 12, share=10 / 12) @ ramp, torch.arange(1.0, 11.0))


def test_beyond_its_ends_an_axis_goes_on() -> None:
    found = resampling_matrix(8, 4, share=2.0) @ torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert found.tolist() == [1, 1, 1, 2, 3, 4, 4, 4]


def test_the_head_of_the_picture_is_the_last_frame() -> None:
    plane = torch.zeros(1, 1, 6, 4)
    plane[:, :, 0] = 1
    volume = back_projected(plane, 6, 3, 4, coverage=1.0)
    assert volume[0, 0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 1]


def test_the_left_of_the_picture_stays_where_it_is() -> None:
    plane = torch.zeros(1, 1, 6, 4)
    plane[:, :, :, 0] = 1
    assert back_projected(plane, 6, 3, 4, coverage=1.0)[0, 0, 2, 1].tolist() == [1, 0, 0, 0]


def test_every_depth_is_alike() -> None:
    volume = back_projected(torch.randn(2, 3, 7, 5), 4, 6, 8, coverage=0.8)
    assert volume.shape == (2, 3, 4, 6, 8)
    assert_close(volume, volume[:, :, :, :1].expand_as(volume), rtol=0, atol=0)


def test_a_picture_higher_than_the_volume_loses_its_margins() -> None:
    """A volume of 320 mm in a picture of 384: frames of 5 mm see the rows 32 mm from either end on."""
    plane = torch.arange(384.0).sub(191.5)[None, None, :, None].expand(1, 1, 384, 2)  # mm below the middle
    frames = back_projected(plane, 64, 1, 2, coverage=320 / 384)[0, 0, :, 0, 0]
    assert_close(frames, torch.arange(157.5, -160, -5))


def test_the_noisy_volume_comes_first_and_unchanged() -> None:
    noisy, plane = torch.randn(2, 4, 6, 3, 5), torch.randn(2, 7, 8, 8)
    joined = BackProjection(7)(noisy, plane)
    assert joined.shape == (2, 11, 6, 3, 5)
    assert torch.equal(joined[:, :4], noisy)
    assert_close(joined[:, 4:], back_projected(plane, 6, 3, 5, 320 / 384))


def test_a_dropped_sample_sees_the_learnt_value_everywhere() -> None:
    projection = BackProjection(2)
    torch.nn.init.normal_(projection.null)
    noisy, plane = torch.randn(2, 1, 3, 3, 3), torch.randn(2, 2, 4, 4)
    joined = projection(noisy, plane, torch.tensor([True, False]))
    assert_close(joined[0, 1:], projection.null[0, :, :, :, None].expand(2, 3, 3, 3))
    assert torch.equal(joined[1], projection(noisy, plane)[1])


def test_gradients_reach_the_plane_and_the_learnt_value() -> None:
    projection, plane = BackProjection(2), torch.randn(2, 2, 4, 4, requires_grad=True)
    projection(torch.zeros(2, 1, 3, 3, 3), plane, torch.tensor([True, False])).sum().backward()
    assert plane.grad is not None
    assert plane.grad[0].abs().max() == 0
    assert plane.grad[1].abs().max() > 0
    assert projection.null.grad is not None
    assert projection.null.grad.flatten().tolist() == [27, 27]


@pytest.mark.parametrize("coverage", [0, -1.0, "0.8"])
def test_a_coverage_that_is_no_positive_number_is_refused(coverage: float) -> None:
    with pytest.raises(InputError, match=r"coverage: found .*wanted a positive number"):
        BackProjection(2, coverage)
