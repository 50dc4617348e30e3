"""The denoiser of X-ray2CTPA as it is measured: its condition in parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from xray2ctpa_bundle.modern import CrossAttentionUNet
from xray2ctpa_bundle.unet3d import FactorisedUNet

from benchmarks.measuring import Contestant
from benchmarks.radiographs import RadiographDenoiser, condition_and_noise
from benchmarks.setting import draw_weights
from transmodal.schedulers import CosineDiffusion
from transmodal.schedulers.velocity import VelocityNet


def factorised() -> FactorisedUNet:
    return FactorisedUNet(channels=3, dim=8, dim_mults=(1, 2), condition_dim=6, heads=2, head_dim=4, norm_groups=4)


def modern() -> CrossAttentionUNet:
    return CrossAttentionUNet(
        channels=3, num_channels=(8, 8), attention=(False, True), num_res_blocks=1, num_head_channels=4,
        token_dim=5, norm_groups=4, plane_channels=2,
    )  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("make", [factorised, modern, lambda: VelocityNet(factorised(), CosineDiffusion(10))])
def test_every_denoiser_gets_what_it_asks_for(make: type[nn.Module]) -> None:
    network = make().eval()
    given = condition_and_noise(network, (4, 8, 8), torch.Generator().manual_seed(0))
    if isinstance(network, VelocityNet):
        given["timesteps"] = given["timesteps"] % 10
    assert RadiographDenoiser(network)(**given).shape == (1, 3, 4, 8, 8)


def test_one_seed_draws_one_sample() -> None:
    first, second = (condition_and_noise(factorised(), (4, 8, 8), torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@torch.no_grad()
@pytest.mark.parametrize("make", [factorised, modern])
def test_in_channels_last_a_network_answers_the_same(make: type[nn.Module]) -> None:
    network = RadiographDenoiser(make().eval())
    draw_weights(network)
    given = condition_and_noise(network.denoiser, (4, 8, 8), torch.Generator().manual_seed(0))
    found = Contestant("channels_last", channels_last=True).ready(network, given)()
    torch.testing.assert_close(found, network(**given), rtol=0, atol=1e-4)
