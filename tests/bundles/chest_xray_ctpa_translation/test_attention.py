"""Attention of the factorised U-Net: what sees what, where positions matter, and the types it works in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from xray2ctpa_bundle.attention import (
    AcrossFrames,
    AcrossPixels,
    Attention,
    ChannelNorm,
    LinearAttention,
    LinearlyAcrossPixels,
    RelativeBias,
    rotated,
)

CHANNELS, HEADS, HEAD_DIM = 8, 2, 4
FEATURES = (2, CHANNELS, 5, 3, 4)


@pytest.fixture
def features() -> Tensor:
    return torch.randn(FEATURES)


def by_hand(attention: Attention, tokens: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax attention written out, (B, G, N, C)."""
    query, key, value = attention.query_key_value(tokens).chunk(3, dim=-1)
    heads = [item.unflatten(-1, [HEADS, HEAD_DIM]).transpose(-2, -3) for item in (query, key, value)]
    if attention.rotary:
        heads[:2] = [rotated(item) for item in heads[:2]]
    scores = heads[0] @ heads[1].transpose(-1, -2) / HEAD_DIM**0.5
    weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
    return attention.projection((weights @ heads[2]).transpose(-2, -3).flatten(-2))


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@torch.no_grad()
def test_the_fused_kernel_gives_what_the_formula_gives(rotary: bool, biased: bool) -> None:
    attention = Attention(CHANNELS, HEADS, HEAD_DIM, rotary)
    tokens, bias = torch.randn(2, 3, 6, CHANNELS), torch.randn(HEADS, 6, 6) if biased else None
    assert_close(attention(tokens, bias), by_hand(attention, tokens, bias), rtol=0, atol=1e-6)


@torch.no_grad()
def test_rotated_products_depend_on_the_distance_alone() -> None:
    query, key = torch.randn(2, 1, 8).double()
    queries, keys = rotated(query.expand(9, 8)).double(), rotated(key.expand(9, 8)).double()
    products = queries @ keys.t()
    for distance in range(-8, 9):
        along = products.diagonal(distance)
        assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-5)
    assert products.diagonal(1)[0] != pytest.approx(products.diagonal(-1)[0].item(), abs=1e-3)


@torch.no_grad()
def test_focused_samples_see_their_own_token_alone() -> None:
    attention = Attention(CHANNELS, HEADS, HEAD_DIM, rotary=True)
    tokens, bias = torch.randn(2, 3, 6, CHANNELS), torch.randn(HEADS, 6, 6)
    found = attention(tokens, bias, torch.tensor([True, False]))
    value = attention.query_key_value(tokens).chunk(3, dim=-1)[2]
    assert_close(found[0], attention.projection(value)[0])
    assert_close(found[1], attention(tokens, bias)[1])


@torch.no_grad()
def test_linear_attention_is_the_product_of_two_softmaxes(features: Tensor) -> None:
    attention = LinearAttention(CHANNELS, HEADS, HEAD_DIM)
    frame = features[1, :, 3]
    query, key, value = attention.query_key_value(frame[None])[0].flatten(1).chunk(3)
    attended = []
    for head in range(HEADS):
        q, k, v = (item[head * HEAD_DIM : (head + 1) * HEAD_DIM] for item in (query, key, value))
        weights = F.softmax(q, dim=0).t() / HEAD_DIM**0.5 @ F.softmax(k, dim=1)  # of every pixel for every pixel
        attended.append(v @ weights.t())
    expected = attention.projection(torch.cat(attended).unflatten(1, frame.shape[1:])[None])[0]
    assert_close(attention(features)[1, :, 3], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [AcrossPixels, LinearlyAcrossPixels])
@torch.no_grad()
def test_pixels_see_all_of_their_frame_and_nothing_else(kind: type[nn.Module], features: Tensor) -> None:
    attention = kind(CHANNELS, HEADS, HEAD_DIM)
    changed = features.clone()
    changed[0, :, 2, 1, 1] += torch.randn(CHANNELS)
    difference = (attention(changed) - attention(features)).abs().amax(dim=1)
    assert bool((difference[0, 2] > 0).all())
    difference[0, 2] = 0
    assert difference.max() == 0


@torch.no_grad()
def test_frames_see_each_other_at_one_pixel_and_nothing_else(features: Tensor) -> None:
    attention = AcrossFrames(CHANNELS, HEADS, HEAD_DIM)
    changed = features.clone()
    changed[0, :, 2, 1, 1] += torch.randn(CHANNELS)
    bias = torch.zeros(HEADS, 5, 5)
    difference = (attention(changed, bias) - attention(features, bias)).abs().amax(dim=1)
    assert bool((difference[0, :, 1, 1] > 0).all())
    difference[0, :, 1, 1] = 0
    assert difference.max() == 0


@pytest.mark.parametrize("kind", [AcrossPixels, LinearlyAcrossPixels, AcrossFrames])
@torch.no_grad()
def test_each_attention_adds_to_what_it_got(kind: type[nn.Module], features: Tensor) -> None:
    attention = kind(CHANNELS, HEADS, HEAD_DIM)
    nn.init.zeros_(attention.norm.weight)
    for name, parameter in attention.named_parameters():
        if name.endswith("projection.bias"):
            nn.init.zeros_(parameter)
    bias = [torch.zeros(HEADS, 5, 5)] if kind is AcrossFrames else []
    assert_close(attention(features, *bias), features, rtol=0, atol=0)


@torch.no_grad()
def test_the_norm_is_that_of_the_channels_of_each_voxel(features: Tensor) -> None:
    norm = ChannelNorm(CHANNELS)
    norm.weight.copy_(torch.rand_like(norm.weight))
    expected = F.layer_norm(features.movedim(1, -1), [CHANNELS], weight=norm.weight.flatten()).movedim(-1, 1)
    assert_close(norm(features), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_norm_of_bfloat16_is_taken_in_float32(features: Tensor) -> None:
    offset = (features + 100).bfloat16()
    norm = ChannelNorm(CHANNELS)
    found = norm(offset)
    assert found.dtype is torch.bfloat16
    assert torch.equal(found, norm(offset.float()).bfloat16())


def test_buckets_tell_small_distances_and_their_sign() -> None:
    """Of 32 buckets 16 are for each sign, and of those 8 for one distance each."""
    bucket = RelativeBias(heads=1).bucket(9)
    assert bucket[0].tolist() == [0, 17, 18, 19, 20, 21, 22, 23, 24]
    assert bucket[:, 0].tolist() == list(range(9))


def test_far_distances_share_the_last_bucket() -> None:
    bucket = RelativeBias(heads=1).bucket(200)
    assert set(bucket[100:, 0].tolist()) == {15}
    assert set(bucket[0, 100:].tolist()) == {31}


@torch.no_grad()
def test_the_bias_is_that_of_the_bucket_for_each_head() -> None:
    bias = RelativeBias(heads=3)
    found = bias(4)
    assert found.shape == (3, 4, 4)
    assert torch.equal(found[:, 2, 0], bias.weight[2])
    assert torch.equal(found[:, 0, 2], bias.weight[18])
