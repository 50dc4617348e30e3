"""Calls of networks, counted beforehand and while they are made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.inferers import Inferer, SimpleInferer
from torch import Tensor, nn

from transmodal.inferers import (
    DDGANInferer,
    NoisePredictionInferer,
    PlaneAverage,
    ProgressInferer,
    SliceWiseInferer,
    TargetInferer,
    calls_of,
)
from transmodal.schedulers import (
    ConditionStartDDPMSampler,
    ConditionStartSampler,
    DDGANScheduler,
    DDIMSampler,
    GaussianDiffusion,
    RectifiedFlow,
    RectifiedFlowSampler,
)

DIFFUSION = GaussianDiffusion()
SAMPLERS = [
    DDIMSampler(DIFFUSION, 3),
    ConditionStartSampler(DIFFUSION, [999, 500, 0]),
    RectifiedFlowSampler(RectifiedFlow(1000), 4),
    ConditionStartDDPMSampler(GaussianDiffusion(7)),
]
VOLUME, PICTURE = (2, 1, 8, 6, 5), (3, 1, 8, 6)


class Network(nn.Module):
    """Takes what any inferer hands over and gives it back."""

    def forward(self, image: Tensor, noisy: Tensor | None = None, **rest: Any) -> Tensor:
        return image if noisy is None else noisy


class Silent(Inferer):
    """Does not know how often it will call its network."""

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        return network(network(inputs))


def slices(inferer: Inferer, axis: int = 2, batch_size: int = 4) -> SliceWiseInferer:
    return SliceWiseInferer(inferer, axis=axis, batch_size=batch_size)


def watched(inferer: Inferer, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """All that is told while a random image of this shape is translated."""
    told: list[tuple[int, int]] = []
    ProgressInferer(inferer, lambda made, total: told.append((made, total)))(torch.rand(shape), Network())
    return told


@pytest.mark.parametrize(
    ("inferer", "shape", "expected"),
    [
        (SimpleInferer(), VOLUME, 1),
        (slices(TargetInferer("ct")), VOLUME, 3),  # 2 volumes of 5 slices, 4 at a time
        (slices(TargetInferer("ct"), axis=0), VOLUME, 4),
        (slices(TargetInferer("ct")), PICTURE, 1),
        (slices(DDGANInferer(DDGANScheduler(4), "ct", latent_dim=3, num_samples=2)), VOLUME, 3 * 4 * 2),
        (PlaneAverage([slices(SimpleInferer(), axis=axis) for axis in range(3)]), VOLUME, 4 + 3 + 3),
        (PlaneAverage([slices(SimpleInferer(), axis=axis) for axis in range(3)]), PICTURE, 1),
        *((slices(NoisePredictionInferer(each, num_samples=2)), VOLUME, 3 * 2 * each.num_calls) for each in SAMPLERS),
    ],
)
def test_as_many_calls_are_made_as_were_told_beforehand(
    inferer: Inferer, shape: tuple[int, ...], expected: int
) -> None:
    told = watched(inferer, shape)
    assert told == [(made, expected) for made in range(expected + 1)]
    assert calls_of(inferer, shape, Network()).total() == expected


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_a_sampler_asks_as_often_as_it_says(sampler: Any) -> None:
    asked: list[int] = []

    def predict(x_t: Tensor, timesteps: Tensor) -> Tensor:
        asked.append(int(timesteps[0]))
        return torch.zeros_like(x_t)

    class Zeros:
        def normal(self, *shape: int) -> Tensor:
            return torch.zeros(1, *shape)

    sampler(predict, torch.rand(1, 1, 4, 4), Zeros())
    assert len(asked) == sampler.num_calls


def test_the_result_is_that_of_the_inferer() -> None:
    volume, network, inferer = torch.rand(VOLUME), nn.Conv2d(1, 1, 3, padding=1), slices(SimpleInferer())
    with torch.no_grad():
        found = ProgressInferer(inferer, lambda made, total: None)(volume, network)
        torch.testing.assert_close(found, inferer(volume, network), rtol=0, atol=0)


def test_an_inferer_that_does_not_tell_counts_without_an_end() -> None:
    assert watched(Silent(), VOLUME) == [(0, 0), (1, 0), (2, 0)]


def test_a_network_is_left_as_it_was_also_where_it_fails() -> None:
    class Broken(Network):
        def forward(self, image: Tensor, noisy: Tensor | None = None, **rest: Any) -> Tensor:
            raise RuntimeError("broken")

    network = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        ProgressInferer(SimpleInferer(), lambda made, total: None)(torch.rand(VOLUME), network)
    assert not network._forward_hooks


def test_a_function_in_place_of_a_network_is_called_and_not_counted() -> None:
    told: list[tuple[int, int]] = []
    inferer = ProgressInferer(slices(SimpleInferer()), lambda made, total: told.append((made, total)))
    volume = torch.rand(VOLUME)
    torch.testing.assert_close(inferer(volume, lambda image: image + 1), volume + 1)
    assert not told
