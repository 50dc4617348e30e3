"""R1 of critics whose gradient is known; that of the time-conditional critic is in its own test."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.losses import r1_penalty


def test_a_linear_critic_pays_the_square_of_its_weights() -> None:
    weights, images = torch.randn(12), torch.randn(3, 1, 3, 4, requires_grad=True)
    assert_close(r1_penalty(images.flatten(1) @ weights, images), weights.square().sum())


def test_a_quadratic_critic_pays_the_mean_square_of_its_gradient() -> None:
    """D(x) = xᵀQx / 2 with symmetric Q has the gradient Qx."""
    half, images = torch.randn(12, 12), torch.randn(5, 1, 3, 4, requires_grad=True)
    q = half + half.T
    flat = images.flatten(1)
    penalty = r1_penalty(0.5 * (flat @ q * flat).sum(dim=1), images)
    assert_close(penalty, (flat.detach() @ q).square().sum(dim=1).mean())


def test_the_penalty_itself_can_be_minimised() -> None:
    """D(x) = Σ w x² / 2 pays Σ w² x² and so has the gradient 2 w x² in its weights."""
    weights, images = torch.randn(6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    r1_penalty(0.5 * (weights * images.square()).sum(dim=1), images).backward()
    assert_close(weights.grad, 2 * weights.detach() * images.detach().square().mean(dim=0))


def test_images_count_by_themselves_and_are_averaged() -> None:
    critic, images = torch.nn.Conv2d(1, 1, 3), torch.randn(3, 1, 6, 6, requires_grad=True)

    def penalty(batch: torch.Tensor) -> torch.Tensor:
        return r1_penalty(critic(batch).square(), batch)

    alone = [penalty(image[None].detach().requires_grad_()) for image in images]
    assert_close(penalty(images), torch.stack(alone).mean())


def test_it_agrees_with_finite_differences_of_the_critic() -> None:
    images = torch.randn(1, 5, dtype=torch.float64)

    def critic(batch: torch.Tensor) -> torch.Tensor:
        return torch.sin(batch).prod(dim=1)

    steps = 1e-6 * torch.eye(5, dtype=torch.float64)
    slopes = (critic(images + steps) - critic(images - steps)) / 2e-6
    found = r1_penalty(critic(images.requires_grad_()), images)
    assert_close(found.double(), slopes.square().sum(), rtol=1e-5, atol=1e-8)


def test_coarse_images_are_summed_in_full_precision() -> None:
    images = torch.ones(1, 1, 63, 65, dtype=torch.bfloat16, requires_grad=True)
    assert r1_penalty(images.sum(dim=(1, 2, 3)), images).item() == 4095.0  # bfloat16 has no such number


def test_images_that_the_critic_saw_without_gradients_are_refused() -> None:
    images = torch.randn(2, 1, 4, 4)
    with pytest.raises(
        InputError, match=r"r1_penalty, images: found a tensor that requires no gradient; wanted .*critic"
    ):
        r1_penalty(images.sum(dim=(1, 2, 3)), images)
