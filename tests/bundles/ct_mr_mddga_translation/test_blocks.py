"""Building blocks of SUNet, each against its equation written out."""

from __future__ import annotations

import math

import pytest
import torch
from mddga_bundle.blocks import (
    Border,
    CrossAttention,
    GroupNorm,
    Parts,
    ResidualBlock,
    SelfAttention,
    TimeEmbedding,
    Upsample,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

SLICES = Parts(spatial_dims=2, time_dim=6, norm_groups=4, dropout=0.0)
VOLUMES = Parts(spatial_dims=3, time_dim=6, norm_groups=4, dropout=0.0)


def loud(module: nn.Module) -> nn.Module:
    """The module with every weight drawn anew, so that norms and biases matter."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One head, of tokens (B, d, N), as written in the description of the method: the scale is of all 8 channels."""
    weights = torch.softmax(query.transpose(1, 2) @ key / math.sqrt(8), dim=2)
    return value @ weights.transpose(1, 2)


def test_group_normalisation_is_that_of_pytorch() -> None:
    norm, features = loud(GroupNorm(4, 8)), torch.randn(2, 8, 3, 5)
    assert_close(norm(features), F.group_norm(features, 4, norm.weight, norm.bias, eps=1e-5))


def test_a_group_of_a_single_value_becomes_the_shift() -> None:
    norm = loud(GroupNorm(8, 8))
    assert_close(norm(torch.randn(1, 8, 1, 1)), norm.bias[None, :, None, None], rtol=0, atol=1e-3)


def test_group_normalisation_of_bfloat16_has_statistics_in_float32() -> None:
    norm, features = GroupNorm(1, 4).bfloat16(), (100 + torch.randn(1, 4, 64, 64)).bfloat16()
    expected = F.group_norm(features.float(), 1)
    assert_close(norm(features).float(), expected, rtol=0.01, atol=0.01)
    assert norm(features).dtype == torch.bfloat16


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_group_normalisation_of_bfloat16_is_that_of_float32_but_for_its_last_rounding(
    layout: torch.memory_format,
) -> None:
    norm, features = loud(GroupNorm(4, 8)), torch.randn(2, 8, 9, 7).bfloat16().contiguous(memory_format=layout)
    exact = F.group_norm(features.double(), 4, norm.weight.double(), norm.bias.double(), eps=1e-5)
    assert_close(norm(features), exact.bfloat16(), rtol=2**-7, atol=1e-5)


def test_the_time_is_embedded_by_sines_then_cosines() -> None:
    """Wavelengths of 4 numbers: 10000^0 and 10000^(1/2) times 2 pi."""
    embedding = loud(TimeEmbedding(4))
    t = 37.0
    waves = torch.tensor([[math.sin(t), math.sin(t / 100), math.cos(t), math.cos(t / 100)]])
    expected = F.silu(embedding.linear2(F.silu(embedding.linear1(waves))))
    assert_close(embedding(torch.tensor([37])), expected)


@pytest.mark.parametrize("out_channels", [8, 12])
def test_a_residual_block_adds_two_convolutions_told_the_time(out_channels: int) -> None:
    block = loud(ResidualBlock(VOLUMES, 8, out_channels))
    features, time = torch.randn(2, 8, 2, 3, 4), torch.randn(2, 6)
    hidden = block.conv1(F.silu(block.norm1(features))) + block.time_projection(time)[:, :, None, None, None]
    skipped = features if out_channels == 8 else block.shortcut(features)
    assert_close(block(features, time), skipped + block.conv2(F.silu(block.norm2(hidden))))


def test_dropout_stands_before_the_second_convolution() -> None:
    block = ResidualBlock(Parts(2, time_dim=6, norm_groups=4, dropout=1.0), 8, 8)
    features, time = torch.randn(1, 8, 4, 4), torch.randn(1, 6)
    assert_close(block(features, time), features + block.conv2.bias[None, :, None, None])
    assert (block.eval()(features, time) - features).std() > 0.05


def test_self_attention_splits_query_key_and_value_within_each_of_four_heads() -> None:
    attention, features = loud(SelfAttention(SLICES, 8)), torch.randn(2, 8, 3, 4)
    mixed = attention.query_key_value(attention.norm(features)).flatten(2)
    heads = [attended(*head.split(2, dim=1)) for head in mixed.split(6, dim=1)]
    expected = features + attention.projection(torch.cat(heads, dim=1).reshape(features.shape))
    assert_close(attention(features), expected)


def test_cross_attention_asks_the_condition_and_norms_both_alike() -> None:
    attention = loud(CrossAttention(VOLUMES, 8))
    features, condition = torch.randn(2, 8, 2, 3, 2), torch.randn(2, 8, 2, 3, 2)
    queries = attention.query(attention.norm(features)).flatten(2).split(2, dim=1)
    pairs = attention.key_value(attention.norm(condition)).flatten(2).split(4, dim=1)
    heads = [attended(query, *pair.split(2, dim=1)) for query, pair in zip(queries, pairs, strict=True)]
    expected = features + attention.projection(torch.cat(heads, dim=1).reshape(features.shape))
    assert_close(attention(features, condition), expected)


def test_the_border_is_blended_by_each_voxel_alone() -> None:
    border, features = loud(Border(SLICES, 8)), torch.randn(1, 8, 3, 4)
    assert_close(border(features), features + border.projection(F.silu(border.norm(features))))
    assert border.projection.kernel_size == (1, 1)


def test_slices_are_doubled_by_repetition() -> None:
    upsample, features = loud(Upsample(SLICES, 4)), torch.randn(1, 4, 2, 3)
    repeated = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert_close(upsample(features), upsample.conv(repeated))


def test_volumes_are_doubled_linearly() -> None:
    """A half voxel apart: 1/4 and 3/4 of two neighbours, and the outermost repeated."""
    upsample = Upsample(VOLUMES, 4)
    upsample.conv = nn.Identity()
    ramp = torch.arange(3.0)[:, None, None].expand(1, 4, 3, 2, 2)
    assert_close(upsample(ramp)[0, 0, :, 0, 0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2]))
