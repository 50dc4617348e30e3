"""Velocity behind the call of a noise predictor: the identities of Salimans and Ho, written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mddga_bundle.losses import L1Noise
from mddga_bundle.objective import NoiseObjective
from mddga_bundle.sunet import SUNet
from mddga_bundle.velocity import VelocityNet, VelocityWeight
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.checkpoints import load_weights, save_weights
from transmodal.errors import InputError
from transmodal.schedulers import GaussianDiffusion

DIFFUSION = GaussianDiffusion()
TIMESTEPS = torch.tensor([0, 250, 500, 999])


class Says(nn.Module):
    """Answers with what it was made with."""

    spatial_dims, in_channels, out_channels = 2, 1, 1

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        return self.answer


def images(seed: int) -> Tensor:
    return torch.randn(4, 1, 5, 6, generator=torch.Generator().manual_seed(seed))


def velocity_of(x_0: Tensor, noise: Tensor) -> Tensor:
    bar = DIFFUSION.alphas_cumprod[TIMESTEPS].reshape(-1, 1, 1, 1)
    return bar.sqrt() * noise - (1 - bar).sqrt() * x_0


def tiny() -> SUNet:
    return SUNet(2, channels=8, channel_mult=(1, 2), attention=(False, True), norm_groups=4)


def test_the_true_velocity_is_the_true_noise() -> None:
    x_0, noise = images(0), images(1)
    net = VelocityNet(Says(velocity_of(x_0, noise)), DIFFUSION)
    assert_close(net(x_0, DIFFUSION.add_noise(x_0, noise, TIMESTEPS), TIMESTEPS), noise, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("answered", [images(2), torch.zeros(4, 1, 5, 6)])
def test_a_weighted_error_of_the_noise_is_the_error_of_the_velocity(answered: Tensor) -> None:
    x_0, noise = images(0), images(1)
    net = VelocityNet(Says(answered), DIFFUSION)
    error = net(x_0, DIFFUSION.add_noise(x_0, noise, TIMESTEPS), TIMESTEPS) - noise
    weight = VelocityWeight(DIFFUSION)(TIMESTEPS).reshape(-1, 1, 1, 1)
    assert_close(weight * error, answered - velocity_of(x_0, noise), atol=1e-4, rtol=1e-4)


def test_an_objective_weighs_each_sample_by_its_timestep() -> None:
    net = Says(torch.zeros(4, 1, 5, 6))
    batch = {"image": images(0), "label": images(1), "seed": torch.arange(4)}
    seen: list[Tensor] = []

    def weight(timesteps: Tensor) -> Tensor:
        seen.append(timesteps)
        return timesteps.float()

    plain, weighted = (
        NoiseObjective(net, DIFFUSION, lambda pred, noise: {"each": (pred - noise).abs().mean(dim=(1, 2, 3))}, factor)
        for factor in (None, weight)
    )
    expected = plain.terms(dict(batch))["each"]
    found = weighted.terms(dict(batch))["each"]
    assert_close(found, expected * seen[0])


def test_without_a_weight_the_loss_is_that_of_the_noise() -> None:
    net = Says(images(3))
    batch = {"image": images(0), "label": images(1), "seed": torch.arange(4)}
    ones = NoiseObjective(net, DIFFUSION, L1Noise(), lambda timesteps: torch.ones(len(timesteps)))
    assert_close(NoiseObjective(net, DIFFUSION, L1Noise()).terms(dict(batch)), ones.terms(dict(batch)))


def test_weights_for_noise_are_refused_as_weights_for_velocity(tmp_path: Path) -> None:
    net = tiny()
    save_weights(net.state_dict(), tmp_path / "noise.pt")
    with pytest.raises(InputError, match=r"exactly the \d+ tensors of the network"):
        load_weights(VelocityNet(tiny(), DIFFUSION), tmp_path / "noise.pt")


def test_the_schedule_is_not_among_the_weights() -> None:
    assert all(key.startswith("network.") for key in VelocityNet(tiny(), DIFFUSION).state_dict())


def test_made_without_memory_it_keeps_its_schedule_and_takes_weights() -> None:
    """As tools/import_weights.py makes networks."""
    real = VelocityNet(tiny(), DIFFUSION).eval()
    with torch.device("meta"):
        net = VelocityNet(tiny(), GaussianDiffusion()).eval()
    assert {value.device.type for value in net.state_dict().values()} == {"meta"}
    net.load_state_dict(real.state_dict(), assign=True)
    arguments = images(0), images(1), TIMESTEPS
    with torch.no_grad():
        assert torch.equal(net(*arguments), real(*arguments))


def test_it_can_be_scripted() -> None:
    net = VelocityNet(tiny(), DIFFUSION).eval()
    arguments = images(0), images(1), TIMESTEPS
    with torch.no_grad():
        assert_close(torch.jit.script(net)(*arguments), net(*arguments))


def test_half_precision_is_left_to_the_network() -> None:
    net = VelocityNet(Says(images(0).bfloat16()), DIFFUSION)
    assert net(images(0), images(1).bfloat16(), TIMESTEPS).dtype == torch.float32
