"""Self-attention: the published sums over all pixels written out, the silent start, memory layouts."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from transmodal.networks.blocks import SelfAttention


def loud(channels: int) -> SelfAttention:
    """Attention whose every weight matters."""
    attention = SelfAttention(channels)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return attention


def test_every_pixel_sums_the_values_of_all_by_softmax_of_query_and_key() -> None:
    attention, features = loud(8), torch.randn(2, 8, 3, 5)
    pixels = attention.norm(features).permute(0, 2, 3, 1).reshape(2, 15, 8)
    query, key, value = attention.query(pixels), attention.key(pixels), attention.value(pixels)
    weights = torch.einsum("bic,bjc->bij", query, key).div(math.sqrt(8)).softmax(dim=2)
    attended = attention.projection(torch.einsum("bij,bjc->bic", weights, value)).reshape(2, 3, 5, 8)
    expected = (features + attended.permute(0, 3, 1, 2)) / math.sqrt(2)
    assert_close(attention(features), expected, rtol=0, atol=1e-5)


def test_it_starts_by_passing_the_features_on() -> None:
    features = torch.randn(1, 8, 4, 4)
    assert_close(SelfAttention(8)(features), features / math.sqrt(2), rtol=0, atol=1e-4)


def test_channels_last_gives_the_same_and_stays() -> None:
    attention, features = loud(8), torch.randn(2, 8, 4, 6)
    refined = attention(features.contiguous(memory_format=torch.channels_last))
    assert refined.is_contiguous(memory_format=torch.channels_last)
    assert_close(refined, attention(features), rtol=0, atol=1e-5)
    assert attention(features).is_contiguous()


def test_queries_start_a_tenth_as_varied_as_a_layer_of_full_scale() -> None:
    bound = math.sqrt(3 * 0.1 / 64)
    for linear in (SelfAttention(64).query, SelfAttention(64).key, SelfAttention(64).value):
        assert 0.98 * bound < linear.weight.abs().max() <= bound
