"""The DDGAN schedule, the forward pair and the posterior step against the published code's numbers.

The reference computes its tables in float32 from float32 betas, ours are float64: differences of 1e-6 are its rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.schedulers import DDGANScheduler

steps = pytest.mark.parametrize("num_timesteps", [4, 2, 8])


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/syndiff/diffusion_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@steps
def test_betas_are_the_published_ones(expected: dict[str, Tensor], num_timesteps: int) -> None:
    betas = DDGANScheduler(num_timesteps).betas.float()
    assert_close(betas, expected[f"T{num_timesteps}_post_betas"], rtol=0, atol=1e-7)
    assert_close(betas, expected[f"T{num_timesteps}_betas_full"][1:], rtol=0, atol=1e-7)  # a leading 1e-8 adds nothing


@steps
def test_marginals_are_the_published_ones(expected: dict[str, Tensor], num_timesteps: int) -> None:
    scheduler = DDGANScheduler(num_timesteps)
    assert_close(scheduler.signal.float(), expected[f"T{num_timesteps}_a_s_cum"], rtol=0, atol=2e-7)
    assert_close(scheduler.noise.float(), expected[f"T{num_timesteps}_sigmas_cum"], rtol=0, atol=2e-7)


@steps
def test_the_posterior_has_the_published_coefficients(expected: dict[str, Tensor], num_timesteps: int) -> None:
    scheduler, published = DDGANScheduler(num_timesteps), f"T{num_timesteps}_post_posterior"
    assert_close(scheduler.posterior_x_0.float(), expected[f"{published}_mean_coef1"], rtol=0, atol=5e-7)
    assert_close(scheduler.posterior_x_next.float(), expected[f"{published}_mean_coef2"], rtol=0, atol=5e-7)
    assert_close(scheduler.posterior_variance.float(), expected[f"{published}_variance"], rtol=0, atol=5e-7)


def test_the_forward_pair_is_the_published_one(expected: dict[str, Tensor]) -> None:
    x_t, x_next = DDGANScheduler().noise_pair(
        expected["q_x0"], expected["step_t"], noise_t=expected["q_noise_xt"], noise_next=expected["q_noise_xtp1"]
    )
    assert_close(x_t, expected["q_xt"], rtol=0, atol=1e-6)
    assert_close(x_next, expected["q_xtp1"], rtol=0, atol=1e-6)


def test_the_posterior_step_is_the_published_one(expected: dict[str, Tensor]) -> None:
    x_t = DDGANScheduler().posterior_sample(
        expected["step_x0"], expected["step_xt"], expected["step_t"], expected["step_noise"]
    )
    assert_close(x_t, expected["step_out"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_timesteps", [2, 4])
def test_two_samples_of_one_posterior_are_as_mu_diff_draws_them(shared: Path, num_timesteps: int) -> None:
    """Its second network refines the first one's prediction; the average of both, drawn once, is its sampling step."""
    arrays = np.load(shared / "goldens/mudiff/reverse_step_golden.npz")
    given = {key[3:]: torch.from_numpy(arrays[key]) for key in arrays.files if key.startswith(f"T{num_timesteps}_")}
    scheduler = DDGANScheduler(num_timesteps)
    x_t, x_next = scheduler.noise_pair(
        given["x0"], given["t"], noise_t=given["noise_qsample"], noise_next=given["noise_step"]
    )
    assert_close(x_t, given["x_t"], rtol=0, atol=1e-6)
    assert_close(x_next, given["x_tp1"], rtol=0, atol=1e-6)
    first, second = given["x0_pred_1"], given["x0_pred_2"]
    single = scheduler.posterior_sample(first, x_next, given["t"], given["noise_post"])
    assert_close(single, given["post_single"], rtol=0, atol=1e-6)
    combined = scheduler.posterior_sample((first + second) / 2, x_next, given["t"], given["noise_post"])
    assert_close(combined, given["post_combined"], rtol=0, atol=1e-6)
