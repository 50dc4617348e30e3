"""Dynamic thresholds: who is cut and shrunk, sample by sample, within which bounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.schedulers import DDIMSampler, DynamicThreshold, GaussianDiffusion

UNIT = (-1.0, 1.0)


def test_a_sample_within_its_bounds_stays() -> None:
    x_0 = torch.rand(2, 3, 4) * 2 - 1
    assert_close(DynamicThreshold()(x_0, UNIT), x_0)


def test_a_sample_beyond_them_is_cut_at_its_quantile_and_shrunk_to_fit() -> None:
    """Of 0, 1, ..., 10 nine tenths are at most 9: 10 is cut to 9, and all is divided by 9."""
    found = DynamicThreshold(0.9)(torch.arange(11.0)[None], UNIT)
    assert_close(found, torch.arange(11.0)[None].clamp(max=9) / 9)


def test_a_few_values_beyond_the_bounds_are_cut_off_alone() -> None:
    x_0 = torch.full((1, 100), 0.5)
    x_0[0, :5] = -7.0
    assert_close(DynamicThreshold(0.9)(x_0, UNIT), x_0.clamp(min=-1))


def test_each_sample_has_a_threshold_of_its_own() -> None:
    x_0 = torch.stack([torch.linspace(-4, 4, 50), torch.linspace(-1, 1, 50)])
    found = DynamicThreshold()(x_0, UNIT)
    assert_close(found[1], x_0[1])
    assert_close(found[:1], DynamicThreshold()(x_0[:1], UNIT))


def test_bounds_of_each_channel_are_where_a_value_ends() -> None:
    low, high = torch.tensor([-1.0, 2.0]).reshape(2, 1), torch.tensor([3.0, 4.0]).reshape(2, 1)
    x_0 = torch.stack([torch.linspace(-9, 11, 21), torch.linspace(-2, 8, 21)])[None]
    found = DynamicThreshold(1.0)(x_0, (low, high))
    assert_close(found, torch.stack([torch.linspace(-1, 3, 21), torch.linspace(2, 4, 21)])[None])


def test_a_sampler_takes_it_in_place_of_the_cut() -> None:
    sampler = DDIMSampler(GaussianDiffusion(), within=DynamicThreshold(1.0))
    noise_pred = torch.linspace(-9, 9, 20)[None]
    found = sampler.step(torch.zeros(1, 20), noise_pred, 500, None)
    assert_close(found, torch.linspace(1, -1, 20)[None])


@pytest.mark.parametrize("quantile", [0, 1.5, "0.9", True, float("nan")])
def test_what_is_no_quantile_is_refused(quantile: Any) -> None:
    with pytest.raises(InputError, match=r"DynamicThreshold, quantile: found .*; wanted a number above 0, at most 1"):
        DynamicThreshold(quantile)
