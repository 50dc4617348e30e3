"""MU-Diff's schedule and its sampling against the published ones, with the noise that the reference drew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mudiff_bundle.inferer import MutualInferer
from mudiff_bundle.networks import MutualDenoisers
from torch import Tensor
from torch.testing import assert_close

from tests.parity.test_mudiff_networks import golden, published
from transmodal.inferers import DDGANInferer, SliceWiseInferer
from transmodal.schedulers import DDGANScheduler

SOURCES = ("c1", "c2", "c3")

steps = pytest.mark.parametrize("num_timesteps", [2, 4])


class PublishedNoise:
    """What the published loop drew, in its order: x_T, then z and the noise of the posterior at each step."""

    def __init__(self, x_init: Tensor, num_timesteps: int, rows: Sequence[int]) -> None:
        draws = [x_init]
        for index in range(num_timesteps):
            seed = 1100 + 10 * num_timesteps + index
            draws += [drawn(seed + 50, 2, 100), drawn(seed, *x_init.shape)]
        self.draws = [draw[list(rows)] for draw in draws]

    def normal(self, *shape: int) -> Tensor:
        return self.draws.pop(0)


class PublishedSampling(MutualInferer):
    """The inferer with that noise; slices are numbered as the reference's rows."""

    x_init: Tensor

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> PublishedNoise:
        return PublishedNoise(self.x_init, self.scheduler.num_timesteps, numbers)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "sampling")


@pytest.fixture(scope="module")
def sources(expected: dict[str, Tensor]) -> Tensor:
    return torch.cat([expected[name] for name in SOURCES], dim=1)


def denoisers(shared: Path, num_timesteps: int) -> MutualDenoisers:
    return MutualDenoisers(
        published(shared, "gen1"), published(shared, "gen2"), SOURCES, "c4", num_timesteps=num_timesteps
    ).eval()


def sampling(expected: dict[str, Tensor], num_timesteps: int) -> PublishedSampling:
    inferer = PublishedSampling(DDGANScheduler(num_timesteps), target="c4")
    inferer.x_init = expected["x_init"]
    return inferer


@steps
def test_the_image_is_the_published_one(
    shared: Path, expected: dict[str, Tensor], sources: Tensor, num_timesteps: int
) -> None:
    result = sampling(expected, num_timesteps)(sources, denoisers(shared, num_timesteps))
    assert_close(result[:, :1], expected[f"T{num_timesteps}_out"], rtol=0, atol=1e-5)


def test_an_inferer_that_knows_nothing_of_two_denoisers_gives_the_same_image(
    shared: Path, expected: dict[str, Tensor], sources: Tensor
) -> None:
    """By linearity the mean of both posteriors with one noise is the posterior of the mean, which the network gives."""

    class Plain(DDGANInferer):
        def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> PublishedNoise:
            return PublishedNoise(expected["x_init"], 2, numbers)

    result = Plain(DDGANScheduler(2), target="c4")(sources, denoisers(shared, 2))
    assert_close(result, expected["T2_out"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_slices_of_a_volume_are_sampled_as_published(
    shared: Path, expected: dict[str, Tensor], sources: Tensor, batch_size: int
) -> None:
    volume = sources.movedim(0, -1)[None]
    network = denoisers(shared, 2)
    result = SliceWiseInferer(sampling(expected, 2), axis=2, batch_size=batch_size)(volume, network)
    assert_close(result[0, :1].movedim(-1, 0), expected["T2_out"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_timesteps", [1, 2, 3, 4, 8])
def test_the_coefficients_are_the_published_ones(shared: Path, num_timesteps: int) -> None:
    """The reference computes them in float32; where 1 - beta is small, its root magnifies the rounding."""
    text = (shared / "goldens/mudiff/diffusion_coefficients_golden.json").read_text()
    published, scheduler = json.loads(text)[str(num_timesteps)], DDGANScheduler(num_timesteps)
    ours = {
        "betas": scheduler.betas,
        "a_s_cum": scheduler.signal,
        "sigmas_cum": scheduler.noise,
        "posterior_mean_coef1": scheduler.posterior_x_0,
        "posterior_mean_coef2": scheduler.posterior_x_next,
        "posterior_variance": scheduler.posterior_variance,
    }
    for name, values in ours.items():
        assert_close(values.double(), torch.tensor(published[name]).double(), rtol=0, atol=2e-6)
