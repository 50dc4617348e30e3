"""The cosine schedule: its definition written out, what it leaves of an image, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import CosineDiffusion, DDIMSampler, SeededNoise

DIFFUSION = CosineDiffusion()
T = torch.tensor([0, 400, 999])


def test_the_signal_that_is_left_is_a_squared_cosine() -> None:
    """Equation 17, written out by hand; the last beta alone is cut off."""

    def f(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = torch.tensor([f((t + 1) / 1000) / f(0) for t in range(999)], dtype=torch.float64)
    assert_close(DIFFUSION.alphas_cumprod[:999], expected, rtol=1e-10, atol=0)
    assert DIFFUSION.betas[998] < 0.9999
    assert DIFFUSION.betas[999].item() == 0.9999


def test_tables_are_of_double_precision_and_images_of_single() -> None:
    assert {DIFFUSION.betas.dtype, DIFFUSION.alphas_cumprod.dtype, DIFFUSION.posterior_variance.dtype} == {
        torch.float64
    }
    noisy = DIFFUSION.add_noise(torch.zeros(3, 2), torch.ones(3, 2), T)
    assert noisy.dtype == torch.float32


def test_noising_and_its_inverse_agree_where_an_image_is_left() -> None:
    x_0, noise, t = torch.rand(3, 2, 4) * 2 - 1, torch.randn(3, 2, 4), torch.tensor([0, 400, 900])
    x_t = DIFFUSION.add_noise(x_0, noise, t)
    assert_close(DIFFUSION.x0_from(x_t, DIFFUSION.target(x_0, noise, t), t), x_0, rtol=0, atol=1e-5)


def test_the_last_timestep_is_all_but_noise() -> None:
    noise = torch.randn(3, 5)
    assert_close(DIFFUSION.add_noise(torch.ones(3, 5), noise, torch.tensor([999] * 3)), noise, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("num_steps", "eta"), [(1, 0.0), (25, 0.0), (50, 1.0), (1000, 1.0)])
def test_a_known_image_is_recovered_by_the_sampler(num_steps: int, eta: float) -> None:
    clean = torch.rand(1, 1, 6, 7) * 1.8 - 0.9

    def predict_noise(x_t: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        bar = DIFFUSION.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        return ((x_t.double() - bar.sqrt() * clean) / (1 - bar).sqrt()).float()

    found = DDIMSampler(DIFFUSION, num_steps, eta)(predict_noise, clean, SeededNoise([0]))
    assert_close(found, clean, rtol=0, atol=0.02 if num_steps == 1 else 1e-4)  # 1 step divides a rounding by 1.6e-5


def test_all_steps_with_fresh_noise_are_ancestral_sampling() -> None:
    """The whole chain beside a loop over the posterior's mean and variance of Ho et al., equations 6 and 7."""
    diffusion, shape = CosineDiffusion(20), (2, 3, 4)

    def predict_noise(x_t: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return torch.sin(2 * x_t + timesteps.reshape(-1, 1, 1))

    noise = SeededNoise([3, 4])
    x = noise.normal(*shape[1:])
    for t in range(19, -1, -1):
        beta, bar, before = (
            float(table[t]) for table in (diffusion.betas, diffusion.alphas_cumprod, diffusion.alphas_cumprod_prev)
        )
        eps = predict_noise(x, torch.tensor([t, t]))
        x_0 = ((x - math.sqrt(1 - bar) * eps) / math.sqrt(bar)).clamp(-1, 1)
        mean = beta * math.sqrt(before) / (1 - bar) * x_0 + (1 - before) * math.sqrt(1 - beta) / (1 - bar) * x
        deviation = math.sqrt(beta * (1 - before) / (1 - bar))
        x = mean + deviation * noise.normal(*shape[1:]) if t else mean
    sampler = DDIMSampler(diffusion, num_steps=20, eta=1.0)
    assert_close(sampler(predict_noise, torch.zeros(shape), SeededNoise([3, 4])), x, rtol=0, atol=2e-6)


def test_other_lengths_and_offsets_are_other_schedules() -> None:
    assert CosineDiffusion(20).num_timesteps == 20
    assert CosineDiffusion(20, s=0.1).betas[0] > CosineDiffusion(20).betas[0]
    assert CosineDiffusion(20, max_beta=0.5).betas.max().item() == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_timesteps": 0}, "num_timesteps: found 0; wanted an integer of 1 or more"),
        ({"num_timesteps": "1000"}, "num_timesteps: found '1000'"),
        ({"s": -0.1}, "s and max_beta: found -0.1 and 0.9999; wanted s of 0 or more"),
        ({"s": "0.008"}, "s and max_beta: found '0.008'"),
        ({"max_beta": 1.0}, "s and max_beta: found 0.008 and 1.0"),
        ({"max_beta": True}, "s and max_beta: found 0.008 and True"),
        ({"s": float("nan")}, "s and max_beta: found nan"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"CosineDiffusion, {message}"):
        CosineDiffusion(**arguments)


def test_a_timestep_out_of_range_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match="CosineDiffusion, timesteps: found values from 1000 to 1000; wanted 0 to 999"):
        DIFFUSION.add_noise(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([1000]))
