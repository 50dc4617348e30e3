"""Schedule, noising, reverse step and scale of latents of X-ray2CTPA against the published ones.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.inferer import RadiographSampling
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.parity.fill import image
from tests.parity.test_xray2ctpa_unet3d import condition, filled, golden
from transmodal.networks import LatentScale
from transmodal.schedulers import CosineDiffusion, DDIMSampler, DynamicThreshold
from transmodal.schedulers.sampler import clipped

SHAPE = (3, 4, 6, 16, 16)
TIMESTEPS = torch.tensor([0, 500, 999])
PUBLISHED_RANGE = (-12.911299, 9.596558)
PUBLISHED_LATENTS = 0.18215
"""By which the published autoencoder multiplies its latents."""


def normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def stored(values: Tensor) -> Tensor:
    """The part of a result that the reference keeps."""
    return values[:, :, ::2, ::2, ::2]


@pytest.fixture(scope="module")
def schedule(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "diffusion_schedule")


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "diffusion_step")


@pytest.fixture(scope="module")
def network(shared: Path) -> FactorisedUNet:
    return filled(shared, "unet3d_small")


@pytest.fixture(scope="module")
def x_t() -> Tensor:
    return CosineDiffusion().add_noise(image(1010, SHAPE), normal(1011, SHAPE), TIMESTEPS)


@pytest.fixture(scope="module")
def predictions(network: FactorisedUNet, x_t: Tensor) -> dict[float, Tensor]:
    """The noise at guidance 1 and at guidance 2."""
    given, sampling = condition(normal(1012, (3, 24))), RadiographSampling(DDIMSampler(CosineDiffusion()))
    found = {}
    with torch.no_grad():
        for guidance in (1.0, 2.0):
            sampling.guidance = guidance
            found[guidance] = sampling.guided(_Denoiser(network), given)(x_t, TIMESTEPS)
    return found


class _Denoiser:
    """What the inferer asks of a network at each step."""

    def __init__(self, denoiser: FactorisedUNet) -> None:
        self.predict = denoiser


def stepped(x_t: Tensor, noise: Tensor, fresh: Tensor | None, within: Callable[..., Tensor] = clipped) -> Tensor:
    """Each sample's step of the whole chain from its own timestep; no noise is drawn in the last."""
    sampler = DDIMSampler(CosineDiffusion(), num_steps=1000, eta=1.0, within=within)
    assert sampler.timesteps == list(range(999, -1, -1))
    steps = [
        sampler.step(x_t[[n]], noise[[n]], t, t - 1 if t else None, None if fresh is None or not t else fresh[[n]])
        for n, t in enumerate(TIMESTEPS.tolist())
    ]
    return torch.cat(steps)


def test_the_betas_are_the_published_ones_to_double_precision(schedule: dict[str, Tensor]) -> None:
    assert_close(CosineDiffusion().betas, schedule["betas_f64"], rtol=1e-13, atol=1e-15)


def test_every_table_is_the_published_one(schedule: dict[str, Tensor]) -> None:
    """Computed in float64 and then rounded, as published; the published logarithm of 0 is that of 1e-20."""
    diffusion = CosineDiffusion()
    betas, alphas, variance = diffusion.betas, diffusion.alphas, diffusion.posterior_variance
    bar, before = diffusion.alphas_cumprod, diffusion.alphas_cumprod_prev
    ours = {
        "betas": betas,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": bar.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - bar),
    }
    for name, values in ours.items():
        assert_close(values.float(), schedule[name], rtol=2.4e-7, atol=0, msg=lambda text, name=name: f"{name}: {text}")
    assert set(ours) == {name for name in schedule if not name.endswith("f64")}


def test_latents_are_noised_as_published(expected: dict[str, Tensor], x_t: Tensor) -> None:
    assert_close(stored(x_t), expected["xt"], rtol=0, atol=1e-6)


def test_the_noise_is_the_published_prediction(expected: dict[str, Tensor], predictions: dict[float, Tensor]) -> None:
    assert_close(stored(predictions[1.0]), expected["eps"], rtol=0, atol=1e-5)


def test_the_clean_estimate_is_the_published_one(expected: dict[str, Tensor]) -> None:
    """At the last timestep both are rounding errors times 64,166, beside values of up to 200,000."""
    found = CosineDiffusion().x0_from(expected["xt"], expected["eps"], TIMESTEPS)
    assert_close(found[:2], expected["x0_hat"][:2], rtol=0, atol=1e-5)
    assert_close(found[2], expected["x0_hat"][2], rtol=1e-6, atol=0.1)


def test_a_step_without_noise_is_the_published_mean(expected: dict[str, Tensor]) -> None:
    found = stepped(expected["xt"], expected["eps"], fresh=None)
    assert_close(found, expected["mean"], rtol=0, atol=2e-6)


def test_a_step_is_the_published_ancestral_one(expected: dict[str, Tensor]) -> None:
    found = stepped(expected["xt"], expected["eps"], stored(normal(1013, SHAPE)))
    assert_close(found, expected["x_prev"], rtol=0, atol=2e-6)


def test_a_guided_step_is_the_published_one(
    expected: dict[str, Tensor], x_t: Tensor, predictions: dict[float, Tensor]
) -> None:
    found = stepped(x_t, predictions[2.0], fresh=None)
    assert_close(stored(found), expected["mean_scale2"], rtol=0, atol=2e-5)


def test_a_step_with_dynamic_threshold_is_the_published_one(
    expected: dict[str, Tensor], x_t: Tensor, predictions: dict[float, Tensor]
) -> None:
    found = stepped(x_t, predictions[1.0], fresh=None, within=DynamicThreshold(quantile=0.9))
    assert_close(stored(found), expected["mean_dyn"], rtol=0, atol=2e-5)


def test_the_loss_is_the_published_one(expected: dict[str, Tensor], predictions: dict[float, Tensor]) -> None:
    loss = partial(torch.nn.functional.l1_loss, target=normal(1011, SHAPE))
    assert_close(loss(predictions[1.0]), expected["loss_l1"], rtol=1e-6, atol=0)


def test_latents_are_scaled_and_scaled_back_as_published(shared: Path) -> None:
    """The published latents are the autoencoder's own times a factor, which its decoder takes off again."""
    given, scale = golden(shared, "latent_norm"), LatentScale(1)
    scale.stretch_(*PUBLISHED_RANGE)
    normalised = scale.clipped(scale.apply_to(given["lat"]))
    assert_close(normalised, given["norm"], rtol=0, atol=2e-7)
    assert_close(scale.restore(normalised) / PUBLISHED_LATENTS, given["back"], rtol=0, atol=1e-5)
