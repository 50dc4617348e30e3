"""Perceptual distances: their values, weights that stay as they are, and a gradient for the image."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.losses import LPIPS, FeatureDistance, ResNet50Features, VGG16Features


class Angle(nn.Module):
    """Features of two channels, at every place a vector of the length and the angle that the picture tells."""

    def forward(self, picture: Tensor) -> list[Tensor]:
        length, angle = picture[:, :1] + 3, picture[:, :1]
        return [length * torch.cat([angle.cos(), angle.sin()], dim=1), picture.new_ones(len(picture), 2, 1, 1)]


@pytest.fixture(scope="module")
def lpips() -> LPIPS:
    """With random but positive weights of the channels, as published ones are."""
    torch.manual_seed(0)
    network = LPIPS()
    for head in network.heads:
        head.weight.abs_()
    return network


def picture(seed: int, channels: int = 1) -> Tensor:
    return torch.randn((2, channels, 16, 16), generator=torch.Generator().manual_seed(seed)).tanh()


def test_directions_of_features_are_compared_not_their_lengths() -> None:
    """By hand: 60 degrees apart is a distance of 1, and the second stage has none."""
    zeros = torch.zeros(3, 1, 4, 4)
    assert_close(FeatureDistance(Angle())(zeros, zeros + math.pi / 3), torch.ones(3))


def test_equal_images_have_no_distance_and_others_have(lpips: LPIPS) -> None:
    assert lpips(picture(1), picture(1)).tolist() == [0, 0]
    assert (lpips(picture(1), picture(2)) > 0).all()
    assert_close(lpips(picture(1), picture(2)), lpips(picture(2), picture(1)))


def test_each_pair_has_a_distance_of_its_own(lpips: LPIPS) -> None:
    both = lpips(picture(1), picture(2))
    assert tuple(both.shape) == (2,)
    assert_close(lpips(picture(1)[1:], picture(2)[1:]), both[1:])


def test_one_channel_is_three_equal_ones(lpips: LPIPS) -> None:
    made, true = picture(1), picture(2)
    assert_close(lpips(made, true), lpips(made.expand(-1, 3, -1, -1), true.expand(-1, 3, -1, -1)))


def test_the_distance_is_the_weighted_mean_of_squares(lpips: LPIPS) -> None:
    """Equation 1 of Zhang et al., spelt out."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    stages = []
    for image in (picture(1), picture(2)):
        pictures = (image.expand(-1, 3, -1, -1) - shift[:, None, None]) / scale[:, None, None]
        stages.append([of / of.norm(dim=1, keepdim=True) for of in lpips.features(pictures)])
    expected = torch.zeros(2)
    for head, made, true in zip(lpips.heads, *stages, strict=True):
        expected += (head.weight[0, :, 0, 0, None, None] * (made - true).square()).sum(dim=1).mean(dim=(1, 2))
    assert_close(lpips(picture(1), picture(2)), expected, rtol=1e-4, atol=1e-6)


def test_vgg_halves_between_stages() -> None:
    sizes = [tuple(features.shape[1:]) for features in VGG16Features()(torch.zeros(1, 3, 32, 32))]
    assert sizes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]


def test_the_last_features_of_a_resnet_are_32_times_smaller() -> None:
    (features,) = ResNet50Features().eval()(torch.zeros(1, 3, 64, 64))
    assert tuple(features.shape) == (1, 2048, 2, 2)


def test_a_gradient_reaches_the_image_and_no_weight(lpips: LPIPS) -> None:
    made = picture(1).requires_grad_()
    lpips(made, picture(2)).sum().backward()
    assert (made.grad != 0).any()
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_air_has_a_finite_gradient(lpips: LPIPS) -> None:
    """Where all features are 0 their length has none of its own."""
    air = torch.full((1, 1, 16, 16), -1.0)
    silent = FeatureDistance(nn.Sequential(nn.Hardtanh(0, 1), Listed()))
    for network in (lpips, silent):
        made = air.clone().requires_grad_()
        network(made, picture(2)[:1]).sum().backward()
        assert made.grad.isfinite().all()


class Listed(nn.Module):
    def forward(self, features: Tensor) -> list[Tensor]:
        return [features]


def test_it_stays_in_evaluation_mode_whatever_is_around_it() -> None:
    whole = nn.Sequential(FeatureDistance(ResNet50Features()))
    assert not any(module.training for module in whole.train()[0].modules())
