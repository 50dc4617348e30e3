"""DeLong's variance and test, against the definition written out case by case."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from transmodal.metrics import area_under_curve, delong_interval, delong_test


def scored(seed: int = 0, cases: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Two scores with ties, of which the first is better, and who has the finding."""
    generator = torch.Generator().manual_seed(seed)
    positive = torch.arange(cases) % 3 == 0
    shared = torch.randn(cases, generator=generator)
    first, second = (
        (3 * (shared + strength * positive + torch.randn(cases, generator=generator))).round() / 3
        for strength in (1.5, 0.5)
    )
    return first, second, positive


def covariance(first: Tensor, second: Tensor, positive: Tensor) -> float:
    """Of two areas: every pair of a positive and a negative case compared, averaged over the one, then the other."""
    kernels = []
    for scores in (first, second):
        high, low = scores[positive].double().numpy(), scores[~positive].double().numpy()
        kernels.append((high[:, None] > low) + 0.5 * (high[:, None] == low))
    of_positives, of_negatives = (np.array([kernel.mean(axis=axis) for kernel in kernels]) for axis in (1, 0))
    return float(
        np.cov(of_positives)[0, 1] / of_positives.shape[1] + np.cov(of_negatives)[0, 1] / of_negatives.shape[1]
    )


def test_the_interval_is_normal_with_the_variance_of_the_definition() -> None:
    first, _, positive = scored()
    area, error = area_under_curve(first, positive), math.sqrt(covariance(first, first, positive))
    assert area is not None
    low, high = stats.norm.interval(0.95, loc=area, scale=error)
    assert delong_interval(first, positive) == pytest.approx((low, min(1.0, high)))


def test_an_interval_ends_at_one() -> None:
    scores, positive = torch.tensor([0.9, 0.8, 0.35, 0.4, 0.2, 0.1]), torch.tensor([1, 1, 1, 0, 0, 0])
    low, high = delong_interval(scores, positive) or (0, 0)
    assert high == 1.0
    assert 0.5 < low < 8 / 9


def test_separated_cases_have_no_variance() -> None:
    assert delong_interval(torch.tensor([0.9, 0.8, 0.2, 0.1]), torch.tensor([1, 1, 0, 0])) == (1.0, 1.0)


def test_the_test_takes_into_account_that_both_scores_are_of_the_same_cases() -> None:
    first, second, positive = scored()
    tested = delong_test(first, second, positive)
    variance = (
        covariance(first, first, positive)
        + covariance(second, second, positive)
        - 2 * covariance(first, second, positive)
    )
    assert tested is not None
    assert tested.standard_error == pytest.approx(math.sqrt(variance))
    assert tested.difference == pytest.approx(area_under_curve(first, positive) - area_under_curve(second, positive))
    assert tested.z == pytest.approx(tested.difference / math.sqrt(variance))
    assert tested.p == pytest.approx(2 * stats.norm.sf(abs(tested.difference) / math.sqrt(variance)))
    assert tested.interval == pytest.approx(stats.norm.interval(0.95, loc=tested.difference, scale=math.sqrt(variance)))


def test_the_other_order_changes_the_sign_alone() -> None:
    first, second, positive = scored()
    one, other = delong_test(first, second, positive), delong_test(second, first, positive)
    assert one is not None
    assert other is not None
    assert other.difference == pytest.approx(-one.difference)
    assert other.p == pytest.approx(one.p)


def test_a_score_does_not_differ_from_what_orders_the_cases_alike() -> None:
    first, _, positive = scored()
    tested = delong_test(first, torch.sigmoid(first.double()) * 100, positive)
    assert tested is not None
    assert (tested.difference, tested.standard_error, tested.z, tested.p) == (0.0, 0.0, None, 1.0)


def test_p_is_evenly_spread_where_both_scores_are_equally_good() -> None:
    """Of 400 comparisons 5 % should be below 0.05: 20, give or take three times 4.4."""
    generator, positive = torch.Generator().manual_seed(1), torch.arange(60) % 2 == 0
    small = 0
    for _ in range(400):
        scores = torch.randn(2, 60, generator=generator) + 0.8 * positive
        tested = delong_test(scores[0], scores[1], positive)
        small += tested is not None and tested.p < 0.05
    assert 7 <= small <= 33


@pytest.mark.parametrize("positive", [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
def test_one_case_of_a_kind_tells_no_variance(positive: list[int]) -> None:
    scores = torch.rand(4)
    assert delong_interval(scores, torch.tensor(positive)) is None
    assert delong_test(scores, scores, torch.tensor(positive)) is None
