"""The scale of latents: what it normalises to, what it measures, its bounds, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks import LatentScale

LATENTS = [torch.randn(2, 3, 4, 5) * 2 + 7, torch.randn(2, 2, 2, 2) - 3]


def test_as_made_the_scale_leaves_latents_as_they_are() -> None:
    scale = LatentScale(2)
    assert torch.equal(scale.apply_to(LATENTS[0]), LATENTS[0])
    assert torch.equal(scale.restore(LATENTS[0]), LATENTS[0])
    assert (scale.low.tolist(), scale.high.tolist()) == ([-1, -1], [1, 1])


def test_a_measured_scale_makes_each_channel_one_of_mean_0_and_deviation_1() -> None:
    scale = LatentScale(2)
    scale.measure_(iter(LATENTS))
    normalised = torch.cat([scale.apply_to(latent).flatten(1) for latent in LATENTS], dim=1)
    assert_close(normalised.mean(dim=1), torch.zeros(2), rtol=0, atol=1e-6)
    assert_close(normalised.std(dim=1, correction=0), torch.ones(2))


def test_the_bounds_are_those_of_the_normalised_latents() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    normalised = torch.cat([scale.apply_to(latent).flatten(1) for latent in LATENTS], dim=1)
    assert_close(scale.low, normalised.amin(dim=1))
    assert_close(scale.high, normalised.amax(dim=1))


def test_restoring_undoes_the_scale_of_one_volume_and_of_a_batch() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    batch = LATENTS[0][None].repeat(3, 1, 1, 1, 1)
    assert_close(scale.restore(scale.apply_to(LATENTS[0])), LATENTS[0])
    assert_close(scale.restore(scale.apply_to(batch)), batch)
    assert_close(scale.apply_to(batch)[1], scale.apply_to(LATENTS[0]))


def test_a_channel_that_never_changes_becomes_0() -> None:
    scale, latent = LatentScale(2), torch.randn(2, 3, 4, 5)
    latent[1] = 0.3
    scale.measure_([latent])
    assert_close(scale.apply_to(latent)[1], torch.zeros(3, 4, 5))
    assert scale.std[1] == 1


def test_latents_far_from_zero_keep_their_deviation() -> None:
    scale, latent = LatentScale(1), 1000 + 0.1 * torch.randn(1, 8, 8, 8)
    scale.measure_([latent])
    assert_close(scale.std, latent.double().std(correction=0).float()[None], rtol=1e-3, atol=0)


def test_volumes_of_other_sizes_and_levels_count_by_their_voxels() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    voxels = torch.cat([latent.flatten(1).double() for latent in LATENTS], dim=1)
    assert_close(scale.mean, voxels.mean(dim=1).float())
    assert_close(scale.std, voxels.std(dim=1, correction=0).float())


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([0.1, 0.1]).nextafter(torch.tensor([0.0, 1.0])),
        torch.tensor([-3.7e-9, 3.7e-9]),
        torch.tensor([1000.0, 1000.005]),
    ],
    ids=["0.1 and rounding", "dead", "1000 and rounding"],
)
def test_rounding_is_not_scaled_up(values: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    scale, latent = LatentScale(2), torch.randn(2, 2, 4, 4)
    latent[1] = values.repeat(16).view(2, 4, 4)
    scale.measure_([latent])
    assert "of the 2 latent channels, number 1 (from 0) is the same everywhere" in caplog.text
    assert scale.std[1] == 1
    assert scale.std[0] < 1.5
    assert_close(scale.apply_to(latent)[1].abs().amax(), torch.tensor(0.0), rtol=0, atol=0.003)
    half = (values.double().max() - values.double().min()) / 2
    assert_close(scale.high[1].double(), half, rtol=1e-3, atol=1e-12)
    assert_close(scale.low[1].double(), -half, rtol=1e-3, atol=1e-12)


def test_a_small_channel_that_varies_is_scaled(caplog: pytest.LogCaptureFixture) -> None:
    scale, latent = LatentScale(1), 1e-6 * torch.randn(1, 4, 4, 4)
    scale.measure_([latent])
    assert_close(scale.apply_to(latent).std(correction=0), torch.tensor(1.0))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("latents", "found"),
    [
        ([], "none of them"),
        ([torch.zeros(3, 2, 2, 2)], r"one of shape \[3, 2, 2, 2\]"),
        ([torch.zeros(1, 2, 2, 2, 2)], r"one of shape \[1, 2, 2, 2, 2\]"),
        ([torch.full((2, 2, 2, 2), torch.nan)], "one with values that are not finite"),
    ],
    ids=["none", "other channels", "a batch", "nan"],
)
def test_what_cannot_be_measured_is_refused_and_the_scale_stays(latents: list[Tensor], found: str) -> None:
    scale = LatentScale(2)
    with pytest.raises(InputError, match=rf"LatentScale, latents: found {found}; wanted latents .* \(2, D, H, W\)"):
        scale.measure_([*LATENTS[: len(latents)], *latents])
    assert scale.mean.tolist() == [0, 0]


def test_a_stretched_scale_takes_its_range_to_minus_1_and_1_in_every_channel() -> None:
    scale, latent = LatentScale(2), torch.tensor([-3.0, -0.5, 2.0]).expand(2, 1, 1, 3)
    scale.stretch_(-3.0, 2.0)
    assert_close(scale.apply_to(latent), torch.tensor([-1.0, 0.0, 1.0]).expand(2, 1, 1, 3))
    assert (scale.low.tolist(), scale.high.tolist()) == ([-1, -1], [1, 1])


def test_normalised_latents_are_clipped_to_the_bounds_of_their_channel() -> None:
    scale = LatentScale(2)
    scale.low.copy_(torch.tensor([-1.0, -2.0]))
    scale.high.copy_(torch.tensor([0.5, 3.0]))
    found = scale.clipped(torch.tensor([-9.0, 0.0, 9.0]).expand(1, 2, 1, 1, 3))
    assert_close(found.flatten(2)[0], torch.tensor([[-1.0, 0.0, 0.5], [-2.0, 0.0, 3.0]]))


@pytest.mark.parametrize(
    "bounds", [(1.0, 1.0), (2.0, 1.0), ("-1", 1.0), (float("nan"), 1.0), (-1.0, float("inf")), (True, 2)]
)
def test_what_is_no_range_is_refused_and_the_scale_stays(bounds: tuple[float, float]) -> None:
    scale = LatentScale(1)
    with pytest.raises(InputError, match=r"LatentScale, range of the latents: found .*; wanted two finite numbers"):
        scale.stretch_(*bounds)
    assert (scale.mean.item(), scale.std.item()) == (0, 1)
