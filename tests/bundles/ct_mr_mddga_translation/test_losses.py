"""Losses of predicted noise beside their numbers: weights, axes, precision, and what is refused.

Their values are compared with the published ones in tests/parity/test_mddga_losses.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mddga_bundle.losses import ConsistentNoise, L1Noise, MSENoise
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=random), torch.randn(shape, generator=random)


@pytest.mark.parametrize("loss", [L1Noise(), MSENoise(), ConsistentNoise()])
def test_the_true_noise_costs_nothing(loss: Any) -> None:
    _, noise = pair(2, 1, 4, 5, 6)
    assert all(term == 0 for term in loss(noise, noise).values())


def test_an_error_that_is_the_same_everywhere_is_consistent() -> None:
    _, noise = pair(2, 1, 4, 5, 6)
    terms = ConsistentNoise()(noise + 0.5, noise)
    assert_close(terms["l1"], torch.tensor(0.4))
    assert_close(terms["consistency"], torch.tensor(0.0), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("axis", "length"), [(0, 4), (1, 5), (2, 6)])
def test_steps_are_counted_along_the_axis_and_divided_by_all_elements(axis: int, length: int) -> None:
    """An error that grows by 2 from slice to slice: each step but the missing first one costs 4."""
    noise = torch.zeros(2, 1, 4, 5, 6)
    shape = [1] * 5
    shape[axis + 2] = length
    predicted = noise + 2 * torch.arange(float(length)).reshape(shape)
    terms = ConsistentNoise(consistency=1, axis=axis)(predicted, noise)
    assert_close(terms["consistency"], torch.tensor(4 * (length - 1) / length))


def test_slices_may_be_consistent_too() -> None:
    """Of pictures the axis is that of the rows; the published loss fails on them."""
    predicted, noise = pair(2, 1, 4, 5)
    flat = ConsistentNoise()(predicted, noise)
    deep = ConsistentNoise(axis=0)(predicted[..., None], noise[..., None])
    assert_close(flat, deep)


def test_weights_scale_their_terms() -> None:
    predicted, noise = pair(1, 2, 4, 5, 6)
    plain, weighted = ConsistentNoise(1, 1)(predicted, noise), ConsistentNoise(0.25, 3)(predicted, noise)
    assert_close(weighted["l1"], 0.25 * plain["l1"])
    assert_close(weighted["consistency"], 3 * plain["consistency"])


@pytest.mark.parametrize("loss", [L1Noise(), MSENoise(), ConsistentNoise()])
def test_low_precision_is_summed_in_single_precision(loss: Any) -> None:
    predicted, noise = pair(1, 1, 4, 5, 6)
    expected = loss(predicted.bfloat16().float(), noise)
    assert_close(loss(predicted.bfloat16(), noise), expected, rtol=0, atol=0)
    assert all(term.dtype == torch.float32 for term in expected.values())


@pytest.mark.parametrize("name", ["l1", "consistency"])
@pytest.mark.parametrize("value", [-0.1, "0.8", True, float("nan"), None])
def test_a_weight_that_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"ConsistentNoise, {name}: found .*; wanted a number of 0 or more"):
        ConsistentNoise(**{name: value})


@pytest.mark.parametrize("axis", [-1, 3, "0", True, None])
def test_an_axis_that_a_volume_does_not_have_is_refused(axis: Any) -> None:
    with pytest.raises(InputError, match=r"ConsistentNoise, axis: found .*; wanted a spatial axis: 0, 1 or 2"):
        ConsistentNoise(axis=axis)
