"""ROC curve, threshold and rates, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from transmodal.errors import InputError
from transmodal.metrics import (
    Confusion,
    area_under_curve,
    bootstrap_interval,
    confusion,
    rates,
    roc_curve,
    wilson_interval,
    youden_threshold,
)

SCORES = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
POSITIVE = torch.tensor([1, 1, 0, 1, 0, 0])
ONE_KIND = [torch.zeros(6), torch.ones(6)]


def test_the_curve_rises_case_by_case_from_nobody_to_everybody() -> None:
    curve = roc_curve(SCORES, POSITIVE)
    assert curve is not None
    assert curve.thresholds[0] == math.inf
    torch.testing.assert_close(curve.thresholds[1:], SCORES.double(), rtol=0, atol=1e-7)
    torch.testing.assert_close(curve.sensitivity * 3, torch.tensor([0, 1, 2, 2, 3, 3, 3]).double())
    torch.testing.assert_close(curve.false_positive_rate * 3, torch.tensor([0, 0, 0, 1, 1, 2, 3]).double())


def test_tied_scores_are_one_point_of_the_curve() -> None:
    curve = roc_curve(torch.tensor([0.5, 0.5, 0.2]), torch.tensor([1, 0, 0]))
    assert curve is not None
    assert curve.sensitivity.tolist() == [0, 1, 1]
    assert curve.false_positive_rate.tolist() == [0, 0.5, 1]


def test_the_area_below_the_curve_is_the_area_of_the_ranks() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, positive = torch.rand(60, generator=generator).mul(12).round(), torch.rand(60, generator=generator) < 0.4
    curve = roc_curve(scores, positive)
    assert curve is not None
    assert float(torch.trapezoid(curve.sensitivity, curve.false_positive_rate)) == pytest.approx(
        area_under_curve(scores, positive)
    )


@pytest.mark.parametrize("positive", ONE_KIND)
def test_cases_of_one_kind_have_neither_curve_nor_threshold(positive: torch.Tensor) -> None:
    assert roc_curve(SCORES, positive) is None
    assert youden_threshold(SCORES, positive) is None


def test_the_threshold_lies_midway_between_the_cases_that_it_parts() -> None:
    assert youden_threshold(torch.tensor([0.9, 0.8, 0.3, 0.1]), torch.tensor([1, 1, 0, 0])) == pytest.approx(0.55)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    """0.75 finds two of three without a false alarm, 0.55 all three with one of three: both have an index of 2/3."""
    assert youden_threshold(SCORES, POSITIVE) == pytest.approx(0.55)


def test_a_threshold_below_all_cases_is_the_lowest_score() -> None:
    """Whoever is called positive must at least have been seen; here nothing parts the cases."""
    assert youden_threshold(torch.tensor([0.4, 0.4]), torch.tensor([1, 0])) == pytest.approx(0.4)


def test_a_score_that_is_the_wrong_way_round_calls_everybody() -> None:
    scores, positive = torch.tensor([0.9, 0.8, 0.2, 0.1]), torch.tensor([0, 0, 1, 1])
    threshold = youden_threshold(scores, positive)
    assert threshold is not None
    assert bool((scores >= threshold).all())


def test_answers_are_counted_by_truth() -> None:
    answers = torch.tensor([1, 1, 1, 0, 0, 0, 0])
    positive = torch.tensor([1, 1, 0, 0, 0, 0, 1])
    assert confusion(answers, positive) == Confusion(2, 1, 3, 1)


def test_rates_are_those_of_the_published_table() -> None:
    """Real CT of X-ray2CTPA: 17 of 23 positive and 43 of 55 negative patients were right."""
    found = rates(Confusion(true_positive=17, false_positive=12, true_negative=43, false_negative=6))
    assert {name: round(100 * rate.value, 2) for name, rate in found.items() if rate.value is not None} == {
        "accuracy": 76.92,
        "sensitivity": 73.91,
        "specificity": 78.18,
        "positive_predictive_value": 58.62,
        "negative_predictive_value": 87.76,
    }
    assert (found["sensitivity"].successes, found["sensitivity"].trials) == (17, 23)


def test_a_rate_of_no_case_is_none() -> None:
    found = rates(Confusion(true_positive=0, false_positive=0, true_negative=4, false_negative=0))
    assert found["sensitivity"] == (None, 0, 0, None)
    assert found["positive_predictive_value"].value is None
    assert found["specificity"].value == 1.0


def test_wilsons_interval_holds_the_shares_that_a_score_test_would_not_reject() -> None:
    """Its ends solve (p̂ - p)² = z² p (1 - p) / n."""
    low, high = wilson_interval(17, 23) or (0, 0)
    for share in (low, high):
        assert (17 / 23 - share) ** 2 == pytest.approx(1.959963985**2 * share * (1 - share) / 23)
    assert low < 17 / 23 < high


def test_wilsons_interval_of_none_and_of_all_ends_exactly_there() -> None:
    """z² / (n + z²) and its complement, with z² = 3.8415."""
    assert wilson_interval(0, 10) == (0.0, pytest.approx(3.841459 / 13.841459))
    assert wilson_interval(10, 10) == (pytest.approx(10 / 13.841459), 1.0)


def test_wilsons_interval_of_no_trial_is_none() -> None:
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize("score", [area_under_curve, bootstrap_interval, roc_curve, youden_threshold])
def test_scores_that_are_no_numbers_have_no_order(score: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
    with pytest.raises(InputError, match="found 1 of 6 that are not a number"):
        score(SCORES.where(SCORES < 0.9, math.nan), POSITIVE)


def test_infinite_scores_have_an_order() -> None:
    assert area_under_curve(torch.tensor([math.inf, 0.0, -math.inf]), torch.tensor([1, 0, 0])) == 1.0
