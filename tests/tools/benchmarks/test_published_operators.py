"""The published operators, spelled out: each against its definition, and a whole NCSN++ of them against ours."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmarks.published_operators import (
    PUBLISHED,
    PublishedAdaptiveGroupNorm,
    PublishedAttention,
    PublishedDownsample,
    PublishedPyramid,
    PublishedUpsample,
    as_published,
)
from benchmarks.setting import draw_weights
from transmodal.networks.blocks import (
    AdaptiveGroupNorm,
    FIRDownsample,
    FIRUpsample,
    PyramidDownsample,
    SelfAttention,
)
from transmodal.networks.blocks.ncsn import ResidualBlock
from transmodal.networks.nets import NCSNpp

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8
SIZES = [(8, 8), (6, 10), (4, 14)]


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def resampled(image: Tensor, pad: tuple[int, int], up: int = 1, down: int = 1) -> Tensor:
    """SciPy's upfirdn along rows and columns; its full output starts 3 taps before the first whole overlap."""
    array = image.double().numpy()
    for axis in (2, 3):
        length = up * array.shape[axis]
        full = upfirdn(up * TAPS, array, up=up, axis=axis)
        zeros = [(0, 0)] * 4
        zeros[axis] = (8, 8)
        first = 8 + 3 - pad[0]
        kept = np.arange(first, first + length + sum(pad) - 3, down)
        array = np.pad(full, zeros).take(kept, axis=axis)
    return torch.from_numpy(array).float()


def small_network() -> NCSNpp:
    network = NCSNpp(
        channels=16, channel_mult=(1, 2, 2), num_res_blocks=1, attention=(False, True, False), latent_dim=6, style_dim=8
    )
    draw_weights(network)
    return network.eval()


def inputs(height: int = 16, width: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    return features(2, 2, height, width), torch.tensor([0, 3]), features(2, 6, seed=1)


@pytest.mark.parametrize("size", SIZES)
def test_upsampling_is_upfirdn_with_padding_of_two_and_one(size: tuple[int, int]) -> None:
    image = features(2, 3, *size)
    assert_close(PublishedUpsample(FIRUpsample())(image), resampled(image, pad=(2, 1), up=2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [*SIZES, (7, 9)])
def test_downsampling_is_upfirdn_with_padding_of_one(size: tuple[int, int]) -> None:
    image = features(2, 3, *size)
    assert_close(PublishedDownsample(FIRDownsample())(image), resampled(image, pad=(1, 1), down=2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_a_step_of_the_pyramid_filters_before_its_convolution(size: tuple[int, int]) -> None:
    image, ours = features(2, 3, *size), PyramidDownsample(3, 5)
    expected = F.conv2d(resampled(image, pad=(2, 2)), ours.conv.weight, ours.conv.bias, stride=2)
    assert_close(PublishedPyramid(ours)(image), expected, rtol=0, atol=1e-6)


def test_attention_is_a_weighted_mean_over_all_pixels() -> None:
    ours, image = SelfAttention(8), features(1, 8, 2, 3)
    draw_weights(ours)
    pixels = ours.norm(image)[0].flatten(1).T.double()  # one row per pixel
    query, key, value, projection = (
        (each.weight.double(), each.bias.double()) for each in (ours.query, ours.key, ours.value, ours.projection)
    )
    rows = []
    for pixel in pixels:
        scores = torch.stack([F.linear(pixel, *query) @ F.linear(other, *key) / 8**0.5 for other in pixels])
        mean = sum(weight * F.linear(other, *value) for weight, other in zip(scores.softmax(0), pixels, strict=True))
        rows.append(F.linear(mean, *projection))
    expected = (image + torch.stack(rows).T.reshape(1, 8, 2, 3).float()) / 2**0.5
    assert_close(PublishedAttention(ours)(image), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_steered_norm_scales_and_shifts_normed_channels() -> None:
    ours, image, style = AdaptiveGroupNorm(8, style_dim=3), features(2, 8, 5, 6), features(2, 3, seed=1)
    draw_weights(ours)
    grouped = image.double().reshape(2, 2, -1)
    normed = (grouped - grouped.mean(2, keepdim=True)) / (grouped.var(2, correction=0, keepdim=True) + 1e-6).sqrt()
    gamma, beta = (each.double()[:, :, None, None] for each in ours.style(style).chunk(2, dim=1))
    expected = (gamma * normed.reshape(image.shape) + beta).float()
    assert_close(PublishedAdaptiveGroupNorm(ours)(image, style), expected, rtol=0, atol=2e-6)
    assert_close(PublishedAdaptiveGroupNorm(ours)(image, style), ours(image, style), rtol=0, atol=2e-6)


@pytest.mark.parametrize("ours", [FIRUpsample(), FIRDownsample(), PyramidDownsample(8, 12), SelfAttention(8)])
@torch.no_grad()
def test_each_published_operator_equals_ours(ours: nn.Module) -> None:
    draw_weights(ours)
    image = features(2, 8, 12, 10)
    assert_close(PUBLISHED[type(ours)](ours)(image), ours(image), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [(16, 16), (16, 24), (13, 22)])
@torch.no_grad()
def test_a_network_of_them_gives_the_outputs_of_ours(size: tuple[int, int]) -> None:
    network = small_network()
    ours = network(*inputs(*size))
    assert ours.std() > 0.1
    assert_close(as_published(network)(*inputs(*size)), ours, rtol=0, atol=1e-5)


def test_every_operator_is_replaced_and_the_original_is_left_alone() -> None:
    network = small_network()
    before = str(network)
    kinds = [type(module) for module in as_published(network).modules()]
    assert not set(kinds) & set(PUBLISHED)
    assert {kind: kinds.count(kind) for kind in PUBLISHED.values()} == {
        PublishedUpsample: 2, PublishedDownsample: 2, PublishedPyramid: 2, PublishedAttention: 3,
        PublishedAdaptiveGroupNorm: 2 * sum(isinstance(module, ResidualBlock) for module in network.modules()),
    }  # fmt: skip
    assert str(network) == before


@torch.no_grad()
def test_the_parameters_are_shared() -> None:
    network = small_network()
    published = as_published(network)
    assert {id(each) for each in published.parameters()} == {id(each) for each in network.parameters()}
    before = published(*inputs())
    network.trunk.middle.attention.value.weight.mul_(3)
    assert (published(*inputs()) - before).abs().max() > 1e-4


def test_an_operator_alone_is_replaced_too() -> None:
    assert isinstance(as_published(SelfAttention(8)), PublishedAttention)


def test_a_network_without_such_operators_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    assert str(as_published(network)) == str(copy.deepcopy(network))
