"""The DDGAN schedule from its definition, from Bayes' rule and from MONAI; published numbers are in tests/parity."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from monai.networks.schedulers import DDPMScheduler, NoiseSchedules
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import DDGANScheduler

SHAPE = (4, 1, 5, 6)
T = torch.arange(4)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape or SHAPE, generator=torch.Generator().manual_seed(seed))


@NoiseSchedules.add_def("ddgan", "denoising diffusion GANs")
def discretised_sde(num_train_timesteps: int) -> Tensor:
    """The betas by their definition, for rates of 0.1 to 20."""

    def survival(index: int) -> float:
        s = 1e-3 + (1 - 1e-3) * index / num_train_timesteps
        return math.exp(-0.5 * s * s * (20 - 0.1) - s * 0.1)

    return torch.tensor(
        [1 - survival(i) / survival(i - 1) for i in range(1, num_train_timesteps + 1)], dtype=torch.float64
    )


@pytest.mark.parametrize("num_timesteps", [1, 2, 4, 8])
def test_betas_follow_from_the_variance_preserving_sde(num_timesteps: int) -> None:
    assert_close(DDGANScheduler(num_timesteps).betas, discretised_sde(num_timesteps), rtol=1e-12, atol=0)


def test_tables_are_in_double_precision() -> None:
    scheduler = DDGANScheduler()
    tables = (scheduler.betas, scheduler.signal, scheduler.noise, scheduler.posterior_x_0, scheduler.posterior_variance)
    assert {table.dtype for table in tables} == {torch.float64}


@pytest.mark.parametrize("num_timesteps", [1, 4, 8])
def test_one_step_takes_a_marginal_to_the_next(num_timesteps: int) -> None:
    scheduler = DDGANScheduler(num_timesteps)
    kept = 1 - scheduler.betas
    assert_close(kept.sqrt() * scheduler.signal[:-1], scheduler.signal[1:])
    assert_close(kept * scheduler.noise[:-1].square() + scheduler.betas, scheduler.noise[1:].square())


def test_the_posterior_is_bayes_rule_for_normal_densities() -> None:
    """Precisions add: of x_t given x_0, and of x_t given x_{t+1} through the step's likelihood."""
    scheduler = DDGANScheduler(8)
    a, s, beta = scheduler.signal[1:-1], scheduler.noise[1:-1], scheduler.betas[1:]
    variance = 1 / (1 / s**2 + (1 - beta) / beta)
    assert_close(scheduler.posterior_variance[1:], variance)
    assert_close(scheduler.posterior_x_0[1:], variance * a / s**2)
    assert_close(scheduler.posterior_x_next[1:], variance * (1 - beta).sqrt() / beta)


def test_the_first_timestep_holds_the_clean_image() -> None:
    x_0 = normal()
    x_t, _ = DDGANScheduler().noise_pair(x_0, torch.zeros(4, dtype=torch.int64), normal(seed=1), normal(seed=2))
    assert torch.equal(x_t, x_0)


def test_pairs_are_of_one_chain() -> None:
    scheduler, noise_next = DDGANScheduler(), normal(seed=2)
    x_t, x_next = scheduler.noise_pair(normal(), T, noise_t=normal(seed=1), noise_next=noise_next)
    beta = scheduler.betas.float().reshape(4, 1, 1, 1)
    assert_close(x_next, (1 - beta).sqrt() * x_t + beta.sqrt() * noise_next)


def test_the_posterior_brings_pairs_back_to_their_distribution() -> None:
    """Drawn from x_0 and x_{t+1}, x_t has the marginal's moments again."""
    scheduler, count = DDGANScheduler(), 100_000
    for step in range(4):
        x_0, t = torch.full((count,), 0.7), torch.full((count,), step)
        _, x_next = scheduler.noise_pair(x_0, t, normal(count, seed=1), normal(count, seed=2))
        x_t = scheduler.posterior_sample(x_0, x_next, t, normal(count, seed=3))
        assert x_t.mean().item() == pytest.approx(0.7 * scheduler.signal[step].item(), abs=0.013)  # 4 standard errors
        assert x_t.std(correction=0).item() == pytest.approx(scheduler.noise[step].item(), abs=0.01)


def test_the_last_step_adds_no_noise() -> None:
    x_0, t = normal(), torch.zeros(4, dtype=torch.int64)
    assert torch.equal(DDGANScheduler().posterior_sample(x_0, normal(seed=1), t, 1e6 * normal(seed=2)), x_0)


def test_every_other_step_adds_noise() -> None:
    scheduler, x_0, x_next = DDGANScheduler(), normal(), normal(seed=1)
    first, second = (scheduler.posterior_sample(x_0, x_next, T, normal(seed=seed)) for seed in (2, 3))
    assert [bool((first[i] != second[i]).all()) for i in range(4)] == [False, True, True, True]


