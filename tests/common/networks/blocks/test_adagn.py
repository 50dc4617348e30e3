"""Group norms: the equation by hand, the start at the identity, float32 statistics, channels they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from transmodal.networks.blocks import AdaptiveGroupNorm, GroupNorm
from transmodal.networks.blocks.adagn import group_count


@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (12, 3), (64, 16), (128, 32), (384, 32)])
def test_a_group_has_four_channels_until_there_are_32_groups(channels: int, groups: int) -> None:
    assert group_count(channels) == groups


@pytest.mark.parametrize("channels", [3, 30, 144])
def test_channels_that_cannot_be_shared_out_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=rf"found {channels} channels .*; wanted a multiple of 4 .*\. Choose"):
        AdaptiveGroupNorm(channels, style_dim=4)


layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
batches = pytest.mark.parametrize("batch", [1, 3])


@layouts
@batches
def test_a_style_scales_and_shifts_each_normed_channel(batch: int, layout: torch.memory_format) -> None:
    norm = AdaptiveGroupNorm(8, style_dim=3)
    features, style = torch.randn(batch, 8, 5, 6).contiguous(memory_format=layout), torch.randn(batch, 3)
    grouped = features.reshape(batch, 2, -1)
    deviation = (grouped.var(dim=2, correction=0, keepdim=True) + 1e-6).sqrt()
    normed = ((grouped - grouped.mean(dim=2, keepdim=True)) / deviation).reshape(features.shape)
    gamma, beta = norm.style(style)[:, :8], norm.style(style)[:, 8:]
    expected = gamma[:, :, None, None] * normed + beta[:, :, None, None]
    assert_close(norm(features, style), expected, rtol=0, atol=1e-5)


@layouts
@batches
def test_the_layout_of_the_memory_is_kept(batch: int, layout: torch.memory_format) -> None:
    features = torch.randn(batch, 8, 5, 6).contiguous(memory_format=layout)
    assert AdaptiveGroupNorm(8, style_dim=3)(features, torch.randn(batch, 3)).stride() == features.stride()


@layouts
@batches
def test_gradients_are_exact_and_may_be_differentiated_again(batch: int, layout: torch.memory_format) -> None:
    norm = AdaptiveGroupNorm(4, style_dim=2).double()
    features = torch.randn(batch, 4, 2, 3, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    style = torch.randn(batch, 2, dtype=torch.float64, requires_grad=True)

    def normed(features: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return norm(features, style)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.Tensor, "float", lambda self: self)  # numbers of 16 digits, or there is nothing to see
        assert torch.autograd.gradcheck(normed, (features, style))
        assert torch.autograd.gradgradcheck(normed, (features, style))


def test_without_a_style_the_adaptive_norm_starts_as_a_plain_one() -> None:
    features = 4 + 3 * torch.randn(1, 16, 6, 6)
    assert_close(AdaptiveGroupNorm(16, style_dim=5)(features, torch.zeros(1, 5)), GroupNorm(16)(features))


def test_the_weights_of_the_style_are_drawn_by_the_channels_they_make() -> None:
    largest = AdaptiveGroupNorm(64, style_dim=1000).style.weight.abs().max().item()
    assert 0.99 * math.sqrt(3 / 128) < largest <= math.sqrt(3 / 128)


@pytest.mark.parametrize("mean", [0.0, 200.0])
def test_statistics_are_exact_for_features_in_bfloat16(mean: float) -> None:
    """A mean of 200 with a deviation of 1 is where bfloat16 sums, of 3 digits, would drown the deviation."""
    features = (mean + torch.randn(1, 8, 16, 16)).to(torch.bfloat16)
    style = torch.zeros(1, 3)
    norm = AdaptiveGroupNorm(8, style_dim=3)
    with torch.autocast("cpu", torch.bfloat16):
        steered, plain = norm(features, style), GroupNorm(8)(features)
    expected = GroupNorm(8)(features.float())
    for normed in (steered, plain):
        assert normed.dtype == torch.bfloat16
        assert_close(normed, expected.to(torch.bfloat16), rtol=0, atol=0)
