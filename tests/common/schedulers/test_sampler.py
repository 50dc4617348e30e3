"""What samplers have in common: float32, refusals, and bounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.schedulers import (
    ConditionStartDDPMSampler,
    ConditionStartSampler,
    DDIMSampler,
    GaussianDiffusion,
    ReverseSampler,
    SeededNoise,
)
from transmodal.schedulers.sampler import clipped

SMALL = GaussianDiffusion(20)
SAMPLERS = [
    DDIMSampler(SMALL, num_steps=5),
    DDIMSampler(SMALL, num_steps=5, eta=1),
    DDIMSampler(SMALL, num_steps=5, strength=0.5),
    ConditionStartSampler(SMALL, timesteps=[19, 10, 5, 0]),
    ConditionStartDDPMSampler(SMALL),
]
SHAPES = [(3, 1, 6), (3, 2, 6, 5), (3, 2, 6, 5, 4)]

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def predicting(x_t: Tensor, timesteps: Tensor) -> Tensor:
    return torch.tanh(x_t) + 0.01 * timesteps.reshape(-1, *[1] * (x_t.ndim - 1))


@every_sampler
@pytest.mark.parametrize("shape", SHAPES)
def test_samples_have_the_shape_of_the_condition(sampler: ReverseSampler, shape: tuple[int, ...]) -> None:
    found = sampler(predicting, torch.zeros(shape), SeededNoise([0] * shape[0]))
    assert (tuple(found.shape), found.dtype) == (shape, torch.float32)


@every_sampler
def test_one_row_of_noise_serves_all_samples(sampler: ReverseSampler) -> None:
    condition = torch.randn(1, 2, 6, 5).expand(3, -1, -1, -1)
    alone = sampler(predicting, condition[:1], SeededNoise([7]))
    assert torch.equal(sampler(predicting, condition, SeededNoise([7])), alone.expand(3, -1, -1, -1))


@every_sampler
def test_each_row_of_noise_belongs_to_its_sample(sampler: ReverseSampler) -> None:
    condition = torch.randn(3, 2, 6, 5)
    together = sampler(predicting, condition, SeededNoise([7, 8, 9]))
    alone = sampler(predicting, condition[1:2], SeededNoise([8]))
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-6)
    assert not torch.allclose(sampler(predicting, condition[1:2], SeededNoise([9])), alone, atol=1e-3)


@every_sampler
def test_the_network_alone_may_be_coarse(sampler: ReverseSampler) -> None:
    """States and arithmetic are float32; only what the network says is rounded."""

    def coarse(x_t: Tensor, timesteps: Tensor) -> Tensor:
        assert x_t.dtype == torch.float32
        assert timesteps.dtype == torch.int64
        return predicting(x_t, timesteps).bfloat16()

    condition = torch.randn(2, 1, 8, 8)
    plain = sampler(lambda x_t, t: coarse(x_t, t).float(), condition, SeededNoise([3]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = sampler(coarse, condition, SeededNoise([3]))
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, rtol=0, atol=1e-6)


@every_sampler
def test_samples_are_in_bounds(sampler: ReverseSampler) -> None:
    found = sampler(predicting, torch.randn(2, 1, 8, 8), SeededNoise([0, 1]), (-0.25, 0.5))
    assert found.min() >= -0.25
    assert found.max() <= 0.5


@every_sampler
def test_bounds_may_differ_between_channels(sampler: ReverseSampler) -> None:
    low, high = torch.tensor([-0.1, 2.0])[:, None, None], torch.tensor([0.1, 3.0])[:, None, None]
    found = sampler(predicting, torch.randn(2, 2, 8, 8), SeededNoise([0, 1]), (low, high))
    assert (found >= low).all()
    assert (found <= high).all()


@pytest.mark.parametrize("sampler", SAMPLERS[2:])
def test_a_condition_that_matters_changes_the_sample(sampler: ReverseSampler) -> None:
    assert sampler.starts_from_condition
    found = [sampler(predicting, value + torch.zeros(1, 1, 4, 4), SeededNoise([0]), (-9, 9)) for value in (-0.5, 0.5)]
    assert not torch.allclose(*found, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS[:2])
def test_a_condition_that_does_not_matter_changes_nothing(sampler: ReverseSampler) -> None:
    assert not sampler.starts_from_condition
    found = [sampler(predicting, value + torch.zeros(1, 1, 4, 4), SeededNoise([0])) for value in (-0.5, 0.5)]
    assert torch.equal(*found)


@every_sampler
@pytest.mark.parametrize("shrink", [lambda x: x[:, :1], lambda x: x[..., :-1]], ids=["channels", "size"])
def test_noise_of_another_shape_is_refused_not_broadcast(
    sampler: ReverseSampler, shrink: Callable[[Tensor], Tensor]
) -> None:
    with pytest.raises(InputError, match=r"found the shape .*; wanted that of the noisy samples, \(1, 2, 4, 4\)"):
        sampler(lambda x_t, _: shrink(x_t), torch.zeros(1, 2, 4, 4), SeededNoise([0]))


def test_clipping_takes_the_nearer_bound() -> None:
    x = torch.tensor([-3.0, 0.5, 3.0])
    assert clipped(x, (-1, 1)).tolist() == [-1, 0.5, 1]
    assert clipped(x, (torch.tensor([-5.0, 0.7, 0.0]), 2.0)).tolist() == pytest.approx([-3, 0.7, 2])
