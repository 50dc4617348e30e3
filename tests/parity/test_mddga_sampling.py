"""MD-DGA's schedule, its two samplers and its volume stage against the published ones, with the published noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
from mddga_bundle.inferer import VolumeStage
from mddga_bundle.networks import MDDGA
from mddga_bundle.sunet import SUNet
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.test_mddga_sunet import filled, golden
from tests.parity.test_mddga_vqvae import published as published_autoencoder
from transmodal.inferers import NoisePredictionInferer, SliceWiseInferer
from transmodal.schedulers import ConditionStartDDPMSampler, ConditionStartSampler, GaussianDiffusion, ReverseSampler

T = 1000


class PublishedNoise:
    """What the published loop drew, in its order."""

    def __init__(self, draws: Iterable[Tensor]) -> None:
        self.draws = list(draws)

    def normal(self, *shape: int) -> Tensor:
        draw = self.draws.pop(0)
        assert tuple(draw.shape[1:]) == shape
        return draw


class PublishedSlices(NoisePredictionInferer):
    """The inferer of slices with that noise."""

    draws: Sequence[Tensor]

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> PublishedNoise:
        return PublishedNoise(self.draws)


class PublishedVolume(VolumeStage):
    """The inferer of volumes with that noise, which is stored for each latent channel."""

    draws: Sequence[Sequence[Tensor]]

    def noise(self, sample: int, channels: Sequence[int], device: torch.device) -> PublishedNoise:
        (channel,) = channels
        return PublishedNoise(self.draws[channel])


@pytest.fixture(scope="module")
def slices(shared: Path) -> SUNet:
    torch.set_num_threads(1)
    return filled(shared, "sunet2d_small")[0]


@pytest.fixture(scope="module")
def schedule(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "schedule")


def test_the_schedule_is_the_published_one(schedule: dict[str, Tensor]) -> None:
    """Bit by bit in what both compute alike; the rest follows from it, within the rounding of float32."""
    diffusion = GaussianDiffusion(T)
    betas, alphas, variance = diffusion.betas, diffusion.alphas, diffusion.posterior_variance
    bar, before = diffusion.alphas_cumprod, diffusion.alphas_cumprod_prev
    equal = {"betas": betas, "alphas": alphas, "alphas_cumprod": bar, "alphas_cumprod_prev": before}
    for name, values in equal.items():
        assert torch.equal(values, schedule[name]), name
    derived = {
        "sqrt_recip_alphas": alphas.rsqrt(),
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": bar.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": torch.cat([variance[1:2], variance[1:]]).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bar).sqrt(),  # not Bayes' rule; no sampler reads it
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - bar),
    }
    for name, values in derived.items():
        assert_close(values, schedule[name], rtol=1e-6, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")
    assert set(equal) | set(derived) == {name for name, values in schedule.items() if tuple(values.shape) == (T,)}


def test_images_are_noised_as_published(schedule: dict[str, Tensor]) -> None:
    found = GaussianDiffusion(T).add_noise(schedule["fwd_x0"], schedule["fwd_noise"], schedule["fwd_t"])
    assert_close(found, schedule["fwd_xt"], rtol=0, atol=1e-6)


def test_the_steps_of_the_fast_sampler_are_the_published_ones(schedule: dict[str, Tensor]) -> None:
    steps = ConditionStartSampler(GaussianDiffusion(T)).steps
    assert [t for t, _, _ in steps] == schedule["ddim_t"].tolist()
    assert [t_next for _, t_next, _ in steps] == schedule["ddim_t_prev"].tolist()
    assert [draws for _, _, draws in steps] == [t_next != 0 for _, t_next, _ in steps]


@pytest.mark.parametrize(("t", "t_next"), [(999, 799), (599, 399), (200, 190), (20, 10), (10, 0), (0, 0)])
def test_a_fast_step_is_the_published_one(schedule: dict[str, Tensor], t: int, t_next: int) -> None:
    fresh = schedule["noise"] if t_next != 0 else None
    found = ConditionStartSampler(GaussianDiffusion(T)).step(schedule["x"], schedule["eps"], t, t_next, fresh)
    assert_close(found, schedule[f"ddim_{t}_{t_next}"], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("t", [999, 500, 1, 0])
def test_an_ancestral_step_is_the_published_one(schedule: dict[str, Tensor], t: int) -> None:
    fresh = schedule["noise"] if t > 0 else None
    found = ConditionStartDDPMSampler(GaussianDiffusion(T)).step(schedule["x"], schedule["eps"], t, t - 1, fresh)
    assert_close(found, schedule[f"ddpm_{t}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("sampler2d_ddim", ConditionStartSampler(GaussianDiffusion(T))),
        ("sampler2d_ddpm_T20", ConditionStartDDPMSampler(GaussianDiffusion(20))),
    ],
)
def test_a_slice_is_sampled_as_published(shared: Path, slices: SUNet, name: str, sampler: ReverseSampler) -> None:
    expected = golden(shared, name)
    inferer = PublishedSlices(sampler)
    inferer.draws = [*expected["noise"]]
    volume = expected["cond"][:, :, None]
    found = SliceWiseInferer(inferer, axis=0)(volume, slices)[:, :, 0]
    assert_close(found, expected["out"], rtol=0, atol=5e-4)


def test_a_volume_is_sampled_and_decoded_as_published(shared: Path) -> None:
    """Latent channels one after another, unscaled; then the choice of codes, and the decoder."""
    expected = golden(shared, "pipeline3d_ddim_perchannel")
    autoencoder = published_autoencoder(shared, "vqvae3d_small")
    network = MDDGA(autoencoder, nn.Identity(), filled(shared, "sunet3d_small")[0]).eval()
    stage = PublishedVolume(ConditionStartSampler(GaussianDiffusion(T)))
    stage.draws = [[*channel] for channel in expected["noise"]]
    quantised: list[tuple[Tensor, Tensor]] = []
    quantise = autoencoder.quantise
    autoencoder.quantise = lambda z: quantised.append((z, quantise(z)[0])) or quantise(z)
    found = stage(expected["vol"], network)
    ((latent, codes),) = quantised
    assert_close(autoencoder.encode(expected["vol"]), expected["z"], rtol=0, atol=2e-6)
    assert_close(latent, expected["latent"], rtol=0, atol=5e-4)
    assert_close(codes, expected["q"], rtol=0, atol=1e-6)
    assert_close(found, expected["recon"], rtol=0, atol=1e-5)
