"""DDIM from analytic noise predictors, whose samples are known, and from MONAI's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import DDIMSampler, GaussianDiffusion, SeededNoise

DIFFUSION = GaussianDiffusion()
FREE = (-torch.inf, torch.inf)
CLEAN = torch.rand(2, 1, 6, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Recording:
    """A noise predictor, and what it was asked."""

    def __init__(self, predict_noise: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.predict_noise = predict_noise
        self.states: list[Tensor] = []
        self.timesteps: list[list[int]] = []

    def __call__(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        self.states.append(x_t)
        self.timesteps.append(timesteps.tolist())
        return self.predict_noise(x_t, timesteps)


class CountedNoise(SeededNoise):
    draws = 0

    def normal(self, *shape: int) -> Tensor:
        self.draws += 1
        return super().normal(*shape)


def knowing(x_0: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The noise of x_t if the clean image is known."""

    def predict_noise(x_t: Tensor, timesteps: Tensor) -> Tensor:
        bar = DIFFUSION.alphas_cumprod[timesteps].reshape(-1, *[1] * (x_t.ndim - 1))
        return (x_t - bar.sqrt() * x_0) / (1 - bar).sqrt()

    return predict_noise


def normally_distributed(mean: float, deviation: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The expected noise of x_t if clean values are normal and independent: what a perfect network predicts."""

    def predict_noise(x_t: Tensor, timesteps: Tensor) -> Tensor:
        bar = DIFFUSION.alphas_cumprod[timesteps].reshape(-1, *[1] * (x_t.ndim - 1))
        return (1 - bar).sqrt() * (x_t - bar.sqrt() * mean) / (bar * deviation**2 + 1 - bar)

    return predict_noise


@pytest.mark.parametrize("num_steps", [1, 2, 25, 1000])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_known_image_is_recovered(num_steps: int, eta: float) -> None:
    sampler = DDIMSampler(DIFFUSION, num_steps, eta)
    assert_close(sampler(knowing(CLEAN), CLEAN, SeededNoise([0, 1])), CLEAN, rtol=0, atol=1e-4)


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.999])
def test_a_known_image_is_recovered_from_a_noised_condition(strength: float) -> None:
    sampler = DDIMSampler(DIFFUSION, strength=strength)
    assert_close(sampler(knowing(CLEAN), -CLEAN, SeededNoise([0, 1])), CLEAN, rtol=0, atol=1e-4)


def test_a_perfect_network_maps_normal_noise_to_the_normal_distribution() -> None:
    """Without fresh noise the map is linear; in the limit of many steps it takes quantiles to quantiles."""
    sampler = DDIMSampler(DIFFUSION, num_steps=1000)
    found = sampler(normally_distributed(0.3, 0.1), torch.zeros(1, 1, 500), SeededNoise([5]), FREE)
    start = SeededNoise([5]).normal(1, 500)
    assert_close(found, 0.3 + 0.1 * start, rtol=0, atol=5e-3)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_fresh_noise_keeps_the_distribution(eta: float) -> None:
    sampler = DDIMSampler(DIFFUSION, num_steps=1000, eta=eta)
    found = sampler(normally_distributed(0.3, 0.1), torch.zeros(1, 1, 20_000), SeededNoise([5]), FREE)
    assert found.mean().item() == pytest.approx(0.3, abs=3e-3)
    assert found.std().item() == pytest.approx(0.1, abs=5e-3)  # the smaller variance of a step loses 3 %


def test_few_steps_come_near_the_distribution() -> None:
    sampler = DDIMSampler(DIFFUSION, num_steps=25)
    found = sampler(normally_distributed(0.3, 0.1), torch.zeros(1, 1, 20_000), SeededNoise([5]), FREE)
    assert found.mean().item() == pytest.approx(0.3, abs=0.01)
    assert 0.02 < found.std().item() < 0.11  # a part of the spread is lost, none is made up


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("t", [999, 479, 79, 39])
def test_a_step_is_monais(t: int, eta: float) -> None:
    theirs = DDIMScheduler(1000, "linear_beta", clip_sample=False)
    theirs.set_timesteps(25)
    x_t, noise_pred = torch.randn(2, 1, 5, 6), torch.randn(2, 1, 5, 6)
    expected, _ = theirs.step(noise_pred, t, x_t, eta=eta, generator=torch.Generator().manual_seed(3))
    fresh = torch.randn(2, 1, 5, 6, generator=torch.Generator().manual_seed(3))
    found = DDIMSampler(DIFFUSION, 25, eta).step(x_t, noise_pred, t, t - 40 if t > 39 else None, fresh, FREE)
    assert_close(found, expected, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("t", [999, 500, 50])
def test_all_steps_with_all_noise_fresh_are_monais_ddpm_with_its_clipping(t: int) -> None:
    theirs = DDPMScheduler(1000, "linear_beta", clip_sample=True)
    x_t, noise_pred = torch.randn(2, 1, 5, 6), torch.randn(2, 1, 5, 6)
    expected, x_0 = theirs.step(noise_pred, t, x_t, generator=torch.Generator().manual_seed(3))
    assert (x_0.abs() == 1).any()
    fresh = torch.randn(2, 1, 5, 6, generator=torch.Generator().manual_seed(3))
    found = DDIMSampler(DIFFUSION, 1000, eta=1).step(x_t, noise_pred, t, t - 1, fresh)
    assert_close(found, expected, rtol=0, atol=5e-6)


def test_with_all_noise_fresh_the_variance_of_a_step_is_the_posteriors() -> None:
    sampler, zero, one = DDIMSampler(DIFFUSION, 1000, eta=1), torch.zeros(1, 1), torch.ones(1, 1)
    for t in (1, 100, 999):
        deviation = sampler.step(zero, zero, t, t - 1, one) - sampler.step(zero, zero, t, t - 1, 0 * one)
        assert deviation.item() ** 2 == pytest.approx(DIFFUSION.posterior_variance[t].item(), rel=1e-3)


def test_the_clean_estimate_is_clipped_in_each_step() -> None:
    """Each x_t is then a mixture of an image in bounds and of noise that fits it, so it is never carried away."""
    wild = Recording(lambda x_t, _: -1e3 * torch.sign(x_t))
    found = DDIMSampler(DIFFUSION)(wild, torch.zeros(1, 1, 50), SeededNoise([0]))
    assert set(found.flatten().tolist()) == {-1.0, 1.0}
    assert max(state.abs().max().item() for state in wild.states) < 6


def test_the_step_agrees_with_the_clipped_estimate() -> None:
    """What remains of x_t beyond the clipped image is its noise; the predicted noise belongs to another image."""
    x_t, t, t_next = torch.full((1, 1), 3.0), 500, 250
    bar_t, bar_s = DIFFUSION.alphas_cumprod[[t, t_next]].double().tolist()
    found = DDIMSampler(DIFFUSION).step(x_t, torch.zeros(1, 1), t, t_next)
    noise = (3.0 - bar_t**0.5) / (1 - bar_t) ** 0.5
    assert found.item() == pytest.approx(bar_s**0.5 + (1 - bar_s) ** 0.5 * noise, rel=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [
        (1, [999]),
        (3, [999, 666, 333]),
        (4, [999, 749, 499, 249]),
        (1000, list(range(999, -1, -1))),
    ],
)
def test_timesteps_are_spread_evenly_and_hold_the_noisiest(num_steps: int, expected: list[int]) -> None:
    network = Recording(knowing(CLEAN))
    DDIMSampler(DIFFUSION, num_steps)(network, CLEAN, SeededNoise([0]))
    assert network.timesteps == [[t, t] for t in expected]


def test_the_default_is_a_step_of_forty() -> None:
    assert DDIMSampler(DIFFUSION).timesteps == list(range(999, 0, -40))


def test_the_steps_share_what_the_strength_leaves_of_the_diffusion() -> None:
    assert DDIMSampler(DIFFUSION, num_steps=5, strength=0.5).timesteps == [499, 399, 299, 199, 99]


def test_a_chain_at_full_strength_starts_from_noise_alone() -> None:
    network = Recording(knowing(CLEAN))
    DDIMSampler(DIFFUSION)(network, CLEAN, SeededNoise([4, 5]))
    assert torch.equal(network.states[0], SeededNoise([4, 5]).normal(1, 6, 7))


def test_a_weaker_chain_starts_from_the_noised_condition() -> None:
    network = Recording(knowing(CLEAN))
    DDIMSampler(DIFFUSION, strength=0.3)(network, CLEAN, SeededNoise([4, 5]))
    noise = SeededNoise([4, 5]).normal(1, 6, 7)
    expected = DIFFUSION.add_noise(CLEAN, noise, torch.tensor([299, 299]))
    assert torch.equal(network.states[0], expected)


def test_a_weak_chain_stays_near_its_condition() -> None:
    perfect = normally_distributed(0.0, 0.5)
    found = [
        DDIMSampler(DIFFUSION, 10, strength=strength)(perfect, CLEAN, SeededNoise([0])) for strength in (0.02, 0.9)
    ]
    near, far = (float((sample - CLEAN).abs().mean()) for sample in found)
    assert near < 0.1 < far


@pytest.mark.parametrize(("eta", "draws"), [(0.0, 1), (0.3, 5), (1.0, 5)])
def test_noise_is_drawn_only_where_it_is_used(eta: float, draws: int) -> None:
    noise = CountedNoise([0])
    DDIMSampler(DIFFUSION, 5, eta)(knowing(CLEAN), CLEAN, noise)
    assert noise.draws == draws


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_steps": 0}, "num_steps: found 0; wanted an integer from 1 to 1000"),
        ({"num_steps": 1001}, "num_steps: found 1001; wanted an integer from 1 to 1000"),
        ({"num_steps": 26, "strength": 0.025}, "num_steps: found 26; wanted an integer from 1 to 25"),
        ({"num_steps": "25"}, "num_steps: found '25'"),
        ({"num_steps": True}, "num_steps: found True"),
        ({"eta": -0.1}, "eta: found -0.1; wanted a number from 0 to 1"),
        ({"eta": "0"}, "eta: found '0'"),
        ({"eta": 1.5}, "eta: found 1.5"),
        ({"strength": 0}, "strength: found 0; wanted a number above 0, at most 1"),
        ({"strength": 1.1}, "strength: found 1.1"),
        ({"strength": "1"}, "strength: found '1'"),
        ({"strength": float("nan")}, "strength: found nan"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"DDIMSampler, {message}"):
        DDIMSampler(DIFFUSION, **arguments)
