"""The linear schedule and its arithmetic from definitions and from MONAI; published numbers are in tests/parity."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from monai.networks.schedulers import DDPMScheduler
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import GaussianDiffusion

DIFFUSION = GaussianDiffusion()
T = torch.tensor([0, 250, 999])


def test_betas_rise_evenly_and_hold_both_ends() -> None:
    betas = GaussianDiffusion(5, beta_start=0.1, beta_end=0.5).betas
    assert_close(betas, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]))


def test_a_single_step_has_the_first_beta() -> None:
    assert_close(GaussianDiffusion(1).betas, torch.tensor([1e-4]))


def test_the_survival_is_the_product_of_the_steps() -> None:
    diffusion = GaussianDiffusion(3, beta_start=0.1, beta_end=0.3)
    assert_close(diffusion.alphas_cumprod, torch.tensor([0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.7]))
    assert_close(diffusion.alphas_cumprod_prev, torch.tensor([1.0, 0.9, 0.9 * 0.8]))


def test_the_posterior_variance_is_bayes_rule() -> None:
    """Precisions add: of x_{t-1} given x_0, and of the step that leads to x_t."""
    alpha, beta, before = (
        table[1:].double() for table in (DIFFUSION.alphas, DIFFUSION.betas, DIFFUSION.alphas_cumprod_prev)
    )
    expected = 1 / (1 / (1 - before) + alpha / beta)
    assert_close(DIFFUSION.posterior_variance[1:].double(), expected, rtol=1e-3, atol=0)
    assert DIFFUSION.posterior_variance[0] == 0


def test_the_schedule_is_monais() -> None:
    theirs = DDPMScheduler(1000, "linear_beta")
    assert torch.equal(DIFFUSION.betas, theirs.betas)
    assert torch.equal(DIFFUSION.alphas_cumprod, theirs.alphas_cumprod)


@pytest.mark.parametrize("spatial", [(4,), (4, 5), (4, 5, 6)])
def test_noising_is_monais(spatial: tuple[int, ...]) -> None:
    x_0, noise = torch.randn(3, 2, *spatial), torch.randn(3, 2, *spatial)
    expected = DDPMScheduler(1000, "linear_beta").add_noise(x_0, noise, T)
    assert_close(DIFFUSION.add_noise(x_0, noise, T), expected, rtol=0, atol=1e-7)


def test_noising_keeps_the_variance_of_unit_images() -> None:
    x_t = DIFFUSION.add_noise(torch.randn(3, 100_000), torch.randn(3, 100_000), T)
    assert_close(x_t.var(dim=1), torch.ones(3), rtol=0.03, atol=0)


def test_the_clean_image_comes_back_from_its_noise() -> None:
    x_0, noise = torch.randn(3, 1, 8, 8), torch.randn(3, 1, 8, 8)
    x_t = DIFFUSION.add_noise(x_0, noise, T)
    assert_close(DIFFUSION.x0_from(x_t, noise, T), x_0, rtol=0, atol=1e-4)  # 157 times a rounding at the last


def test_networks_predict_the_noise() -> None:
    noise = torch.randn(3, 1, 2)
    assert torch.equal(DIFFUSION.target(torch.rand(3, 1, 2), noise, torch.tensor([0, 5, 999])), noise)


def test_the_arithmetic_stays_in_float32_whatever_comes_in() -> None:
    x_0, noise = torch.randn(3, 1, 8, 8).bfloat16(), torch.randn(3, 1, 8, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x_t = DIFFUSION.add_noise(x_0, noise, T)
        back = DIFFUSION.x0_from(x_t, noise, T)
    assert x_t.dtype == back.dtype == torch.float32
    assert torch.equal(x_t, DIFFUSION.add_noise(x_0.float(), noise.float(), T))
    assert_close(back, x_0.float(), rtol=0, atol=1e-4)


def test_it_travels_to_worker_processes_and_copies() -> None:
    for other in (pickle.loads(pickle.dumps(DIFFUSION)), copy.deepcopy(DIFFUSION)):
        x_0, noise = torch.randn(3, 4), torch.randn(3, 4)
        assert torch.equal(other.add_noise(x_0, noise, T), DIFFUSION.add_noise(x_0, noise, T))


def test_a_timestep_beyond_the_schedule_is_refused() -> None:
    with pytest.raises(
        InputError, match="GaussianDiffusion, timesteps: found values from 1000 to 1000; wanted 0 to 999"
    ):
        DIFFUSION.add_noise(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([1000]))


def test_noise_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="'noise_pred': \\(1, 1\\)"):
        DIFFUSION.x0_from(torch.zeros(1, 2), torch.zeros(1, 1), torch.tensor([0]))


@pytest.mark.parametrize("num_timesteps", [0, -1, 2.0, "1000", True])
def test_a_number_of_steps_that_cannot_be_meant_is_refused(num_timesteps: object) -> None:
    with pytest.raises(InputError, match=f"num_timesteps: found {num_timesteps!r}; wanted an integer of 1 or more"):
        GaussianDiffusion(num_timesteps)  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [(0, 0.1), (0.2, 0.1), (0.1, 1), ("0.1", 0.2), (0.1, float("nan")), (True, 0.5)])
def test_betas_that_cannot_be_meant_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="wanted numbers with 0 < beta_start <= beta_end < 1"):
        GaussianDiffusion(10, *ends)
