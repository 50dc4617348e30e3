"""The published starting weights: N(0, 0.02) without bias, or uniform by the fans; the same for the same seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transmodal.networks import fan_average_, fan_out_, initialized
from transmodal.networks.nets import ResNetGenerator


def test_weights_are_drawn_from_the_published_normal_and_biases_are_zero() -> None:
    network = initialized(ResNetGenerator(channels=16, num_blocks=2))
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_batch_norm_scales_are_drawn_around_one() -> None:
    scale = initialized(nn.Sequential(nn.BatchNorm2d(10_000)), std=0.1).get_parameter("0.weight")
    assert scale.mean().item() == pytest.approx(1.0, abs=0.01)
    assert scale.std().item() == pytest.approx(0.1, rel=0.05)


def test_one_seed_gives_one_network() -> None:
    first, second, third = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
    for network, seed in ((first, 7), (second, 7), (third, 8)):
        torch.manual_seed(seed)
        assert initialized(network, device="cpu") is network
    assert_close(first.weight, second.weight, rtol=0, atol=0)
    assert not torch.equal(first.weight, third.weight)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-10])
@pytest.mark.parametrize("shape", [(40, 20, 3, 3), (400, 30)])
def test_uniform_weights_reach_the_bounds_of_their_fans(shape: tuple[int, ...], scale: float) -> None:
    receptive_field = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * receptive_field, shape[0] * receptive_field
    for initialise, fan in ((fan_average_, (fan_in + fan_out) / 2), (fan_out_, fan_out)):
        weight, bound = torch.empty(shape), math.sqrt(3 * scale / fan)
        assert initialise(weight, scale) is weight
        assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
