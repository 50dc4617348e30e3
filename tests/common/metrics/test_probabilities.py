"""Whether probabilities are what they say, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from transmodal.metrics import ProbabilityBin, brier_score, expected_calibration_error, probability_bins

PROBABILITIES = torch.tensor([0.9, 0.1, 0.8, 0.2])
POSITIVE = torch.tensor([1, 0, 0, 0])


def test_the_brier_score_is_the_mean_squared_difference() -> None:
    assert brier_score(PROBABILITIES, POSITIVE) == pytest.approx((0.01 + 0.01 + 0.64 + 0.04) / 4)


def test_bins_are_of_equal_count_from_low_to_high() -> None:
    low, high = probability_bins(PROBABILITIES, POSITIVE, bins=2)
    assert low == ProbabilityBin(2, pytest.approx(0.15), 0.0)
    assert high == ProbabilityBin(2, pytest.approx(0.85), 0.5)


def test_the_calibration_error_weighs_bins_by_their_cases() -> None:
    bins = [ProbabilityBin(3, 0.5, 0.4), ProbabilityBin(1, 0.9, 0.5)]
    assert expected_calibration_error(bins) == pytest.approx((3 * 0.1 + 1 * 0.4) / 4)


def test_fewer_cases_than_bins_are_a_bin_each() -> None:
    assert [each.cases for each in probability_bins(PROBABILITIES, POSITIVE, bins=10)] == [1, 1, 1, 1]


def test_nothing_is_claimed_of_no_case() -> None:
    nobody = torch.zeros(0)
    assert brier_score(nobody, nobody) is None
    assert probability_bins(nobody, nobody) == []
    assert expected_calibration_error([]) is None
