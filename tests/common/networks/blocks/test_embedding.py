"""What steers the networks: the sinusoid by hand, activations after each layer, the latent's scale, random weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transmodal.networks import fan_out_
from transmodal.networks.blocks import LatentMapping, TimeEmbedding, sinusoid


def test_the_sinusoid_has_sines_first_and_reaches_its_longest_wave() -> None:
    angles = [3.0, 3.0 / math.sqrt(10000), 3.0 / 10000]  # half = 3, so frequencies 10000 ** -(0, 1/2, 1)
    expected = torch.tensor([[math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]])
    assert_close(sinusoid(torch.tensor([3]), dim=6), expected, rtol=0, atol=1e-6)


def test_each_time_of_a_batch_has_its_own_encoding() -> None:
    both = sinusoid(torch.tensor([0, 2]), dim=8)
    assert_close(both[1:], sinusoid(torch.tensor([2]), dim=8))
    assert_close(both[0], torch.tensor([0.0] * 4 + [1.0] * 4))


@pytest.mark.parametrize("activation", [None, nn.LeakyReLU(0.2)])
def test_the_embedding_is_activated_after_both_layers(activation: nn.Module | None) -> None:
    embedding, act = TimeEmbedding(8, 12, 6, activation), activation or nn.SiLU()
    timesteps = torch.tensor([1, 3])
    hidden = act(embedding.linear1(sinusoid(timesteps, 8)))
    assert_close(embedding(timesteps), act(embedding.linear2(hidden)))
    assert embedding(timesteps).shape == (2, 6)


@pytest.mark.parametrize("dim", [2, 7])
def test_a_sinusoid_without_whole_halves_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"found a time sinusoid of {dim} numbers; wanted an even number, at least 4"):
        TimeEmbedding(dim, 8, 8)


def test_the_time_layers_take_another_initialiser() -> None:
    weight = TimeEmbedding(8, 400, 40, initialise=fan_out_).linear1.weight
    assert weight.abs().max() <= math.sqrt(3 / 400)
    assert TimeEmbedding(8, 400, 40).linear1.weight.abs().max() > math.sqrt(3 / 400)


def test_the_style_depends_on_the_direction_of_the_latent_alone() -> None:
    mapping, latent = LatentMapping(5, 7), torch.randn(2, 5)
    assert_close(mapping(latent), mapping(30 * latent))


def test_the_style_follows_from_the_latent_of_unit_mean_square() -> None:
    mapping, latent = LatentMapping(2, 3, num_layers=0), torch.tensor([[3.0, 4.0]])
    unit = latent / math.sqrt(12.5)
    assert_close(mapping(latent), nn.functional.silu(mapping.layers[0](unit)))


def test_a_zero_latent_gives_a_finite_style() -> None:
    assert LatentMapping(5, 7)(torch.zeros(1, 5)).isfinite().all()


def test_the_mapping_counts_its_layers_beyond_the_first() -> None:
    shapes = [tuple(layer.weight.shape) for layer in LatentMapping(5, 7, num_layers=2).layers]
    assert shapes == [(7, 5), (7, 7), (7, 7)]
