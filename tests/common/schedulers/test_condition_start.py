"""The samplers that start at the condition: their order of work; the published numbers are in tests/parity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import ConditionStartDDPMSampler, ConditionStartSampler, GaussianDiffusion

DIFFUSION = GaussianDiffusion()

bounds = pytest.mark.parametrize("bound", [1.0, 50.0])  # most states reach the first, none the second


class Listed:
    """Noise that was drawn before, handed out in order."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self.left = list(draws)

    def normal(self, *shape: int) -> Tensor:
        return self.left.pop(0)


def noise_pred(x_t: Tensor, timesteps: Tensor) -> Tensor:
    return torch.sin(3 * x_t) + 0.001 * timesteps.reshape(-1, 1, 1, 1)


@bounds
def test_a_chain_of_the_fast_sampler_step_by_step(bound: float) -> None:
    condition, draws = torch.rand(2, 1, 4, 5) * 2 - 1, [*torch.randn(2, 2, 1, 4, 5)]
    sampler, noise = ConditionStartSampler(DIFFUSION, [900, 500, 100, 0]), Listed(draws)
    found = sampler(noise_pred, condition, noise, (-bound, bound))
    bar, x = DIFFUSION.alphas_cumprod.double(), condition
    for (t, s), fresh in zip([(900, 500), (500, 100), (100, 0), (0, 0)], [*draws, None, None], strict=True):
        predicted = noise_pred(x, torch.tensor([t, t]))
        x = math.sqrt(bar[s] / bar[t]) * (x - math.sqrt(1 - bar[t]) * predicted)
        x = (x if fresh is None else x + math.sqrt(1 - bar[s]) * fresh).clamp(-bound, bound)
    assert_close(found, x, rtol=1e-5, atol=1e-5)
    assert noise.left == []


@bounds
def test_a_chain_of_the_ancestral_sampler_step_by_step(bound: float) -> None:
    diffusion = GaussianDiffusion(3, beta_start=0.1, beta_end=0.5)
    condition, draws = torch.rand(2, 1, 4, 5) * 2 - 1, [*torch.randn(2, 2, 1, 4, 5)]
    noise = Listed(draws)
    found = ConditionStartDDPMSampler(diffusion)(noise_pred, condition, noise, (-bound, bound))
    x, bars = condition, {0: 0.9, 1: 0.9 * 0.7, 2: 0.9 * 0.7 * 0.5}
    for t, beta, fresh in ((2, 0.5, draws[0]), (1, 0.3, draws[1]), (0, 0.1, None)):
        x = (x - beta / math.sqrt(1 - bars[t]) * noise_pred(x, torch.tensor([t, t]))) / math.sqrt(1 - beta)
        if fresh is not None:
            x = x + math.sqrt(beta * (1 - bars[t - 1]) / (1 - bars[t])) * fresh
        x = x.clamp(-bound, bound)
    assert_close(found, x, rtol=1e-5, atol=1e-5)
    assert noise.left == []


def test_the_first_state_is_the_condition() -> None:
    states: list[Tensor] = []
    condition = torch.rand(1, 1, 4, 4)

    def recording(x_t: Tensor, timesteps: Tensor) -> Tensor:
        states.append(x_t)
        return torch.zeros_like(x_t)

    ConditionStartSampler(DIFFUSION, [999])(recording, condition, Listed([]))
    assert torch.equal(states[0], condition)


def test_by_default_the_timesteps_are_the_published_ones() -> None:
    expected = [999, 799, 599, 399, 200, *range(190, -1, -10)]
    assert ConditionStartSampler(DIFFUSION).timesteps == expected
    assert len(expected) == 25


@pytest.mark.parametrize("timesteps", [[], [5, 5], [1, 2], [1000, 0], [3, -1], [3.0, 1], ["3", "1"], [True]])
def test_timesteps_that_do_not_fall_within_the_schedule_are_refused(timesteps: list[int]) -> None:
    with pytest.raises(
        InputError, match=r"ConditionStartSampler, timesteps: .*; wanted falling integers from 999 to 0"
    ):
        ConditionStartSampler(DIFFUSION, timesteps)


def test_the_published_timesteps_need_their_schedule() -> None:
    with pytest.raises(InputError, match="the published ones need 1000"):
        ConditionStartSampler(GaussianDiffusion(100))
