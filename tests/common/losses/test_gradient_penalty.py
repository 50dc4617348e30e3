"""R1 of critics whose gradient is known; that of the time-conditional critic is in its own test."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.losses import LazyR1, r1_penalty


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


def critics(images: Sequence[Tensor]) -> list[Tensor]:
    """Linear ones: the first pays 12 for its weights of 1, the second 48 for its weights of 2."""
    return [(number + 1) * image.flatten(1).sum(dim=1) for number, image in enumerate(images)]


def test_a_lazy_penalty_comes_at_the_first_and_every_nth_call() -> None:
    lazy, images = LazyR1(interval=3), [torch.randn(2, 1, 3, 4)]
    due = [lazy(critics, images)[1] is not None for _ in range(7)]
    assert due == [True, False, False, True, False, False, True]


def test_a_lazy_penalty_is_half_of_gamma_and_not_multiplied_by_the_interval() -> None:
    images = [torch.randn(2, 1, 3, 4)]
    assert_close(LazyR1(gamma=0.5, interval=10)(critics, images)[1], torch.tensor(0.5 * 0.5 * 12.0))


def test_a_lazy_penalty_is_summed_over_the_critics() -> None:
    images = [torch.randn(2, 1, 3, 4), torch.randn(2, 1, 3, 4)]
    assert_close(LazyR1()(critics, images)[1], torch.tensor(0.5 * (12.0 + 48.0)))


def test_logits_are_the_same_with_and_without_the_penalty() -> None:
    lazy, images = LazyR1(), [torch.randn(2, 1, 3, 4)]
    (with_penalty,), (without,) = lazy(critics, images)[0], lazy(critics, images)[0]
    assert_close(with_penalty.detach(), without)
    assert with_penalty.grad_fn is not None
    assert not images[0].requires_grad  # the caller's images stay as they were


def test_there_is_no_lazy_penalty_without_gamma() -> None:
    assert LazyR1(gamma=0.0)(critics, [torch.randn(2, 1, 3, 4)])[1] is None


def test_a_lazy_penalty_goes_on_counting() -> None:
    lazy, resumed, images = LazyR1(interval=2), LazyR1(interval=2), [torch.randn(2, 1, 3, 4)]
    lazy(critics, images)
    resumed.load_state_dict(lazy.state_dict())
    assert [resumed(critics, images)[1] is not None for _ in range(2)] == [False, True]


def test_a_lazy_penalty_is_taken_in_full_precision_under_autocast() -> None:
    layer = torch.nn.Linear(12, 1)
    seen = []

    def critic(images: Sequence[Tensor]) -> list[Tensor]:
        logits = layer(images[0].flatten(1))
        seen.append(logits.dtype)
        return [logits]

    lazy, images = LazyR1(interval=2), [torch.randn(2, 1, 3, 4)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(2):
            lazy(critic, images)
    assert seen == [torch.float32, torch.bfloat16]
