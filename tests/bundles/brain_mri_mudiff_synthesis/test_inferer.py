"""Sampling by both denoisers: the image, its standard deviation by the law of total variance, and memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mudiff_bundle.inferer import MutualInferer
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.inferers import DDGANInferer, SliceWiseInferer
from transmodal.schedulers import DDGANScheduler

LATENT = 3


class Denoisers(nn.Module):
    """Two functions of every argument, ``apart`` from each other; remembers what it returned and for how many."""

    def __init__(self, apart: float = 0.2, convolves: bool = False) -> None:
        super().__init__()
        self.apart = apart
        self.mixing = nn.Conv2d(1, 1, 3, padding=1) if convolves else nn.Identity()
        self.predictions: list[Tensor] = []
        self.sizes: list[int] = []

    def forward(
        self, image: Tensor, noisy: Tensor, timesteps: Tensor, latent: Tensor, target: str, separate: bool = False
    ) -> Tensor:
        shift = (0.1 * timesteps + latent.mean(dim=1))[:, None, None, None]
        first = torch.tanh(self.mixing(image.mean(dim=1, keepdim=True)) + 0.5 * noisy + shift)
        both = torch.cat([first, (1 - self.apart) * first], dim=1)
        self.sizes.append(len(image))
        self.predictions.append(both)
        return both if separate else both.mean(dim=1, keepdim=True)


def inferer(**arguments: Any) -> MutualInferer:
    return MutualInferer(DDGANScheduler(), target="t1ce", latent_dim=LATENT, **arguments)


def slices(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 4, 6, generator=torch.Generator().manual_seed(3)) * 2 - 1


def last_predictions(network: Denoisers) -> Tensor:
    """Both predictions at the last step of every chain, (chains, N, 2, H, W)."""
    return torch.stack(network.predictions[3::4])


@pytest.mark.parametrize("num_samples", [1, 3])
def test_the_image_is_that_of_the_mean_of_both(num_samples: int) -> None:
    plain = DDGANInferer(DDGANScheduler(), target="t1ce", latent_dim=LATENT, num_samples=num_samples)
    expected = plain(slices(), Denoisers())[:, :1]
    assert_close(inferer(num_samples=num_samples)(slices(), Denoisers())[:, :1], expected, rtol=0, atol=1e-6)


def test_one_sample_is_as_uncertain_as_the_denoisers_disagree() -> None:
    network = Denoisers()
    result = inferer()(slices(), network)
    (both,) = last_predictions(network)
    assert result.shape == (2, 2, 4, 6)
    assert_close(result[:, 1], (both[:, 0] - both[:, 1]).abs() / 2)


def test_many_samples_follow_the_law_of_total_variance() -> None:
    """Variance of the samples plus the mean variance within one: that of two equally likely predictions."""
    network = Denoisers()
    result = inferer(num_samples=5)(slices(), network)
    both = last_predictions(network)
    assert len(both) == 5
    between = both.mean(dim=2).var(dim=0)  # the last step keeps x0 as predicted: its posterior has no variance
    within = ((both[:, :, 0] - both[:, :, 1]) / 2).square().mean(dim=0)
    assert between.max() > 0.01
    assert_close(result[:, 1], (between + within).sqrt(), rtol=0, atol=1e-6)


def test_denoisers_that_agree_leave_the_deviation_of_the_samples() -> None:
    plain = DDGANInferer(DDGANScheduler(), target="t1ce", latent_dim=LATENT, num_samples=4)
    expected = plain(slices(), Denoisers(apart=0))
    assert_close(inferer(num_samples=4)(slices(), Denoisers(apart=0)), expected, rtol=0, atol=1e-6)


def test_one_sample_of_denoisers_that_agree_is_certain() -> None:
    assert not inferer()(slices(), Denoisers(apart=0))[:, 1].any()


@pytest.mark.parametrize("shared_noise", [True, False])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_the_size_of_a_batch_changes_no_byte(shared_noise: bool, num_samples: int) -> None:
    volume, network = torch.rand(1, 3, 4, 6, 7) * 2 - 1, Denoisers()
    chain = inferer(shared_noise=shared_noise, num_samples=num_samples)
    one, all_at_once = (SliceWiseInferer(chain, axis=2, batch_size=size)(volume, network) for size in (1, 7))
    assert torch.equal(one, all_at_once)
    assert one.shape == (1, 2, 4, 6, 7)


def test_calls_do_not_add_up() -> None:
    chain, network = inferer(num_samples=2), Denoisers()
    first = chain(slices(), network)
    assert torch.equal(chain(slices(), network), first)


@pytest.mark.parametrize("depth", [3, 11])
def test_the_network_never_sees_more_slices_than_a_batch(depth: int) -> None:
    """So its memory, the most of all, does not grow with the volume."""
    network = Denoisers()
    SliceWiseInferer(inferer(), axis=2, batch_size=4)(torch.zeros(1, 3, 4, 4, depth), network)
    assert max(network.sizes) == min(4, depth)
    assert sum(network.sizes) == 4 * depth  # steps


def test_autocast_results_come_back_in_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = inferer()(slices(), Denoisers(convolves=True))
    assert result.dtype == torch.float32
    assert result.isfinite().all()


def test_arguments_are_checked_as_those_of_any_chain() -> None:
    with pytest.raises(InputError, match="num_samples: found '3'; wanted an integer of 1 or more"):
        inferer(num_samples="3")