def test_each_sample_has_its_own_timestep() -> None:
    scheduler, x_0, noise_t, noise_next = DDGANScheduler(), normal(), normal(seed=1), normal(seed=2)
    t = torch.tensor([3, 0, 2, 0])
    x_t, x_next = scheduler.noise_pair(x_0, t, noise_t, noise_next)
    back = scheduler.posterior_sample(x_0, x_next, t, noise_t)
    for one in (slice(i, i + 1) for i in range(4)):
        alone = scheduler.noise_pair(x_0[one], t[one], noise_t[one], noise_next[one])
        assert torch.equal(alone[0], x_t[one])
        assert torch.equal(alone[1], x_next[one])
        assert torch.equal(scheduler.posterior_sample(x_0[one], x_next[one], t[one], noise_t[one]), back[one])


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3, 4, 5)])
def test_images_have_any_number_of_axes(shape: tuple[int, ...]) -> None:
    scheduler, x_0 = DDGANScheduler(), normal(*shape)
    x_t, x_next = scheduler.noise_pair(x_0, T.int(), normal(*shape, seed=1), normal(*shape, seed=2))
    assert x_t.shape == x_next.shape == scheduler.posterior_sample(x_0, x_next, T, x_t).shape == shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_arithmetic_is_float32_whatever_comes_in(dtype: torch.dtype) -> None:
    scheduler, images = DDGANScheduler(), [normal(seed=seed).to(dtype) for seed in range(3)]
    plain = [image.float() for image in images]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pair = scheduler.noise_pair(images[0], T, images[1], images[2])
        back = scheduler.posterior_sample(images[0], images[1], T, images[2])
    assert all(map(torch.equal, pair, scheduler.noise_pair(plain[0], T, plain[1], plain[2])))
    assert torch.equal(back, scheduler.posterior_sample(plain[0], plain[1], T, plain[2]))
    assert {image.dtype for image in (*pair, back)} == {torch.float32}


def test_the_gradient_in_the_prediction_is_its_share_of_the_posterior_mean() -> None:
    scheduler, x_0 = DDGANScheduler(), normal().requires_grad_()
    scheduler.posterior_sample(x_0, normal(seed=1), T, normal(seed=2)).sum().backward()
    assert_close(x_0.grad, scheduler.posterior_x_0.float().reshape(4, 1, 1, 1).expand(SHAPE))


@pytest.mark.parametrize("step", range(4))
def test_the_posterior_step_equals_monai_s_ddpm_on_this_schedule(step: int) -> None:
    """MONAI's takes one timestep for a whole batch, which suits sampling, not training."""
    scheduler, prediction, x_next = DDGANScheduler(), normal(), normal(seed=1)
    monai_s = DDPMScheduler(
        num_train_timesteps=4,
        schedule="ddgan",
        variance_type="fixed_small",
        clip_sample=False,
        prediction_type="sample",
    )
    expected, _ = monai_s.step(prediction, step, x_next, generator=torch.Generator().manual_seed(2))
    found = scheduler.posterior_sample(prediction, x_next, torch.full((4,), step), normal(seed=2))
    assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0, -1, 2.0, "4", True])
def test_a_number_of_steps_below_one_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"num_timesteps: found .*; wanted an integer of 1 or more.\n.*trained with"):
        DDGANScheduler(num_timesteps=value)


@pytest.mark.parametrize("rates", [(0.0, 20.0), (20.0, 0.1), ("0.1", 20.0), (0.1, math.inf), (0.1, math.nan)])
def test_rates_that_make_no_schedule_are_refused(rates: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match=r"beta_max: found .*; wanted numbers with 0 < beta_min <= beta_max"):
        DDGANScheduler(4, *rates)


@pytest.mark.parametrize(("t", "found"), [([0, 1, 2, 4], "0 to 4"), ([-1, 0, 1, 2], "-1 to 2")])
def test_a_timestep_out_of_range_is_refused(t: list[int], found: str) -> None:
    with pytest.raises(InputError, match=rf"timesteps: found values from {found}; wanted 0 to 3.\n.*count .* from 0"):
        DDGANScheduler().posterior_sample(normal(), normal(), torch.tensor(t), normal())


def test_timesteps_on_a_device_are_not_waited_for() -> None:
    """Reading a value of the meta device, which has none, raises."""
    images, t = normal().to("meta"), T.to("meta")
    scheduler = DDGANScheduler()
    x_t, x_next = scheduler.noise_pair(images, t, images, images)
    assert x_t.shape == x_next.shape == scheduler.posterior_sample(images, images, t, images).shape == SHAPE


def test_tables_are_copied_to_a_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, images = DDGANScheduler(), normal().to("meta")
    scheduler.posterior_sample(images, images, T.to("meta"), images)
    monkeypatch.setattr(scheduler, "posterior_variance", None)
    assert scheduler.posterior_sample(images, images, T.to("meta"), images).shape == SHAPE


@pytest.mark.parametrize("t", [torch.tensor(3), torch.arange(3), T[:, None], T.float(), T > 1])
def test_timesteps_that_are_not_one_integer_per_sample_are_refused(t: Tensor) -> None:
    with pytest.raises(
        InputError, match=r"found torch\..* of shape .*; wanted integers of shape \(4,\).*\n.*torch.full"
    ):
        DDGANScheduler().noise_pair(normal(), t, normal(), normal())


def test_noise_of_another_shape_is_refused() -> None:
    """Broadcasting would otherwise give every sample the same noise in silence."""
    with pytest.raises(
        InputError, match=r"found the shapes .*'noise': \(1, 1, 5, 6\).*; wanted one shape.*\n.*the noise"
    ):
        DDGANScheduler().posterior_sample(normal(), normal(), T, normal()[:1])
    with pytest.raises(InputError, match=r"'noise_t': \(4, 1, 5, 5\)"):
        DDGANScheduler().noise_pair(normal(), T, normal()[..., :5], normal())
