"""The published starting weights: N(0, 0.02), no bias, the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transmodal.networks import initialized
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
