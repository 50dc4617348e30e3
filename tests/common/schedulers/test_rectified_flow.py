"""Straight paths and their sampler: by hand, from velocities whose images are known, and from MONAI's steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.schedulers import RFlowScheduler
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import GaussianDiffusion, RectifiedFlow, RectifiedFlowSampler, SeededNoise

FLOW = RectifiedFlow()
FREE = (-torch.inf, torch.inf)
CLEAN = torch.rand(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
NOISE = torch.randn(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(2))


def of_clean(x_t: Tensor, timesteps: Tensor) -> Tensor:
    """The velocity that leads to the clean images."""
    time = ((timesteps + 1) / 1000).reshape(-1, 1, 1, 1, 1)
    return (x_t - CLEAN) / time


def monais(num_steps: int) -> RFlowScheduler:
    scheduler = RFlowScheduler(num_train_timesteps=1000, use_discrete_timesteps=True)
    scheduler.set_timesteps(num_steps)
    return scheduler


@pytest.mark.parametrize("t", [0, 1, 499, 998, 999])
def test_mixtures_are_monais_one_timestep_later(t: int) -> None:
    found = FLOW.add_noise(CLEAN, NOISE, torch.tensor([t, t]))
    assert_close(found, monais(30).add_noise(CLEAN, NOISE, torch.tensor([t + 1, t + 1])), rtol=0, atol=1e-6)


def test_the_last_timestep_is_the_noise_itself() -> None:
    assert torch.equal(FLOW.add_noise(CLEAN, NOISE, torch.tensor([999, 999])), NOISE)


def test_the_velocity_leads_from_the_image_to_the_noise() -> None:
    assert_close(FLOW.target(CLEAN, NOISE, torch.tensor([3, 999])), NOISE - CLEAN)


@pytest.mark.parametrize("t", [0, 500, 999])
def test_mixture_and_velocity_tell_the_image(t: int) -> None:
    timesteps = torch.tensor([t, t])
    x_t = FLOW.add_noise(CLEAN, NOISE, timesteps)
    assert_close(FLOW.x0_from(x_t, FLOW.target(CLEAN, NOISE, timesteps), timesteps), CLEAN, rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_steps", [1, 7, 30, 1000])
def test_a_known_image_is_recovered(num_steps: int) -> None:
    found = RectifiedFlowSampler(FLOW, num_steps)(of_clean, CLEAN, SeededNoise([0, 1]))
    assert_close(found, CLEAN, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_steps", [1, 8, 25, 40])
def test_a_chain_within_its_bounds_is_monais(num_steps: int) -> None:
    """Step by step, by a network whose velocity bends; MONAI's has the other sign and counts timesteps from 1."""

    def velocity(x_t: Tensor, timesteps: Tensor) -> Tensor:
        return torch.sin(3 * x_t) + (timesteps.reshape(-1, 1, 1, 1, 1) + 1) / 1000

    theirs, x = monais(num_steps), SeededNoise([4]).normal(1, 4, 5, 6)
    following = [*theirs.timesteps[1:].tolist(), 0]
    for t, t_next in zip(theirs.timesteps.tolist(), following, strict=True):
        x, _ = theirs.step(-velocity(x, torch.tensor([t - 1])), t, x, t_next)
    sampler = RectifiedFlowSampler(FLOW, num_steps)
    assert [t + 1 for t in sampler.timesteps] == theirs.timesteps.tolist()
    assert_close(sampler(velocity, CLEAN[:1], SeededNoise([4]), FREE), x, rtol=0, atol=1e-5)


def test_the_clean_estimate_is_clipped_in_each_step() -> None:
    states: list[Tensor] = []

    def wild(x_t: Tensor, timesteps: Tensor) -> Tensor:
        states.append(x_t)
        return -1e3 * torch.sign(x_t)

    found = RectifiedFlowSampler(FLOW)(wild, torch.zeros(1, 1, 50), SeededNoise([0]), (-0.5, 1.0))
    assert set(found.flatten().tolist()) == {-0.5, 1.0}
    assert max(state.abs().max().item() for state in states) < 6


def test_bounds_may_differ_by_channel() -> None:
    low, high = torch.tensor([-1.0, 0.0]).reshape(2, 1), torch.tensor([0.0, 3.0]).reshape(2, 1)
    found = RectifiedFlowSampler(FLOW, 3)(
        lambda x, _: -1e3 * x.sign(), torch.zeros(1, 2, 9), SeededNoise([0]), (low, high)
    )
    assert [set(channel.tolist()) for channel in found[0]] == [{-1.0, 0.0}, {0.0, 3.0}]


def test_the_network_is_called_once_in_each_step_at_integer_timesteps() -> None:
    asked: list[Tensor] = []

    def velocity(x_t: Tensor, timesteps: Tensor) -> Tensor:
        asked.append(timesteps)
        return of_clean(x_t, timesteps)

    RectifiedFlowSampler(FLOW, 4)(velocity, CLEAN, SeededNoise([0, 1]))
    assert [each.tolist() for each in asked] == [[t, t] for t in (999, 749, 499, 249)]
    assert {each.dtype for each in asked} == {torch.int64}


def test_thirty_steps_are_the_default() -> None:
    assert RectifiedFlowSampler(FLOW).timesteps[:3] == [999, 966, 933]
    assert len(RectifiedFlowSampler(FLOW).timesteps) == 30


def test_one_row_of_noise_serves_all_samples() -> None:
    found = RectifiedFlowSampler(FLOW, 2)(lambda x, _: 0.5 * x, torch.zeros(3, 1, 4), SeededNoise([7]), FREE)
    assert torch.equal(found[0], found[2])


def test_a_prediction_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"found the shape \(1, 1\); wanted that of the noisy samples, \(1, 2\)"):
        RectifiedFlowSampler(FLOW)(lambda x, _: x[:, :1], torch.zeros(1, 2), SeededNoise([0]))


def test_images_and_noise_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="RectifiedFlow: found the shapes"):
        FLOW.add_noise(torch.zeros(1, 2), torch.zeros(1, 3), torch.tensor([0]))


@pytest.mark.parametrize("diffusion", [FLOW, GaussianDiffusion()], ids=["flow", "gaussian"])
def test_results_are_of_single_precision(diffusion: Any) -> None:
    half, t = torch.zeros(1, 2, dtype=torch.bfloat16), torch.tensor([5])
    found = [diffusion.add_noise(half, half, t), diffusion.target(half, half, t), diffusion.x0_from(half, half, t)]
    assert {each.dtype for each in found} == {torch.float32}


@pytest.mark.parametrize(
    ("num_steps", "found"), [(0, "0"), (1001, "1001"), ("30", "'30'"), (True, "True"), (2.0, r"2\.0")]
)
def test_a_number_of_steps_that_cannot_be_meant_is_refused(num_steps: Any, found: str) -> None:
    with pytest.raises(
        InputError, match=f"RectifiedFlowSampler, num_steps: found {found}; wanted an integer from 1 to"
    ):
        RectifiedFlowSampler(FLOW, num_steps)


def test_a_flow_without_steps_is_refused() -> None:
    with pytest.raises(InputError, match="RectifiedFlow, num_timesteps: found 0; wanted an integer of 1 or more"):
        RectifiedFlow(0)
