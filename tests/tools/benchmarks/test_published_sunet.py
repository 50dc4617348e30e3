"""The published operators of SUNet, spelled out: each against its definition, and a whole net of them against ours."""

from __future__ import annotations

import pytest
import torch
from mddga_bundle.blocks import Parts, SelfAttention
from mddga_bundle.sunet import SUNet
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmarks.published_sunet import PublishedSelfAttention, as_published, padded, swish
from benchmarks.setting import draw_weights


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(spatial_dims: int = 2, legacy_padding: bool = False) -> SUNet:
    torch.manual_seed(0)
    network = SUNet(
        spatial_dims,
        channels=8,
        channel_mult=(1, 2, 2),
        attention=(False, True, True),
        norm_groups=4,
        legacy_padding=legacy_padding,
    )
    draw_weights(network)
    return network.eval()


def inputs(batch: int, *size: int) -> tuple[Tensor, Tensor, Tensor]:
    return features(batch, 1, *size), features(batch, 1, *size, seed=1), torch.arange(batch) * 300 + 7


def test_swish_is_the_product_with_a_sigmoid() -> None:
    image = features(2, 3, 4, 5)
    assert_close(swish(image), F.silu(image))


@torch.no_grad()
def test_attention_is_a_weighted_mean_over_all_pixels_in_each_head() -> None:
    ours, image = SelfAttention(Parts(spatial_dims=2, time_dim=4, norm_groups=4, dropout=0.0), 8), features(1, 8, 2, 3)
    draw_weights(ours)
    pixels = ours.query_key_value(ours.norm(image))[0].flatten(1)  # (24, 6), six numbers of each head together
    heads = []
    for head in pixels.split(6):
        query, key, value = head.split(2)
        heads.append(value @ (query.T @ key / 8**0.5).softmax(dim=1).T)
    expected = image + ours.projection(torch.cat(heads).reshape(1, 8, 2, 3))
    assert_close(PublishedSelfAttention(ours)(image), expected, rtol=0, atol=1e-6)


def test_padding_is_as_low_as_the_whole_batch() -> None:
    image = features(2, 3, 5, 4)
    assert_close(padded(image), F.pad(image, (0, 0, 0, 1), value=float(image.min())))
    assert padded(image[:, :, :4]).shape == (2, 3, 4, 4)


@torch.no_grad()
@pytest.mark.parametrize(("dims", "size"), [(2, (11, 14)), (2, (16, 8)), (3, (5, 6, 7))])
def test_a_whole_network_answers_as_ours_does(dims: int, size: tuple[int, ...]) -> None:
    network = small(dims)
    assert_close(as_published(network)(*inputs(1, *size)), network(*inputs(1, *size)), rtol=0, atol=2e-5)


@torch.no_grad()
def test_batches_are_padded_as_our_legacy_padding_does_it() -> None:
    given = inputs(3, 11, 13)
    published = as_published(small())(*given)
    assert_close(published, small(legacy_padding=True)(*given), rtol=0, atol=2e-5)
    assert (published - small()(*given)).abs().max() > 1e-3


def test_parameters_are_shared_and_none_of_our_operators_is_left() -> None:
    network = small()
    published = as_published(network)
    assert {id(parameter) for parameter in published.parameters()} == {id(each) for each in network.parameters()}
    left = {type(module).__name__ for module in published.modules()}
    assert not left & {"ResidualBlock", "SelfAttention", "CrossAttention", "Border", "DownLevel"}


def test_a_network_without_such_operators_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    assert str(as_published(network)) == str(network)
