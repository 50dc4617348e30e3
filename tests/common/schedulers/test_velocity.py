"""Velocity behind the call of a noise predictor: the identities of Salimans and Ho, written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.checkpoints import load_weights, save_weights
from transmodal.errors import InputError
from transmodal.schedulers import CosineDiffusion, GaussianDiffusion, VelocityNet, VelocityWeight

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


class Tiny(nn.Module):
    """The smallest network with weights that looks at all it is given."""

    spatial_dims, in_channels, out_channels = 2, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        return self.conv(torch.cat([image, noisy], dim=1)) * (timesteps / 1000).reshape(-1, 1, 1, 1)


class Conditioned(nn.Module):
    """Takes a tuple for a condition, which may be withheld."""

    spatial_dims, in_channels, out_channels = 3, 2, 2

    def forward(
        self, condition: tuple[Tensor, Tensor], noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None
    ) -> Tensor:
        first, second = condition
        kept = 1.0 if drop is None else (~drop).float().reshape(-1, 1, 1, 1, 1)
        return kept * (first + second).reshape(-1, 1, 1, 1, 1) * torch.ones_like(noisy)


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


def test_weights_for_noise_are_refused_as_weights_for_velocity(tmp_path: Path) -> None:
    net = Tiny()
    save_weights(net.state_dict(), tmp_path / "noise.pt")
    with pytest.raises(InputError, match=r"exactly the \d+ tensors of the network"):
        load_weights(VelocityNet(Tiny(), DIFFUSION), tmp_path / "noise.pt")


def test_the_schedule_is_not_among_the_weights() -> None:
    assert all(key.startswith("network.") for key in VelocityNet(Tiny(), DIFFUSION).state_dict())


def test_made_without_memory_it_keeps_its_schedule_and_takes_weights() -> None:
    """As tools/import_weights.py makes networks."""
    real = VelocityNet(Tiny(), DIFFUSION).eval()
    with torch.device("meta"):
        net = VelocityNet(Tiny(), GaussianDiffusion()).eval()
    assert {value.device.type for value in net.state_dict().values()} == {"meta"}
    net.load_state_dict(real.state_dict(), assign=True)
    arguments = images(0), images(1), TIMESTEPS
    with torch.no_grad():
        assert torch.equal(net(*arguments), real(*arguments))


def test_it_can_be_scripted() -> None:
    net = VelocityNet(Tiny(), DIFFUSION).eval()
    arguments = images(0), images(1), TIMESTEPS
    with torch.no_grad():
        assert_close(torch.jit.script(net)(*arguments), net(*arguments))


def test_half_precision_is_left_to_the_network() -> None:
    net = VelocityNet(Says(images(0).bfloat16()), DIFFUSION)
    assert net(images(0), images(1).bfloat16(), TIMESTEPS).dtype == torch.float32


def test_a_condition_of_several_tensors_goes_through_and_may_be_dropped() -> None:
    net, noisy = VelocityNet(Conditioned(), DIFFUSION), torch.zeros(2, 2, 1, 2, 3)
    condition, timesteps = (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])), torch.tensor([0, 999])
    signal = DIFFUSION.alphas_cumprod[timesteps].sqrt()
    for drop, velocity in ((None, [4.0, 6.0]), (torch.tensor([True, False]), [0.0, 6.0])):
        found = net(condition, noisy, timesteps, drop)
        assert_close(found[:, 0, 0, 0, 0], signal * torch.tensor(velocity))
        assert_close(net(condition, noisy, timesteps, drop=drop), found)


def test_a_schedule_of_double_precision_answers_in_single_precision() -> None:
    """And the weight undoes the factor of the velocity where hardly any signal is left."""
    diffusion = CosineDiffusion()
    net, weight = VelocityNet(Says(images(0)), diffusion), VelocityWeight(diffusion)(TIMESTEPS)
    noise = net(images(1), torch.zeros(4, 1, 5, 6), TIMESTEPS)
    assert noise.dtype == weight.dtype == torch.float32
    assert_close(weight.reshape(-1, 1, 1, 1) * noise, images(0))
